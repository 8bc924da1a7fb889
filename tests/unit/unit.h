/*
 * unit.h: what every unit test includes: CMocka with what it needs, TAP output, and deaths.
 *
 *     int main(void)
 *     {
 *         const struct CMUnitTest tests[] = { cmocka_unit_test(late_event_is_dropped) };
 *
 *         return UNIT_RUN(tests);
 *     }
 */
#ifndef WEIR_TESTS_UNIT_H
#define WEIR_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNIT_RUN(tests) \
    (cmocka_set_message_output(CM_OUTPUT_TAP), cmocka_run_group_tests(tests, NULL, NULL))

/* How a child process ended that ran function(argument), and what it said on stderr, cut to fit. */
struct ending {
    int status; /* as from waitpid() */
    char said[8192];
};

static inline struct ending ending_of(void (*function)(void *), void *argument)
{
    struct ending ending = { .status = -1 };
    const struct rlimit no_core = { 0, 0 };
    size_t len = 0;
    ssize_t got;
    int ends[2];
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL); /* CMocka's own handler would go on with the next test. */
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        function(argument);
        _exit(0);
    }
    close(ends[1]);
    while ((got = read(ends[0], ending.said + len, sizeof(ending.said) - 1 - len)) > 0)
        len += (size_t)got;
    close(ends[0]);
    assert_int_equal(waitpid(child, &ending.status, 0), child);
    return ending;
}

/* function(argument) must run into an ASSERT whose text holds `condition`. */
static inline void assert_bug(void (*function)(void *), void *argument, const char *condition)
{
    struct ending ending = ending_of(function, argument);

    if (!WIFSIGNALED(ending.status) || !strstr(ending.said, condition))
        print_message("# status %x, said: %s\n", (unsigned)ending.status, ending.said);
    assert_true(WIFSIGNALED(ending.status));
    assert_int_equal(WTERMSIG(ending.status), SIGABRT);
    assert_non_null(strstr(ending.said, "BUG at"));
    assert_non_null(strstr(ending.said, condition));
}

#endif
