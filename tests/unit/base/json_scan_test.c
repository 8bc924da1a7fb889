/* Both forms of the string-run search against the obvious loop. */
#include "tests/unit/unit.h"

#include "dataplane/base/json_scan.h"

#include <stdlib.h>

static const enum json_run runs[] = { JSON_RUN_STRICT, JSON_RUN_ESCAPE, JSON_RUN_SKIP };

static void check_all(const char *at, const char *end)
{
    for (unsigned i = 0; i < 3; i++) {
        const char *expected = json_run_bytes(at, end, runs[i]);

        assert_ptr_equal(json_run_portable(at, end, runs[i]), expected);
        assert_ptr_equal(json_run(at, end, runs[i]), expected);
#if defined(__SSE2__)
        assert_ptr_equal(json_run_sse2(at, end, runs[i]), expected);
#endif
    }
}

static void obvious_loop_stops_where_the_rules_say(void **state)
{
    /* The reference itself, byte by byte, against the three rules as header prose gives them. */
    (void)state;
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        bool common = c == '"' || c == '\\';

        assert_int_equal(json_run_bytes(&byte, &byte + 1, JSON_RUN_SKIP) == &byte, common);
        assert_int_equal(json_run_bytes(&byte, &byte + 1, JSON_RUN_ESCAPE) == &byte,
                         common || c < 0x20);
        assert_int_equal(json_run_bytes(&byte, &byte + 1, JSON_RUN_STRICT) == &byte,
                         common || c < 0x20 || c >= 0x80);
    }
}

static void every_byte_at_every_place_stops_both_forms_alike(void **state)
{
    /* A text of exactly its length, so that the sanitizer sees a read behind the end. */
    (void)state;
    for (size_t len = 0; len <= 40; len++) {
        char *text = malloc(len + 1);

        assert_non_null(text);
        for (size_t place = 0; place < len; place++) {
            for (int c = 0; c < 256; c++) {
                memset(text, 'a', len);
                text[place] = (char)c;
                check_all(text, text + len);
            }
        }
        free(text);
    }
}

static void random_texts_stop_both_forms_alike(void **state)
{
    /* Neighbouring odd bytes are where a borrow of the word form could lie. */
    static const char bytes[] = { '"',  '\\',       0x1f,       0x20, 0x21, '#', '[', ']',
                                  0x7f, (char)0x80, (char)0xff, 0,    'a',  'a', 'a', 'a' };
    uint64_t random = 1;
    char text[64];

    (void)state;
    for (int round = 0; round < 100000; round++) {
        for (size_t i = 0; i < sizeof(text); i++) {
            random = random * UINT64_C(6364136223846793005) + 1;
            text[i] = bytes[random >> 60];
        }
        for (size_t from = 0; from < 17; from++)
            check_all(text + from, text + sizeof(text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(obvious_loop_stops_where_the_rules_say),
        cmocka_unit_test(every_byte_at_every_place_stops_both_forms_alike),
        cmocka_unit_test(random_texts_stop_both_forms_alike),
    };

    return UNIT_RUN(tests);
}
