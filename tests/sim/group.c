/*
 * group.c: see group.h: the coordinator of one group.
 *
 * - Whoever has a join or a sync under way is kept, however long that takes; all others must be
 *   heard of within their session. A dead process with a join under way so gets into one more
 *   generation, and leaves it by its session.
 * - PREPARING ends when every member has joined; or at the greatest rebalance timeout of its
 *   members, and whoever has not joined by then is expelled (a static member is not). An empty
 *   group waits for group.initial.rebalance.delay.ms, which here no later member prolongs.
 * - The leader deals, so the leader's silence holds all others until its session is over.
 * - A commit is taken from members of the present generation while the group is PREPARING or
 *   STABLE; in an empty group from anybody who names no generation.
 * - A static member (group.instance.id) that comes again takes its namesake's place: in a STABLE
 *   group without a rebalance; the namesake is fenced. So is who names an instance and no member id
 *   in anything but a join, which is what librdkafka sends between a session that ran out and its
 *   next join.
 *
 * What this does not do: forget commits, move to another broker with anything but new sessions.
 */
#include "tests/sim/group.h"

#include "dataplane/clock.h"

#include <inttypes.h>
#include <stdlib.h>

enum group_state { GROUP_EMPTY, GROUP_PREPARING, GROUP_COMPLETING, GROUP_STABLE };

struct group_member {
    struct sim_event session; /* its end */
    struct group *group;
    struct group_client *client; /* NULL: gone without a word */
    uint64_t id, topics, owned, logs, session_us, rebalance_us;
    char *instance;
    unsigned node;
    bool cooperative, joining, syncing;
};

struct stored {
    bool any;
    int64_t offset;
    uint64_t clock;
};

struct group {
    struct group *next;
    struct broker *broker;
    char *name;
    enum group_state state;
    int generation;
    bool initial;              /* PREPARING, the first members of an empty group */
    struct sim_event deadline; /* of PREPARING */
    uint64_t leader, topics;
    bool cooperative;
    struct group_member *members[GROUP_MEMBERS_MAX]; /* by id */
    unsigned n;
    struct stored stored[BROKER_LOGS_MAX];
    struct consumer *ghost;
};

const char *group_code_text(enum group_code code)
{
    static const char *const texts[] = {
        [GROUP_OK] = "taken",
        [GROUP_REBALANCING] = "the group is rebalancing",
        [GROUP_ILLEGAL_GENERATION] = "illegal generation",
        [GROUP_UNKNOWN_MEMBER] = "unknown member",
        [GROUP_FENCED] = "fenced instance",
        [GROUP_NO_ANSWER] = "no answer",
    };
    return texts[code];
}

/* ---- members ---- */

static void prepare(struct group *group);
static void complete_if_all_joined(struct group *group);

static bool is_static(const struct group_member *member)
{
    return member->instance[0] != '\0';
}

static struct group_member *by_id(const struct group *group, uint64_t id)
{
    for (unsigned i = 0; id != 0 && i < group->n; i++)
        if (group->members[i]->id == id)
            return group->members[i];
    return NULL;
}

static struct group_member *by_instance(const struct group *group, const char *instance)
{
    for (unsigned i = 0; instance[0] != '\0' && i < group->n; i++)
        if (strcmp(group->members[i]->instance, instance) == 0)
            return group->members[i];
    return NULL;
}

static enum group_code recognise(const struct group *group, const struct group_self *self,
                                 struct group_member **member)
{
    *member = by_id(group, self->id);
    if (*member != NULL)
        return GROUP_OK;
    return by_instance(group, self->instance) != NULL ? GROUP_FENCED : GROUP_UNKNOWN_MEMBER;
}

static void joined(struct group_member *member, enum group_code code)
{
    member->joining = false;
    if (member->client != NULL)
        member->client->joined(member->client, code, member->group->generation);
}

static void synced(struct group_member *member, enum group_code code)
{
    member->syncing = false;
    if (member->client != NULL)
        member->client->synced(member->client, code, code == GROUP_OK ? member->logs : 0);
}

static void hear(struct group_member *member)
{
    sim_cancel(&member->session);
    sim_at(&member->session, member->session_us);
}

/* Keeps members[] in the order of their ids. */
static void place(struct group *group, struct group_member *member)
{
    unsigned i = group->n++;
    for (; i > 0 && group->members[i - 1]->id > member->id; i--)
        group->members[i] = group->members[i - 1];
    group->members[i] = member;
}

static void take_out(struct group *group, const struct group_member *member)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < group->n; i++)
        if (group->members[i] != member)
            group->members[kept++] = group->members[i];
    group->n = kept;
}

/* It is no member any more, and the others share what it had. */
static void expel(struct group *group, struct group_member *member, const char *why)
{
    sim_trace("kafka: %s: member %016" PRIx64 " of node %u %s", group->name, member->id,
              member->node, why);
    take_out(group, member);
    sim_cancel(&member->session);
    free(member->instance);
    free(member);
    if (group->state == GROUP_PREPARING)
        complete_if_all_joined(group);
    else
        prepare(group);
}

static void session_over(struct sim_event *event)
{
    struct group_member *member = (struct group_member *)event;
    if (member->joining || member->syncing || member->group->broker->away)
        sim_at(event, member->session_us);
    else
        expel(member->group, member, "was not heard of: expelled");
}

/* ---- generations ---- */

static void deal(struct group *group)
{
    struct deal_member deals[GROUP_MEMBERS_MAX];
    bool cooperative = group->n > 0;
    for (unsigned i = 0; i < group->n; i++) {
        const struct group_member *member = group->members[i];
        deals[i] = (struct deal_member){ .topics = member->topics, .owned = member->owned };
        cooperative = cooperative && member->cooperative;
    }
    if (cooperative)
        deal_sticky(group->broker, deals, group->n);
    else
        deal_range(group->broker, deals, group->n);
    uint64_t dealt = 0;
    for (unsigned i = 0; i < group->n; i++) {
        ASSERT((dealt & deals[i].logs) == 0);
        dealt |= deals[i].logs;
        group->members[i]->logs = deals[i].logs;
        sim_trace("kafka: %s: generation %d: member %016" PRIx64 " of node %u gets %" PRIx64,
                  group->name, group->generation, group->members[i]->id, group->members[i]->node,
                  deals[i].logs);
    }
}

static void be_stable(struct group *group)
{
    group->state = GROUP_STABLE;
    deal(group);
    for (unsigned i = 0; i < group->n; i++)
        if (group->members[i]->syncing)
            synced(group->members[i], GROUP_OK);
}

/* All who are here make the next generation. */
static void complete(struct group *group)
{
    sim_cancel(&group->deadline);
    group->initial = false;
    group->generation++;
    group->state = group->n > 0 ? GROUP_COMPLETING : GROUP_EMPTY;
    if (group->n > 0 && by_id(group, group->leader) == NULL)
        group->leader = group->members[sim_below(group->n)]->id;
    for (unsigned i = 0; i < group->n; i++) {
        hear(group->members[i]);
        if (group->members[i]->joining)
            joined(group->members[i], GROUP_OK);
    }
}

static void complete_if_all_joined(struct group *group)
{
    bool all = !group->initial || group->n == 0;
    for (unsigned i = 0; i < group->n; i++)
        all = all && group->members[i]->joining;
    if (all)
        complete(group);
}

static uint64_t rebalance_us(const struct group *group)
{
    uint64_t most = 0;
    for (unsigned i = 0; i < group->n; i++)
        if (group->members[i]->rebalance_us > most)
            most = group->members[i]->rebalance_us;
    return most;
}

static struct group_member *late_one(const struct group *group)
{
    for (unsigned i = 0; i < group->n; i++)
        if (!group->members[i]->joining && !is_static(group->members[i]))
            return group->members[i];
    return NULL;
}

/* Time is up: for the first members of an empty group to come, or for all to join. */
static void deadline_over(struct sim_event *event)
{
    struct group *group = (struct group *)((char *)event - offsetof(struct group, deadline));
    struct group_member *late;
    if (group->initial || group->broker->away) {
        group->initial = false;
        sim_at(event, rebalance_us(group));
        complete_if_all_joined(group);
        return;
    }
    while (group->state == GROUP_PREPARING && (late = late_one(group)) != NULL)
        expel(group, late, "did not join in time: expelled");
    if (group->state == GROUP_PREPARING)
        complete(group);
}

static void prepare(struct group *group)
{
    enum group_state before = group->state;
    group->state = GROUP_PREPARING;
    group->initial = before == GROUP_EMPTY;
    for (unsigned i = 0; i < group->n; i++)
        if (group->members[i]->syncing)
            synced(group->members[i], GROUP_REBALANCING);
    sim_cancel(&group->deadline);
    sim_at(&group->deadline,
           group->initial ? group->broker->initial_rebalance_us : rebalance_us(group));
    complete_if_all_joined(group);
}

/* ---- what members ask ---- */

static uint64_t new_id(const struct group *group)
{
    uint64_t id = sim_random();
    while (id == 0 || by_id(group, id) != NULL)
        id = sim_random();
    return id;
}

static struct group_member *enter(struct group *group, const struct group_join *join)
{
    struct group_member *member = calloc(1, sizeof(*member));
    ASSERT(member != NULL && group->n < GROUP_MEMBERS_MAX);
    member->session.run = session_over;
    member->group = group;
    member->id = new_id(group);
    member->instance = strdup(join->self.instance);
    ASSERT(member->instance != NULL);
    place(group, member);
    return member;
}

/* A process with the same group.instance.id came: the member is its own from now on. */
static struct group_member *take_place(struct group *group, struct group_member *member)
{
    if (member->joining)
        joined(member, GROUP_FENCED);
    if (member->syncing)
        synced(member, GROUP_FENCED);
    bool led = group->leader == member->id;
    take_out(group, member);
    member->id = new_id(group);
    place(group, member);
    group->leader = led ? member->id : group->leader;
    return member;
}

static void note_join(struct group_member *member, const struct group_join *join)
{
    member->client = join->client;
    member->topics = join->topics;
    member->owned = join->owned;
    member->node = join->self.node;
    member->cooperative = join->cooperative;
    member->session_us = join->session_us;
    member->rebalance_us = join->rebalance_us;
    member->joining = true;
    member->group->topics |= join->topics;
    member->group->cooperative = join->cooperative;
    hear(member);
}

uint64_t group_join(struct group *group, const struct group_join *join)
{
    struct group_member *member = NULL;
    bool replaces = false;
    enum group_code code = recognise(group, &join->self, &member);
    if (join->self.id != 0 && code != GROUP_OK) {
        join->client->joined(join->client, code, -1);
        return 0;
    }
    if (member == NULL && (member = by_instance(group, join->self.instance)) != NULL) {
        member = take_place(group, member);
        replaces = true;
    }
    if (member == NULL)
        member = enter(group, join);
    note_join(member, join);
    uint64_t id = member->id;
    sim_trace("kafka: %s: member %016" PRIx64 " of node %u joins", group->name, member->id,
              member->node);
    if (group->state == GROUP_PREPARING)
        complete_if_all_joined(group);
    else if (replaces && group->state == GROUP_STABLE)
        joined(member, GROUP_OK);
    else
        prepare(group);
    return id;
}

static enum group_code check_generation(const struct group *group, const struct group_self *self,
                                        struct group_member **member)
{
    enum group_code code = recognise(group, self, member);
    if (code == GROUP_OK && self->generation != group->generation)
        return GROUP_ILLEGAL_GENERATION;
    return code;
}

void group_sync(struct group *group, const struct group_self *self, struct group_client *client)
{
    struct group_member *member;
    enum group_code code = check_generation(group, self, &member);
    if (code == GROUP_OK && group->state == GROUP_PREPARING)
        code = GROUP_REBALANCING;
    if (code != GROUP_OK) {
        client->synced(client, code, 0);
        return;
    }
    hear(member);
    member->syncing = true;
    if (group->state == GROUP_STABLE)
        synced(member, GROUP_OK);
    else if (member->id == group->leader)
        be_stable(group);
}

enum group_code group_heartbeat(struct group *group, const struct group_self *self)
{
    struct group_member *member;
    enum group_code code = check_generation(group, self, &member);
    if (code != GROUP_OK)
        return code;
    hear(member);
    return group->state == GROUP_PREPARING ? GROUP_REBALANCING : GROUP_OK;
}

void group_leave(struct group *group, const struct group_self *self)
{
    struct group_member *member;
    if (recognise(group, self, &member) == GROUP_OK)
        expel(group, member, "leaves");
}

/* ---- commits ---- */

static enum group_code may_commit(struct group *group, const struct group_self *self)
{
    struct group_member *member;
    if (self->generation < 0 && group->state == GROUP_EMPTY)
        return GROUP_OK;
    enum group_code code = check_generation(group, self, &member);
    if (code != GROUP_OK)
        return code;
    if (group->state == GROUP_COMPLETING)
        return GROUP_REBALANCING;
    hear(member);
    return GROUP_OK;
}

static void store(struct group *group, unsigned node, const struct group_commit *commit)
{
    const struct broker *broker = group->broker;
    const struct broker_log *log = &broker->logs[commit->log];
    const struct broker_commit told = { .group = group->name,
                                        .topic = log->topic,
                                        .partition = (unsigned)log->number,
                                        .node = node,
                                        .offset = commit->offset,
                                        .clock = commit->clock };
    sim_trace("kafka: %s: node %u commits %s [%d] at %" PRId64 ", clock %" PRIu64, group->name,
              node, log->topic, (int)log->number, commit->offset, commit->clock);
    group->stored[commit->log] = (struct stored){ true, commit->offset, commit->clock };
    if (broker->stored != NULL)
        broker->stored(broker->context, &told);
}

enum group_code group_commit(struct group *group, const struct group_self *self,
                             const struct group_commit *commits, unsigned n)
{
    enum group_code code = may_commit(group, self);
    if (code != GROUP_OK)
        sim_trace("kafka: %s: a commit of node %u is refused: %s", group->name, self->node,
                  group_code_text(code));
    for (unsigned i = 0; code == GROUP_OK && i < n; i++)
        store(group, self->node, &commits[i]);
    return code;
}

/* ---- groups ---- */

struct group *group_find(const struct broker *broker, const char *name)
{
    struct group *group = broker->groups;
    while (group != NULL && strcmp(group->name, name) != 0)
        group = group->next;
    return group;
}

struct group *group_open(struct broker *broker, const char *name)
{
    struct group *group = group_find(broker, name);
    if (group != NULL)
        return group;
    group = calloc(1, sizeof(*group));
    ASSERT(group != NULL);
    group->name = strdup(name);
    ASSERT(group->name != NULL);
    group->broker = broker;
    group->deadline.run = deadline_over;
    group->next = broker->groups;
    broker->groups = group;
    return group;
}

struct group *group_next(const struct group *group)
{
    return group->next;
}

struct broker *group_broker(const struct group *group)
{
    return group->broker;
}

const char *group_name(const struct group *group)
{
    return group->name;
}

uint64_t group_topics(const struct group *group)
{
    return group->topics;
}

bool group_cooperative(const struct group *group)
{
    return group->cooperative;
}

void group_forget(struct group *group, const struct group_client *client)
{
    for (unsigned i = 0; i < group->n; i++)
        if (group->members[i]->client == client)
            group->members[i]->client = NULL;
}

void group_renew(struct group *group)
{
    for (unsigned i = 0; i < group->n; i++)
        hear(group->members[i]);
}

bool group_committed(const struct group *group, unsigned log, int64_t *offset, uint64_t *clock)
{
    const struct stored *stored = &group->stored[log];
    *offset = stored->offset;
    *clock = stored->clock;
    return stored->any;
}

int group_owner(const struct group *group, unsigned log)
{
    for (unsigned i = 0; group->state == GROUP_STABLE && i < group->n; i++)
        if ((group->members[i]->logs >> log & 1) != 0 && group->members[i]->node < GROUP_NODE_NONE)
            return (int)group->members[i]->node;
    return -1;
}

struct consumer **group_ghost(struct group *group)
{
    return &group->ghost;
}
