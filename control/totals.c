/* totals.c: what a task counted, summed over its shards. */
#include "control/node.h"

void task_totals(const struct task *task, struct task_totals *totals)
{
    *totals = (struct task_totals){ 0 };
    for (unsigned s = 0; s < task->node->n_shards; s++) {
        const struct pipeline *pipeline = task->pipelines[s];
        struct store_facts facts = store_facts(pipeline->store);
#define COUNTER(field, metric, labels, help) \
    totals->counters.field += counter_read(&pipeline->counters.field);
#include "dataplane/counters.def"
#undef COUNTER
        for (unsigned sink = 0; sink < task->config->n_sinks; sink++) {
            const uint64_t *from = (const uint64_t *)&pipeline->outlets[sink].counters;
            uint64_t *to = (uint64_t *)&totals->outlets[sink];
            for (unsigned i = 0; i < sizeof(struct outlet_counters) / sizeof(uint64_t); i++)
                to[i] += counter_read(&from[i]);
        }
        totals->entities += facts.entities;
        totals->store_used_bytes += facts.used_bytes;
        totals->store_bound_bytes += facts.bound_bytes;
        totals->pending += counter_read(&pipeline->n_pending);
    }
    const struct counters *c = &totals->counters;
    totals->events = c->events_rows + c->events_ddl + c->events_truncate + c->events_tombstone +
                     c->events_other + c->events_rejected;
}
