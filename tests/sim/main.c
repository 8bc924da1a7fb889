/*
 * main.c: one history: its world, its faults, its end.
 *
 *     weir-sim SEED [--trace] [WORD ...]    plays it; 0: all held; 1: a line on stderr says what
 *                                           did not. WORDs: only this much of it (script.h)
 *     weir-sim SEED --words [WORD ...]      prints the words that play what happened, all of it
 *     weir-sim FROM-TO                      each in a process of its own; a line for each
 *                                           that fails
 *
 *     |-- the log grows, faults --|-- calm: everything drains --|-- the whole log again --|
 *
 * The seed decides how many nodes, shards, keys and partitions there are, which stores, and how
 * often what goes wrong (sim.h, dials).
 */
#include "control/node.h"
#include "dataplane/base/log.h"
#include "dataplane/clock.h"
#include "dataplane/partition.h"
#include "dataplane/pipeline.h"
#include "tests/sim/books.h"
#include "tests/sim/broker.h"
#include "tests/sim/check.h"
#include "tests/sim/hydrated.h"
#include "tests/sim/node.h"
#include "tests/sim/script.h"
#include "tests/sim/search.h"
#include "tests/sim/table.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NODES_MAX = 3, GROWTH_MOST = 4 };

#define TICK_US    UINT64_C(100000)
#define DRAIN_US   UINT64_C(180000000) /* of calm, in which everything must have drained */
#define AGAIN_US   UINT64_C(120000000)
#define REST_US    UINT64_C(30000000)
#define REVIVE_US  UINT64_C(3000000)
#define EVENING_US UINT64_C(20000000)

struct world world;

static struct history {
    struct changelog *log;
    char configs[NODES_MAX][4000];
    char config_again[4000]; /* the same, of another group */
    bool again;
    uint64_t faults_until_us;
    uint64_t back_us[NODES_MAX]; /* when a dead node lives again */
    struct sim_event growth, tick;
    unsigned growths;
    uint64_t evening_us, night_us; /* since when it is evening, and all is at rest; 0: it is day */
    struct {
        struct net_server *door;
        uint64_t until_us;
    } away[1 + TABLE_DOORS];
    unsigned n_doors;
    uint64_t broker_until_us[NODES_MAX + 1]; /* cut from a node; the last: away. 0: it is not */
    bool ghost;
    bool cooperative, has_statics; /* the group's members */
} history;

/* ---- the world ---- */

/* Whoever draws twice does so in two statements: the arguments of a call have no order. */
static const char *draw_batch(char text[80])
{
    unsigned docs = 1 + sim_below(20), linger_ms = 1 + sim_below(200);
    unsigned in_flight = 1 + sim_below(3);
    (void)snprintf(text, 80, "\"batch\":{\"docs\":%u,\"linger\":\"%ums\",\"in_flight\":%u}", docs,
                   linger_ms, in_flight);
    return text;
}

/* What a group must agree on is every node's; the rest is each one's own. */
static void write_config(unsigned number, const char *hydrate, bool keyed)
{
    char search[300] = "", table[400] = "", source[300];
    changelog_source(history.log, source);
    char batch[80], instance[40] = "";
    unsigned session_ms = 1500 + sim_below(5000), commit_ms = 100 + sim_below(2000);
    /* Where a cooperative member is killed while it is to give up partitions, and comes back as its
     * own namesake, Kafka deals nothing out anew, and nobody has those partitions until the next
     * rebalance. */
    bool is_static = sim_below(2) && history.has_statics && !(history.cooperative && keyed);
    if (world.search != NULL)
        (void)snprintf(search, sizeof(search),
                       "\"search\":{\"elasticsearch\":{\"urls\":[\"http://search:9200\"],"
                       "\"index\":\"orders\"},%s}",
                       draw_batch(batch));
    if (world.table != NULL)
        (void)snprintf(table, sizeof(table),
                       "\"detail\":{\"hbase\":{\"zookeeper\":[\"" TABLE_ZOOKEEPER
                       "\"],\"table\":\"" TABLE_NAME "\",\"family\":\"" TABLE_FAMILY "\"},%s}",
                       draw_batch(batch));
    if (is_static)
        (void)snprintf(instance, sizeof(instance), ",\"group.instance.id\":\"machine-%u\"", number);
    (void)snprintf(
        history.configs[number], sizeof(history.configs[number]),
        "{\"node\":{\"name\":\"n%u\",\"state_dir\":\"/\",\"memory\":\"64MiB\",\"cores\":[0],"
        "\"hugepages\":\"off\"},\"tasks\":{\"orders\":{\"source\":{\"kafka\":{\"brokers\":["
        "\"broker:9092\"],\"topics\":[\"" CHANGELOG_TOPIC "\"],\"group\":\"weir\","
        "\"partitioned_by_key\":%s,\"commit_interval\":\"%ums\",\"options\":{"
        "\"session.timeout.ms\":\"%u\",\"heartbeat.interval.ms\":\"%u\"%s%s}},%s},\"document\":"
        "{" CHANGELOG_TABLES "},\"tombstone_retention\":\"%us\",\"sinks\":{%s%s%s},"
        "\"hydrate\":\"%s\",\"dead_letter\":{\"file\":\"/letters\"}}}}",
        number, keyed ? "true" : "false", commit_ms, session_ms, session_ms / 5,
        history.cooperative ? ",\"partition.assignment.strategy\":\"cooperative-sticky\"" : "",
        instance, source, history.log->retention_s > 0 ? history.log->retention_s : 604800, search,
        search[0] != '\0' && table[0] != '\0' ? "," : "", table, hydrate);
}

static void add_door(struct net_server *door)
{
    history.away[history.n_doors++].door = door;
}

static void open_world(void)
{
    unsigned stores = 1 + sim_below(3); /* a bit a store */
    bool keyed;
    world.n_nodes = 1 + sim_below(NODES_MAX);
    world.n_shards = 1 + sim_below(3);
    keyed = world.n_nodes > 1 || sim_below(2);
    world.n_nodes = script.nodes > 0 ? script.nodes : world.n_nodes;
    world.n_shards = script.shards > 0 ? script.shards : world.n_shards;
    world.broker = broker_open();
    if (stores & 1) {
        world.search = search_open();
        add_door(search_door(world.search));
    }
    if (stores & 2) {
        world.table = table_open(1 + sim_below(4));
        for (unsigned door = 0; door < TABLE_DOORS; door++)
            add_door(table_door(world.table, door));
    }
    unsigned n_keys = 3 + sim_below(KEYS_MAX - 3), n_parts = 1 + sim_below(PARTS_MAX);
    history.log = changelog_open(n_keys, n_parts);
    history.log->keyed = keyed;
    history.log->debezium = sim_below(3) == 0;
    history.log->numbered = sim_below(4) == 0;
    history.log->partial = sim_below(3) == 0;
    history.log->comes_and_goes = sim_below(2);
    history.log->bytes_most = sim_below(3) == 0 ? 1 + sim_below(ROW_BYTES_MOST) : 0;
    history.log->retention_s = !history.log->numbered && sim_below(2) ? 60 : 0;
    world.share_bytes = (size_t)8 << 20; /* the least that a node takes */
    broker_topic(world.broker, CHANGELOG_TOPIC, history.log->n_parts);
    const char *hydrate =
        stores == 3 ? (sim_below(2) ? "search" : "detail") : (stores == 1 ? "search" : "detail");
    history.cooperative = sim_below(2);
    history.has_statics = sim_below(2);
    for (unsigned i = 0; i < NODES_MAX; i++)
        write_config(i, hydrate, keyed);
    history.faults_until_us =
        sim_between(history.log->retention_s > 0 ? 20000000 : 3000000, 40000000);
    if (script.until_us > 0)
        history.faults_until_us = script.until_us;
    if (script.tells)
        printf("until=%.6f\nnodes=%u\nshards=%u\n", (double)history.faults_until_us / 1e6,
               world.n_nodes, world.n_shards);
}

/* ---- what happens ---- */

static bool drained(void)
{
    return check_drained("weir");
}

/* The end of the day. What is purged in the morning may be so old that nobody has still to read of
 * it, and no request may be under way that tells of it: the night waits for that, and begins only
 * then. Returns false where it is day. */
static bool is_night(void)
{
    if (history.night_us == 0 && history.log->retention_s > 0 && sim_chance(sim_dials()->night))
        history.night_us = history.evening_us = sim_now_us();
    if (history.night_us == 0)
        return false;
    if (!drained())
        history.night_us = sim_now_us();
    if (sim_now_us() > history.night_us + sim_dials()->late_us + TICK_US) {
        sim_trace("---- a night ----");
        changelog_sleep(history.log);
        history.night_us = 0;
    } else if (sim_now_us() > history.evening_us + EVENING_US) {
        history.night_us = 0; /* it is not to be today */
    }
    return history.night_us != 0;
}

static void grow(struct sim_event *event)
{
    if (sim_now_us() >= history.faults_until_us)
        return;
    sim_throw(SIM_GROWTH, history.growths);
    unsigned n = sim_below(GROWTH_MOST);
    uint64_t pause_us = sim_between(1000, 80000);
    if (is_night()) { /* it takes no changes away: they come later */
        sim_again(event, pause_us);
        return;
    }
    unsigned number = history.growths++;
    for (unsigned i = 0; i < n; i++) {
        unsigned message = number * GROWTH_MOST + i;
        sim_throw(SIM_MESSAGE, message);
        if (script_keeps(message))
            changelog_append(history.log);
    }
    sim_again(event, pause_us);
}

static void die(unsigned number)
{
    history.back_us[number] = sim_now_us() + sim_between(1000, REVIVE_US);
}

static void hurt_node(unsigned number)
{
    const struct dials *dials = sim_dials();
    if (sim_chance(dials->power)) {
        bool lived = node_lives(number);
        sim_trace("the machine of node %u loses its power", number);
        node_lose_power(number);
        if (lived)
            die(number);
    }
    if (!node_lives(number)) {
        if (history.back_us[number] == 0)
            die(number); /* it ended by itself */
        else if (sim_now_us() >= history.back_us[number]) {
            history.back_us[number] = 0;
            node_begin(number, history.configs[number]);
        }
        return;
    }
    if (sim_chance(dials->kill)) {
        node_kill(number);
        die(number);
    } else if (sim_chance(dials->stop)) {
        node_stop(number);
    } else if (sim_chance(dials->freeze)) {
        uint64_t us = sim_between(10000, 15000000);
        sim_trace("node %u is frozen for %llu us", number, (unsigned long long)us);
        sim_freeze(number, us);
    } else if (sim_chance(dials->clock_jump)) {
        sim_jump_clock(number, (int64_t)sim_below(4000000) - 2000000);
    } else if (sim_chance(dials->evict)) {
        char key[8];
        changelog_key(sim_below(history.log->n_keys), key);
        node_evict(number, key);
    }
}

/* It is away, or cut off from a node, for some time. */
static void hurt_broker(const struct dials *dials)
{
    for (unsigned i = 0; i <= world.n_nodes; i++) {
        uint64_t *until_us = &history.broker_until_us[i];
        bool hurt = *until_us != 0, ends = hurt && sim_now_us() >= *until_us;
        if (!ends && (hurt || !sim_chance(dials->away / 4)))
            continue;
        *until_us = ends ? 0 : sim_now_us() + sim_between(1000, 8000000);
        if (i < world.n_nodes)
            broker_cut(world.broker, i, !ends);
        else
            broker_away(world.broker, !ends);
        sim_trace(i < world.n_nodes ? "the broker is %s node %u" : "the broker is %s",
                  i < world.n_nodes ? (ends ? "joined to" : "cut from") : (ends ? "back" : "away"),
                  i);
    }
}

static void hurt_servers(void)
{
    const struct dials *dials = sim_dials();
    for (unsigned i = 0; i < history.n_doors; i++) {
        if (history.away[i].door->away && sim_now_us() >= history.away[i].until_us) {
            history.away[i].door->away = false;
            sim_trace("%s is back", history.away[i].door->name);
        } else if (!history.away[i].door->away && sim_chance(dials->away / 4)) {
            history.away[i].door->away = true;
            history.away[i].until_us = sim_now_us() + sim_between(1000, 4000000);
            sim_trace("%s is away", history.away[i].door->name);
        }
    }
    if (sim_chance(dials->retain / 4))
        broker_retain(world.broker);
    if (world.search != NULL && sim_chance(dials->forget / 4))
        (void)search_forget(world.search);
    if (world.table != NULL && sim_chance(dials->forget / 4))
        table_compact(world.table);
    if (world.table != NULL && sim_chance(dials->regions / 4))
        table_rearrange(world.table);
    hurt_broker(dials);
    if (history.log->keyed && sim_chance(dials->rebalance / 4)) {
        history.ghost = !history.ghost;
        sim_trace("a ghost %s", history.ghost ? "joins" : "leaves");
        broker_ghost(world.broker, history.ghost);
    }
}

/* ---- what nodes themselves think of it ---- */

static void check_books(void)
{
    const struct books_keys keys = { history.log->n_keys, changelog_key };
    for (unsigned i = 0; i < world.n_nodes; i++)
        if (node_serving(i) != NULL)
            books_check(i, node_serving(i), &keys);
}

/* Has the node what the group says? One that was expelled hears of it later, and reads anew. */
static bool is_settled(unsigned number, const struct task *task)
{
    unsigned n = 0;
    for (unsigned part = 0; part < history.log->n_parts; part++)
        n += broker_owner(world.broker, task->config->source.kafka.group, CHANGELOG_TOPIC, part) ==
             (int)number;
    for (unsigned slot = 0; slot < partitions_count(task->partitions); slot++)
        if (task->assignments[slot].owned &&
            broker_owner(world.broker, task->config->source.kafka.group, CHANGELOG_TOPIC,
                         (unsigned)partitions_number(task->partitions, (uint16_t)slot)) !=
                (int)number)
            return false;
    return n == task->n_owned;
}

static bool all_rest(void)
{
    for (unsigned i = 0; i < world.n_nodes; i++)
        if (node_serving(i) != NULL &&
            (!books_rest(node_serving(i)) || !is_settled(i, &node_serving(i)->tasks[0])))
            return false;
    return true;
}

static bool never(void)
{
    return false;
}

/* Nobody has anything to do: what each node has is what it would read back, and when it drops that
 * it has nothing. */
static void check_rest(void)
{
    if (!sim_run(all_rest, sim_now_us() + REST_US))
        sim_blame("drained", "nodes are still busy %u s after", (unsigned)(REST_US / 1000000));
    check_books();
    for (unsigned i = 0; i < world.n_nodes; i++) {
        for (unsigned key = 0; key < history.log->n_keys && node_serving(i) != NULL; key++) {
            char text[8];
            changelog_key(key, text);
            hydrated_check(i, node_serving(i), slice_of(text));
            node_evict(i, text);
        }
        if (node_serving(i) != NULL)
            books_check_rest(i, node_serving(i));
    }
    (void)sim_run(never, sim_now_us() + 100000);
    for (unsigned i = 0; i < world.n_nodes; i++)
        if (node_serving(i) != NULL)
            books_check_empty(i, node_serving(i));
}

/* Ten times a second. When faults have stopped it only brings back who is gone. */
static void tick(struct sim_event *event)
{
    if (!sim_calm() && sim_now_us() >= history.faults_until_us) {
        sim_be_calm();
        if (history.ghost)
            broker_ghost(world.broker, history.ghost = false);
        for (unsigned i = 0; i < world.n_nodes; i++)
            sim_freeze(i, 0);
    }
    uint64_t number = event->at_us / TICK_US;
    sim_throw(SIM_SERVERS, number);
    check_books();
    hurt_servers();
    for (unsigned i = 0; i < world.n_nodes && !history.again; i++) {
        sim_throw(SIM_NODES + i, number);
        hurt_node(i);
    }
    sim_again(event, TICK_US);
}

/* ---- a history ---- */

static bool calm_and_drained(void)
{
    return sim_calm() && sim_now_us() >= history.faults_until_us && drained();
}

static bool drained_again(void)
{
    return check_drained("again");
}

static void run_until(bool (*ended)(void), const char *group)
{
    uint64_t from_us =
        sim_now_us() > history.faults_until_us ? sim_now_us() : history.faults_until_us;
    if (sim_run(ended, from_us + DRAIN_US))
        return;
    check_tell_undrained(group);
    sim_blame("drained", "group %s not after %llu s of calm", group,
              (unsigned long long)(DRAIN_US / 1000000));
}

/* From where the log is read once more: its beginning, or any commit. Some of it was compacted
 * away meanwhile. */
static void set_back(void)
{
    int64_t starts[PARTS_MAX] = { 0 };
    sim_throw(SIM_AGAIN, 0);
    bool from_commits = sim_below(2);
    if (sim_below(2))
        changelog_compact(history.log);
    for (unsigned part = 0; part < history.log->n_parts; part++) {
        int64_t low = broker_low(world.broker, CHANGELOG_TOPIC, part);
        uint64_t clock = SEQNO_EPOCH;
        starts[part] = low;
        if (from_commits && check_commit(part, &starts[part], &clock) && starts[part] >= low)
            broker_set_commit(world.broker, "again", CHANGELOG_TOPIC, part, starts[part], clock);
        else
            starts[part] = low, clock = SEQNO_EPOCH;
        changelog_reread(history.log, part, starts[part], clock);
    }
    check_again(starts);
}

/* One node reads the log once more, as a group of its own. */
static void play_again(void)
{
    const char *config = history.configs[0], *group = strstr(config, "\"weir\"");
    (void)snprintf(history.config_again, sizeof(history.config_again), "%.*s\"again\"%s",
                   (int)(group - config), config, group + strlen("\"weir\""));
    sim_trace("---- the log again ----");
    for (unsigned i = 0; i < world.n_nodes; i++)
        if (node_lives(i))
            node_kill(i);
    history.again = true;
    set_back();
    node_begin(0, history.config_again);
    run_until(drained_again, "again");
    check_documents();
    check_rest();
}

static void play(uint64_t seed, bool trace)
{
    log_setup(LOG_TEXT, trace ? LOG_INFO : LOG_ALERT + 1);
    setvbuf(stdout, NULL, _IOLBF, 0); /* a signal must not cut the story */
    sim_open(seed, trace);
    open_world();
    sim_trace("seed %llu: %u nodes, %u shards, %u keys, %u partitions, %s%s%s",
              (unsigned long long)seed, world.n_nodes, world.n_shards, history.log->n_keys,
              history.log->n_parts, history.log->keyed ? "keyed" : "not keyed",
              world.search != NULL ? ", search" : "", world.table != NULL ? ", table" : "");
    check_open(history.log, node_task(history.configs[0]));
    hydrated_open(node_task(history.configs[0]));
    for (unsigned i = 0; i < world.n_nodes; i++)
        node_begin(i, history.configs[i]);
    history.growth.run = grow;
    history.tick.run = tick;
    sim_at(&history.growth, 0);
    sim_at(&history.tick, TICK_US);
    run_until(calm_and_drained, "weir");
    check_documents();
    check_rest();
    sim_trace("%u documents are as they would be read back", hydrated_count());
    play_again();
    sim_trace("all is right");
}

/* SEED [--trace] [--words] [WORD ...]; false: there is a word that is none. */
static bool take_words(char **words, bool *trace)
{
    for (; *words != NULL; words++) {
        if (strcmp(*words, "--trace") == 0)
            *trace = true;
        else if (strcmp(*words, "--words") == 0)
            script.tells = true;
        else if (!script_take(*words))
            return false;
    }
    return true;
}

static int play_range(uint64_t from, uint64_t to)
{
    unsigned failed = 0;
    for (uint64_t seed = from; seed <= to; seed++) {
        int status;
        pid_t child = fork();
        ASSERT(child >= 0);
        if (child == 0) {
            play(seed, false);
            fflush(stdout);
            _exit(0);
        }
        ASSERT(waitpid(child, &status, 0) == child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            continue;
        if (WIFSIGNALED(status))
            fprintf(stderr, "seed %llu, commit %s: signal %d\n", (unsigned long long)seed,
                    sim_commit(), WTERMSIG(status));
        failed++;
    }
    printf("%llu passed, %u failed\n", (unsigned long long)(to - from + 1 - failed), failed);
    return failed > 0;
}

int main(int argc, char **argv)
{
    char *end = NULL;
    uint64_t from = argc > 1 ? strtoull(argv[1], &end, 10) : 0;
    bool trace = false;
    if (argc < 2 || end == argv[1] || !take_words(argv + 2, &trace)) {
        fprintf(stderr, "usage: weir-sim SEED [--trace|--words] [WORD ...] | weir-sim FROM-TO\n");
        return 64;
    }
    if (*end == '-')
        return play_range(from, strtoull(end + 1, NULL, 10));
    play(from, trace);
    return 0;
}
