/*
 * document_fuzz.c: a document that a sink gives back (dataplane/document.h), with its state inside
 * or, behind a NUL, apart.
 *
 * - What is taken is a state that a store can hold, and joining it twice is joining it once.
 * - Written again and read again it is the same document of the same version.
 * - A text that was taken is refused once it is cut.
 */
#include "state_fuzz.h"

static struct arena arena, arena_again;

void fuzz_setup(void)
{
    state_setup();
    arena_open(&arena, 1 << 20, "a state");
    arena_open(&arena_again, 4 << 20, "a state again");
}

/* The document, with its state inside, in a block that stays until the input's end. */
static struct slice written(const struct plan *plan, const struct entity *entity)
{
    struct document document = store_document(entity);

    buf_reset(&state_text);
    document_render(plan, &document, true, &state_text);
    assert_false(state_text.overflow);
    assert_null(memchr(state_text.data, '\n', state_text.len));
    return fuzz_exact(buf_slice(&state_text));
}

static void check_again(const struct plan *plan, struct store *store,
                        const struct document_state *state)
{
    const struct slice nothing = { NULL, 0 };
    struct entity *entity = state_join(store, plan, "a", state), *again;
    struct document_state read;
    struct slice text;
    struct err err;

    if (entity == NULL)
        return;
    text = written(plan, entity);
    arena_reset(&arena_again);
    if (document_parse(plan, text, nothing, &arena_again, &read, &err) != 0) {
        fprintf(stderr, "%s\n%.*s\n", err.text, (int)text.len, text.data);
        abort();
    }
    assert_false(read.other_images);
    again = state_join(store, plan, "b", &read);
    assert_non_null(again);
    fuzz_same(written(plan, again), text, "the document written and read again");
    assert_true(again->version == entity->version);
}

static void check(enum images images, struct slice document, struct slice apart, struct dice *dice)
{
    struct plan *plan = captures_plan(images);
    struct document_state state;
    struct err err = { .text = "" };

    arena_reset(&arena);
    if (document_parse(plan, document, apart, &arena, &state, &err) != 0) {
        assert_true(err.text[0] != '\0');
        return;
    }
    state_check(plan, &state);
    if (state.has_state && !state.other_images)
        check_again(plan, store_open(plan, STATE_STORE_BYTES), &state);
    while (document.len > 0 && strchr(" \t\r\n", document.data[document.len - 1]) != NULL)
        document.len--;
    if (document.len == 0)
        return;
    document = fuzz_exact((struct slice){ document.data, dice_throw(dice, document.len) });
    arena_reset(&arena);
    assert_int_equal(document_parse(plan, document, apart, &arena, &state, &err), -1);
}

void fuzz_input(struct slice input)
{
    const char *end = input.len > 0 ? memchr(input.data, '\0', input.len) : NULL;
    struct slice document = input, apart = { NULL, 0 };
    struct dice dice = dice_of(input);

    if (end != NULL) {
        document.len = (size_t)(end - input.data);
        apart = fuzz_exact((struct slice){ end + 1, input.len - document.len - 1 });
    }
    document = fuzz_exact(document);
    check(IMAGES_FULL, document, apart, &dice);
    check(IMAGES_PARTIAL, document, apart, &dice);
}
