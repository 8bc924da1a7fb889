/*
 * admin_fuzz.c: a request to the admin server (control/admin_route.h), asked of a node without
 * threads: "METHOD path"; without a space all of it is a path of GET.
 *
 * - Every answer has a status that the pages name, and a body that is what its type says.
 * - Over TCP nothing is shown but health and metrics.
 * - A document is found by its key however the key is escaped, and no other is.
 */
#include "fuzz.h"

#include "tests/unit/control/fake_node.h"

#include "control/admin_route.h"
#include "dataplane/base/json.h"

static struct node *node;
static struct buf out;

void fuzz_setup(void)
{
    node = fake_node("/tmp/admin.sock", NULL);
    buf_open(&out, 4 << 20, "an answer");
}

static void check_json(struct slice text)
{
    struct json_value value;
    struct json json;

    json_open(&json, text);
    assert_true(json_value(&json, &value) && value.type == JSON_OBJECT);
    assert_true(json_end(&json));
}

static unsigned ask(const char *method, const char *path, bool open)
{
    const struct admin_request request = {
        .method = method, .path = path, .open = open, .now_us = 5000000
    };
    const char *type = NULL, *allow = NULL;
    unsigned status;

    buf_reset(&out);
    status = admin_route(node, &request, &out, &type, &allow);
    assert_true(status == 200 || (status >= 400 && status <= 405) || status == 503);
    assert_true(type != NULL && !out.overflow && out.len > 0);
    assert_int_equal(allow != NULL, status == 405);
    assert_true(utf8_valid(buf_slice(&out)));
    if (strcmp(type, "application/json") == 0)
        check_json(buf_slice(&out));
    return status;
}

static void check_open(const char *method, const char *path)
{
    unsigned local = ask(method, path, false), open = ask(method, path, true);
    static const char *const shown[] = { "/livez", "/readyz", "/metrics" };
    bool is_shown = false;

    for (unsigned i = 0; i < 3; i++)
        is_shown |= strchr(path, '%') != NULL || strcmp(path, shown[i]) == 0;
    assert_true(open == local || (open == 403 && local != 405));
    assert_true(open != 200 || is_shown);
}

static void check_key(struct slice key, struct dice *dice)
{
    static const char *const known[] = { "1001", "a/b c", "gone" };
    static char path[64 + 3 * 1024];
    size_t len = (size_t)sprintf(path, "/v1/tasks/orders/documents/");
    bool found = false;

    if (key.len > 1024)
        return;
    for (size_t i = 0; i < key.len; i++) {
        unsigned char c = (unsigned char)key.data[i];

        if (c == '\0' || c == '%' || dice_throw(dice, 2) == 0)
            len += (size_t)sprintf(path + len, dice_throw(dice, 2) ? "%%%02x" : "%%%02X", c);
        else
            path[len++] = (char)c;
    }
    path[len] = '\0';
    for (unsigned i = 0; i < 3; i++)
        found |= slice_equal(key, slice_of(known[i]));
    assert_int_equal(ask("GET", path, false), key.len == 0 || key.len > KEY_BYTES_MAX ? 400
                                              : found                                 ? 200
                                                                                      : 404);
}

void fuzz_input(struct slice input)
{
    struct dice dice = dice_of(input);
    char *text = malloc(input.len + 1), *space;

    assert_non_null(text);
    memcpy(text, input.data, input.len);
    text[input.len] = '\0';
    space = strchr(text, ' ');
    if (space != NULL)
        *space = '\0';
    check_open(space != NULL ? text : "GET", space != NULL ? space + 1 : text);
    check_key(input, &dice);
    free(text);
}
