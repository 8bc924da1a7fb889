/* text_table.h: columns that line up, for people. One thread, uses the heap. */
#ifndef WEIR_CONTROL_TEXT_TABLE_H
#define WEIR_CONTROL_TEXT_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define TEXT_TABLE_COLUMNS_MAX 12

/* Start with the headings; a heading that begins with `>` is of a column of numbers. */
struct text_table {
    unsigned n_columns, n_cells, room;
    const char *const *headings; /* the caller's */
    char **cells;
};

void text_table_open(struct text_table *table, const char *const *headings, unsigned n_columns);

/* The next cell, row by row. NULL shows as `-`. Control characters show as `?`: the texts come from
 * outside, and this goes to a terminal. */
void text_table_text(struct text_table *table, const char *text);
void text_table_number(struct text_table *table, int64_t number);

/* Prints the headings and all whole rows, and frees the table. */
void text_table_print(FILE *out, struct text_table *table);

#endif
