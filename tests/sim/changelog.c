/*
 * changelog.c: see changelog.h.
 *
 * A statement of the database changes rows of one table: an insert, an update, a delete, or a move
 * of an item to the partner's document; it makes one message. By dials a message comes twice, late
 * (its time is older than the log's), with the same time as the one before, is about no row, about
 * too much, or is no event at all.
 */
#include "tests/sim/changelog.h"

#include "dataplane/base/check.h"
#include "dataplane/clock.h"
#include "tests/sim/broker.h"
#include "tests/sim/changelog_text.h"
#include "tests/sim/sim.h"
#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The log begins two days ago: no machine's clock cuts it, and its nights are not in the future. */
#define BEFORE_MS UINT64_C(172800000)

struct changelog *changelog_open(unsigned n_keys, unsigned n_parts)
{
    struct changelog *log = calloc(1, sizeof(*log));
    ASSERT(log != NULL && n_keys <= KEYS_MAX && n_parts <= PARTS_MAX);
    log->n_keys = n_keys;
    log->n_parts = n_parts;
    log->ms = SIM_WALL_US / 1000 - BEFORE_MS;
    for (unsigned part = 0; part < n_parts; part++)
        log->parts[part].clock = SEQNO_EPOCH;
    return log;
}

void changelog_source(const struct changelog *log, char text[300])
{
    (void)snprintf(text, 300, "\"format\":\"%s\",\"images\":\"%s\",\"max_event\":\"%uKiB\"%s",
                   log->debezium ? "debezium-json" : "canal-json",
                   log->partial ? "partial" : "full", EVENT_BYTES_MAX / 1024,
                   log->numbered ? ",\"seqno\":{\"field\":\"n\"}" : "");
}

void changelog_key(unsigned key, char text[8])
{
    (void)snprintf(text, 8, "k%u", key);
}

unsigned changelog_item(unsigned key, unsigned row)
{
    return row < ROW_PARTNERS ? key * 10 + row : (key ^ 1) * 10 + row - 2;
}

unsigned changelog_row(unsigned key, unsigned item)
{
    return item / 10 == key ? item % 10 : item % 10 + 2;
}

/* ---- the rows ---- */

static unsigned columns_of(const struct changelog *log, enum text_op op)
{
    unsigned has = 1u << COLUMN_X | 1u << COLUMN_Y;
    if (log->bytes_most > 0)
        has |= 1u << COLUMN_Z;
    if (log->comes_and_goes && sim_below(2))
        has |= 1u << COLUMN_W;
    return log->partial && op == TEXT_UPDATE ? has & sim_below(1u << LOG_COLUMNS) : has;
}

static struct log_row change_row(struct changelog *log, unsigned key, unsigned row, enum text_op op)
{
    struct log_row change = { .key = key, .row = row, .deletes = op == TEXT_DELETE };
    log->values += 3;
    change.value = log->values;
    change.has = columns_of(log, op);
    change.nulls = log->comes_and_goes && sim_below(4) == 0 ? change.has & 1u << COLUMN_Y : 0;
    change.bytes = log->bytes_most > 0 ? 1 + sim_below(log->bytes_most) : 0;
    log->lives[key][row] = !change.deletes;
    return change;
}

/* The item leaves its document for the partner's: two rows with one number. */
static void move_item(struct changelog *log, struct log_message *message, struct text_event *event)
{
    unsigned key = message->rows[0].key, row = message->rows[0].row,
             item = changelog_item(key, row);
    message->rows[0].deletes = true;
    message->rows[1] = change_row(log, key ^ 1, changelog_row(key ^ 1, item), TEXT_UPDATE);
    message->rows[1].with_last = true;
    message->n = 2;
    log->lives[key][row] = false;
    event->op = TEXT_UPDATE;
    event->moved = true;
    event->rows[0] = message->rows[1];
}

/* What the database's statement did. Items of one order may go in one message of canal's. */
static void make_rows(struct changelog *log, struct log_message *message, struct text_event *event)
{
    unsigned key = sim_below(log->n_keys), row = sim_below(ROW_PARTNERS);
    bool has_partner = (key ^ 1) < log->n_keys;
    if (row >= ROW_ITEMS && has_partner && log->lives[key ^ 1][row + 2]) {
        key ^= 1; /* that is where the item is now */
        row += 2;
    }
    bool lives = log->lives[key][row];
    event->op = !lives ? TEXT_INSERT : sim_below(5) == 0 ? TEXT_DELETE : TEXT_UPDATE;
    message->rows[0] = event->rows[0] = change_row(log, key, row, event->op);
    message->n = event->n = 1;
    if (row >= ROW_ITEMS && lives && has_partner && sim_chance(sim_dials()->move_key)) {
        move_item(log, message, event);
    } else if (!log->debezium && row == ROW_ITEMS && log->lives[key][row + 1] == lives &&
               !(has_partner && log->lives[key ^ 1][row + 3]) && sim_below(2) == 0) {
        message->rows[1] = event->rows[1] = change_row(log, key, row + 1, event->op);
        message->n = event->n = 2;
    }
}

/* The partition of a row: the document's, or that of the row's own name. Both items of a document
 * have one, as one statement may change both. */
static unsigned part_of(const struct changelog *log, unsigned key, unsigned row)
{
    unsigned item = row >= ROW_ITEMS ? changelog_item(key, row) : 0;
    return (log->keyed ? key / 2 : item > 0 ? item / 10 * 4 + 3 : key * 4 + row) % log->n_parts;
}

/* ---- messages ---- */

static uint64_t capture_ms(struct changelog *log)
{
    const struct dials *dials = sim_dials();
    if (!sim_chance(dials->same_time))
        log->ms += 1 + sim_below(20);
    return sim_chance(dials->late_event) ? log->ms - sim_below(2000) : log->ms;
}

/* R1 for the message's next row. */
static uint64_t next_seqno(const struct changelog *log, const struct log_message *message,
                           const struct log_row *row, uint64_t clock)
{
    if (log->numbered)
        return SEQNO_EPOCH + message->number;
    if (row->with_last)
        return clock;
    return message->ms * 1000 > clock + 1 ? message->ms * 1000 : clock + 1;
}

/* Numbers the rows, and notes which number of a row is the greatest. */
static void number(struct changelog *log, struct log_part *part, struct log_message *message)
{
    for (unsigned i = 0; i < message->n; i++) {
        struct log_row *row = &message->rows[i];
        row->seqno = next_seqno(log, message, row, part->clock);
        part->clock = row->seqno > part->clock ? row->seqno : part->clock;
        if (!row->nothing && message->number > log->numbers[row->key][row->row])
            log->numbers[row->key][row->row] = message->number;
    }
    message->clock_after = part->clock;
}

/* The message goes to its first row's partition. */
static void put(struct changelog *log, struct log_message message, struct slice text, uint64_t ms)
{
    unsigned place = part_of(log, message.rows[0].key, message.rows[0].row);
    struct log_part *part = &log->parts[place];
    char key[8];
    ASSERT(part->n < LOG_MAX);
    message.ms = ms;
    number(log, part, &message);
    changelog_key(message.rows[0].key, key);
    message.offset = broker_append(world.broker, CHANGELOG_TOPIC, (int32_t)place, slice_of(key),
                                   text, (int64_t)ms);
    part->messages[part->n++] = message;
}

/* What is about rows: its bytes, and its number. */
static struct slice text_of(const struct changelog *log, struct log_message *message,
                            struct text_event *event)
{
    if (log->numbered && message->number == 0)
        message->number = log->values;
    event->number = message->number;
    return log->debezium ? text_debezium(event) : text_canal(event);
}

static void put_bad(struct changelog *log, struct log_message *message)
{
    static const struct slice texts[] = {
        { "{\"data\":[{\"k\":", 14 }, { "[]", 2 }, { "\xff\xfe\0", 3 }, { "", 0 }, { "7", 1 },
    };
    message->is_bad = true;
    put(log, *message, texts[sim_below(sizeof(texts) / sizeof(texts[0]))], log->ms);
}

/* About no row of the document's: or about one that is not mapped, which has a number like all. */
static void put_empty(struct changelog *log, struct log_message *message)
{
    struct text_event event = { .op = TEXT_INSERT, .ms = log->ms, .n = 1, .other = true };
    struct slice text = { NULL, 0 };
    switch (sim_below(4)) {
    case 0:
        break;
    case 1:
        text = text_ddl(log->debezium, log->ms);
        break;
    case 2:
        event.other = log->debezium;
        message->n = event.n = log->debezium ? 1 : 0;
        message->rows[0].nothing = true;
        text = text_of(log, message, &event);
        break;
    default:
        message->n = 1;
        message->rows[0].nothing = true;
        event.rows[0].has = 1u << COLUMN_X;
        text = text_of(log, message, &event);
    }
    put(log, *message, text, log->ms);
}

static void put_large(struct changelog *log, struct log_message *message)
{
    message->is_bad = true;
    put(log, *message, text_giant(log->debezium, log->ms), log->ms);
}

/* One row more that has no key: a dead letter, and the others count. */
static void add_keyless(struct log_message *message, struct text_event *event)
{
    message->is_bad = true;
    event->keyless = true;
    event->rows[event->n] = event->rows[0];
    message->rows[message->n] = event->rows[0];
    message->rows[message->n].nothing = true;
    event->n = ++message->n;
}

/* A change with the number of the one that its row is at, and which loses against that: its value
 * is the least there is. It must have no effect. */
static void put_loser(struct changelog *log, struct log_message *message)
{
    struct text_event event = { .op = TEXT_UPDATE, .ms = log->ms, .n = 1 };
    unsigned key = sim_below(log->n_keys), row = sim_below(ROWS);
    if (log->numbers[key][row] == 0)
        return;
    event.rows[0] = (struct log_row){ .key = key, .row = row, .nothing = true };
    event.rows[0].has = 1u << COLUMN_X | 1u << COLUMN_Y;
    message->rows[0] = event.rows[0];
    message->n = 1;
    message->number = log->numbers[key][row];
    put(log, *message, text_of(log, message, &event), log->ms);
}

/* Now, or after others. */
static void put_late(struct changelog *log, const struct log_message *message, struct slice text,
                     uint64_t ms)
{
    struct log_late *late = &log->late;
    if (!log->numbered || late->any || !sim_chance(sim_dials()->late_event)) {
        put(log, *message, text, ms);
        return;
    }
    ASSERT(text.len <= sizeof(late->text));
    late->any = true;
    late->message = *message;
    late->ms = ms;
    late->bytes = text.len;
    memcpy(late->text, text.data, text.len);
}

static void put_rows(struct changelog *log, struct log_message *message)
{
    struct text_event event = { .ms = capture_ms(log) };
    make_rows(log, message, &event);
    if (!log->debezium && !event.moved && event.op != TEXT_DELETE &&
        sim_chance(sim_dials()->bad_bytes))
        add_keyless(message, &event);
    struct slice text = text_of(log, message, &event);
    put_late(log, message, text, event.ms);
    if (sim_chance(sim_dials()->doubled))
        put(log, *message, text, event.ms);
    if (log->debezium && event.op == TEXT_DELETE) {
        struct log_message nothing = { .rows = { message->rows[0] } };
        put(log, nothing, (struct slice){ NULL, 0 }, event.ms);
    }
}

void changelog_append(struct changelog *log)
{
    const struct dials *dials = sim_dials();
    struct log_message message = { .n = 0 };
    if (log->late.any && sim_below(4) == 0)
        changelog_finish(log);
    message.rows[0].key = sim_below(log->n_keys); /* where it goes if it is about no row */
    if (sim_chance(dials->bad_bytes))
        put_bad(log, &message);
    else if (sim_chance(dials->empty_event))
        put_empty(log, &message);
    else if (sim_chance(dials->large_event))
        put_large(log, &message);
    else if (log->numbered && !log->partial && sim_chance(dials->same_time))
        put_loser(log, &message);
    else
        put_rows(log, &message);
}

void changelog_finish(struct changelog *log)
{
    if (log->late.any)
        put(log, log->late.message, (struct slice){ log->late.text, log->late.bytes },
            log->late.ms);
    log->late.any = false;
}

void changelog_sleep(struct changelog *log)
{
    log->ms += log->retention_s * UINT64_C(1000) * (1 + sim_below(3)) + 1000;
}

/* ---- the second reading ---- */

static bool comes_again(const struct log_part *part, unsigned from, const struct log_row *row)
{
    for (unsigned m = from; m < part->n; m++)
        for (unsigned i = 0; i < part->messages[m].n; i++) {
            const struct log_row *later = &part->messages[m].rows[i];
            if (!later->nothing && later->key == row->key && later->row == row->row)
                return true;
        }
    return false;
}

static bool may_go(const struct log_part *part, unsigned place)
{
    const struct log_message *message = &part->messages[place];
    bool may = message->n > 0 && !message->is_bad;
    for (unsigned i = 0; i < message->n; i++)
        may = may && !message->rows[i].nothing && comes_again(part, place + 1, &message->rows[i]);
    return may;
}

void changelog_compact(struct changelog *log)
{
    for (unsigned p = 0; p < log->n_parts && !log->partial && !log->numbered; p++)
        for (unsigned m = 0; m < log->parts[p].n; m++) {
            struct log_message *message = &log->parts[p].messages[m];
            message->is_gone = may_go(&log->parts[p], m) && sim_below(2);
            if (message->is_gone)
                broker_compact(world.broker, CHANGELOG_TOPIC, p, message->offset);
        }
}

void changelog_reread(struct changelog *log, unsigned part, int64_t from, uint64_t clock)
{
    unsigned at = changelog_find(&log->parts[part], from);
    if (at > 0)
        log->parts[part].messages[at - 1].clock_after = clock;
    for (; at < log->parts[part].n; at++) {
        struct log_message *message = &log->parts[part].messages[at];
        for (unsigned i = 0; i < message->n && !message->is_gone; i++) {
            uint64_t seqno = next_seqno(log, message, &message->rows[i], clock);
            clock = seqno > clock ? seqno : clock;
        }
        message->clock_after = clock;
    }
}

/* ---- what follows ---- */

/* Calls see() for each change of the row, in no order. */
static void each_change(const struct changelog *log, unsigned key, unsigned row, void *context,
                        void (*see)(void *context, const struct log_row *change))
{
    for (unsigned p = 0; p < log->n_parts; p++)
        for (unsigned m = 0; m < log->parts[p].n; m++) {
            const struct log_message *message = &log->parts[p].messages[m];
            for (unsigned i = 0; i < message->n; i++) {
                const struct log_row *change = &message->rows[i];
                if (change->key == key && change->row == row && !change->nothing)
                    see(context, change);
            }
        }
}

struct summary {
    const struct log_row *newest;
    struct log_state state;
};

static void summarize(void *context, const struct log_row *change)
{
    struct summary *summary = context;
    struct log_state *state = &summary->state;
    if (change->seqno > state->seqno) {
        state->seqno = change->seqno;
        summary->newest = change;
    }
    if (change->deletes && change->seqno > state->tombstone)
        state->tombstone = change->seqno;
    for (unsigned c = 0; c < LOG_COLUMNS && !change->deletes; c++)
        if (change->has & 1u << c &&
            (state->columns[c] == NULL || state->columns[c]->seqno < change->seqno))
            state->columns[c] = change;
}

struct log_state changelog_state(const struct changelog *log, unsigned key, unsigned row)
{
    struct summary summary = { .newest = NULL };
    struct log_state *state = &summary.state;
    each_change(log, key, row, &summary, summarize);
    state->lives = summary.newest != NULL && !summary.newest->deletes;
    for (unsigned c = 0; c < LOG_COLUMNS; c++)
        if (state->columns[c] != NULL && (log->partial ? state->columns[c]->seqno < state->tombstone
                                                       : state->columns[c]->seqno < state->seqno))
            state->columns[c] = NULL;
    return *state;
}

struct limits {
    uint64_t from, below, found;
};

static void find_delete(void *context, const struct log_row *change)
{
    struct limits *limits = context;
    if (change->deletes && change->seqno >= limits->from && change->seqno < limits->below &&
        change->seqno > limits->found)
        limits->found = change->seqno;
}

uint64_t changelog_deleted(const struct changelog *log, const struct log_row *row, uint64_t below)
{
    struct limits limits = { .from = row->seqno, .below = below };
    each_change(log, row->key, row->row, &limits, find_delete);
    return limits.found;
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
