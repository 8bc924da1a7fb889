/* document_test.c: the rows of an entity as one text, and the rows that the text gives back. */
#include "../unit.h"

#include "dataplane/clock.h"
#include "dataplane/columns.h"
#include "dataplane/document.h"

#define S(n)      (SEQNO_EPOCH + (n))
#define ROWS_MAX  64
#define CELLS_MAX 16

static struct arena arena;
static struct buf text, state_text;

/* An entity's rows, made by hand. */
struct entity {
    const struct plan *plan;
    struct row *rows[ROWS_MAX];
    unsigned n;
    uint64_t residual;
    int32_t partition;
    _Alignas(8) char blocks[ROWS_MAX][2048];
};

static struct entity entity;

static void start(const struct plan *plan)
{
    memset(&entity, 0, sizeof(entity));
    entity.plan = plan;
    entity.partition = -1;
}

static void add(const struct change *change)
{
    struct row *row = (struct row *)(void *)entity.blocks[entity.n];

    assert_true(entity.n < ROWS_MAX && row_bytes(change) <= sizeof(entity.blocks[0]));
    row_write(change, entity.plan->images, row);
    entity.rows[entity.n++] = row;
}

static struct document document_of(void)
{
    struct document document = { .key = SLICE("k"),
                                 .residual = entity.residual,
                                 .version = entity.residual,
                                 .n_rows = entity.n,
                                 .rows = entity.rows,
                                 .partition = entity.partition };

    for (unsigned i = 0; i < entity.n; i++)
        document.version += row_term(entity.rows[i], entity.plan->images);
    return document;
}

static void add_table(struct plan *plan, const char *name, const char *into, const char *many)
{
    plan_add_table(plan,
                   &(struct plan_table){
                       .name = slice_of(name), .into = slice_of(into), .many = slice_of(many) },
                   NULL, 0);
}

/* Five tables; the root is not the first. One has its columns renamed, one an awkward name. */
static struct plan *plan_make(enum images images, enum emit emit)
{
    static const struct plan_rename pay[] = { { SLICE("no"), SLICE("pay \"no\"") },
                                              { SLICE("amount"), SLICE("paid_amount") } };
    struct plan *plan = plan_open(SLICE("orders"), SLICE("order_no"), images, emit);

    add_table(plan, "shop.buyer", "buyer", "");
    add_table(plan, "shop.order", "", "");
    add_table(plan, "shop.item", "items", "id");
    plan_add_table(plan, &(struct plan_table){ .name = SLICE("shop.pay"), .into = SLICE("pay") },
                   pay, 2);
    add_table(plan, "shop.\"odd\\ 名\"", "odd \"名\"\n", "n");
    return plan;
}

enum { BUYER, ORDER, ITEM, PAY, ODD };

static uint16_t column(unsigned table, const char *name)
{
    return columns_intern(entity.plan->tables[table].columns, slice_of(name));
}

/* An upsert of full images with up to two columns. */
static void upsert(unsigned table, const char *id, uint64_t seqno, const char *name,
                   const char *value)
{
    struct field field = { .column = name ? column(table, name) : 0,
                           .value = slice_of(value ? value : "") };

    add(&(struct change){ .seqno = seqno,
                          .row_id = slice_of(id),
                          .table = (uint16_t)table,
                          .op = CHANGE_UPSERT,
                          .n_fields = name != NULL,
                          .fields = &field });
}

static void delete (unsigned table, const char *id, uint64_t seqno)
{
    add(&(struct change){
        .seqno = seqno, .row_id = slice_of(id), .table = (uint16_t)table, .op = CHANGE_DELETE });
}

static void assert_rendered(bool with_state, const char *wanted)
{
    struct document document = document_of();

    buf_reset(&text);
    document_render(entity.plan, &document, with_state, &text);
    if (!slice_equal(buf_slice(&text), slice_of(wanted)))
        fail_msg("\n%.*s, wanted\n%s", (int)text.len, text.data, wanted);
}

/* ---- what the document looks like ---- */

/* Root columns first, objects, arrays in row order without their deleted rows; the state last. */
static void document_shows_rows_that_are_alive(void **state)
{
    (void)state;
    start(plan_make(IMAGES_FULL, EMIT_ALWAYS));
    upsert(BUYER, "", S(3), "name", "\"张三\"");
    upsert(ORDER, "", S(1), "order_no", "202611210000000001");
    upsert(ITEM, "4", S(5), "price", "365.30");
    delete (ITEM, "5", S(6));
    upsert(ITEM, "10", S(7), "price", "null");
    delete (PAY, "", S(8));
    assert_rendered(false, "{\"order_no\":202611210000000001,\"buyer\":{\"name\":\"张三\"},"
                           "\"items\":[{\"price\":365.30},{\"price\":null}]}");
    entity.partition = 7;
    entity.residual = 12;
    assert_rendered(true,
                    "{\"order_no\":202611210000000001,\"buyer\":{\"name\":\"张三\"},"
                    "\"items\":[{\"price\":365.30},{\"price\":null}],"
                    "\"_weir\":{\"images\":\"full\",\"residual\":12,\"p\":7,\"rows\":{"
                    "\"shop.buyer\":{\"\":1704067200000003},\"shop.order\":{\"\":1704067200000001},"
                    "\"shop.item\":{\"4\":1704067200000005,\"5\":-1704067200000006,"
                    "\"10\":1704067200000007},\"shop.pay\":{\"\":-1704067200000008}}}}");
}

/* Nothing alive leaves no member and no stray comma; an array without rows alive is left out. */
static void document_without_rows_is_an_empty_object(void **state)
{
    (void)state;
    start(plan_make(IMAGES_FULL, EMIT_ALWAYS));
    assert_rendered(false, "{}");
    assert_rendered(true, "{\"_weir\":{\"images\":\"full\",\"rows\":{}}}");
    delete (ITEM, "5", S(6));
    assert_rendered(false, "{}");
    upsert(PAY, "", S(9), "amount", "1");
    assert_rendered(false, "{\"pay\":{\"paid_amount\":1}}");
}

/* Names that need escapes get them: `into`, renamed columns, row ids. */
static void names_are_escaped(void **state)
{
    (void)state;
    start(plan_make(IMAGES_FULL, EMIT_ALWAYS));
    upsert(PAY, "", S(1), "no", "1");
    upsert(ODD, "a\"b\\", S(2), "c\"", "2");
    assert_rendered(true, "{\"pay\":{\"pay \\\"no\\\"\":1},\"odd \\\"名\\\"\\n\":[{\"c\\\"\":2}],"
                          "\"_weir\":{\"images\":\"full\",\"rows\":{"
                          "\"shop.pay\":{\"\":1704067200000001},"
                          "\"shop.\\\"odd\\\\ 名\\\"\":{\"a\\\"b\\\\\":1704067200000002}}}}");
}

/* Partial images: hidden cells stand in the state only; a tombstone that hides everything is
 * negative. */
static void partial_state_names_cells_apart(void **state)
{
    struct field fields[3];

    (void)state;
    start(plan_make(IMAGES_PARTIAL, EMIT_ALWAYS));
    fields[0] = (struct field){ .column = column(ORDER, "a"), .value = SLICE("1") };
    fields[1] = (struct field){ .column = column(ORDER, "b"), .seqno = S(18), .value = SLICE("2") };
    fields[2] = (struct field){ .column = column(ORDER, "c"), .seqno = S(9) };
    add(&(struct change){
        .seqno = S(20), .tombstone = S(15), .table = ORDER, .n_fields = 3, .fields = fields });
    fields[0] = (struct field){ .column = column(ITEM, "a") };
    add(&(struct change){ .seqno = S(2),
                          .tombstone = S(3),
                          .row_id = SLICE("1"),
                          .table = ITEM,
                          .n_fields = 1,
                          .fields = fields });
    delete (ITEM, "2", S(4));
    assert_rendered(true, "{\"a\":1,\"b\":2,\"_weir\":{\"images\":\"partial\",\"rows\":{"
                          "\"shop.order\":{\"\":[1704067200000020,1704067200000015,"
                          "{\"b\":1704067200000018,\"c\":1704067200000009}]},"
                          "\"shop.item\":{\"1\":[1704067200000002,-1704067200000003,"
                          "{\"a\":1704067200000002}],"
                          "\"2\":[1704067200000004,-1704067200000004]}}}}");
}

/* R6: a deleted root hides the document, whatever else is alive; on_root waits for the root. */
static void document_is_shown_by_its_root(void **state)
{
    struct document document;

    (void)state;
    for (int emit = EMIT_ALWAYS; emit <= EMIT_ON_ROOT; emit++) {
        start(plan_make(IMAGES_FULL, (enum emit)emit));
        document = document_of();
        assert_false(document_shown(entity.plan, &document));
        delete (BUYER, "", S(2));
        document = document_of();
        assert_false(document_shown(entity.plan, &document));
        upsert(ITEM, "1", S(1), "a", "1");
        document = document_of();
        assert_int_equal(document_shown(entity.plan, &document), emit == EMIT_ALWAYS);
        entity.n--; /* Rows stand in order: the root before the items. */
        upsert(ORDER, "", S(3), "a", "1");
        document = document_of();
        assert_true(document_shown(entity.plan, &document));
        entity.n--;
        delete (ORDER, "", S(4));
        upsert(ITEM, "1", S(1), "a", "1");
        document = document_of();
        assert_false(document_shown(entity.plan, &document));
    }
}

/* ---- there and back ---- */

static uint64_t seed;

static unsigned rnd(unsigned below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)((seed >> 11) % below);
}

static const char *const ids[] = { "-3",   "0",   "7",       "10",      "12345678901234567890123",
                                   "",     "\"",  "\\u0041", "a\nb\tc", "é",
                                   "张三", "\x01" };
static const char *const names[] = { "order_no", "a\"b",   "名",  "x y", "\\",     "id",
                                     "no",       "amount", "t\t", "z",   "items_", "_weir_" };
static const char *const values[] = { "null",           "0",
                                      "-0.5000",        "1.0E15",
                                      "\"\"",           "\"\\n\\u00e9\\\"\"",
                                      "{\"a\":[1,{}]}", "[]",
                                      "true",           "123456789012345678901234567890" };

/* A random row as change; its fields go into `fields`. Partial ones keep row.h's promises. */
static struct change random_row(unsigned table, const char *id, struct field *fields)
{
    bool partial = entity.plan->images == IMAGES_PARTIAL;
    struct change change = { .seqno = S(100 + rnd(1000)),
                             .row_id = slice_of(id),
                             .table = (uint16_t)table,
                             .op = CHANGE_UPSERT,
                             .fields = fields };

    if (rnd(4) == 0 && !partial)
        change.op = CHANGE_DELETE;
    if (partial && rnd(2) == 0)
        change.tombstone = S(100 + rnd(1000));
    for (unsigned i = 0; i < sizeof(names) / sizeof(*names) && change.op == CHANGE_UPSERT; i++) {
        struct field *field = &fields[change.n_fields];

        *field =
            (struct field){ .column = column(table, names[i]), .value = slice_of(values[rnd(10)]) };
        if (rnd(2) == 0 || field->column == COLUMN_SKIP)
            continue;
        assert_true(field->column < COLUMNS_MAX);
        if (partial && rnd(2) == 0)
            field->seqno = S(100 + rnd(1000));
        if ((field->seqno ? field->seqno : change.seqno) < change.tombstone)
            field->value = (struct slice){ NULL, 0 };
        change.n_fields++;
    }
    if (change.n_fields == 0 && change.tombstone != 0)
        change.seqno = change.tombstone;
    return change;
}

static void random_state(void)
{
    struct field fields[CELLS_MAX];
    struct change change;

    for (unsigned table = 0; table < entity.plan->n_tables; table++)
        for (unsigned i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
            bool many = entity.plan->tables[table].many.len > 0;

            if (rnd(3) == 0 || (!many && i > 0))
                continue;
            change = random_row(table, many ? ids[i] : "", fields);
            add(&change);
        }
    entity.residual = rnd(2) ? rnd(1000000) : 0;
    entity.partition = (int32_t)rnd(4) - 1;
    for (unsigned i = 1; i < entity.n; i++) /* Sorted by insertion. */
        for (unsigned j = i;
             j > 0 && row_order(entity.rows[j]->table, row_id(entity.rows[j]),
                                entity.rows[j - 1]->table, row_id(entity.rows[j - 1])) < 0;
             j--) {
            struct row *row = entity.rows[j];

            entity.rows[j] = entity.rows[j - 1];
            entity.rows[j - 1] = row;
        }
}

static bool row_has(const struct row *row, const struct field *wanted)
{
    struct row_cursor cursor;
    struct field field;

    row_fields(row, &cursor);
    while (row_next(&cursor, &field))
        if (field.column == wanted->column)
            return field.seqno == wanted->seqno && slice_equal(field.value, wanted->value) &&
                   (field.value.data == NULL) == (wanted->value.data == NULL);
    return false;
}

static void assert_same_row(const struct row *a, const struct row *b)
{
    struct row_cursor cursor;
    struct field field;

    assert_int_equal(a->seqno, b->seqno);
    assert_int_equal(a->tombstone, b->tombstone);
    assert_int_equal(a->table, b->table);
    assert_true(slice_equal(row_id(a), row_id(b)));
    assert_int_equal(a->n_fields, b->n_fields);
    assert_int_equal(row_alive(a), row_alive(b));
    row_fields(a, &cursor);
    while (row_next(&cursor, &field))
        assert_true(row_has(b, &field));
}

static struct document_state parsed(const struct plan *plan)
{
    struct document_state out;
    struct err err = { 0 };

    if (document_parse(plan, buf_slice(&text), buf_slice(&state_text), &arena, &out, &err) < 0)
        fail_msg("%s in\n%.*s", err.text, (int)text.len, text.data);
    return out;
}

static void render(bool apart)
{
    struct document document = document_of();

    buf_reset(&text);
    buf_reset(&state_text);
    arena_reset(&arena);
    document_render(entity.plan, &document, !apart, &text);
    if (apart)
        document_render_state(entity.plan, &document, &state_text);
    assert_false(text.overflow || state_text.overflow);
}

static void assert_comes_back(bool apart)
{
    static _Alignas(8) char block[4096];
    struct row *row = (struct row *)(void *)block;
    struct document_state out;

    render(apart);
    out = parsed(entity.plan);
    assert_true(out.has_state);
    assert_false(out.other_images);
    assert_int_equal(out.residual, entity.residual);
    assert_int_equal(out.partition, entity.partition);
    assert_int_equal(out.n_changes, entity.n);
    for (unsigned i = 0; i < entity.n; i++) {
        assert_true(row_bytes(&out.changes[i]) <= sizeof(block));
        row_write(&out.changes[i], entity.plan->images, row);
        assert_same_row(entity.rows[i], row);
    }
}

/* Random states of all tables come back as they were, with the state inside and apart. */
static void rendered_state_comes_back(void **state)
{
    const struct plan *plans[] = { plan_make(IMAGES_FULL, EMIT_ALWAYS),
                                   plan_make(IMAGES_PARTIAL, EMIT_ALWAYS) };

    (void)state;
    seed = 20261121;
    for (unsigned i = 0; i < 4000; i++) {
        start(plans[i % 2]);
        random_state();
        assert_comes_back(i / 2 % 2 == 0);
    }
}

/* R2: where the plan maps less than the text holds, the version stays what it was. */
static void version_stays_when_tables_and_columns_are_unmapped(void **state)
{
    static const struct plan_rename few[] = { { SLICE("id"), SLICE("id") },
                                              { SLICE("z"), SLICE("z") } };
    static _Alignas(8) char block[4096];
    struct row *row = (struct row *)(void *)block;
    struct plan *plans[2], *less[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        plans[i] = plan_make((enum images)i, EMIT_ALWAYS);
        less[i] = plan_open(SLICE("orders"), SLICE("order_no"), (enum images)i, EMIT_ALWAYS);
        add_table(less[i], "shop.order", "", "");
        plan_add_table(less[i],
                       &(struct plan_table){ .name = SLICE("shop.item"),
                                             .into = SLICE("items"),
                                             .many = SLICE("id") },
                       few, 2);
    }
    seed = 7;
    for (unsigned i = 0; i < 2000; i++) {
        struct document_state out;
        uint64_t version;

        start(plans[i % 2]);
        random_state();
        render(i / 2 % 2 == 0);
        out = parsed(less[i % 2]);
        version = out.residual;
        for (unsigned j = 0; j < out.n_changes; j++) {
            assert_true(out.changes[j].table < 2);
            row_write(&out.changes[j], entity.plan->images, row);
            version += row_term(row, entity.plan->images);
        }
        assert_int_equal(version, document_of().version);
    }
}

/* Full images read by a plan of partial ones: each cell gets its row's seqno. The other way is
 * refused. */
static void other_images_are_told(void **state)
{
    const struct plan *full = plan_make(IMAGES_FULL, EMIT_ALWAYS);
    const struct plan *partial = plan_make(IMAGES_PARTIAL, EMIT_ALWAYS);
    struct document_state out;

    (void)state;
    start(full);
    upsert(ORDER, "", S(1), "a", "1");
    delete (ITEM, "5", S(6));
    render(false);
    out = parsed(partial);
    assert_true(out.has_state && out.other_images);
    assert_int_equal(out.n_changes, 2);
    assert_int_equal(out.changes[0].n_fields, 1);
    assert_int_equal(out.changes[1].op, CHANGE_DELETE);
    start(partial);
    upsert(ORDER, "", S(1), "a", "1");
    render(false);
    out = parsed(full);
    assert_true(out.has_state && out.other_images);
    assert_int_equal(out.n_changes, 0);
}

/* A bulk body is newline-delimited: line breaks of a text that was laid out for people are taken
 * out. */
static void line_breaks_between_tokens_are_taken_out(void **state)
{
    struct document_state out;

    (void)state;
    buf_reset(&text);
    buf_reset(&state_text);
    arena_reset(&arena);
    buf_put_literal(&text,
                    "{ \"j\" : { \"a b\\\\\" :\r\n [ 1,\n\t2 ] },\n \"_weir\": {\"images\":\n"
                    "\"full\", \"rows\": {\n\"shop.order\": {\"\": 1704067200000001}}}}\n");
    out = parsed(plan_make(IMAGES_FULL, EMIT_ALWAYS));
    assert_int_equal(out.n_changes, 1);
    assert_int_equal(out.changes[0].n_fields, 1);
    assert_true(slice_equal(out.changes[0].fields[0].value, SLICE("{\"a b\\\\\":[1,2]}")));
}

/* A document that somebody else wrote has no state: that is told, and no error. */
static void document_without_state_is_told(void **state)
{
    struct document_state out;

    (void)state;
    buf_reset(&text);
    buf_reset(&state_text);
    buf_put_literal(&text, "{\"a\":1}");
    out = parsed(plan_make(IMAGES_FULL, EMIT_ALWAYS));
    assert_false(out.has_state);
    assert_int_equal(out.n_changes, 0);
}

/* ---- bad texts ---- */

#define FULL(document, rows) \
    "{" document "\"_weir\":{\"images\":\"full\",\"rows\":{" rows "}}}", "", IMAGES_FULL
#define PARTIAL(document, rows) \
    "{" document "\"_weir\":{\"images\":\"partial\",\"rows\":{" rows "}}}", "", IMAGES_PARTIAL
#define NOW "1704067200000009"

/* Each of these is refused, with words that say why. */
static void bad_states_are_refused(void **state)
{
    static const struct {
        const char *document, *state;
        enum images images;
        const char *why;
    } cases[] = {
        { "", "", IMAGES_FULL, "text ends" },
        { "[]", "", IMAGES_FULL, "syntax error" },
        { "{} {}", "", IMAGES_FULL, "syntax error at byte 3" },
        { "{\"a\":\"\xff\"}", "", IMAGES_FULL, "invalid UTF-8" },
        { "{\"_weir\":1}", "", IMAGES_FULL, "`_weir` is no object" },
        { "{\"_weir\":{},\"\\u005fweir\":{}}", "", IMAGES_FULL, "stands there twice" },
        { "{\"_weir\":{}}", "{}", IMAGES_FULL, "stands there twice" },
        { "{}", "[]", IMAGES_FULL, "it is no object" },
        { "{}", "{", IMAGES_FULL, "text ends" },
        { "{}", "{\"rows\":{}}", IMAGES_FULL, "`images`" },
        { "{}", "{\"images\":\"some\",\"rows\":{}}", IMAGES_FULL, "`images`" },
        { "{}", "{\"images\":\"full\"}", IMAGES_FULL, "`rows` is missing" },
        { "{}", "{\"images\":\"full\",\"rows\":[]}", IMAGES_FULL, "`rows` is no object" },
        { "{}", "{\"images\":\"full\",\"rows\":{},\"residual\":-1}", IMAGES_FULL, "`residual`" },
        { "{}", "{\"images\":\"full\",\"rows\":{},\"residual\":9223372036854775808}", IMAGES_FULL,
          "`residual`" },
        { "{}", "{\"images\":\"full\",\"rows\":{},\"p\":2147483648}", IMAGES_FULL, "`p`" },
        { "{}", "{\"images\":\"full\",\"rows\":{},\"p\":\"1\"}", IMAGES_FULL, "`p`" },
        { FULL("", "\"shop.item\":1"), "no object for \"shop.item\"" },
        { FULL("", "\"shop.item\":{},\"shop.item\":{}"), "a table twice" },
        { FULL("", "\"shop.item\":{\"1\":-" NOW ",\"1\":-" NOW "}"), "out of order" },
        { FULL("", "\"shop.item\":{\"10\":-" NOW ",\"9\":-" NOW "}"), "out of order" },
        { FULL("", "\"shop.item\":{\"1\":-1704067200000000}"), "out of bounds" },
        { FULL("", "\"shop.item\":{\"1\":-6315753218427387905}"), "out of bounds" },
        { FULL("", "\"shop.item\":{\"1\":-99999999999999999999999}"), "out of bounds" },
        { FULL("", "\"shop.item\":{\"1\":1.7e15}"), "out of bounds" },
        { FULL("", "\"shop.item\":{\"1\":\"" NOW "\"}"), "out of bounds" },
        { FULL("", "\"shop.item\":{\"1\":[" NOW ",0]}"), "out of bounds" },
        { PARTIAL("", "\"shop.item\":{\"1\":" NOW "}"), "not of partial images" },
        { FULL("", "\"shop.item\":{\"1\":" NOW "}"), "lacks the rows of \"shop.item\"" },
        { FULL("", "\"shop.buyer\":{\"\":" NOW "}"), "lacks the rows of \"shop.buyer\"" },
        { FULL("\"items\":{},", "\"shop.item\":{\"1\":" NOW "}"), "does not hold an object" },
        { FULL("\"items\":[1],", "\"shop.item\":{\"1\":" NOW "}"), "more rows than the document" },
        { FULL("\"items\":[],", "\"shop.item\":{\"1\":" NOW "}"), "more rows than the document" },
        { FULL("\"items\":[{},{}],", "\"shop.item\":{\"1\":" NOW "}"), "more rows than `rows`" },
        { FULL("\"items\":[{}],", "\"shop.item\":{\"1\":-" NOW "}"), "no row that is alive" },
        { FULL("\"buyer\":[{}],", "\"shop.buyer\":{\"\":" NOW "}"), "does not hold an object" },
        { FULL("\"buyer\":{},\"buyer\":{},", "\"shop.buyer\":{\"\":" NOW "}"), "a member twice" },
        { FULL("", "\"shop.buyer\":{\"1\":-" NOW ",\"2\":-" NOW "}"), "several rows" },
        { FULL("\"a\":1,", ""), "no root row" },
        { FULL("\"a\":1,", "\"shop.order\":{\"\":-" NOW "}"), "no root row" },
        { FULL("\"a\":1,\"a\":1,", "\"shop.order\":{\"\":" NOW "}"), "a column twice: \"a\"" },
        { FULL("\"a\":1,\"\\u0061\":1,", "\"shop.order\":{\"\":" NOW "}"), "a column twice" },
        { FULL("\"buyer\":{\"_weir\":1},", "\"shop.buyer\":{\"\":" NOW "}"), "cannot be taken" },
        { PARTIAL("", "\"shop.order\":{\"\":[]}"), "no seqno" },
        { PARTIAL("", "\"shop.order\":{\"\":[-" NOW ",0]}"), "no seqno" },
        { PARTIAL("", "\"shop.order\":{\"\":[" NOW "]}"), "no tombstone" },
        { PARTIAL("", "\"shop.order\":{\"\":[" NOW ",1]}"), "a tombstone out of bounds" },
        { PARTIAL("", "\"shop.order\":{\"\":[" NOW ",0,1]}"), "something else than cells" },
        { PARTIAL("", "\"shop.order\":{\"\":[" NOW ",0,{},1]}"), "something else than cells" },
        { PARTIAL("", "\"shop.order\":{\"\":[" NOW ",0,{\"a\":" NOW "}]}"),
          "document lacks: \"a\"" },
        { PARTIAL("\"a\":1,", "\"shop.order\":{\"\":[" NOW ",0,{\"a\":5}]}"), "at cell \"a\"" },
        { PARTIAL("\"a\":1,", "\"shop.order\":{\"\":[" NOW ",0,{\"a\":" NOW ",\"a\":" NOW "}]}"),
          "a cell twice" },
        { PARTIAL("\"a\":1,", "\"shop.order\":{\"\":[1704067200000001," NOW "]}"),
          "older than its tombstone" },
        { PARTIAL("\"a\":1,", "\"shop.order\":{\"\":[" NOW "," NOW ",{\"a\":1704067200000001}]}"),
          "tombstone hides" },
        { PARTIAL("", "\"shop.order\":{\"\":[" NOW "," NOW "]}"), "shows nothing of it" },
    };
    struct plan *plans[] = { plan_make(IMAGES_FULL, EMIT_ALWAYS),
                             plan_make(IMAGES_PARTIAL, EMIT_ALWAYS) };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct document_state out;
        struct err err = { 0 };

        arena_reset(&arena);
        if (document_parse(plans[cases[i].images], slice_of(cases[i].document),
                           slice_of(cases[i].state), &arena, &out, &err) == 0)
            fail_msg("taken: %s %s", cases[i].document, cases[i].state);
        if (strstr(err.text, cases[i].why) == NULL)
            fail_msg("\"%s\" for %s", err.text, cases[i].document);
    }
}

/* Any cut or any changed byte gives rows or an error, never a crash; rows that come are sound. */
static void damaged_texts_do_no_harm(void **state)
{
    static _Alignas(8) char block[8192];
    struct row *row = (struct row *)(void *)block;

    (void)state;
    seed = 99;
    for (unsigned i = 0; i < 20000; i++) {
        struct document_state out;
        struct err err = { 0 };

        if (i % 100 == 0) {
            start(plan_make((enum images)(i / 100 % 2), EMIT_ALWAYS));
            random_state();
        }
        render(false);
        for (unsigned hits = 1 + rnd(3); hits > 0; hits--)
            text.data[rnd((unsigned)text.len)] = "\"{}[],:-019\\a\n\xff"[rnd(15)];
        if (rnd(4) == 0)
            text.len = rnd((unsigned)text.len);
        if (document_parse(entity.plan, buf_slice(&text), (struct slice){ NULL, 0 }, &arena, &out,
                           &err) < 0) {
            assert_true(err.text[0] != '\0');
            continue;
        }
        for (unsigned j = 0; j < out.n_changes; j++) {
            assert_true(row_bytes(&out.changes[j]) <= sizeof(block));
            row_write(&out.changes[j], entity.plan->images, row);
        }
    }
}

/* A state that does not fit into the arena is refused, whatever part of it is the first that does
 * not. */
static void small_arena_is_an_error(void **state)
{
    struct arena small;
    struct document_state out;
    struct err err;
    size_t bound = 0;

    (void)state;
    arena_open(&small, 1 << 20, "small arena");
    start(plan_make(IMAGES_PARTIAL, EMIT_ALWAYS));
    seed = 3;
    random_state();
    render(false);
    for (;; bound += 8) {
        arena_reset(&small);
        small.bound = bound;
        if (document_parse(entity.plan, buf_slice(&text), buf_slice(&state_text), &small, &out,
                           &err) == 0)
            break;
        assert_non_null(strstr(err.text, "more memory"));
    }
    assert_true(bound > 1000);
    assert_int_equal(out.n_changes, entity.n);
}

static int open_buffers(void **state)
{
    (void)state;
    arena_open(&arena, 64 << 20, "test arena");
    buf_open(&text, 1 << 20, "test text");
    buf_open(&state_text, 1 << 20, "test state");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(document_shows_rows_that_are_alive),
        cmocka_unit_test(document_without_rows_is_an_empty_object),
        cmocka_unit_test(names_are_escaped),
        cmocka_unit_test(partial_state_names_cells_apart),
        cmocka_unit_test(document_is_shown_by_its_root),
        cmocka_unit_test(rendered_state_comes_back),
        cmocka_unit_test(version_stays_when_tables_and_columns_are_unmapped),
        cmocka_unit_test(other_images_are_told),
        cmocka_unit_test(line_breaks_between_tokens_are_taken_out),
        cmocka_unit_test(document_without_state_is_told),
        cmocka_unit_test(bad_states_are_refused),
        cmocka_unit_test(damaged_texts_do_no_harm),
        cmocka_unit_test(small_arena_is_an_error),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, open_buffers, NULL);
}
