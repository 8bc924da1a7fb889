/* elasticsearch_lookup_test.c: states read back from a scripted server. */
#include "elasticsearch_rig.h"

#include "drivers/elasticsearch/lookup.h"

static struct rig rig;

#define STATE(value) \
    "{\"a\":" value \
    ",\"_weir\":{\"images\":\"full\",\"rows\":{\"shop.orders\":{\"\":1704067200000005}}}}"
#define TOMBSTONE \
    "{\"_weir\":{\"images\":\"full\",\"rows\":{\"shop.orders\":{\"\":-1704067200000009}}}}"

/* server->special is the whole answer. */
static void answer_special(struct server *server, const struct request *request,
                           struct reply *reply)
{
    (void)request;
    reply->status = server->fault.status != 0 ? server->fault.status : 200;
    reply_text(reply, server->special);
}

static void open_rig(void (*answer)(struct server *, const struct request *, struct reply *))
{
    rig_prepare(&rig, 1, answer);
    rig_open(&rig);
}

static struct sink_lookup *reap(void)
{
    struct sink_lookup *lookup;

    while ((lookup = rig.port->ops->lookup_reap(rig.port)) == NULL)
        (void)env_wait(rig.env, 2000);
    return lookup;
}

/* Asks for n keys out of "a", "b", "c". */
static struct sink_lookup *ask(unsigned n)
{
    static const char keys[] = "abc";
    struct sink_lookup *lookup = rig.port->ops->lookup_begin(rig.port);

    assert_non_null(lookup);
    for (unsigned i = 0; i < n; i++)
        assert_true(rig.port->ops->lookup_add(rig.port, lookup, (struct slice){ keys + i, 1 }));
    rig.port->ops->lookup_submit(rig.port, lookup);
    assert_ptr_equal(reap(), lookup);
    assert_null(rig.port->ops->lookup_reap(rig.port));
    assert_int_equal(lookup->n, n);
    return lookup;
}

static void recycle(struct sink_lookup *lookup)
{
    rig.port->ops->lookup_recycle(rig.port, lookup);
}

/* Each key is asked of both indexes, in order; what is absent, shown, deleted or both comes out as
 * that. */
static void states_of_both_indexes_are_found(void **state)
{
    struct sink_lookup *lookup;

    (void)state;
    open_rig(answer_special);
    rig.servers[0].special =
        "{\"docs\":[{\"_id\":\"a\",\"found\":false},{\"_id\":\"a\",\"found\":false},"
        "{\"_id\":\"\\u0062\",\"_version\":77,\"found\":true,\"_source\":" STATE(
            "1") "},{\"_id\":\"b\",\"found\":false},"
                 "{\"_id\":\"c\",\"_version\":8,\"found\":true,\"_source\":" STATE(
                     "2") "},"
                          "{\"_source\":" TOMBSTONE
                          ",\"found\":true,\"_version\":9,\"_id\":\"c\"}]}";
    lookup = ask(3);
    assert_false(lookup->failed_whole);
    assert_string_equal(rig.servers[0].seen[0].body,
                        "{\"docs\":[{\"_id\":\"a\"},{\"_index\":\"orders-weir\",\"_id\":\"a\"},"
                        "{\"_id\":\"b\"},{\"_index\":\"orders-weir\",\"_id\":\"b\"},"
                        "{\"_id\":\"c\"},{\"_index\":\"orders-weir\",\"_id\":\"c\"}]}");
    assert_non_null(strstr(rig.servers[0].seen[0].head, "POST /orders/_mget HTTP/1.1"));
    assert_int_equal(lookup->items[0].found, LOOKUP_ABSENT);
    assert_int_equal(lookup->items[1].found, LOOKUP_FOUND);
    assert_int_equal(lookup->items[1].version, 77);
    assert_int_equal(lookup->items[1].n_states, 1);
    assert_int_equal(lookup->items[1].states[0].n_changes, 1);
    assert_int_equal(lookup->items[1].states[0].changes[0].op, CHANGE_UPSERT);
    assert_text(lookup->items[1].states[0].changes[0].fields[0].value, "1");
    assert_int_equal(lookup->items[2].n_states, 2);
    assert_int_equal(lookup->items[2].version, 8);
    assert_int_equal(lookup->items[2].states[1].changes[0].op, CHANGE_DELETE);
    assert_int_equal(lookup->items[2].states[1].changes[0].seqno, SEQNO_EPOCH + 9);
    recycle(lookup);
    rig_close(&rig);
}

/* Only the side index knows the key: it was deleted with that version, so deleting it again would
 * be for nothing. */
static void deleted_document_has_the_version_of_its_state(void **state)
{
    struct sink_lookup *lookup;

    (void)state;
    open_rig(answer_special);
    rig.servers[0].special =
        "{\"docs\":[{\"_id\":\"a\",\"found\":false},"
        "{\"_id\":\"a\",\"_version\":9,\"found\":true,\"_source\":" TOMBSTONE "}]}";
    lookup = ask(1);
    assert_int_equal(lookup->items[0].found, LOOKUP_FOUND);
    assert_int_equal(lookup->items[0].version, 9);
    assert_int_equal(lookup->items[0].n_states, 1);
    recycle(lookup);
    rig_close(&rig);
}

/* A document of somebody else is found with its version and no state; a state of ours beside it
 * counts alone. */
static void foreign_document_has_no_state(void **state)
{
    struct sink_lookup *lookup;

    (void)state;
    open_rig(answer_special);
    rig.servers[0].special =
        "{\"docs\":[{\"_id\":\"a\",\"_version\":3,\"found\":true,\"_source\":{\"x\":1}},{\"_id\":"
        "\"a\",\"found\":false},"
        "{\"_id\":\"b\",\"_version\":3,\"found\":true,\"_source\":{}},"
        "{\"_id\":\"b\",\"_version\":9,\"found\":true,\"_source\":" TOMBSTONE "}]}";
    lookup = ask(2);
    assert_int_equal(lookup->items[0].found, LOOKUP_FOUND);
    assert_int_equal(lookup->items[0].version, 3);
    assert_int_equal(lookup->items[0].n_states, 0);
    assert_int_equal(lookup->items[1].version, 0);
    assert_int_equal(lookup->items[1].n_states, 1);
    recycle(lookup);
    rig_close(&rig);
}

/* A state that cannot be read is that key's trouble alone. */
static void broken_state_is_told_for_its_key(void **state)
{
    struct sink_lookup *lookup;

    (void)state;
    open_rig(answer_special);
    rig.servers[0].special =
        "{\"docs\":[{\"_id\":\"a\",\"_version\":3,\"found\":true,\"_source\":{\"_weir\":7}},{\"_"
        "id\":\"a\",\"found\":false},"
        "{\"_id\":\"b\",\"_version\":3,\"found\":true},{\"_id\":\"b\",\"found\":false},"
        "{\"_id\":\"c\",\"_version\":3,\"found\":true,\"_source\":" STATE(
            "1") "},{\"_id\":\"c\",\"found\":false}]}";
    lookup = ask(3);
    assert_false(lookup->failed_whole);
    assert_int_equal(lookup->items[0].found, LOOKUP_BROKEN);
    assert_true(lookup->items[0].reason.len > 0);
    assert_int_equal(lookup->items[1].found, LOOKUP_BROKEN);
    assert_text(lookup->items[1].reason, "the index keeps no _source: its state cannot be read");
    assert_int_equal(lookup->items[2].found, LOOKUP_FOUND);
    recycle(lookup);
    rig_close(&rig);
}

/* No answer, or one that is not an answer to what was asked: nothing in it is believed, least of
 * all "absent". */
static void useless_answers_say_nothing(void **state)
{
#define A0 "{\"_id\":\"a\",\"found\":false}"
    static const struct {
        int status;
        const char *body;
    } rows[] = {
        { 200, "" },
        { 200, "{}" },
        { 200, "{\"docs\":[]}" },
        { 200, "{\"docs\":[" A0 "]}" },
        { 200, "{\"docs\":[" A0 "," A0 "," A0 "]}" },
        { 200, "{\"docs\":[" A0 ",{\"_id\":\"b\",\"found\":false}]}" },
        { 200, "{\"docs\":[" A0 ",{\"found\":false}]}" },
        { 200, "{\"docs\":[" A0 ",{\"_id\":1,\"found\":false}]}" },
        { 200, "{\"docs\":[" A0 ",7]}" },
        { 200,
          "{\"docs\":[" A0 ",{\"_id\":\"a\",\"found\":true,\"_version\":-1,\"_source\":{}}]}" },
        { 200, "{\"docs\":[" A0 ",{\"_id\":\"a\",\"error\":{\"type\":\"index_not_found_exception\","
               "\"reason\":\"r\"}}]}" },
        { 200, "{\"docs\":[" A0 "," A0 "]" },
        { 429, "" },
        { 503, "{\"docs\":[" A0 "," A0 "]}" },
        { 401, "" },
        { 404, "" },
    };
    struct sink_lookup *lookup;

    (void)state;
    open_rig(answer_special);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        rig.servers[0].special = rows[i].body;
        server_fails(&rig.servers[0], (struct reply){ .status = rows[i].status });
        lookup = ask(1);
        assert_true(lookup->failed_whole);
        recycle(lookup);
    }
    server_fails(&rig.servers[0], (struct reply){ .status = 200 });
    rig.servers[0].special = "{\"docs\":[" A0 "," A0 "]}";
    lookup = ask(1);
    assert_false(lookup->failed_whole);
    assert_int_equal(lookup->items[0].found, LOOKUP_ABSENT);
    recycle(lookup);
    rig_close(&rig);
}

static void answer_with_fault(struct server *server, const struct request *request,
                              struct reply *reply)
{
    (void)request;
    reply_text(reply, server->special);
    reply->ending = server->fault.ending;
    reply->cut = server->fault.cut;
    server->fault.len = server_frame(server, reply);
}

/* An answer that is cut at any byte is no answer. */
static void answer_cut_at_any_byte_says_nothing(void **state)
{
    struct server *server = &rig.servers[0];
    struct sink_lookup *lookup;
    size_t whole = 1;

    (void)state;
    open_rig(answer_with_fault);
    server->special = "{\"docs\":[" A0 "," A0 "]}";
    for (size_t cut = 0; cut < whole; cut++) {
        server_fails(server, (struct reply){ .ending = CLOSE, .cut = cut });
        lookup = ask(1);
        assert_true(lookup->failed_whole);
        recycle(lookup);
        whole = server_whole(server);
    }
    assert_true(whole > 100);
    rig_close(&rig);
}

/* Refuses what has server->needle in it, and finds nothing else. */
static void answer_absent_or_400(struct server *server, const struct request *request,
                                 struct reply *reply)
{
    const char *comma = "";
    char doc[64];

    if (strstr(request->body, server->needle) != NULL) {
        reply->status = 400;
        reply_text(reply, "{\"error\":{\"type\":\"t\",\"reason\":\"bad id\"},\"status\":400}");
        return;
    }
    reply_text(reply, "{\"docs\":[");
    for (const char *at = request->body; (at = strstr(at, "\"_id\":\"")) != NULL; comma = ",") {
        at += 7;
        snprintf(doc, sizeof(doc), "%s{\"_id\":\"%c\",\"found\":false}", comma, *at);
        reply_text(reply, doc);
    }
    reply_text(reply, "]}");
}

/* How many keys a lookup takes now. */
static unsigned room(void)
{
    struct sink_lookup *lookup = rig.port->ops->lookup_begin(rig.port);
    unsigned n = 0;

    while (n < 4000 && rig.port->ops->lookup_add(rig.port, lookup, SLICE("a")))
        n++;
    recycle(lookup);
    return n;
}

/* A key that the server refuses: lookups shrink until it stands alone and is told; then they grow
 * again. */
static void refused_key_is_found_by_asking_for_fewer(void **state)
{
    struct sink_lookup *lookup;

    (void)state;
    open_rig(answer_absent_or_400);
    assert_int_equal(room(), 2000);
    rig.servers[0].needle = "\"b\"";
    lookup = ask(3);
    assert_true(lookup->failed_whole);
    recycle(lookup);
    assert_int_equal(room(), 1);
    rig.servers[0].needle = "\"a\"";
    lookup = ask(1);
    assert_false(lookup->failed_whole);
    assert_int_equal(lookup->items[0].found, LOOKUP_BROKEN);
    assert_text(lookup->items[0].reason, "t: bad id");
    recycle(lookup);
    rig.servers[0].needle = "\"b\"";
    lookup = ask(1);
    assert_int_equal(lookup->items[0].found, LOOKUP_ABSENT);
    recycle(lookup);
    assert_int_equal(room(), 2);
    rig_close(&rig);
}

/* Answers that do not fit: fewer keys are asked for until they do; one alone that does not is told.
 */
static void long_answer_is_asked_for_in_parts(void **state)
{
    static const struct {
        unsigned n;
        size_t bound; /* a key's two documents are 50 bytes */
        bool failed;
    } rows[] = { { 16, 300, true }, { 8, 300, true }, { 4, 300, false },
                 { 4, 60, true },   { 2, 60, true },  { 1, 20, false } };
    static struct http http;
    struct sink_lookup *out;
    struct servers servers;
    struct lookup_shared shared;
    struct lookup lookup;
    struct err err;

    (void)state;
    rig_prepare(&rig, 1, answer_absent_or_400);
    rig.servers[0].needle = "\"z\"";
    assert_int_equal(env_linux_open(&rig.env, &err), 0);
    assert_int_equal(servers_open(&servers, &rig.options, &err), 0);
    assert_int_equal(http_open(&http, &servers, 0, rig.env, &err), 0);
    lookup_shared_open(&shared, "/orders/_mget", "orders-weir", rig.plan);
    shared.answer_bytes_max = 300;
    assert_int_equal(lookup_open(&lookup, &http, &shared, &err), 0);
    out = &lookup.lookup;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        lookup.call.answer.bound = rows[i].bound;
        lookup.state = LOOKUP_FREE;
        lookup_begin(&lookup);
        while (out->n < 16 && lookup_add(&lookup, SLICE("a")))
            ;
        assert_int_equal(out->n, rows[i].n);
        lookup_submit(&lookup);
        while (http_step(&http), lookup.state != LOOKUP_DONE)
            (void)env_wait(rig.env, 2000);
        assert_int_equal(out->failed_whole, rows[i].failed);
    }
    assert_int_equal(out->items[0].found, LOOKUP_BROKEN);
    assert_text(out->items[0].reason, "its document is larger than a lookup can take");
    http_call_close(&lookup.call);
    http_close(&http);
    rig_close(&rig);
}

static void answer_anything(struct server *server, const struct request *request,
                            struct reply *reply)
{
    if (strstr(request->path, "_bulk") == request->path + strlen("/orders/"))
        reply->ending = HANG;
    else
        answer_absent_or_400(server, request, reply);
}

/* Bulks that wait do not hold up lookups: those have a connection of their own. */
static void lookups_pass_bulks_that_wait(void **state)
{
    struct sink_lookup *lookup;

    (void)state;
    open_rig(answer_anything);
    rig.servers[0].needle = "\"z\"";
    for (unsigned i = 0; i < 2; i++)
        rig.port->ops->submit(rig.port, rig_fill(&rig, 1));
    assert_null(rig.port->ops->begin(rig.port));
    lookup = ask(2);
    assert_false(lookup->failed_whole);
    recycle(lookup);
    assert_null(rig.port->ops->reap(rig.port));
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_of_both_indexes_are_found),
        cmocka_unit_test(deleted_document_has_the_version_of_its_state),
        cmocka_unit_test(foreign_document_has_no_state),
        cmocka_unit_test(broken_state_is_told_for_its_key),
        cmocka_unit_test(useless_answers_say_nothing),
        cmocka_unit_test(answer_cut_at_any_byte_says_nothing),
        cmocka_unit_test(refused_key_is_found_by_asking_for_fewer),
        cmocka_unit_test(long_answer_is_asked_for_in_parts),
        cmocka_unit_test(lookups_pass_bulks_that_wait),
    };

    log_setup(LOG_TEXT, LOG_ALERT);
    return UNIT_RUN(tests);
}
