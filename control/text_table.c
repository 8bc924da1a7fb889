/*
 * text_table.c: see text_table.h.
 *
 * The cells are collected first, because a column is as wide as its widest cell; widths count code
 * points, which is right for the names and numbers that stand here.
 */
#include "control/text_table.h"

#include "dataplane/base/check.h"
#include "dataplane/base/err.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void text_table_open(struct text_table *table, const char *const *headings, unsigned n_columns)
{
    ASSERT(n_columns > 0 && n_columns <= TEXT_TABLE_COLUMNS_MAX);
    *table = (struct text_table){ .n_columns = n_columns, .headings = headings };
}

/* C0, DEL, and the C1 controls, which are c2 80 to c2 9f in UTF-8. */
static void make_harmless(char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)text[0], next = (unsigned char)text[1];
        if (c < 0x20 || c == 0x7f)
            text[0] = '?';
        else if (c == 0xc2 && next >= 0x80 && next < 0xa0)
            text[0] = text[1] = '?';
    }
}

void text_table_text(struct text_table *table, const char *text)
{
    if (table->n_cells == table->room) {
        table->room = table->room > 0 ? 2 * table->room : 64;
        table->cells = realloc(table->cells, table->room * sizeof(*table->cells));
        if (table->cells == NULL)
            fatal(EXIT_SOFTWARE, "out of memory for a table");
    }
    char *copy = strdup(text != NULL ? text : "-");
    if (copy == NULL)
        fatal(EXIT_SOFTWARE, "out of memory for a table");
    make_harmless(copy);
    table->cells[table->n_cells++] = copy;
}

void text_table_number(struct text_table *table, int64_t number)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRId64, number);
    text_table_text(table, text);
}

static unsigned width_of(const char *text)
{
    unsigned width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void print_cell(FILE *out, const char *text, unsigned width, bool right, bool last)
{
    unsigned own = width_of(text), gap = width > own ? width - own : 0;

    if (right)
        fprintf(out, "%*s%s", (int)gap, "", text);
    else
        fprintf(out, "%s%*s", text, last ? 0 : (int)gap, "");
    fputs(last ? "\n" : "  ", out);
}

void text_table_print(FILE *out, struct text_table *table)
{
    unsigned widths[TEXT_TABLE_COLUMNS_MAX], n = table->n_columns;

    for (unsigned i = 0; i < n; i++)
        widths[i] = width_of(table->headings[i]) - (table->headings[i][0] == '>');
    for (unsigned i = 0; i < table->n_cells; i++)
        if (width_of(table->cells[i]) > widths[i % n])
            widths[i % n] = width_of(table->cells[i]);
    for (unsigned i = 0; i < n; i++) {
        bool right = table->headings[i][0] == '>';
        print_cell(out, table->headings[i] + right, widths[i], right, i + 1 == n);
    }
    for (unsigned i = 0; i < table->n_cells; i++) {
        unsigned column = i % n;
        if (i - column + n <= table->n_cells)
            print_cell(out, table->cells[i], widths[column], table->headings[column][0] == '>',
                       column + 1 == n);
        free(table->cells[i]);
    }
    free(table->cells);
    *table = (struct text_table){ 0 };
}
