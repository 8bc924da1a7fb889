/*
 * main.c: one history: its world, its faults, its end.
 *
 *     weir-sim SEED [--trace]         plays it; 0: all held; 1: one line on stderr says what did
 * not weir-sim FROM-TO                each in a process of its own; one line for each that fails
 *
 *     |-- the log grows, faults --|-- calm: everything drains --|-- the whole log again --|
 *
 * The seed decides how many nodes, shards, keys and partitions there are, which stores, and how
 * often what goes wrong (sim.h, dials).
 */
#include "control/node.h"
#include "dataplane/base/log.h"
#include "dataplane/pipeline.h"
#include "tests/sim/broker.h"
#include "tests/sim/check.h"
#include "tests/sim/node.h"
#include "tests/sim/search.h"
#include "tests/sim/table.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NODES_MAX = 3 };

#define TICK_US   UINT64_C(100000)
#define DRAIN_US  UINT64_C(180000000) /* of calm, in which everything must have drained */
#define AGAIN_US  UINT64_C(120000000)
#define REVIVE_US UINT64_C(3000000)

struct world world;

static struct history {
    struct changelog *log;
    char configs[NODES_MAX][4000];
    char config_again[4000]; /* the same, of another group */
    bool again;
    uint64_t faults_until_us;
    uint64_t back_us[NODES_MAX]; /* when a dead node lives again */
    struct sim_event growth, tick;
    struct {
        struct net_server *door;
        uint64_t until_us;
    } away[1 + TABLE_DOORS];
    unsigned n_doors;
    uint64_t broker_until_us[NODES_MAX + 1]; /* cut from a node; the last: away. 0: it is not */
    bool ghost;
} history;

/* ---- the world ---- */

static void write_config(unsigned number, const char *hydrate, bool keyed)
{
    char search[300] = "", table[400] = "";
    unsigned session_ms = 1500 + sim_below(5000);
    if (world.search != NULL)
        (void)snprintf(search, sizeof(search),
                       "\"search\":{\"elasticsearch\":{\"urls\":[\"http://search:9200\"],"
                       "\"index\":\"orders\"},\"batch\":{\"docs\":%u,\"linger\":\"%ums\","
                       "\"in_flight\":%u}}",
                       1 + sim_below(20), 1 + sim_below(200), 1 + sim_below(3));
    if (world.table != NULL)
        (void)snprintf(table, sizeof(table),
                       "\"detail\":{\"hbase\":{\"zookeeper\":[\"" TABLE_ZOOKEEPER
                       "\"],\"table\":\"" TABLE_NAME "\",\"family\":\"" TABLE_FAMILY
                       "\"},\"batch\":{\"docs\":%u,\"linger\":\"%ums\",\"in_flight\":%u}}",
                       1 + sim_below(20), 1 + sim_below(200), 1 + sim_below(3));
    (void)snprintf(
        history.configs[number], sizeof(history.configs[number]),
        "{\"node\":{\"name\":\"n%u\",\"state_dir\":\"/\",\"memory\":\"64MiB\",\"cores\":[0],"
        "\"hugepages\":\"off\"},\"tasks\":{\"orders\":{\"source\":{\"kafka\":{\"brokers\":["
        "\"broker:9092\"],\"topics\":[\"" CHANGELOG_TOPIC "\"],\"group\":\"weir\","
        "\"partitioned_by_key\":%s,\"commit_interval\":\"%ums\",\"options\":{"
        "\"session.timeout.ms\":\"%u\",\"heartbeat.interval.ms\":\"%u\"%s}},\"format\":\"canal-"
        "json\"},\"document\":"
        "{" CHANGELOG_TABLES "},\"sinks\":{%s%s%s},\"hydrate\":\"%s\","
        "\"dead_letter\":{\"file\":\"/letters\"}}}}",
        number, keyed ? "true" : "false", 100 + sim_below(2000), session_ms, session_ms / 5,
        sim_below(2) ? ",\"partition.assignment.strategy\":\"cooperative-sticky\"" : "", search,
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
    history.log = changelog_open(3 + sim_below(KEYS_MAX - 3), 1 + sim_below(PARTS_MAX));
    history.log->keyed = keyed;
    history.log->bytes_most = sim_below(3) == 0 ? 1 + sim_below(ROW_BYTES_MOST) : 0;
    world.share_bytes = (size_t)8 << 20; /* the least that a node takes */
    broker_topic(world.broker, CHANGELOG_TOPIC, history.log->n_parts);
    const char *hydrate =
        stores == 3 ? (sim_below(2) ? "search" : "detail") : (stores == 1 ? "search" : "detail");
    write_config(0, hydrate, keyed);
    for (unsigned i = 1; i < world.n_nodes; i++) /* one config, another name */
        memcpy(history.configs[i], history.configs[0], sizeof(history.configs[0]));
    history.faults_until_us = sim_between(3000000, 40000000);
}

/* ---- what happens ---- */

static void grow(struct sim_event *event)
{
    if (sim_now_us() >= history.faults_until_us)
        return;
    for (unsigned i = sim_below(4); i > 0; i--)
        changelog_append(history.log);
    sim_at(event, sim_between(1000, 80000));
}

static void die(unsigned number)
{
    history.back_us[number] = sim_now_us() + sim_between(1000, REVIVE_US);
}

static void hurt_node(unsigned number)
{
    const struct dials *dials = sim_dials();
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
    hurt_servers();
    for (unsigned i = 0; i < world.n_nodes && !history.again; i++)
        hurt_node(i);
    sim_at(event, TICK_US);
}

/* ---- a history ---- */

static bool calm_and_drained(void)
{
    return sim_calm() && sim_now_us() >= history.faults_until_us && check_drained("weir");
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

/* One node reads the whole log once more, as a group of its own. */
static void play_again(void)
{
    const char *config = history.configs[0], *group = strstr(config, "\"weir\"");
    (void)snprintf(history.config_again, sizeof(history.config_again), "%.*s\"again\"%s",
                   (int)(group - config), config, group + strlen("\"weir\""));
    sim_trace("---- the whole log again ----");
    for (unsigned i = 0; i < world.n_nodes; i++)
        if (node_lives(i))
            node_kill(i);
    history.again = true;
    check_again();
    node_begin(0, history.config_again);
    run_until(drained_again, "again");
    check_documents();
}

static void play(uint64_t seed, bool trace)
{
    log_setup(LOG_TEXT, trace ? LOG_INFO : LOG_ALERT + 1);
    sim_open(seed, trace);
    open_world();
    sim_trace("seed %llu: %u nodes, %u shards, %u keys, %u partitions, %s%s%s",
              (unsigned long long)seed, world.n_nodes, world.n_shards, history.log->n_keys,
              history.log->n_parts, history.log->keyed ? "keyed" : "not keyed",
              world.search != NULL ? ", search" : "", world.table != NULL ? ", table" : "");
    check_open(history.log, node_task(history.configs[0]));
    for (unsigned i = 0; i < world.n_nodes; i++)
        node_begin(i, history.configs[i]);
    history.growth.run = grow;
    history.tick.run = tick;
    sim_at(&history.growth, 0);
    sim_at(&history.tick, TICK_US);
    run_until(calm_and_drained, "weir");
    check_documents();
    play_again();
    sim_trace("all is right");
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
            fprintf(stderr, "seed %llu: signal %d\n", (unsigned long long)seed, WTERMSIG(status));
        failed++;
    }
    printf("%llu passed, %u failed\n", (unsigned long long)(to - from + 1 - failed), failed);
    return failed > 0;
}

int main(int argc, char **argv)
{
    char *end = NULL;
    uint64_t from = argc > 1 ? strtoull(argv[1], &end, 10) : 0;
    if (argc < 2 || end == argv[1]) {
        fprintf(stderr, "usage: weir-sim SEED [--trace] | weir-sim FROM-TO\n");
        return 64;
    }
    if (*end == '-')
        return play_range(from, strtoull(end + 1, NULL, 10));
    play(from, argc > 2 && strcmp(argv[2], "--trace") == 0);
    return 0;
}
