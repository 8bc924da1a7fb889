/*
 * Which tombstones a document keeps (R6), and what becomes of a version when states meet that were
 * purged at different times.
 *
 *     seqnos   ──┬────────────────────┬───────────────────────────────┬──►
 *              d:item 4            horizon         d:item 9        newest row
 *              purged              = newest - retention, d:item 9 is kept
 *
 * A tombstone that is purged is a *ghost*: its row is gone, its term stays in the residual, so the
 * version is the same before and after. The row with the greatest seqno is never behind the
 * horizon, so purging moves no horizon, and purging twice is purging once. The root's tombstone is
 * never purged.
 *
 * Joining M (memory) and S (read back). A tombstone that S lists and M does not, and that is behind
 * M's horizon, may be a ghost of M: its term is in M's residual, and would be counted again with
 * S's row. Call those Y, and X the same the other way round. As the join lists them as rows again,
 *
 *     residual(J) = max( residual(M) - terms of Y, residual(S) - terms of X )      (none below 0)
 *     version(J)  = residual(J) + terms of all rows of J
 *
 * Nothing is purged by joining: a tombstone behind the horizon is what hides the other side's older
 * row. Why this is right is in docs/ORDERING.md, "Residual"; in short:
 *   - version(J) >= both, and greater than that of whoever lacks a row of J: each row that S has is
 *     in J with a term at least as great; of residual(S) only terms of X go, which are rows of
 *     J and not of S. The same for M.
 *   - Where one contains the other, version(J) is exactly the greater: no ghost counts twice.
 *   - Where M holds only what came from the log since (the usual read-back), nothing of it is a
 *     ghost, residual(M) is 0, and J is S with M's changes: exactly as if they had come later.
 *   - J joined with S or M again is J.
 *
 * A row alive that only M has comes from the log, so it is right even where it is behind S's
 * horizon (partitions that are read at different places): an entity whose state may be old is
 * forgotten before its read-back begins (apply.c). But a sink may keep a second, older state (the
 * side index, of the time when the document was deleted last). What that holds behind the newer
 * one's horizon, the newer has too, or has purged: it must not come back. document_states_order()
 * sees to it; and document_state_after() where memory is complete itself and the sink behind it.
 *
 * What this does not do: drop rows. store_fold() does, once every sink has acknowledged the
 * version.
 */
#include "dataplane/base/check.h"
#include "dataplane/document.h"

/* ---- one state ---- */

static uint64_t horizon_of(const struct plan *plan, uint64_t newest)
{
    uint64_t retention = plan->tombstone_retention_us;

    return retention != 0 && newest > retention ? newest - retention : 0;
}

static uint64_t newest_row(const struct document *document)
{
    uint64_t newest = 0;

    for (unsigned i = 0; i < document->n_rows; i++) {
        uint64_t seqno = row_seqno_max(document->rows[i]);

        newest = seqno > newest ? seqno : newest;
    }
    return newest;
}

uint64_t document_horizon(const struct plan *plan, const struct document *document)
{
    return plan->tombstone_retention_us == 0 ? 0 : horizon_of(plan, newest_row(document));
}

static bool is_ghost(const struct plan *plan, const struct row *row, uint64_t horizon)
{
    return horizon != 0 && row->table != plan->root && !row_alive(row) &&
           row_seqno_max(row) < horizon;
}

bool document_purges(const struct plan *plan, const struct document *document,
                     const struct row *row)
{
    return is_ghost(plan, row, document->purge_before);
}

uint64_t document_residual(const struct plan *plan, const struct document *document)
{
    uint64_t residual = document->residual;

    for (unsigned i = 0; i < document->n_rows && document->purge_before != 0; i++)
        if (document_purges(plan, document, document->rows[i]))
            residual +=
                row_term(document->rows[i], plan->images); /* a part of the version: no wrap */
    return residual;
}

/* ---- two states ---- */

/* What a row would be that the change alone makes. */
static uint64_t change_seqno_max(const struct change *change)
{
    uint64_t greatest = change->tombstone > change->seqno ? change->tombstone : change->seqno;

    for (uint32_t i = 0; i < change->n_fields; i++)
        if (change->fields[i].seqno > greatest)
            greatest = change->fields[i].seqno;
    return greatest;
}

static bool change_alive(const struct change *change)
{
    if (change->op == CHANGE_DELETE)
        return false;
    for (uint32_t i = 0; i < change->n_fields; i++)
        if (change->fields[i].value.data != NULL)
            return true;
    return change->tombstone == 0;
}

static uint64_t newest_change(const struct document_state *state)
{
    uint64_t newest = 0;

    for (unsigned i = 0; i < state->n_changes; i++) {
        uint64_t seqno = change_seqno_max(&state->changes[i]);

        newest = seqno > newest ? seqno : newest;
    }
    return newest;
}

/* The document's row of the change's name; NULL: it has none. */
static const struct row *find_row(const struct document *document, const struct change *change)
{
    uint32_t place;

    if (!rows_search(document->rows, document->n_rows, change->table, change->row_id, &place))
        return NULL;
    return document->rows[place];
}

/* Sums stay below 2^64: terms are cut at 2^63, and what passes that is cut again. */
static void add_term(uint64_t *sum, uint64_t term)
{
    *sum = term > UINT64_MAX - *sum ? UINT64_MAX : *sum + term;
}

static uint64_t less(uint64_t residual, uint64_t terms)
{
    return terms < residual ? residual - terms : 0;
}

bool document_join_skips(const struct plan *plan, const struct document_state *state,
                         const struct change *change)
{
    return change->table != plan->root && change_seqno_max(change) < state->purged_before;
}

static uint64_t state_version(const struct plan *plan, const struct document_state *state)
{
    uint64_t version = state->residual;

    for (unsigned i = 0; i < state->n_changes; i++)
        add_term(&version, change_term(&state->changes[i], plan->images));
    return version;
}

void document_states_order(const struct plan *plan, const struct document_state states[2],
                           struct document_state ordered[2])
{
    unsigned newer = state_version(plan, &states[0]) < state_version(plan, &states[1]);

    ordered[0] = states[newer];
    ordered[1] = states[1 - newer];
    if (ordered[0].residual != 0)
        ordered[1].purged_before = horizon_of(plan, newest_change(&ordered[0]));
}

void document_state_after(const struct plan *plan, const struct document *document,
                          struct document_state *state)
{
    uint64_t horizon = document->residual != 0 ? document_horizon(plan, document) : 0;

    if (horizon > state->purged_before && state_version(plan, state) < document->version)
        state->purged_before = horizon;
}

/* What stands on one side of a join and may be gone from the other. */
struct alone {
    uint64_t ghosts; /* terms of its tombstones that the other side may have purged */
    unsigned late;   /* its rows alive that are behind the other side's horizon */
};

/* The state's rows that the document lacks, beside `horizon`, the document's. */
static struct alone state_alone(const struct plan *plan, const struct document *document,
                                const struct document_state *state, uint64_t horizon,
                                unsigned *n_new)
{
    struct alone alone = { 0 };

    *n_new = 0;
    for (unsigned i = 0; i < state->n_changes; i++) {
        const struct change *change = &state->changes[i];
        if (find_row(document, change) != NULL || document_join_skips(plan, state, change))
            continue;
        (*n_new)++;
        if (horizon == 0 || change->table == plan->root || change_seqno_max(change) >= horizon)
            continue;
        if (change_alive(change))
            alone.late++;
        else
            add_term(&alone.ghosts, change_term(change, plan->images));
    }
    return alone;
}

/* Counts a row of the document, or takes it `out` again. */
static void count_row(const struct plan *plan, const struct row *row, uint64_t horizon, bool out,
                      struct alone *alone)
{
    if (horizon == 0 || row->table == plan->root || row_seqno_max(row) >= horizon)
        return;
    uint64_t term = row_term(row, plan->images);
    if (row_alive(row))
        alone->late += out ? -1u : 1u;
    else
        alone->ghosts += out ? -term : term; /* within the version: no wrap */
}

/* The document's rows that the state lacks: all of them, less those that it has. */
static struct alone document_alone(const struct plan *plan, const struct document *document,
                                   const struct document_state *state, uint64_t horizon)
{
    struct alone alone = { 0 };

    if (horizon == 0)
        return alone;
    for (unsigned i = 0; i < document->n_rows; i++)
        count_row(plan, document->rows[i], horizon, false, &alone);
    for (unsigned i = 0; i < state->n_changes; i++) {
        const struct row *row = find_row(document, &state->changes[i]);
        if (row != NULL)
            count_row(plan, row, horizon, true, &alone);
    }
    return alone;
}

struct document_join document_join(const struct plan *plan, const struct document *document,
                                   const struct document_state *state)
{
    struct document_join join;
    struct alone theirs =
        state_alone(plan, document, state, document_horizon(plan, document), &join.n_new);
    struct alone ours =
        document_alone(plan, document, state, horizon_of(plan, newest_change(state)));
    uint64_t residual = less(document->residual, theirs.ghosts);

    join.residual = less(state->residual, ours.ghosts);
    if (residual > join.residual)
        join.residual = residual;
    join.n_late =
        (state->residual != 0 ? ours.late : 0) + (document->residual != 0 ? theirs.late : 0);
    return join;
}
