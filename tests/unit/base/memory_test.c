/* Reservations, their total, and the seal. */
#include "tests/unit/unit.h"

#include "dataplane/base/err.h"
#include "dataplane/base/memory.h"

#include <sys/mman.h>

static void reservation_is_zeroed_aligned_and_counted(void **state)
{
    static const size_t sizes[] = { 1, 4096, 5000, (size_t)2 << 20, ((size_t)3 << 20) + 1 };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t before = memory_reserved_bytes();
        char *at = memory_reserve(sizes[i], "a test");

        assert_int_equal((uintptr_t)at % 4096, 0);
        for (size_t byte = 0; byte < sizes[i]; byte++)
            if (at[byte] != 0)
                fail_msg("byte %zu of %zu is not zero", byte, sizes[i]);
        memset(at, 1, sizes[i]);
        assert_true(memory_reserved_bytes() >= before + sizes[i]);
    }
}

static void large_reservation_starts_on_a_huge_page(void **state)
{
    (void)state;
    memory_setup(HUGEPAGES_AUTO);
    for (int i = 0; i < 4; i++)
        assert_int_equal((uintptr_t)memory_reserve((size_t)4 << 20, "a test") % (2 << 20), 0);
}

static void virtual_reservation_is_not_counted(void **state)
{
    /* 32 GiB of address space, more than a test machine has (and what valgrind has, too), of which
     * one byte is touched. Valgrind would search all of it for pointers as each child ends. */
    const size_t bytes = (size_t)32 << 30;
    size_t before = memory_reserved_bytes();
    char *at = memory_reserve_virtual(bytes, "a test");

    (void)state;
    at[bytes - 1] = 1;
    assert_int_equal(memory_reserved_bytes(), before);
    assert_int_equal(munmap(at, bytes), 0);
}

static void trim_keeps_the_front_and_drops_the_rest(void **state)
{
    const size_t bytes = 1 << 20, keep = 10000;
    char *at = memory_reserve_virtual(bytes, "a test");

    (void)state;
    memset(at, 'x', bytes);
    memory_trim(at, bytes, keep);
    for (size_t i = 0; i < keep; i++)
        if (at[i] != 'x')
            fail_msg("byte %zu was not kept", i);
    assert_int_equal(at[bytes - 1], 0);
    memory_trim(at, keep, keep);
    memory_trim(at, keep, bytes);
    assert_int_equal(at[0], 'x');
}

static void reserve_sealed(void *argument)
{
    (void)argument;
    memory_seal();
    memory_reserve(1, "a test");
}

static void reserve_virtual_sealed(void *argument)
{
    (void)argument;
    memory_seal();
    memory_reserve_virtual(1, "a test");
}

static void reserve_unsealed(void *argument)
{
    (void)argument;
    memory_seal();
    memory_unseal();
    memory_reserve(1, "a test");
}

static void reservation_after_the_seal_is_a_bug(void **state)
{
    (void)state;
    assert_bug(reserve_sealed, NULL, "sealed");
    assert_bug(reserve_virtual_sealed, NULL, "sealed");
    assert_int_equal(ending_of(reserve_unsealed, NULL).status, 0);
}

static void reserve_too_much(void *argument)
{
    memory_setup(HUGEPAGES_OFF);
    memory_reserve(*(size_t *)argument, "the store of task t");
}

static void too_little_memory_is_fatal_and_names_the_purpose(void **state)
{
    size_t bytes = (size_t)1 << 62; /* beyond any address space */
    struct ending ending = ending_of(reserve_too_much, &bytes);

    (void)state;
    assert_true(WIFEXITED(ending.status));
    assert_int_equal(WEXITSTATUS(ending.status), EXIT_CONFIG);
    assert_non_null(strstr(ending.said, "for the store of task t"));
}

static void reserve_huge(void *argument)
{
    memory_setup(HUGEPAGES_REQUIRE);
    memset(memory_reserve(*(size_t *)argument, "a test"), 1, 1);
}

static void required_huge_pages_that_are_missing_are_fatal(void **state)
{
    /* No machine has this many; a small reservation does not need them. */
    size_t many = (size_t)1 << 46, few = 4096;
    struct ending ending = ending_of(reserve_huge, &many);

    (void)state;
    assert_true(WIFEXITED(ending.status));
    assert_int_equal(WEXITSTATUS(ending.status), EXIT_CONFIG);
    assert_non_null(strstr(ending.said, "huge pages"));
    assert_int_equal(ending_of(reserve_huge, &few).status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reservation_is_zeroed_aligned_and_counted),
        cmocka_unit_test(large_reservation_starts_on_a_huge_page),
        cmocka_unit_test(virtual_reservation_is_not_counted),
        cmocka_unit_test(trim_keeps_the_front_and_drops_the_rest),
        cmocka_unit_test(reservation_after_the_seal_is_a_bug),
        cmocka_unit_test(too_little_memory_is_fatal_and_names_the_purpose),
        cmocka_unit_test(required_huge_pages_that_are_missing_are_fatal),
    };

    return UNIT_RUN(tests);
}
