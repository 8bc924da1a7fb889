/*
 * lookup_fuzz.c: what Elasticsearch answers when states are read back (drivers/elasticsearch/
 * lookup.h): two keys, each asked of the index and of the side index.
 *
 * - Every item ends as one of the kinds; a broken one has a reason; what was found is a state that
 *   a store can hold.
 * - What is believed has a document for each that was asked for.
 * - An answer that was believed says nothing once it is cut.
 */
#include "es_fake.h"

#include "state_fuzz.h"

#include "drivers/elasticsearch/answer.h"
#include "drivers/elasticsearch/lookup.h"

#define KEYS 2u

static struct lookup lookup;
static struct lookup_shared shared;
static const char *const keys[KEYS] = { "a", "b/\"c" };

void fuzz_setup(void)
{
    struct err err;

    state_setup();
    lookup_shared_open(&shared, "/orders/_mget", "orders-weir", NULL);
    shared.arena_bytes_max = 1 << 20;
    assert_int_equal(lookup_open(&lookup, &fake_es_http, &shared, &err), 0);
}

static void check_item(const struct lookup_item *item)
{
    assert_true(item->found <= LOOKUP_AGAIN && item->n_states <= 2);
    assert_true(item->found != LOOKUP_BROKEN || item->reason.len > 0);
    if (item->found == LOOKUP_FOUND)
        for (unsigned i = 0; i < item->n_states; i++)
            state_check(shared.plan, &item->states[i]);
}

/* An answer that is believed has a document for each that was asked for. */
static void check_count(struct slice answer)
{
    struct answer_list list;
    struct answer_doc doc;
    unsigned n = 0;

    assert_true(answer_list_open(&list, answer, "docs"));
    while (answer_next_doc(&list, &doc))
        n++;
    assert_true(list.broken == NULL && n == 2 * KEYS);
}

static void play(struct slice input)
{
    lookup.state = LOOKUP_FREE;
    shared.keys_max = LOOKUP_KEYS_MAX;
    lookup_begin(&lookup);
    for (unsigned i = 0; i < KEYS; i++)
        assert_true(lookup_add(&lookup, slice_of(keys[i])));
    lookup_submit(&lookup);
    fake_es_play(input);
    assert_int_equal(lookup.state, LOOKUP_DONE);
    if (lookup.lookup.failed_whole)
        return;
    if (fake_es.believed > 0)
        check_count(buf_slice(&lookup.call.answer));
    for (unsigned i = 0; i < KEYS; i++)
        check_item(&lookup.lookup.items[i]);
}

void fuzz_input(struct slice input)
{
    struct slice text = fuzz_exact(input), cut;
    struct dice dice = dice_of(input);

    shared.plan = captures_plan(dice_throw(&dice, 2) == 0 ? IMAGES_FULL : IMAGES_PARTIAL);
    play(text);
    if (fake_es.believed == 0)
        return;
    cut = fake_es_cut(text, &dice);
    if (cut.len == 0 || cut.data[0] == '!')
        return;
    play(fuzz_exact(cut));
    assert_true(lookup.lookup.failed_whole && fake_es.believed == 0);
}
