/*
 * locate.c: the table's regions, looked up in hbase:meta and kept until somebody doubts them.
 *
 *     idle ─ suspect, due ─► META ─ who serves hbase:meta ─► SCAN ─ page after page ─► swap ─► idle
 *                            │ a master, the next one ...     │
 *                            └──────── failed ◄───────────────┘  what is known stays; again later
 *
 * There are two generations of regions: calls are routed by one while the other is being filled,
 * and they change places when the last page is there. So nobody sees half a table, and a look that
 * fails costs nothing. A generation is sorted by start key; what lies between one region's end and
 * the next one's start is a hole (a split or merge that is under way).
 *
 * hbase:meta's own place is remembered, and forgotten when a scan of it fails: it moves as well.
 *
 * While servers come and go every call fails in a way that makes the regions doubtful. All that
 * doubt is one look, and looks are apart by a delay that grows while doubts go on.
 *
 * What this does not do: ask for single rows, or hold calls back (put.c and get.c do).
 */
#include "drivers/hbase/locate.h"

#include "dataplane/base/log.h"
#include "dataplane/base/memory.h"
#include "drivers/hbase/exception.h"
#include "drivers/hbase/meta.h"

#include <inttypes.h>
#include <stdio.h>

#define NAMES_BYTES_MAX   ((size_t)1 << 30)
#define ROWS_MAX          (4 * LOCATE_REGIONS_MAX) /* of a look: regions, their parents, replicas */
#define REQUEST_BYTES_MAX ((size_t)16384)
#define MASTERS_MAX       32u
#define PATH_BYTES_MAX    512u
#define DELAY_US          UINT64_C(125000) /* less up to a fifth of it */
#define DELAY_US_MAX      UINT64_C(5000000)
#define HOLD_US_MAX       UINT64_C(200000) /* for a look that renews what is known */
#define STREAK_FOUND_MAX  3u               /* doubts that go on though looks succeed: 1 s */
#define STREAK_MAX        6u

enum look { LOOK_IDLE, LOOK_META, LOOK_SCAN };

struct generation {
    struct region *regions;
    struct rpc_target *servers;
    struct arena names;
    uint32_t n_regions, n_servers;
    uint32_t n_rows;  /* of hbase:meta, that it was filled from */
    uint64_t last_id; /* of the last region, while it is being filled */
};

struct locate {
    struct locate_options options;
    struct slice table;
    struct rpc_target masters[MASTERS_MAX];
    char path[PATH_BYTES_MAX];

    struct generation generations[2];
    struct generation *now, *next;
    bool known;

    enum look look;
    bool wanted;
    uint64_t due_us, looks;
    unsigned streak;

    /* The look that is under way. */
    struct rpc_call call;
    struct zookeeper_get get;
    struct rpc_target meta;
    bool meta_known;
    unsigned master, masters_left;
    struct buf request, last_row;
    char reason[600];

    struct log_limit telling;
};

static void ask_master(struct locate *locate);
static void ask_page(struct locate *locate, struct slice after);

static void generation_open(struct generation *generation)
{
    generation->regions = memory_reserve_virtual(LOCATE_REGIONS_MAX * sizeof(*generation->regions),
                                                 "places of regions");
    generation->servers = memory_reserve_virtual(LOCATE_SERVERS_MAX * sizeof(*generation->servers),
                                                 "names of servers");
    arena_open(&generation->names, NAMES_BYTES_MAX, "names of regions");
}

static int read_options(struct locate *locate, struct err *err)
{
    const struct locate_options *options = &locate->options;
    int len = 0;

    ASSERT(options->zookeeper != NULL || options->n_masters > 0);
    if (options->zookeeper != NULL)
        len = snprintf(locate->path, sizeof(locate->path), "%s/meta-region-server",
                       options->znode_parent);
    if (len < 0 || (size_t)len >= sizeof(locate->path))
        return err_set(err, EXIT_CONFIG, "hbase: the znode's path is too long");
    if (options->n_masters > MASTERS_MAX)
        return err_set(err, EXIT_CONFIG, "hbase: %u masters at most", MASTERS_MAX);
    for (unsigned i = 0; i < options->n_masters; i++) {
        locate->masters[i].service = RPC_CLIENT_META;
        if (!meta_target(slice_of(options->masters[i]), &locate->masters[i]))
            return err_set(err, EXIT_CONFIG, "hbase: %s is no host:port", options->masters[i]);
    }
    /* Names of the namespace that has no name in hbase:meta. */
    locate->table = slice_of(options->table);
    if (strncmp(options->table, "default:", 8) == 0)
        locate->table = slice_of(options->table + 8);
    if (locate->table.len > LOCATE_NAME_BYTES_MAX / 2)
        return err_set(err, EXIT_CONFIG, "hbase: the table's name is too long");
    return 0;
}

int locate_open(struct locate **out, const struct locate_options *options, struct err *err)
{
    struct locate *locate = memory_reserve(sizeof(*locate), "where regions are");

    locate->options = *options;
    if (read_options(locate, err) != 0)
        return -1;
    for (unsigned i = 0; i < 2; i++)
        generation_open(&locate->generations[i]);
    locate->now = &locate->generations[0];
    locate->next = &locate->generations[1];
    buf_open(&locate->request, REQUEST_BYTES_MAX, "requests to hbase:meta");
    buf_open(&locate->last_row, UINT16_MAX, "a row of hbase:meta");
    *out = locate;
    return 0;
}

/* ---- what is known ---- */

bool locate_known(const struct locate *locate)
{
    return locate->known;
}

bool locate_looking(const struct locate *locate)
{
    return locate->look != LOOK_IDLE;
}

uint64_t locate_looks(const struct locate *locate)
{
    return locate->looks;
}

uint32_t locate_find(const struct locate *locate, struct slice row_key)
{
    const struct generation *now = locate->now;
    uint32_t from = 0, to = now->n_regions;

    /* The first region that starts behind the row is `from` in the end. */
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (slice_compare(now->regions[middle].start, row_key) <= 0)
            from = middle + 1;
        else
            to = middle;
    }
    if (from == 0)
        return LOCATE_NONE;
    const struct region *region = &now->regions[from - 1];
    if (region->end.len > 0 && slice_compare(row_key, region->end) >= 0)
        return LOCATE_NONE;
    return from - 1;
}

const struct region *locate_region(const struct locate *locate, uint32_t region)
{
    ASSERT(region < locate->now->n_regions);
    return &locate->now->regions[region];
}

const struct rpc_target *locate_server(const struct locate *locate, uint32_t server)
{
    ASSERT(server < locate->now->n_servers);
    return &locate->now->servers[server];
}

uint32_t locate_n_regions(const struct locate *locate)
{
    return locate->now->n_regions;
}

uint32_t locate_n_servers(const struct locate *locate)
{
    return locate->now->n_servers;
}

/* ---- looks begin and end ---- */

void locate_suspect(struct locate *locate)
{
    uint64_t now_us = env_mono_us(locate->options.env);

    if (locate->look != LOOK_IDLE || locate->wanted)
        return;
    locate->wanted = true;
    if (now_us > locate->due_us + DELAY_US_MAX)
        locate->streak = 0; /* the last doubt is long ago */
}

static void end_look(struct locate *locate, bool found)
{
    struct env *env = locate->options.env;
    uint64_t delay_us = DELAY_US << locate->streak;
    unsigned streak_max = found ? STREAK_FOUND_MAX : STREAK_MAX;

    if (delay_us > DELAY_US_MAX)
        delay_us = DELAY_US_MAX;
    delay_us -= env_random(env) % (delay_us / 5 + 1);
    locate->due_us = env_mono_us(env) + delay_us;
    locate->streak = locate->streak < streak_max ? locate->streak + 1 : streak_max;
    locate->look = LOOK_IDLE;
    locate->wanted = !found;
    locate->looks++;
}

static void fail(struct locate *locate, const char *reason)
{
    uint64_t more;

    locate->meta_known = false;
    end_look(locate, false);
    if (log_limit_pass(&locate->telling, env_mono_us(locate->options.env), &more))
        log_line(LOG_WARN, "hbase",
                 "cannot see where the regions of table %s are: %s; trying again (%" PRIu64
                 " more like it)",
                 locate->options.table, reason, more);
}

static void fail_with(struct locate *locate, struct slice what, struct slice reason)
{
    snprintf(locate->reason, sizeof(locate->reason), "%.*s: %.*s", (int)what.len, what.data,
             (int)(reason.len < 500 ? reason.len : 500), reason.data);
    fail(locate, locate->reason);
}

void locate_step(struct locate *locate)
{
    if (!locate->wanted || locate->look != LOOK_IDLE ||
        env_mono_us(locate->options.env) < locate->due_us)
        return;
    locate->wanted = false;
    locate->next->n_regions = locate->next->n_servers = locate->next->n_rows = 0;
    arena_reset(&locate->next->names);
    if (locate->meta_known) {
        ask_page(locate, SLICE(""));
        return;
    }
    locate->look = LOOK_META;
    locate->master = (unsigned)(env_random(locate->options.env) %
                                (locate->options.n_masters > 0 ? locate->options.n_masters : 1));
    locate->masters_left = locate->options.n_masters;
    ask_master(locate);
}

void locate_wait_begin(struct locate *locate, struct locate_wait *wait)
{
    if (!locate->known)
        locate_suspect(locate);
    *wait = (struct locate_wait){ env_mono_us(locate->options.env), locate->looks };
}

enum locate_go locate_wait_ends(const struct locate *locate, const struct locate_wait *wait)
{
    uint64_t waited_us;

    if (locate->known && locate->look == LOOK_IDLE)
        return LOCATE_GO;
    waited_us = env_mono_us(locate->options.env) - wait->since_us;
    if (locate->known)
        return waited_us >= HOLD_US_MAX ? LOCATE_GO : LOCATE_WAIT;
    return locate->looks > wait->looks || waited_us >= locate->options.timeout_us ? LOCATE_GIVE_UP
                                                                                  : LOCATE_WAIT;
}

/* ---- who serves hbase:meta ---- */

static void got_meta(struct locate *locate, const char *problem, struct slice who)
{
    if (problem != NULL) {
        fail_with(locate, who, slice_of(problem));
        return;
    }
    locate->meta_known = true;
    ask_page(locate, SLICE(""));
}

static void znode_done(struct zookeeper_get *get)
{
    struct locate *locate = get->owner;

    ASSERT(locate->look == LOOK_META);
    switch (get->result) {
    case ZOOKEEPER_FOUND:
        got_meta(locate, meta_from_znode(get->data, &locate->meta), SLICE("ZooKeeper"));
        break;
    case ZOOKEEPER_ABSENT:
        fail_with(locate, slice_of(locate->path),
                  SLICE("ZooKeeper has no such node; is zookeeper.znode.parent another one?"));
        break;
    case ZOOKEEPER_FAILED:
        fail_with(locate, SLICE("ZooKeeper"), get->reason);
        break;
    }
}

static void master_done(struct rpc_call *call)
{
    struct locate *locate = call->owner;
    const struct rpc_target *master = &locate->masters[locate->master];
    const char *problem = NULL;

    ASSERT(locate->look == LOOK_META && locate->masters_left > 0);
    if (call->result == RPC_ANSWERED)
        problem = meta_from_registry(call->answer, &locate->meta);
    if (call->result == RPC_ANSWERED && problem == NULL) {
        got_meta(locate, NULL, SLICE(""));
        return;
    }
    if (--locate->masters_left == 0) {
        fail_with(locate, slice_of(master->host),
                  problem != NULL ? slice_of(problem) : call->reason);
        return;
    }
    locate->master = (locate->master + 1) % locate->options.n_masters;
    ask_master(locate);
}

static void ask_master(struct locate *locate)
{
    if (locate->options.zookeeper != NULL) {
        locate->get =
            (struct zookeeper_get){ .done = znode_done, .owner = locate, .path = locate->path };
        zookeeper_start(locate->options.zookeeper, &locate->get);
        return;
    }
    locate->call = (struct rpc_call){ .done = master_done,
                                      .owner = locate,
                                      .method = SLICE("GetMetaRegionLocations"),
                                      .param = SLICE("") };
    rpc_start(locate->options.rpc, &locate->masters[locate->master], &locate->call);
}

/* ---- the pages ---- */

/* The server's index in the generation, or LOCATE_NONE: there are too many. */
static uint32_t server_index(struct generation *generation, const struct rpc_target *target)
{
    uint32_t i = generation->n_servers;

    while (i > 0) {
        const struct rpc_target *server = &generation->servers[--i];
        if (server->port == target->port && strcmp(server->host, target->host) == 0)
            return i;
    }
    if (generation->n_servers == LOCATE_SERVERS_MAX)
        return LOCATE_NONE;
    generation->servers[generation->n_servers] = *target;
    return generation->n_servers++;
}

/* NULL, or why the look is of no use. */
static const char *take_region(struct generation *next, const struct meta_region *region)
{
    struct region *at = &next->regions[next->n_regions];
    bool again = false;

    if (region->name.len > LOCATE_NAME_BYTES_MAX)
        return "a region's name is too long";
    if (next->n_regions > 0) {
        int order = slice_compare(at[-1].start, region->start);
        if (order > 0)
            return "its regions are out of order";
        again = order == 0;
    }
    if (again && next->last_id > region->id)
        return NULL; /* remains of one that was split or merged away */
    if (again)
        at--;
    else if (next->n_regions == LOCATE_REGIONS_MAX)
        return "it has too many regions";
    at->name = arena_copy(&next->names, region->name);
    at->start = arena_copy(&next->names, region->start);
    at->end = arena_copy(&next->names, region->end);
    at->server = server_index(next, &region->target);
    if (at->name.data == NULL || at->start.data == NULL || at->end.data == NULL ||
        at->server == LOCATE_NONE)
        return "its regions or servers are too many";
    next->last_id = region->id;
    next->n_regions += !again;
    return NULL;
}

static const char *take_page(struct locate *locate, struct slice cells, unsigned *rows)
{
    struct meta_region region = { .serves = false };
    int got;

    for (*rows = 0; (got = meta_next(&cells, &region)) > 0; (*rows)++) {
        const char *problem = region.serves ? take_region(locate->next, &region) : NULL;
        if (problem != NULL)
            return problem;
        /* A server that sends the same page for ever would be listened to for ever. */
        if (++locate->next->n_rows > ROWS_MAX)
            return "it has too many rows";
    }
    if (got < 0)
        return "hbase:meta answers with something else than regions";
    if (*rows > 0) {
        buf_reset(&locate->last_row);
        buf_put_slice(&locate->last_row, region.name);
    }
    return NULL;
}

static void swap(struct locate *locate)
{
    struct generation *old = locate->now;

    if (locate->next->n_regions == 0) {
        fail(locate, "no server has any of them; was the table dropped or disabled?");
        return;
    }
    locate->now = locate->next;
    locate->next = old;
    locate->known = true;
    end_look(locate, true);
}

static void page_done(struct rpc_call *call)
{
    struct locate *locate = call->owner;
    unsigned rows;

    ASSERT(locate->look == LOOK_SCAN);
    if (call->result != RPC_ANSWERED) {
        fail_with(locate, SLICE("hbase:meta"), call->reason);
        return;
    }
    const char *problem = take_page(locate, call->answer_cells, &rows);
    if (problem != NULL)
        fail(locate, problem);
    else if (rows > 0 && (rows >= META_PAGE_ROWS || meta_has_more(call->answer)))
        ask_page(locate, buf_slice(&locate->last_row));
    else
        swap(locate);
}

static void ask_page(struct locate *locate, struct slice after)
{
    locate->look = LOOK_SCAN;
    buf_reset(&locate->request);
    meta_put_scan(locate->table, after, &locate->request);
    if (locate->request.overflow) {
        fail(locate, "a region's name is too long");
        return;
    }
    locate->call = (struct rpc_call){ .done = page_done,
                                      .owner = locate,
                                      .method = SLICE("Scan"),
                                      .param = buf_slice(&locate->request) };
    rpc_start(locate->options.rpc, &locate->meta, &locate->call);
}
