/*
 * client_document.c: see client_document.h.
 *
 * A document's numbers are a database's decimals (365.30, or twenty digits), which a double would
 * spoil: so nothing is parsed into values here. The pull scanner finds the document and checks that
 * all of it is valid; then it is only indented. A document cannot drive the terminal: control
 * characters are never raw in valid JSON, and the others that terminals obey (DEL, C1) are escaped.
 */
#include "control/client_document.h"

#include "dataplane/base/json.h"

bool client_document_cut(struct slice answer, struct client_document *parts)
{
    const struct {
        struct slice name, *part;
    } wanted[] = { { SLICE("task"), &parts->task },
                   { SLICE("version"), &parts->version },
                   { SLICE("reading_back"), &parts->reading_back },
                   { SLICE("document"), &parts->document },
                   { SLICE("rows"), &parts->rows },
                   { SLICE("sinks"), &parts->sinks } };
    struct json json;
    struct slice name;
    struct json_value value;
    bool escaped;

    *parts = (struct client_document){ 0 };
    json_open(&json, answer);
    if (json_enter(&json, JSON_OBJECT))
        while (json_member(&json, &name, &escaped, &value))
            for (unsigned i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
                if (slice_equal(name, wanted[i].name))
                    *wanted[i].part = value.raw;
    return json_end(&json) && parts->document.len > 0 && parts->rows.len > 0 &&
           parts->sinks.len > 0;
}

static void new_line(FILE *out, unsigned depth)
{
    fprintf(out, "\n%*s", (int)(2 * depth), "");
}

/* A string token from its opening quote on; returns its bytes. */
static size_t print_string(FILE *out, struct slice json)
{
    size_t at = 1;

    fputc('"', out);
    for (; at < json.len && json.data[at] != '"'; at++) {
        unsigned char c = (unsigned char)json.data[at];
        unsigned char next = at + 1 < json.len ? (unsigned char)json.data[at + 1] : 0;
        if (c == 0x7f) {
            fputs("\\u007f", out);
        } else if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
            fprintf(out, "\\u00%02x", next);
            at++;
        } else {
            fputc(c, out);
            if (c == '\\' && ++at < json.len)
                fputc(json.data[at], out);
        }
    }
    fputc('"', out);
    return at + 1;
}

void client_document_print(FILE *out, struct slice json)
{
    unsigned depth = 0;
    bool opened = false; /* a container was opened and nothing of it was printed yet */

    for (size_t at = 0; at < json.len; at++) {
        char c = json.data[at];
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r')
            continue;
        bool closes = c == '}' || c == ']';
        if (closes && --depth != UINT32_MAX && !opened)
            new_line(out, depth);
        if (opened && !closes)
            new_line(out, depth);
        opened = c == '{' || c == '[';
        if (c == '"') {
            at += print_string(out, (struct slice){ json.data + at, json.len - at }) - 1;
            continue;
        }
        fputc(c, out);
        depth += opened;
        if (c == ',')
            new_line(out, depth);
        else if (c == ':')
            fputc(' ', out);
    }
    fputc('\n', out);
}
