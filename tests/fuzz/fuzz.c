/*
 * fuzz.c: libFuzzer's two doors, and memory.h for a process that lives through millions of inputs.
 *
 *     fuzz_setup()      reserves ........ kept
 *     fuzz_input(1)     reserves .. taken back
 *     fuzz_input(2)     reserves .. taken back
 *
 * The program's own memory.c never gives anything back, and it need not: a node opens its plan and
 * its decoders once. Here each input gets new ones, because a dictionary of columns that a million
 * inputs have filled would make an input mean something else each time. So this file takes
 * memory.c's place at the link: the same contract, without seal and totals.
 */
#include "fuzz.h"

#include "dataplane/base/err.h"
#include "dataplane/base/log.h"

#include <sys/mman.h>
#include <xxhash.h>

#define BLOCKS_MAX 4096u
#define PAGE_BYTES ((size_t)4096)

/* A reservation. One that is not in use waits for the next of its size and purpose, because what
 * ASan was told of its bytes (poison.h) holds for that purpose. */
struct block {
    char *at;
    size_t bytes;
    const char *what;
    bool used;
};

static struct block blocks[BLOCKS_MAX];
static unsigned n_blocks, n_kept;

/* ---- memory.h ---- */

static struct block *find_block(size_t bytes, const char *what)
{
    for (unsigned i = n_kept; i < n_blocks; i++)
        if (!blocks[i].used && blocks[i].bytes == bytes && blocks[i].what == what)
            return &blocks[i];
    return NULL;
}

static void *reserve(size_t bytes, const char *what)
{
    size_t whole = (bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    struct block *block = find_block(whole, what);
    void *at;

    if (block == NULL) {
        at = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                  -1, 0);
        if (at == MAP_FAILED || n_blocks == BLOCKS_MAX)
            fatal(EXIT_SOFTWARE, "cannot reserve %zu bytes for %s", bytes, what);
        block = &blocks[n_blocks++];
        *block = (struct block){ .at = at, .bytes = whole, .what = what };
    }
    block->used = true;
    return block->at;
}

void memory_setup(enum hugepages hugepages)
{
    (void)hugepages;
}

void *memory_reserve(size_t bytes, const char *what)
{
    return reserve(bytes, what);
}

void *memory_reserve_virtual(size_t bytes, const char *what)
{
    return reserve(bytes, what);
}

void memory_trim(void *reserved, size_t bytes, size_t keep)
{
    size_t from = (keep + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);

    if (from < bytes)
        assert_int_equal(madvise((char *)reserved + from, bytes - from, MADV_DONTNEED), 0);
}

void memory_keep(size_t bytes)
{
    (void)bytes;
}

size_t memory_keep_bytes(void)
{
    return (size_t)1 << 20;
}

void memory_count_library(size_t bytes)
{
    (void)bytes;
}

void memory_seal(void)
{
}

void memory_unseal(void)
{
}

size_t memory_reserved_bytes(void)
{
    return 0;
}

size_t memory_buffer_bytes(void)
{
    return 0;
}

size_t memory_library_bytes(void)
{
    return 0;
}

/* ---- exact blocks ---- */

static void *exact[BLOCKS_MAX];
static unsigned n_exact;

struct slice fuzz_exact(struct slice bytes)
{
    char *copy = malloc(bytes.len);

    assert_true(n_exact < BLOCKS_MAX && (copy != NULL || bytes.len == 0));
    exact[n_exact++] = copy;
    if (bytes.len > 0)
        memcpy(copy, bytes.data, bytes.len);
    return (struct slice){ copy, bytes.len };
}

static void take_back(void)
{
    while (n_exact > 0)
        free(exact[--n_exact]);
    for (unsigned i = n_kept; i < n_blocks; i++) {
        if (!blocks[i].used)
            continue;
        blocks[i].used = false;
        assert_int_equal(madvise(blocks[i].at, blocks[i].bytes, MADV_DONTNEED), 0);
    }
}

/* ---- dice, texts ---- */

struct dice dice_of(struct slice input)
{
    return (struct dice){ XXH3_64bits(input.data, input.len) };
}

/* splitmix64: the same numbers on every machine. */
uint64_t dice_throw(struct dice *dice, uint64_t n)
{
    uint64_t z = dice->seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % n;
}

void fuzz_same(struct slice got, struct slice wanted, const char *what)
{
    if (slice_equal(got, wanted))
        return;
    fprintf(stderr, "%s\n--- got\n%.*s\n--- wanted\n%.*s\n---\n", what, (int)got.len,
            got.len > 0 ? got.data : "", (int)wanted.len, wanted.len > 0 ? wanted.data : "");
    abort();
}

/* ---- libFuzzer's ---- */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    /* A check that does not hold aborts instead of looking for a test to end. */
    setenv("CMOCKA_TEST_ABORT", "1", 1);
    log_setup(LOG_TEXT, LOG_ALERT);
    fuzz_setup();
    n_kept = n_blocks;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice input = { (const char *)data, size };

    fuzz_input(size > 0 ? input : (struct slice){ "", 0 });
    take_back();
    return 0;
}
