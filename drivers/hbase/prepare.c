/*
 * prepare.c: see prepare.h.
 *
 *     descriptor ── no table ── create: { regions: N } ─► CreateTable ─► its procedure ended
 *         │                     without it             ─► an error that says what to do
 *         └─ a table ─► enabled? ─► its family keeps all cells for ever? ─► good
 *
 * Two kinds of trouble are told apart. What would break a guarantee for sure is refused: no family,
 * a TTL (a row that did not change for so long would lose its cells, and its tombstones first), a
 * table that cannot be written. What endangers one in some event is told and allowed.
 *
 * Creation survives this node and is shared with others: the procedure's number is kept, so that a
 * run that could not wait for its end goes on with it; and who finds that another node was faster
 * takes that table, as one that was not created by us (R3's shortcut must not be taken for it).
 *
 * What this does not do: look at single regions. Who writes will find them open or wait.
 */
#include "drivers/hbase/prepare.h"

#include "dataplane/base/log.h"
#include "dataplane/base/memory.h"
#include "drivers/hbase/admin.h"
#include "drivers/hbase/master.h"

#include <stdio.h>

#define POLL_US      UINT64_C(100000)
#define PATIENCE_US  UINT64_C(3000000) /* then control gets its turn, and comes again */
#define REGIONS_MAX  4096u
#define FAMILY_BYTES 127u

static const char where[] = "hbase";

struct hbase_prepare {
    const struct hbase_options *options;
    struct master master;
    struct admin_name name;
    struct slice family;
    bool creating; /* `procedure` is what was not seen to its end */
    uint64_t procedure;
    bool told; /* warnings are logged once */
};

/* ---- questions ---- */

/* A refusal as an error. Always -1. */
static int refused(const struct hbase_prepare *prepare, const char *doing, struct err *err)
{
    const struct master *master = &prepare->master;
    return err_set(err, master->for_good ? EXIT_CONFIG : EXIT_UNAVAILABLE,
                   "hbase: %s %.250s: %s: %.250s", doing, prepare->options->table,
                   master->exception, master->reason);
}

static int unreadable(const char *method, struct err *err)
{
    return err_set(err, EXIT_UNAVAILABLE, "hbase: the master's answer to %s cannot be read",
                   method);
}

/* Asks with what master.param holds. 0, or -1 with *err. */
static int ask(struct hbase_prepare *prepare, const char *method, struct err *err)
{
    enum master_result result = master_call(&prepare->master, method, err);
    if (result == MASTER_ANSWERED && prepare->master.answer.overflow)
        return unreadable(method, err);
    if (result == MASTER_REFUSED)
        return refused(prepare, "cannot look at the table", err);
    return result == MASTER_ANSWERED ? 0 : -1;
}

/* 1: *table is the table's descriptor, until the next question. 0: there is none. -1 with *err. */
static int describe(struct hbase_prepare *prepare, struct admin_table *table, struct err *err)
{
    admin_put_descriptors(&prepare->master.param, &prepare->name);
    if (ask(prepare, "GetTableDescriptors", err) != 0)
        return -1;
    int found = admin_read_descriptors(buf_slice(&prepare->master.answer), prepare->family, table);
    return found < 0 ? unreadable("GetTableDescriptors", err) : found;
}

static int ask_state(struct hbase_prepare *prepare, enum admin_state *state, struct err *err)
{
    admin_put_state(&prepare->master.param, &prepare->name);
    if (ask(prepare, "GetTableState", err) != 0)
        return -1;
    if (admin_read_state(buf_slice(&prepare->master.answer), state) != 0)
        return unreadable("GetTableState", err);
    return 0;
}

/* The same, and while it is being enabled (somebody creates it just now) waits for that. */
static int await_state(struct hbase_prepare *prepare, enum admin_state *state, struct err *err)
{
    uint64_t until_us = env_mono_us(prepare->master.env) + PATIENCE_US;
    for (;;) {
        if (ask_state(prepare, state, err) != 0)
            return -1;
        if (*state != ADMIN_ENABLING)
            return 0;
        if (env_mono_us(prepare->master.env) >= until_us)
            return err_set(err, EXIT_UNAVAILABLE, "hbase: the table %.250s is still being enabled",
                           prepare->options->table);
        master_pause(&prepare->master, POLL_US);
    }
}

/* ---- creation ---- */

/* 1: the procedure is under way. 0: somebody else was faster. -1 with *err. */
static int start_creation(struct hbase_prepare *prepare, struct err *err)
{
    struct master *master = &prepare->master;
    admin_put_create(&master->param, &prepare->name, prepare->family,
                     prepare->options->create_regions);
    enum master_result result = master_call(master, "CreateTable", err);
    if (result == MASTER_REFUSED && strcmp(master->exception, "TableExistsException") == 0)
        return 0;
    if (result == MASTER_REFUSED)
        return refused(prepare, "cannot create the table", err);
    if (result != MASTER_ANSWERED)
        return -1;
    if (admin_read_create(buf_slice(&master->answer), &prepare->procedure) != 0)
        return unreadable("CreateTable", err);
    prepare->creating = true;
    return 1;
}

static bool ends_with(struct slice text, const char *end)
{
    size_t len = strlen(end);
    return text.len >= len && memcmp(text.data + text.len - len, end, len) == 0;
}

/* A procedure's exception comes without the flag that a call's has. */
static bool is_for_good(struct slice exception)
{
    static const char *const names[] = { "NamespaceNotFoundException", "AccessDeniedException",
                                         "DoNotRetryIOException", "IllegalArgumentException",
                                         "QuotaExceededException" };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (ends_with(exception, names[i]))
            return true;
    return false;
}

/* What an ended creation has come to. 1: created. 0: not by us. -1 with *err. */
static int creation_ended(struct hbase_prepare *prepare, struct slice exception,
                          struct slice reason, struct err *err)
{
    prepare->creating = false;
    if (exception.len == 0) {
        log_line(LOG_NOTICE, where, "created the table %s with the family %s and %u regions",
                 prepare->options->table, prepare->options->family,
                 prepare->options->create_regions);
        return 1;
    }
    if (ends_with(exception, "TableExistsException"))
        return 0;
    return err_set(err, is_for_good(exception) ? EXIT_CONFIG : EXIT_UNAVAILABLE,
                   "hbase: cannot create the table %.150s: %.*s: %.*s", prepare->options->table,
                   (int)(exception.len < 120 ? exception.len : 120), exception.data,
                   (int)(reason.len < 250 ? reason.len : 250), reason.len > 0 ? reason.data : "");
}

/* Waits for the procedure's end: all regions are open then. */
static int await_creation(struct hbase_prepare *prepare, struct err *err)
{
    uint64_t until_us = env_mono_us(prepare->master.env) + PATIENCE_US;
    for (;;) {
        enum admin_procedure at;
        struct slice exception, reason;
        admin_put_procedure(&prepare->master.param, prepare->procedure);
        if (ask(prepare, "getProcedureResult", err) != 0)
            return -1;
        if (admin_read_procedure(buf_slice(&prepare->master.answer), &at, &exception, &reason) != 0)
            return unreadable("getProcedureResult", err);
        if (at == ADMIN_PROCEDURE_ENDED)
            return creation_ended(prepare, exception, reason, err);
        if (at == ADMIN_PROCEDURE_UNKNOWN) { /* Ended long ago, or the master is another. */
            prepare->creating = false;
            return 0;
        }
        if (env_mono_us(prepare->master.env) >= until_us)
            return err_set(err, EXIT_UNAVAILABLE, "hbase: the table %.250s is still being created",
                           prepare->options->table);
        master_pause(&prepare->master, POLL_US);
    }
}

static int create(struct hbase_prepare *prepare, struct err *err)
{
    int started = prepare->creating ? 1 : start_creation(prepare, err);
    return started == 1 ? await_creation(prepare, err) : started;
}

/* ---- what is found ---- */

static const char missing_advice[] =
    "create it with that family, or let weir do it: `create: { regions: N }`";

static bool is_true(struct slice value)
{
    return value.len == 4 && strncasecmp(value.data, "true", 4) == 0;
}

/* Empty, or all that HBase writes for "for ever". */
static bool is_forever(struct slice ttl)
{
    return ttl.len == 0 || slice_equal(ttl, SLICE("FOREVER")) ||
           slice_equal(ttl, SLICE("2147483647"));
}

static int shown(struct slice value)
{
    return (int)(value.len < 60 ? value.len : 60);
}

static void find_in_state(enum admin_state state, const char *table, struct findings *findings)
{
    switch (state) {
    case ADMIN_ENABLED:
    case ADMIN_ENABLING:
        return;
    case ADMIN_DISABLED:
    case ADMIN_DISABLING:
        finding_tell(findings, FINDING_ERROR, GUARANTEE_NONE, "enable it in HBase's shell",
                     "the table %s is disabled", table);
        return;
    }
}

static void find_in_family(const struct admin_table *table, const struct hbase_options *options,
                           struct findings *findings)
{
    const char *name = options->table, *family = options->family;
    if (!is_forever(table->ttl))
        finding_tell(findings, FINDING_ERROR, GUARANTEE_RIGHT | GUARANTEE_FORWARD | GUARANTEE_LOST,
                     "set it to FOREVER: rows that do not change would lose their values, and "
                     "deleted ones could come back",
                     "the family %s of the table %s has a TTL of %.*s s", family, name,
                     shown(table->ttl), table->ttl.data);
    if (is_true(table->new_version_behavior))
        finding_tell(findings, FINDING_WARN, GUARANTEE_RIGHT | GUARANTEE_FORWARD,
                     "set it to false: a value that is sent late could show after its deletion",
                     "the family %s of the table %s has NEW_VERSION_BEHAVIOR", family, name);
    if (is_true(table->keep_deleted))
        finding_tell(findings, FINDING_OK, GUARANTEE_NONE,
                     "set it to FALSE to save space; whoever reads by time range sees deleted "
                     "cells",
                     "the family %s of the table %s has KEEP_DELETED_CELLS", family, name);
    if (table->versions.len > 0 && !slice_equal(table->versions, SLICE("1")))
        finding_tell(findings, FINDING_OK, GUARANTEE_NONE, "one saves space: weir reads the newest",
                     "the family %s of the table %s keeps %.*s versions of each cell", family, name,
                     shown(table->versions), table->versions.data);
}

/* Tells all that matters of a table that is there. */
static void find_in_table(const struct admin_table *table, const struct hbase_options *options,
                          struct findings *findings)
{
    struct slice durability = table->durability;
    if (!table->has_family) {
        finding_tell(findings, FINDING_ERROR, GUARANTEE_NONE,
                     "add it in HBase's shell (alter), or set `family` to one that it has",
                     "the table %s has no family %s", options->table, options->family);
        return;
    }
    if (is_true(table->read_only))
        finding_tell(findings, FINDING_ERROR, GUARANTEE_NONE, "set READONLY to false",
                     "the table %s is read-only", options->table);
    if (slice_equal(durability, SLICE("SKIP_WAL")) || slice_equal(durability, SLICE("ASYNC_WAL")))
        finding_tell(findings, FINDING_WARN, GUARANTEE_LOST,
                     "set it to SYNC_WAL or USE_DEFAULT: what a region server acknowledged is lost "
                     "with it",
                     "the table %s has DURABILITY %.*s", options->table, shown(durability),
                     durability.data);
    find_in_family(table, options, findings);
}

/* Findings at start: warnings are logged, the first error is the error. */
struct starting {
    struct findings findings;
    const struct hbase_prepare *prepare;
    struct err *err;
    bool failed;
};

static void starting_found(struct findings *findings, const struct finding *finding)
{
    struct starting *starting = (struct starting *)(void *)findings;
    const char *advice = finding->advice != NULL ? finding->advice : "";
    if (finding->level == FINDING_WARN && !starting->prepare->told)
        log_line(LOG_WARN, where, "%s: %s", finding->what, advice);
    if (finding->level == FINDING_ERROR && !starting->failed) {
        starting->failed = true;
        (void)err_set(starting->err, EXIT_CONFIG, "hbase: %.350s; %.200s", finding->what, advice);
    }
}

/* ---- from outside ---- */

/* A table that is there: may weir write to it? */
static int check(struct hbase_prepare *prepare, const struct admin_table *table, struct err *err)
{
    struct starting starting = { .findings = { .found = starting_found },
                                 .prepare = prepare,
                                 .err = err };
    enum admin_state state;
    find_in_table(table, prepare->options, &starting.findings);
    prepare->told = true;
    if (starting.failed || await_state(prepare, &state, err) != 0)
        return -1;
    find_in_state(state, prepare->options->table, &starting.findings);
    return starting.failed ? -1 : 0;
}

int hbase_prepare_run(struct hbase_prepare *prepare, struct err *err)
{
    struct admin_table table;
    int created = 0;
    int found = prepare->creating ? 0 : describe(prepare, &table, err);
    if (found < 0)
        return -1;
    if (found == 0) {
        if (prepare->options->create_regions == 0)
            return err_set(err, EXIT_CONFIG, "hbase: there is no table %.250s; %s",
                           prepare->options->table, missing_advice);
        created = create(prepare, err);
        found = created < 0 ? -1 : describe(prepare, &table, err);
        if (found == 0) /* Another node's creation may not be seen yet. */
            return err_set(err, EXIT_UNAVAILABLE, "hbase: the table %.250s is still being created",
                           prepare->options->table);
        if (found < 0)
            return -1;
    }
    return check(prepare, &table, err) != 0 ? -1 : created;
}

int hbase_prepare_inspect(struct hbase_prepare *prepare, struct findings *findings, struct err *err)
{
    const struct hbase_options *options = prepare->options;
    struct admin_table table;
    enum admin_state state;
    int found = describe(prepare, &table, err);
    if (found < 0)
        return -1;
    if (found == 0 && options->create_regions > 0)
        finding_tell(findings, FINDING_OK, GUARANTEE_NONE, NULL,
                     "there is no table %s: weir will create it with %u regions", options->table,
                     options->create_regions);
    else if (found == 0)
        finding_tell(findings, FINDING_ERROR, GUARANTEE_NONE, missing_advice,
                     "there is no table %s", options->table);
    if (found == 0)
        return 0;
    find_in_table(&table, options, findings);
    bool has_family = table.has_family;
    if (ask_state(prepare, &state, err) != 0)
        return -1;
    find_in_state(state, options->table, findings);
    if (has_family && state == ADMIN_ENABLED)
        finding_tell(findings, FINDING_OK, GUARANTEE_NONE, NULL,
                     "the table %s is there and enabled, with the family %s", options->table,
                     options->family);
    return 0;
}

static int check_options(const struct hbase_options *options, struct err *err)
{
    size_t family = strlen(options->family);
    if ((options->n_zookeeper == 0) == (options->n_masters == 0))
        return err_set(err, EXIT_CONFIG, "hbase: either zookeeper or masters must be given");
    if (options->n_zookeeper > HBASE_SERVERS_MAX || options->n_masters > HBASE_SERVERS_MAX)
        return err_set(err, EXIT_CONFIG, "hbase: at most %u servers can be named",
                       HBASE_SERVERS_MAX);
    if (options->table[0] == '\0' || family == 0 || family > FAMILY_BYTES)
        return err_set(err, EXIT_CONFIG,
                       "hbase: a table and a family of 1 to %u bytes must be given", FAMILY_BYTES);
    if (options->create_regions > REGIONS_MAX)
        return err_set(err, EXIT_CONFIG, "hbase: a table can be created with 1 to %u regions",
                       REGIONS_MAX);
    return 0;
}

int hbase_prepare_open(struct hbase_prepare **out, const struct hbase_options *options,
                       struct err *err)
{
    *out = NULL;
    if (check_options(options, err) != 0)
        return -1;
    struct hbase_prepare *prepare = memory_reserve(sizeof(*prepare), "HBase's preparation");
    prepare->options = options;
    prepare->name = admin_name(options->table);
    prepare->family = slice_of(options->family);
    if (master_open(&prepare->master, options, err) != 0) {
        master_close(&prepare->master);
        return -1;
    }
    *out = prepare;
    return 0;
}

void hbase_prepare_close(struct hbase_prepare *prepare)
{
    if (prepare != NULL)
        master_close(&prepare->master);
}
