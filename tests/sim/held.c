/*
 * held.c: weir-held: the models of the servers, asked by hand, so that a test can hold them to the
 * real ones (tests/e2e/test_models.py).
 *
 *     a line of words on stdin                     a line on stdout
 *     search METHOD PATH BODY                      STATUS BODY       search.h's front door
 *     forget                                       N                 search_forget()
 *     table ADDRESS SERVICE CALL                   ANSWER            a frame as rpc.h's services
 *     znode PATH                                   ANSWER            1 and its bytes, or 0
 *     compact                                      N                 every region, to the end
 *     join MEMBER ID INSTANCE                      CODE              the answer comes by `joined`
 *     joined MEMBER                                CODE, GENERATION
 *     sync MEMBER ID INSTANCE GENERATION           CODE
 *     synced MEMBER                                CODE
 *     heartbeat MEMBER ID INSTANCE GENERATION      CODE
 *     commit MEMBER ID INSTANCE GENERATION LOG OFFSET CLOCK     CODE
 *     leave MEMBER ID INSTANCE                     CODE
 *     committed LOG                                OFFSET CLOCK, or none
 *     later MICROSECONDS                           ok                time goes on, to what was due
 *
 * Bodies, calls and answers are in hex, "-" where there are none. MEMBER is a number below
 * MEMBERS_MAX: who asks. ID says what id it names: its own, `none` or `wrong`; INSTANCE is its
 * group.instance.id or "-". CODE is a word of group_code_text(), `pending`, or `asked`.
 *
 * Every fault is off. A call of the table takes a tenth of a second, so a client that asks until
 * something is done comes to its end. A line that is none of these ends the program with 2.
 */
#include "tests/sim/group.h"
#include "tests/sim/search.h"
#include "tests/sim/table_internal.h"
#include "tests/sim/world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { MEMBERS_MAX = 8, WORDS_MAX = 9, PARTITIONS = 8 };

#define ANSWER_BYTES_MAX ((size_t)64 << 20)
#define CALL_US          UINT64_C(100000)
#define SESSION_US       UINT64_C(60000000)
#define TOPIC            "orders"

struct world world;

/* A member of the group, as its client knows it. */
struct member {
    struct group_client client; /* first: a client pointer is a pointer to this */
    uint64_t id;
    bool is_asking;
    enum group_code code; /* of the last answer to a join or sync */
    int generation;
};

static struct {
    struct group *group;
    struct buf answer;
    struct member members[MEMBERS_MAX];
    char *words[WORDS_MAX];
    unsigned n;
} held;

static _Noreturn void give_up(const char *what)
{
    (void)fprintf(stderr, "weir-held: %s: %s\n", what, held.n > 0 ? held.words[0] : "");
    exit(2);
}

/* ---- words ---- */

static void cut_line(char *line)
{
    char *rest = line, *word;

    held.n = 0;
    while ((word = strtok_r(held.n == 0 ? line : NULL, " \n", &rest)) != NULL) {
        if (held.n == WORDS_MAX)
            give_up("too many words");
        held.words[held.n++] = word;
    }
}

static uint64_t number(unsigned word)
{
    char *end;
    uint64_t value = strtoull(held.words[word], &end, 10);

    if (*end != '\0')
        give_up("no number");
    return value;
}

static unsigned digit(char hex)
{
    const char *digits = "0123456789abcdef", *at = strchr(digits, hex);

    if (hex == '\0' || at == NULL)
        give_up("no hex digits");
    return (unsigned)(at - digits);
}

/* Appends what the hex digits say. */
static void put_unhexed(struct buf *out, const char *hex)
{
    if (strcmp(hex, "-") == 0)
        return;
    for (; *hex != '\0'; hex += 2)
        buf_put_char(out, (char)(digit(hex[0]) << 4 | digit(hex[1])));
}

static void print_hex(struct slice bytes)
{
    if (bytes.len == 0)
        (void)putchar('-');
    for (size_t i = 0; i < bytes.len; i++)
        (void)printf("%02x", (unsigned char)bytes.data[i]);
}

/* ---- Elasticsearch ---- */

static struct buf room_for_request(void)
{
    size_t room = 600;

    for (unsigned i = 0; i < held.n; i++)
        room += strlen(held.words[i]);
    return (struct buf){ .data = table_heap(room), .bound = room };
}

static void search(void)
{
    struct buf request = room_for_request(), *answer = &held.answer;
    char *body;

    buf_printf(&request, "%s %s\n", held.words[1], held.words[2]);
    put_unhexed(&request, held.words[3]);
    search_ask(world.search, buf_slice(&request), answer);
    free(request.data);
    ASSERT(!answer->overflow && !request.overflow);
    body = memchr(answer->data, '\n', answer->len);
    ASSERT(body != NULL);
    (void)printf("%.*s ", (int)(body - answer->data), answer->data);
    body++;
    print_hex((struct slice){ body, answer->len - (size_t)(body - answer->data) });
}

static void forget(void)
{
    (void)printf("%u", search_forget(world.search));
}

/* ---- HBase ---- */

static bool never(void)
{
    return false;
}

static void wait_us(uint64_t us)
{
    (void)sim_run(never, sim_now_us() + us);
}

static void ask_table(struct net_server *server, struct slice request)
{
    if (!server->serve(server, request, &held.answer))
        give_up("it hung up");
    ASSERT(!held.answer.overflow);
    print_hex(buf_slice(&held.answer));
}

static void table(void)
{
    struct buf request = room_for_request();
    char *colon = strchr(held.words[1], ':');
    struct net_server *server;

    if (colon == NULL)
        give_up("no address");
    *colon = '\0';
    server = table_find(world.table, held.words[1], (uint16_t)strtoul(colon + 1, NULL, 10));
    if (server == NULL)
        give_up("nobody's address");
    buf_put_char(&request, (char)number(2));
    put_unhexed(&request, held.words[3]);
    ask_table(server, buf_slice(&request));
    free(request.data);
    wait_us(CALL_US);
}

static void znode(void)
{
    ask_table(table_door(world.table, TABLE_ZK1), slice_of(held.words[1]));
}

static void compact(void)
{
    (void)printf("%u", cells_compact(world.table, SLICE(""), SLICE("")));
}

/* ---- Kafka's groups ---- */

static void joined(struct group_client *client, enum group_code code, int generation)
{
    struct member *member = (struct member *)client;

    member->is_asking = false;
    member->code = code;
    member->generation = generation;
}

static void synced(struct group_client *client, enum group_code code, uint64_t logs)
{
    struct member *member = (struct member *)client;

    (void)logs;
    member->is_asking = false;
    member->code = code;
}

static struct member *member_named(void)
{
    uint64_t place = number(1);

    if (place >= MEMBERS_MAX)
        give_up("no such member");
    return &held.members[place];
}

/* Who the line says that it is: MEMBER ID INSTANCE GENERATION. */
static struct group_self self_named(const struct member *member)
{
    struct group_self self = { .id = member->id, .instance = "", .generation = -1, .node = 0 };

    if (strcmp(held.words[2], "none") == 0)
        self.id = 0;
    else if (strcmp(held.words[2], "wrong") == 0)
        self.id = UINT64_MAX;
    if (strcmp(held.words[3], "-") != 0)
        self.instance = held.words[3];
    if (held.n > 4)
        self.generation = (int)strtol(held.words[4], NULL, 10);
    return self;
}

static void join(void)
{
    struct member *member = member_named();
    struct group_join wish = { .self = self_named(member),
                               .client = &member->client,
                               .topics = broker_logs_of(world.broker, TOPIC),
                               .session_us = SESSION_US,
                               .rebalance_us = SESSION_US };

    member->is_asking = true;
    uint64_t id = group_join(held.group, &wish);
    member->id = id != 0 ? id : member->id;
    (void)printf("asked");
}

static void tell_joined(void)
{
    const struct member *member = member_named();

    if (member->is_asking)
        (void)printf("pending");
    else
        (void)printf("%s, %d", group_code_text(member->code), member->generation);
}

static void sync_group(void)
{
    struct member *member = member_named();
    struct group_self self = self_named(member);

    member->is_asking = true;
    group_sync(held.group, &self, &member->client);
    (void)printf("asked");
}

static void tell_synced(void)
{
    const struct member *member = member_named();

    (void)printf("%s", member->is_asking ? "pending" : group_code_text(member->code));
}

static void heartbeat(void)
{
    struct group_self self = self_named(member_named());

    (void)printf("%s", group_code_text(group_heartbeat(held.group, &self)));
}

static void commit(void)
{
    struct group_self self = self_named(member_named());
    struct group_commit what = { .log = (unsigned)number(5),
                                 .offset = (int64_t)number(6),
                                 .clock = number(7) };

    if (what.log >= PARTITIONS)
        give_up("no such partition");
    (void)printf("%s", group_code_text(group_commit(held.group, &self, &what, 1)));
}

static void leave(void)
{
    struct group_self self = self_named(member_named());

    group_leave(held.group, &self);
    (void)printf("asked");
}

static void committed(void)
{
    uint64_t log = number(1), clock;
    int64_t offset;

    if (log >= PARTITIONS)
        give_up("no such partition");
    if (group_committed(held.group, (unsigned)log, &offset, &clock))
        (void)printf("%" PRId64 " %" PRIu64, offset, clock);
    else
        (void)printf("none");
}

static void later(void)
{
    wait_us(number(1));
    (void)printf("ok");
}

/* ---- lines ---- */

static const struct {
    const char *name;
    unsigned words; /* with the name */
    void (*run)(void);
} verbs[] = {
    { "search", 4, search },       { "forget", 1, forget },   { "table", 4, table },
    { "znode", 2, znode },         { "compact", 1, compact }, { "join", 4, join },
    { "joined", 2, tell_joined },  { "sync", 5, sync_group }, { "synced", 2, tell_synced },
    { "heartbeat", 5, heartbeat }, { "commit", 8, commit },   { "leave", 4, leave },
    { "committed", 2, committed }, { "later", 2, later },
};

static void obey(void)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
        if (held.n == verbs[i].words && strcmp(held.words[0], verbs[i].name) == 0) {
            held.answer.len = 0;
            verbs[i].run();
            (void)putchar('\n');
            (void)fflush(stdout);
            return;
        }
    give_up("not understood");
}

static void open_world(void)
{
    sim_open(1, false);
    sim_be_calm();
    world =
        (struct world){ .broker = broker_open(), .search = search_open(), .table = table_open(0) };
    broker_topic(world.broker, TOPIC, PARTITIONS);
    held.group = group_open(world.broker, "weir");
    held.answer = (struct buf){ .data = table_heap(ANSWER_BYTES_MAX), .bound = ANSWER_BYTES_MAX };
    for (unsigned i = 0; i < MEMBERS_MAX; i++)
        held.members[i].client = (struct group_client){ joined, synced };
}

int main(void)
{
    char *line = NULL;
    size_t room = 0;

    open_world();
    while (getline(&line, &room, stdin) > 0) {
        cut_line(line);
        obey();
    }
    free(line);
    return 0;
}
