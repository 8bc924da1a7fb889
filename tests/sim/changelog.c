/*
 * changelog.c: see changelog.h.
 *
 * A message is made as canal makes it: one table, one kind, some rows, capture time in
 * milliseconds. By dials it comes twice, late (its time is older than the log's), with the same
 * time as the one before, or is no event at all.
 */
#include "tests/sim/changelog.h"

#include "dataplane/base/check.h"
#include "dataplane/clock.h"
#include "tests/sim/broker.h"
#include "tests/sim/sim.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const tables[ROWS] = { "root", "a", "b", "item", "item" };

#define MESSAGE_BYTES_MOST (MESSAGE_ROWS_MAX * (ROW_BYTES_MOST + 200) + 1000)

struct changelog *changelog_open(unsigned n_keys, unsigned n_parts)
{
    struct changelog *log = calloc(1, sizeof(*log));
    ASSERT(log != NULL && n_keys <= KEYS_MAX && n_parts <= PARTS_MAX);
    log->n_keys = n_keys;
    log->n_parts = n_parts;
    log->ms = SIM_WALL_US / 1000 - 3600000; /* an hour ago: no machine's clock cuts it */
    for (unsigned part = 0; part < n_parts; part++)
        log->parts[part].clock = SEQNO_EPOCH;
    return log;
}

void changelog_key(unsigned key, char text[8])
{
    (void)snprintf(text, 8, "k%u", key);
}

/* ---- the text ---- */

static int put_row(char *to, size_t room, const struct log_row *row)
{
    char id[24] = "";
    if (row->row > 2)
        (void)snprintf(id, sizeof(id), "\"id\":\"%u%u\",", row->key, row->row);
    int n = snprintf(to, room, "{%s\"k\":\"k%u\",\"x\":\"%u\",\"y\":\"%u\"", id, row->key,
                     row->value, row->value + 1);
    if (row->bytes > 0) {
        n += snprintf(to + n, room - (size_t)n, ",\"z\":\"");
        ASSERT((size_t)n + row->bytes + 2 < room);
        memset(to + n, 'z', row->bytes);
        n += (int)row->bytes;
        to[n++] = '"';
    }
    to[n++] = '}';
    return n;
}

static int put_message(char *to, size_t room, const struct log_message *message, const char *type,
                       uint64_t ms)
{
    bool item = message->rows[0].row > 2;
    int n = snprintf(
        to, room,
        "{\"database\":\"t\",\"table\":\"%s\",\"type\":\"%s\",\"isDdl\":false,"
        "\"es\":%llu,\"ts\":%llu,\"pkNames\":[\"%s\"],\"mysqlType\":{%s\"k\":"
        "\"varchar(8)\",\"x\":\"int\",\"y\":\"int\",\"z\":\"text\"},\"old\":null,\"data\":[",
        tables[message->rows[0].row], type, (unsigned long long)ms, (unsigned long long)ms,
        item ? "id" : "k", item ? "\"id\":\"int\"," : "");
    for (unsigned i = 0; i < message->n; i++) {
        if (i > 0)
            to[n++] = ',';
        n += put_row(to + n, room - (size_t)n, &message->rows[i]);
    }
    n += snprintf(to + n, room - (size_t)n, "]}");
    ASSERT((size_t)n < room);
    return n;
}

/* ---- the rows ---- */

static void change_row(struct changelog *log, struct log_row *row, bool deletes)
{
    log->values += 2;
    row->deletes = deletes;
    row->value = log->values;
    row->bytes = log->bytes_most > 0 ? sim_below(log->bytes_most) : 0;
    log->lives[row->key][row->row] = !deletes;
}

/* What the database's statement did. Items of one order may go in one message. */
static const char *make_rows(struct changelog *log, struct log_message *message)
{
    unsigned key = sim_below(log->n_keys), row = sim_below(ROWS);
    bool lives = log->lives[key][row], deletes = lives && sim_below(5) == 0;
    message->n = 1;
    message->rows[0] = (struct log_row){ .key = key, .row = row };
    change_row(log, &message->rows[0], deletes);
    if (row == 3 && log->lives[key][4] == lives && sim_below(2) == 0) {
        message->rows[1] = (struct log_row){ .key = key, .row = 4 };
        change_row(log, &message->rows[1], deletes);
        message->n = 2;
    }
    return deletes ? "DELETE" : lives ? "UPDATE" : "INSERT";
}

static uint64_t capture_ms(struct changelog *log)
{
    const struct dials *dials = sim_dials();
    if (!sim_chance(dials->same_time))
        log->ms += 1 + sim_below(20);
    return sim_chance(dials->late_event) ? log->ms - sim_below(2000) : log->ms;
}

static unsigned part_of(const struct changelog *log, unsigned key)
{
    return log->keyed ? key % log->n_parts : sim_below(log->n_parts);
}

static void put(struct changelog *log, unsigned number, struct log_message message,
                struct slice text, uint64_t ms)
{
    struct log_part *part = &log->parts[number];
    char key[8];
    ASSERT(part->n < LOG_MAX);
    for (unsigned i = 0; i < message.n && !message.is_bad; i++) {
        uint64_t capture_us = ms * 1000;
        part->clock = capture_us > part->clock + 1 ? capture_us : part->clock + 1;
        message.rows[i].seqno = part->clock;
    }
    message.clock_after = part->clock;
    changelog_key(message.rows[0].key, key);
    message.offset = broker_append(world.broker, CHANGELOG_TOPIC, (int32_t)number, slice_of(key),
                                   text, (int64_t)ms);
    part->messages[part->n++] = message;
}

void changelog_append(struct changelog *log)
{
    const struct dials *dials = sim_dials();
    struct log_message message = { 0 };
    static char text[MESSAGE_BYTES_MOST];
    if (sim_chance(dials->bad_bytes)) {
        message.is_bad = true;
        message.rows[0].key = sim_below(log->n_keys);
        put(log, part_of(log, message.rows[0].key), message, SLICE("{\"data\":[{\"k\":"), log->ms);
        return;
    }
    const char *type = make_rows(log, &message);
    uint64_t ms = capture_ms(log);
    int n = put_message(text, sizeof(text), &message, type, ms);
    unsigned part = part_of(log, message.rows[0].key);
    put(log, part, message, (struct slice){ text, (size_t)n }, ms);
    if (sim_chance(dials->doubled))
        put(log, part, message, (struct slice){ text, (size_t)n }, ms);
}

/* ---- what follows ---- */

/* Two partitions may give one number to changes of one row: then a delete wins, or the greater text
 * (dataplane/merge.h). */
static bool is_newer(const struct log_row *row, const struct log_row *than)
{
    char mine[16], theirs[16];
    if (row->seqno != than->seqno)
        return row->seqno > than->seqno;
    if (row->deletes || than->deletes)
        return row->deletes && !than->deletes;
    (void)snprintf(mine, sizeof(mine), "%u", row->value);
    (void)snprintf(theirs, sizeof(theirs), "%u", than->value);
    return strcmp(mine, theirs) > 0;
}

const struct log_row *changelog_newest(const struct changelog *log, unsigned key, unsigned row)
{
    const struct log_row *newest = NULL;
    for (unsigned p = 0; p < log->n_parts; p++)
        for (unsigned m = 0; m < log->parts[p].n; m++) {
            const struct log_message *message = &log->parts[p].messages[m];
            for (unsigned i = 0; i < message->n && !message->is_bad; i++) {
                const struct log_row *at = &message->rows[i];
                if (at->key == key && at->row == row && (newest == NULL || is_newer(at, newest)))
                    newest = at;
            }
        }
    return newest;
}

unsigned changelog_find(const struct log_part *part, int64_t offset)
{
    unsigned low = 0, high = part->n;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (part->messages[middle].offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
