/* Errors, assertions, and the end of a start-up that cannot go on. */
#include "tests/unit/unit.h"

#include "dataplane/base/check.h"
#include "dataplane/base/err.h"

static void error_carries_code_and_text(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(err_set(&err, EXIT_UNAVAILABLE, "no answer from %s after %d s", "there", 5),
                     -1);
    assert_int_equal(err.code, EXIT_UNAVAILABLE);
    assert_string_equal(err.text, "no answer from there after 5 s");
}

static void long_error_is_cut(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(err_set(&err, EXIT_IO, "%2000d", 1), -1);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static void error_that_nobody_wants_is_fine(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, EXIT_IO, "x"), -1);
}

static void break_a_promise(void *argument)
{
    int *number = argument;

    ASSERT(*number == 2);
    _exit(5);
}

static void broken_assertion_aborts_and_says_what(void **state)
{
    int number = 1;

    (void)state;
    assert_bug(break_a_promise, &number, "*number == 2");
}

static void kept_assertion_goes_on(void **state)
{
    int number = 2;
    struct ending ending = ending_of(break_a_promise, &number);

    (void)state;
    assert_true(WIFEXITED(ending.status));
    assert_int_equal(WEXITSTATUS(ending.status), 5);
}

static void give_up(void *argument)
{
    fatal(EXIT_CONFIG, "cannot open %s", (const char *)argument);
}

static void fatal_says_one_line_and_exits_with_the_code(void **state)
{
    struct ending ending = ending_of(give_up, "a\nb");

    (void)state;
    assert_true(WIFEXITED(ending.status));
    assert_int_equal(WEXITSTATUS(ending.status), EXIT_CONFIG);
    assert_non_null(strstr(ending.said, "weir: cannot open a\\x0ab\n"));
    assert_ptr_equal(strchr(ending.said, '\n'), ending.said + strlen(ending.said) - 1);
}

static void count_if_counts_what_holds(void **state)
{
    uint64_t odd = 0;
    unsigned seen = 0;

    (void)state;
    for (int i = 0; i < 5; i++)
        if (COUNT_IF(i % 2 == 1, odd))
            seen++;
    assert_int_equal(odd, 2);
    assert_int_equal(seen, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_carries_code_and_text),
        cmocka_unit_test(long_error_is_cut),
        cmocka_unit_test(error_that_nobody_wants_is_fine),
        cmocka_unit_test(broken_assertion_aborts_and_says_what),
        cmocka_unit_test(kept_assertion_goes_on),
        cmocka_unit_test(fatal_says_one_line_and_exits_with_the_code),
        cmocka_unit_test(count_if_counts_what_holds),
    };

    return UNIT_RUN(tests);
}
