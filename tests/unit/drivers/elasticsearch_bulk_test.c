/* elasticsearch_bulk_test.c: batches to a scripted server: one verdict an item, whatever the server
 * does. */
#include "elasticsearch_rig.h"

#include "dataplane/base/json.h"

#include <zlib.h>

static struct rig rig;

static void open_rig(unsigned n_servers,
                     void (*answer)(struct server *, const struct request *, struct reply *))
{
    rig_prepare(&rig, n_servers, answer);
    rig_open(&rig);
}

/* The body is what Elasticsearch wants, to the byte: external versions, escaped ids, the state
 * within. */
static void bulk_body_carries_ids_versions_and_states(void **state)
{
    struct sink_batch *batch;

    (void)state;
    open_rig(1, answer_bulk);
    batch = rig_begin(&rig);
    assert_int_equal(rig_add(&rig, batch, "a\"b", "365.30"), SINK_ADDED);
    assert_int_equal(rig_add(&rig, batch, "k", "\"x\""), SINK_ADDED);
    rig_send(&rig, batch);
    assert_verdicts(batch, "ww");
    assert_int_equal(server_count(&rig.servers[0]), 1);
    assert_string_equal(
        rig.servers[0].seen[0].body,
        "{\"index\":{\"_id\":\"a\\\"b\",\"version\":5,\"version_type\":\"external\"}}\n"
        "{\"a\":365.30,\"_weir\":{\"images\":\"full\",\"rows\":{\"shop.orders\":{\"\":"
        "1704067200000005}}}}\n"
        "{\"index\":{\"_id\":\"k\",\"version\":5,\"version_type\":\"external\"}}\n"
        "{\"a\":\"x\",\"_weir\":{\"images\":\"full\",\"rows\":{\"shop.orders\":{\"\":"
        "1704067200000005}}}}\n");
    assert_non_null(strstr(rig.servers[0].seen[0].head, "POST /orders/_bulk?filter_path="));
    assert_non_null(strstr(rig.servers[0].seen[0].head, "Content-Type: application/x-ndjson"));
    assert_null(strcasestr(rig.servers[0].seen[0].head, "Expect:"));
    assert_null(strcasestr(rig.servers[0].seen[0].head, "Encoding:"));
    rig_recycle(&rig, batch);
    rig_close(&rig);
}

/* Each item is judged on its own, and its neighbours do not notice. */
static void items_are_judged_one_by_one(void **state)
{
    static const struct {
        const char *answer, *verdicts, *reason;
    } rows[] = {
        { "\"status\":200", "www", NULL },
        { "\"status\":409,\"error\":{\"type\":\"version_conflict_engine_exception\",\"reason\":"
          "\"r\"}",
          "wsw", NULL },
        { "\"status\":409,\"error\":{\"type\":\"other_exception\",\"reason\":\"r\"}", "wrw", NULL },
        { "\"status\":409", "wrw", NULL },
        { "\"error\":{\"type\":\"mapper_parsing_exception\",\"reason\":\"bad "
          "\\\"a\\\"\\n\"},\"status\":400",
          "wdw", "mapper_parsing_exception: bad \"a\" " },
        { "\"status\":413,\"error\":\"too \\u00e4\"", "wdw", "too \xc3\xa4" },
        { "\"status\":422", "wdw", "refused without a reason" },
        { "\"status\":403,\"error\":{\"type\":\"some_exception\",\"reason\":\"no\"}", "wdw",
          "some_exception: no" },
        { "\"status\":403,\"error\":{\"type\":\"cluster_block_exception\",\"reason\":\"read-"
          "only\"}",
          "wrw", NULL },
        { "\"status\":403,\"error\":{\"type\":\"security_exception\",\"reason\":\"no\"}", "wrw",
          NULL },
        { "\"status\":400,\"error\":{\"type\":\"index_closed_exception\",\"reason\":\"closed\"}",
          "wrw", NULL },
        { "\"status\":404,\"error\":{\"type\":\"index_not_found_exception\",\"reason\":\"gone\"}",
          "wrw", NULL },
        { "\"status\":401", "wrw", NULL },
        { "\"status\":408", "wrw", NULL },
        { "\"status\":429,\"error\":{\"type\":\"es_rejected_execution_exception\",\"reason\":"
          "\"full\"}",
          "wrw", NULL },
        { "\"status\":500", "wrw", NULL },
        { "\"status\":503,\"error\":{\"type\":\"unavailable_shards_exception\",\"reason\":\"r\"}",
          "wrw", NULL },
        { "\"status\":302", "wrw", NULL },
    };
    struct sink_batch *batch;

    (void)state;
    open_rig(1, answer_bulk);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        rig.servers[0].needle = "\"k1\"";
        rig.servers[0].special = rows[i].answer;
        batch = rig_fill(&rig, 3);
        rig_send(&rig, batch);
        assert_verdicts(batch, rows[i].verdicts);
        assert_false(batch->failed_whole);
        if (rows[i].reason != NULL)
            assert_text(batch->items[1].reason, rows[i].reason);
        rig_recycle(&rig, batch);
    }
    rig_close(&rig);
}

/* A reason may quote a value of megabytes; what goes to the dead letters is cut between two
 * characters. */
static void long_reason_is_cut_between_characters(void **state)
{
    static char special[300000];
    struct sink_batch *batch;
    struct slice reason;
    size_t at;

    (void)state;
    at = (size_t)sprintf(special, "\"status\":400,\"error\":{\"type\":\"t\",\"reason\":\"x");
    while (at < sizeof(special) - 16)
        at += (size_t)sprintf(special + at, at % 2 == 0 ? "\xc3\xa4" : "\\u20ac");
    sprintf(special + at, "\"}");
    open_rig(1, answer_bulk);
    rig.servers[0].needle = "\"k0\"";
    rig.servers[0].special = special;
    batch = rig_fill(&rig, 1);
    rig_send(&rig, batch);
    assert_verdicts(batch, "d");
    reason = batch->items[0].reason;
    assert_in_range(reason.len, 1000, 1024);
    assert_true(utf8_valid(reason));
    assert_memory_equal(reason.data, "t: x", 4);
    rig_recycle(&rig, batch);
    rig_close(&rig);
}

static void answer_special(struct server *server, const struct request *request,
                           struct reply *reply)
{
    (void)request;
    reply->status = server->fault.status;
    reply_text(reply, server->special);
}

/* Where the request as a whole gets no answer that can be believed, all items are retried, whatever
 * it looks like. */
static void useless_answers_retry_everything(void **state)
{
    static const struct {
        int status;
        const char *body;
    } rows[] = {
        { 429, "{\"error\":{\"type\":\"es_rejected_execution_exception\",\"reason\":\"r\"},"
               "\"status\":429}" },
        { 429, "" },
        { 503, "<html>no</html>" },
        { 500, "{}" },
        { 502, "" },
        { 408, "" },
        { 401, "{\"error\":{\"type\":\"security_exception\",\"reason\":\"who are "
               "you\"},\"status\":401}" },
        { 403, "" },
        { 404, "" },
        { 405, "" },
        { 301, "" },
        { 201, "{\"items\":[{\"index\":{\"status\":201}},{\"index\":{\"status\":201}}]}" },
        { 200, "" },
        { 200, "{}" },
        { 200, "null" },
        { 200, "[]" },
        { 200, "not JSON" },
        { 200, "{\"items\":[]}" },
        { 200, "{\"items\":{}}" },
        { 200, "{\"items\":[{\"index\":{\"status\":201}}]}" },
        { 200, "{\"items\":[{\"index\":{\"status\":201}},{\"index\":{\"status\":201}},{\"index\":{"
               "\"status\":201}}]}" },
        { 200, "{\"items\":[{\"index\":{\"status\":201}},{\"delete\":{\"status\":200}}]}" },
        { 200, "{\"items\":[{\"index\":{\"status\":201}},{\"index\":{}}]}" },
        { 200, "{\"items\":[{\"index\":{\"status\":201}},{}]}" },
        { 200, "{\"items\":[{\"index\":{\"status\":201}},{\"index\":{\"status\":\"201\"}}]}" },
        { 200, "{\"items\":[{\"index\":{\"status\":201}},{\"index\":{\"status\":"
               "99999999999999999999201}}]}" },
        { 200, "{\"items\":[{\"index\":{\"status\":201}},{\"index\":{\"status\":-201}}]}" },
        { 200, "{\"items\":[{\"index\":{\"status\":201}},201]}" },
        { 200, "{\"items\":[{\"index\":{\"status\":201}},{\"index\":{\"status\":201}}]} x" },
        { 200, "{\"items\":[{\"index\":{\"status\":201}},{\"index\":{\"status\":201}}]" },
    };
    struct sink_batch *batch;

    (void)state;
    open_rig(1, answer_special);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        server_fails(&rig.servers[0], (struct reply){ .status = rows[i].status });
        rig.servers[0].special = rows[i].body;
        batch = rig_fill(&rig, 2);
        rig_send(&rig, batch);
        assert_verdicts(batch, "rr");
        assert_true(batch->failed_whole);
        rig_recycle(&rig, batch);
    }
    rig_close(&rig);
}

static void answer_with_fault(struct server *server, const struct request *request,
                              struct reply *reply)
{
    answer_bulk(server, request, reply);
    reply->chunked = server->fault.chunked;
    reply->ending = server->fault.ending;
    reply->cut = server->fault.cut;
    server->fault.len = server_frame(server, reply);
}

/* The connection ends after any byte of the answer, by its end or a reset, in either framing:
 * nothing is believed that did not come whole. (Chunks are whole before the last line feed:
 * "0\r\n\r" has said that no more follows.) */
static void answer_cut_at_any_byte_retries_everything(void **state)
{
    static const enum ending_kind endings[] = { CLOSE, RESET };
    struct server *server = &rig.servers[0];
    struct sink_batch *batch;

    (void)state;
    open_rig(1, answer_with_fault);
    for (unsigned kind = 0; kind < 4; kind++) {
        size_t whole = 2;

        for (size_t cut = 0; cut + kind / 2 < whole; cut++) {
            server_fails(server, (struct reply){ .chunked = kind / 2 == 1,
                                                 .ending = endings[kind % 2],
                                                 .cut = cut });
            batch = rig_fill(&rig, 3);
            rig_send(&rig, batch);
            assert_verdicts(batch, "rrr");
            assert_true(batch->failed_whole);
            rig_recycle(&rig, batch);
            whole = server_whole(server);
        }
        assert_true(whole > 100);
    }
    server_fails(server, (struct reply){ .ending = KEEP });
    batch = rig_fill(&rig, 3);
    rig_send(&rig, batch);
    assert_verdicts(batch, "www");
    rig_recycle(&rig, batch);
    rig_close(&rig);
}

/* A server that stops in the middle of its answer, or never begins, is given up after the time-out.
 */
static void silent_server_runs_into_the_time_out(void **state)
{
    struct sink_batch *batch;

    (void)state;
    rig_prepare(&rig, 1, answer_with_fault);
    rig.options.timeout_us = 30000;
    rig_open(&rig);
    for (size_t cut = 0; cut < 120; cut += 39) {
        server_fails(&rig.servers[0], (struct reply){ .ending = HANG, .cut = cut });
        batch = rig_fill(&rig, 2);
        rig_send(&rig, batch);
        assert_verdicts(batch, "rr");
        assert_true(batch->failed_whole);
        rig_recycle(&rig, batch);
    }
    rig_close(&rig);
}

static void answer_413_over_limit(struct server *server, const struct request *request,
                                  struct reply *reply)
{
    if (request->len > server->limit)
        reply->status = 413;
    else
        answer_bulk(server, request, reply);
}

/* A body that is too large for the server is halved until all that fits is in, and only what never
 * fits is dead. */
static void too_large_splits_down_to_the_one_document(void **state)
{
    static char large[5000];
    struct sink_batch *batch;
    char key[16];

    (void)state;
    memset(large, '7', sizeof(large) - 1);
    open_rig(1, answer_413_over_limit);
    rig.servers[0].limit = 1000;
    batch = rig_begin(&rig);
    for (unsigned i = 0; i < 23; i++) {
        snprintf(key, sizeof(key), "k%u", i);
        assert_int_equal(rig_add(&rig, batch, key, i == 13 ? large : "1"), SINK_ADDED);
    }
    rig_send(&rig, batch);
    assert_verdicts(batch, "wwwwwwwwwwwwwdwwwwwwwww");
    assert_false(batch->failed_whole);
    assert_text(batch->items[13].reason, "413: request entity too large, 5139 bytes");
    rig_recycle(&rig, batch);
    rig_close(&rig);
}

static void answer_400_with_needle(struct server *server, const struct request *request,
                                   struct reply *reply)
{
    if (strstr(request->body, server->needle) != NULL) {
        reply->status = 400;
        reply_text(reply, server->special);
    } else {
        answer_bulk_items(server, request->body, reply);
    }
}

/* One id that the server refuses makes the whole request a 400: the others get in, it alone is
 * dead. */
static void poisoned_request_buries_the_culprit_alone(void **state)
{
    struct sink_batch *batch;

    (void)state;
    open_rig(1, answer_400_with_needle);
    rig.servers[0].needle = "\"k5\"";
    rig.servers[0].special = "{\"error\":{\"root_cause\":[],\"type\":\"bad_id\",\"reason\":\"too "
                             "long\"},\"status\":400}";
    batch = rig_fill(&rig, 11);
    rig_send(&rig, batch);
    assert_verdicts(batch, "wwwwwdwwwww");
    assert_text(batch->items[5].reason, "bad_id: too long");
    rig_recycle(&rig, batch);
    rig_close(&rig);
}

static void answer_413_then_503(struct server *server, const struct request *request,
                                struct reply *reply)
{
    if (strstr(request->body, server->needle) == NULL)
        answer_bulk_items(server, request->body, reply);
    else
        reply->status = strstr(request->body, "\"k0\"") != NULL ? 413 : 503;
}

/* The server breaks down between two halves: what was acknowledged stays so, the rest is retried.
 */
static void failure_between_halves_keeps_what_was_acknowledged(void **state)
{
    struct sink_batch *batch;

    (void)state;
    open_rig(1, answer_413_then_503);
    rig.servers[0].needle = "\"k3\"";
    batch = rig_fill(&rig, 4);
    rig_send(&rig, batch);
    assert_verdicts(batch, "wwrr");
    assert_false(batch->failed_whole);
    rig_recycle(&rig, batch);
    rig_close(&rig);
}

static void answer_413_then_503_at_once(struct server *server, const struct request *request,
                                        struct reply *reply)
{
    (void)server;
    reply->status = strstr(request->body, "\"k3\"") != NULL ? 413 : 503;
}

/* The first half finds the server down: the second is not even sent, and all of it comes back. */
static void second_half_is_not_sent_to_a_server_that_is_down(void **state)
{
    struct sink_batch *batch;

    (void)state;
    open_rig(1, answer_413_then_503_at_once);
    batch = rig_fill(&rig, 4);
    rig_send(&rig, batch);
    assert_verdicts(batch, "rrrr");
    assert_true(batch->failed_whole);
    assert_int_equal(server_count(&rig.servers[0]), 2);
    rig_recycle(&rig, batch);
    rig_close(&rig);
}

/* R6: the state of a deleted document goes to the side index first, with its neighbours; the delete
 * follows. */
static void state_is_kept_before_the_document_is_deleted(void **state)
{
    struct sink_batch *batch;

    (void)state;
    open_rig(1, answer_bulk);
    batch = rig_fill(&rig, 1);
    assert_int_equal(rig_add(&rig, batch, "gone", NULL), SINK_ADDED);
    rig_send(&rig, batch);
    assert_verdicts(batch, "ww");
    assert_int_equal(server_count(&rig.servers[0]), 2);
    assert_non_null(strstr(
        rig.servers[0].seen[0].body,
        "{\"index\":{\"_index\":\"orders-weir\",\"_id\":\"gone\",\"version\":5,\"version_type\":"
        "\"external\"}}\n"
        "{\"_weir\":{\"images\":\"full\",\"rows\":{\"shop.orders\":{\"\":-1704067200000005}}}}\n"));
    assert_null(strstr(rig.servers[0].seen[0].body, "delete"));
    assert_string_equal(
        rig.servers[0].seen[1].body,
        "{\"delete\":{\"_id\":\"gone\",\"version\":5,\"version_type\":\"external\"}}\n");
    rig_recycle(&rig, batch);
    rig_close(&rig);
}

/* The side index answers one thing, the delete another: what the item gets, and whether the delete
 * was sent at all. */
static void delete_waits_for_its_state(void **state)
{
    static const struct {
        const char *needle, *answer, *verdict;
        unsigned requests;
    } rows[] = {
        { "orders-weir",
          "\"status\":409,\"error\":{\"type\":\"version_conflict_engine_exception\"}", "www", 2 },
        { "orders-weir", "\"status\":429", "wrw", 2 },
        { "orders-weir", "\"status\":503", "wrw", 2 },
        { "orders-weir", "\"status\":400,\"error\":{\"type\":\"t\",\"reason\":\"r\"}", "wdw", 2 },
        { "{\"delete\":{\"_id\":\"gone", "\"status\":404", "www", 2 },
        { "{\"delete\":{\"_id\":\"gone",
          "\"status\":409,\"error\":{\"type\":\"version_conflict_engine_exception\"}", "wsw", 2 },
        { "{\"delete\":{\"_id\":\"gone",
          "\"status\":404,\"error\":{\"type\":\"index_not_found_exception\"}", "wrw", 2 },
        { "{\"delete\":{\"_id\":\"gone", "\"status\":503", "wrw", 2 },
        { "{\"delete\":{\"_id\":\"gone",
          "\"status\":400,\"error\":{\"type\":\"t\",\"reason\":\"r\"}", "wdw", 2 },
    };
    struct server *server = &rig.servers[0];
    struct sink_batch *batch;

    (void)state;
    open_rig(1, answer_bulk);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool held =
            strcmp(rows[i].needle, "orders-weir") == 0 && strcmp(rows[i].verdict, "www") != 0;
        unsigned before = server_count(server);

        server->needle = held ? "orders-weir\",\"_id\":\"gone" : rows[i].needle;
        server->special = rows[i].answer;
        batch = rig_fill(&rig, 1);
        assert_int_equal(rig_add(&rig, batch, "gone", NULL), SINK_ADDED);
        assert_int_equal(rig_add(&rig, batch, "also", NULL), SINK_ADDED);
        rig_send(&rig, batch);
        assert_verdicts(batch, rows[i].verdict);
        assert_int_equal(server_count(server) - before, rows[i].requests);
        assert_true((strstr(server->seen[before + 1].body, "gone") == NULL) == held);
        rig_recycle(&rig, batch);
    }
    rig_close(&rig);
}

/* The first request fails as a whole: no delete is sent, not even for what might have got in. */
static void no_delete_follows_a_failed_request(void **state)
{
    struct sink_batch *batch;

    (void)state;
    open_rig(1, answer_special);
    server_fails(&rig.servers[0], (struct reply){ .status = 503 });
    rig.servers[0].special = "";
    batch = rig_begin(&rig);
    assert_int_equal(rig_add(&rig, batch, "gone", NULL), SINK_ADDED);
    rig_send(&rig, batch);
    assert_verdicts(batch, "r");
    assert_true(batch->failed_whole);
    assert_int_equal(server_count(&rig.servers[0]), 1);
    rig_recycle(&rig, batch);
    rig_close(&rig);
}

/* A batch closes by documents or by bytes; what did not fit is the first of the next; what never
 * fits is told. */
static void batches_close_by_documents_and_bytes(void **state)
{
    static char large[20000];
    struct sink_batch *batch;

    (void)state;
    memset(large, '7', sizeof(large) - 1);
    rig_prepare(&rig, 1, answer_bulk);
    rig.options.limits = (struct sink_limits){
        .docs = 3, .in_flight = 1, .bytes = 4000, .document_bytes_max = 15000
    };
    rig_open(&rig);

    batch = rig_fill(&rig, 3);
    assert_int_equal(rig_add(&rig, batch, "k", "1"), SINK_FULL);
    assert_null(rig.port->ops->begin(rig.port)); /* in_flight of them are out */
    rig_send(&rig, batch);
    assert_verdicts(batch, "www");
    rig_recycle(&rig, batch);

    batch = rig_fill(&rig, 1);
    assert_int_equal(rig_add(&rig, batch, "k", large + 10000), SINK_FULL);
    assert_int_equal(rig_add(&rig, batch, "k", large), SINK_TOO_LARGE);
    assert_int_equal(rig_add(&rig, batch, "k", "2"), SINK_ADDED);
    rig_send(&rig, batch);
    assert_verdicts(batch, "ww");
    assert_null(strstr(rig.servers[0].seen[1].body, "77"));
    rig_recycle(&rig, batch);

    batch = rig_begin(&rig);
    assert_int_equal(rig_add(&rig, batch, "k", large + 10000),
                     SINK_ADDED); /* alone it may pass the bytes */
    assert_int_equal(rig_add(&rig, batch, "l", "1"), SINK_FULL);
    rig_send(&rig, batch);
    assert_verdicts(batch, "w");
    rig_recycle(&rig, batch);
    rig_close(&rig);
}

/* Two batches are under way at the same time: the second is answered while the first still waits.
 */
static void batches_in_flight_do_not_wait_for_each_other(void **state)
{
    struct sink_batch *first, *second;

    (void)state;
    open_rig(1, answer_with_fault);
    server_fails(&rig.servers[0], (struct reply){ .ending = HANG });
    first = rig_fill(&rig, 1);
    rig.port->ops->submit(rig.port, first);
    while (server_count(&rig.servers[0]) == 0)
        (void)env_wait(rig.env, 2000);
    server_fails(&rig.servers[0], (struct reply){ .ending = KEEP });
    second = rig_fill(&rig, 2);
    rig_send(&rig, second);
    assert_verdicts(second, "ww");
    rig_recycle(&rig, second);
    rig_close(&rig); /* with the first still on its way */
}

/* A server that fails is left for the next one, which is kept to; when that fails too, the first is
 * tried again. */
static void next_server_takes_over_and_back(void **state)
{
    struct sink_batch *batch;

    (void)state;
    open_rig(2, answer_with_fault);
    server_fails(&rig.servers[0], (struct reply){ .ending = RESET });
    batch = rig_fill(&rig, 1);
    rig_send(&rig, batch);
    assert_verdicts(batch, "r");
    rig_recycle(&rig, batch);
    for (unsigned i = 0; i < 3; i++) {
        batch = rig_fill(&rig, 1);
        rig_send(&rig, batch);
        assert_verdicts(batch, "w");
        rig_recycle(&rig, batch);
    }
    assert_int_equal(server_count(&rig.servers[0]), 1);
    assert_int_equal(server_count(&rig.servers[1]), 3);
    server_fails(&rig.servers[0], (struct reply){ .ending = KEEP });
    server_fails(&rig.servers[1], (struct reply){ .ending = CLOSE, .cut = 30 });
    batch = rig_fill(&rig, 1);
    rig_send(&rig, batch);
    assert_verdicts(batch, "r");
    rig_send(&rig, (rig_recycle(&rig, batch), batch = rig_fill(&rig, 1)));
    assert_verdicts(batch, "w");
    assert_int_equal(server_count(&rig.servers[0]), 2);
    rig_recycle(&rig, batch);
    rig_close(&rig);
}

static void fail_and_recover(void *unused)
{
    struct sink_batch *batch;

    (void)unused;
    log_setup(LOG_TEXT, LOG_INFO);
    rig_prepare(&rig, 1, answer_with_fault);
    rig.options.username = "weir";
    rig.options.password = "secret";
    rig_open(&rig);
    for (unsigned i = 0; i < 10; i++) {
        server_fails(&rig.servers[0], (struct reply){ .ending = i < 5 ? RESET : KEEP });
        batch = rig_fill(&rig, 1);
        rig_send(&rig, batch);
        rig_recycle(&rig, batch);
    }
    rig_close(&rig);
}

static unsigned occurrences(const char *text, const char *word)
{
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        n++;
    return n;
}

/* Ten batches, five of which fail: one line says that the server is gone, one that it is back, none
 * the password. */
static void news_is_told_once(void **state)
{
    struct ending ending = ending_of(fail_and_recover, NULL);

    (void)state;
    assert_true(WIFEXITED(ending.status));
    assert_int_equal(WEXITSTATUS(ending.status), 0);
    assert_int_equal(occurrences(ending.said, "cannot be used"), 1);
    assert_int_equal(occurrences(ending.said, "works again"), 1);
    assert_int_equal(occurrences(ending.said, "\n"), 2);
    assert_null(strstr(ending.said, "secret"));
}

/* Credentials travel as the servers expect them. */
static void credentials_are_sent(void **state)
{
    struct sink_batch *batch;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        rig_prepare(&rig, 1, answer_bulk);
        rig.options.username = i == 0 ? "weir" : NULL;
        rig.options.password = i == 0 ? "s:cret" : NULL;
        rig.options.api_key = i == 1 ? "QUJD" : NULL;
        rig_open(&rig);
        batch = rig_fill(&rig, 1);
        rig_send(&rig, batch);
        assert_verdicts(batch, "w");
        assert_non_null(
            strstr(rig.servers[0].seen[0].head, i == 0 ? "Authorization: Basic d2VpcjpzOmNyZXQ="
                                                       : "Authorization: ApiKey QUJD"));
        rig_close(&rig);
    }
}

static void answer_gzip(struct server *server, const struct request *request, struct reply *reply)
{
    z_stream stream = { .next_in = (Bytef *)(uintptr_t)request->body,
                        .avail_in = (uInt)request->len };
    static char body[1 << 16];

    stream.next_out = (Bytef *)body;
    stream.avail_out = sizeof(body) - 1;
    reply->status = 500;
    if (inflateInit2(&stream, 15 + 16) == Z_OK && inflate(&stream, Z_FINISH) == Z_STREAM_END) {
        body[stream.total_out] = '\0';
        reply->status = 200;
        answer_bulk_items(server, body, reply);
    }
    inflateEnd(&stream);
}

/* With gzip the body is compressed whole, and says so. */
static void body_is_compressed_where_asked(void **state)
{
    struct sink_batch *batch;

    (void)state;
    rig_prepare(&rig, 1, answer_gzip);
    rig.options.gzip = true;
    rig_open(&rig);
    for (unsigned i = 0; i < 2; i++) {
        batch = rig_fill(&rig, 100);
        rig_send(&rig, batch);
        assert_int_equal(batch->n, 100);
        for (unsigned item = 0; item < 100; item++)
            assert_int_equal(batch->items[item].verdict, SINK_WRITTEN);
        rig_recycle(&rig, batch);
    }
    assert_non_null(strstr(rig.servers[0].seen[0].head, "Content-Encoding: gzip"));
    assert_non_null(strstr(rig.servers[0].seen[0].head, "Accept-Encoding: gzip"));
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bulk_body_carries_ids_versions_and_states),
        cmocka_unit_test(items_are_judged_one_by_one),
        cmocka_unit_test(long_reason_is_cut_between_characters),
        cmocka_unit_test(useless_answers_retry_everything),
        cmocka_unit_test(answer_cut_at_any_byte_retries_everything),
        cmocka_unit_test(silent_server_runs_into_the_time_out),
        cmocka_unit_test(too_large_splits_down_to_the_one_document),
        cmocka_unit_test(poisoned_request_buries_the_culprit_alone),
        cmocka_unit_test(failure_between_halves_keeps_what_was_acknowledged),
        cmocka_unit_test(second_half_is_not_sent_to_a_server_that_is_down),
        cmocka_unit_test(state_is_kept_before_the_document_is_deleted),
        cmocka_unit_test(delete_waits_for_its_state),
        cmocka_unit_test(no_delete_follows_a_failed_request),
        cmocka_unit_test(batches_close_by_documents_and_bytes),
        cmocka_unit_test(batches_in_flight_do_not_wait_for_each_other),
        cmocka_unit_test(next_server_takes_over_and_back),
        cmocka_unit_test(news_is_told_once),
        cmocka_unit_test(credentials_are_sent),
        cmocka_unit_test(body_is_compressed_where_asked),
    };

    log_setup(LOG_TEXT, LOG_ALERT);
    return UNIT_RUN(tests);
}
