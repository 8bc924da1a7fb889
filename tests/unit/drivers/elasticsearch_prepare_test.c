/* elasticsearch_prepare_test.c: the indexes before the first document, on a scripted server;
 * options that cannot be. */
#include "elasticsearch_rig.h"

static struct rig rig;

#define MAPPED \
    "{\"orders\":{\"mappings\":{\"properties\":{\"_weir\":{\"type\":\"object\",\"enabled\":false}" \
    "}}}}"

/* What the server says to each of the four requests there may be; NULL body: the status alone. */
struct say {
    int status;
    const char *body;
};
struct script {
    struct say side_mapping, side_create, mapping, create, put_mapping;
};
static const struct script *script;

static void say(const struct say *what, struct reply *reply)
{
    reply->status = what->status != 0 ? what->status : 500;
    reply_text(reply, what->body != NULL ? what->body : "{}");
}

static void answer_script(struct server *server, const struct request *request, struct reply *reply)
{
    bool put = strncmp(request->head, "PUT", 3) == 0;
    bool side = strncmp(request->path, "/orders-weir", 12) == 0;
    bool mapping = strstr(request->path, "/_mapping") != NULL;

    (void)server;
    if (side)
        say(put ? &script->side_create : &script->side_mapping, reply);
    else if (mapping)
        say(put ? &script->put_mapping : &script->mapping, reply);
    else
        say(&script->create, reply);
}

static const char exists[] =
    "{\"error\":{\"type\":\"resource_already_exists_exception\",\"reason\":\"r\"},\"status\":400}";
static const char bad_name[] =
    "{\"error\":{\"type\":\"invalid_index_name_exception\",\"reason\":\"r\"},\"status\":400}";

/* What there is on the server, and what prepare() makes of it. */
static void indexes_are_created_or_checked(void **state)
{
    static const struct {
        const char *name;
        struct script script;
        int expected;
        enum exit_code code;
        unsigned requests;
    } rows[] = {
        { "nothing there",
          { { 404, 0 }, { 200, 0 }, { 404, 0 }, { 200, 0 }, { 0, 0 } },
          1,
          EXIT_DONE,
          4 },
        { "all there",
          { { 200, 0 }, { 0, 0 }, { 200, MAPPED }, { 0, 0 }, { 0, 0 } },
          0,
          EXIT_DONE,
          2 },
        { "side missing",
          { { 404, 0 }, { 200, 0 }, { 200, MAPPED }, { 0, 0 }, { 0, 0 } },
          0,
          EXIT_DONE,
          3 },
        { "no _weir yet",
          { { 200, 0 }, { 0, 0 }, { 200, "{}" }, { 0, 0 }, { 200, 0 } },
          0,
          EXIT_DONE,
          3 },
        { "_weir refused",
          { { 200, 0 }, { 0, 0 }, { 200, "{}" }, { 0, 0 }, { 400, bad_name } },
          -1,
          EXIT_CONFIG,
          3 },
        { "_weir indexed",
          { { 200, 0 },
            { 0, 0 },
            { 200, "{\"o\":{\"mappings\":{\"properties\":{\"_weir\":{\"properties\":{}}}}}}" },
            { 0, 0 },
            { 0, 0 } },
          -1,
          EXIT_CONFIG,
          2 },
        { "no _source",
          { { 200, 0 },
            { 0, 0 },
            { 200, "{\"o\":{\"mappings\":{\"_source\":{\"enabled\":false}}}}" },
            { 0, 0 },
            { 0, 0 } },
          -1,
          EXIT_CONFIG,
          2 },
        { "bad name",
          { { 404, 0 }, { 400, bad_name }, { 0, 0 }, { 0, 0 }, { 0, 0 } },
          -1,
          EXIT_CONFIG,
          2 },
        { "somebody was faster with the side index",
          { { 404, 0 }, { 400, exists }, { 404, 0 }, { 200, 0 }, { 0, 0 } },
          0,
          EXIT_DONE,
          4 },
        { "unauthorized",
          { { 401, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 } },
          -1,
          EXIT_UNAVAILABLE,
          1 },
        { "may not create",
          { { 404, 0 }, { 403, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 } },
          -1,
          EXIT_UNAVAILABLE,
          2 },
        { "busy", { { 429, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 }, { 0, 0 } }, -1, EXIT_UNAVAILABLE, 1 },
        { "starting",
          { { 200, 0 }, { 0, 0 }, { 503, 0 }, { 0, 0 }, { 0, 0 } },
          -1,
          EXIT_UNAVAILABLE,
          2 },
        { "no JSON",
          { { 200, 0 }, { 0, 0 }, { 200, "<html>" }, { 0, 0 }, { 0, 0 } },
          -1,
          EXIT_UNAVAILABLE,
          2 },
    };
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        script = &rows[i].script;
        rig_prepare(&rig, 1, answer_script);
        rig_open_sink(&rig);
        err.text[0] = '\0';
        if (rig.sink->ops->prepare(rig.sink, &err) != rows[i].expected ||
            (rows[i].expected < 0 && err.code != rows[i].code) ||
            server_count(&rig.servers[0]) != rows[i].requests)
            fail_msg("%s: code %d, %u requests, %s", rows[i].name, (int)err.code,
                     server_count(&rig.servers[0]), err.text);
        rig_close(&rig);
    }
}

/* What is created forgets deleted documents late and does not index states. */
static void created_indexes_have_what_weir_needs(void **state)
{
    static const struct script nothing = {
        { 404, 0 }, { 200, 0 }, { 404, 0 }, { 200, 0 }, { 0, 0 }
    };
    struct err err;

    (void)state;
    script = &nothing;
    rig_prepare(&rig, 1, answer_script);
    rig_open_sink(&rig);
    assert_int_equal(rig.sink->ops->prepare(rig.sink, &err), 1);
    assert_non_null(strstr(rig.servers[0].seen[1].head, "PUT /orders-weir HTTP"));
    assert_string_equal(
        rig.servers[0].seen[1].body,
        "{\"settings\":{\"index.gc_deletes\":\"1h\"},\"mappings\":{\"enabled\":false}}");
    assert_non_null(strstr(rig.servers[0].seen[3].head, "PUT /orders HTTP"));
    assert_string_equal(
        rig.servers[0].seen[3].body,
        "{\"settings\":{\"index.gc_deletes\":\"1h\"},"
        "\"mappings\":{\"properties\":{\"_weir\":{\"type\":\"object\",\"enabled\":false}}}}");
    rig_close(&rig);
}

/* Nobody listens at the first address: the second is asked. Nobody listens at all: the error names
 * the address. */
static void first_server_that_answers_is_asked(void **state)
{
    static const struct script all = { { 200, 0 }, { 0, 0 }, { 200, MAPPED }, { 0, 0 }, { 0, 0 } };
    struct err err;

    (void)state;
    script = &all;
    rig_prepare(&rig, 2, answer_script);
    server_close(&rig.servers[0]);
    rig_open_sink(&rig);
    assert_int_equal(rig.sink->ops->prepare(rig.sink, &err), 0);
    server_close(&rig.servers[1]);
    assert_int_equal(rig.sink->ops->prepare(rig.sink, &err), -1);
    assert_int_equal(err.code, EXIT_UNAVAILABLE);
    assert_non_null(strstr(err.text, rig.urls[0]));
    assert_non_null(strstr(err.text, "none of 2 servers"));
    rig.n_servers = 0;
    rig_close(&rig);
}

/* Options that no request could be made of. */
static void impossible_options_are_refused(void **state)
{
    static const char *const urls[] = { "ftp://a",         "a:9200",     "http://a/",
                                        "http://u:p@a",    "http://a?b", "http://a b",
                                        "http://a\r\nX: y" };
    struct elasticsearch_options options;
    struct err err;

    (void)state;
    rig_prepare(&rig, 1, answer_script);
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        options = rig.options;
        options.urls = &urls[i];
        err.code = EXIT_DONE;
        assert_null(elasticsearch_sink_open(&options, &err));
        assert_int_equal(err.code, EXIT_CONFIG);
    }
    options = rig.options;
    options.api_key = "a\r\nX: y";
    assert_null(elasticsearch_sink_open(&options, &err));
    options = rig.options;
    options.index = "";
    assert_null(elasticsearch_sink_open(&options, &err));
    options = rig.options;
    options.limits.docs = 0;
    assert_null(elasticsearch_sink_open(&options, &err));
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(indexes_are_created_or_checked),
        cmocka_unit_test(created_indexes_have_what_weir_needs),
        cmocka_unit_test(first_server_that_answers_is_asked),
        cmocka_unit_test(impossible_options_are_refused),
    };

    log_setup(LOG_TEXT, LOG_ALERT);
    return UNIT_RUN(tests);
}
