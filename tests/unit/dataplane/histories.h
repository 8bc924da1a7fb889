/*
 * histories.h: plays many seeded histories of a modelled world. Each chunk of them runs in a
 * process of its own, because the data path's reservations are never given back.
 */
#ifndef WEIR_TESTS_HISTORIES_H
#define WEIR_TESTS_HISTORIES_H

#include "tests/unit/unit.h"

enum { HISTORIES_CHUNK = 10 };

/* Plays one history by its seed; true if it ends right. */
typedef bool history_play(uint64_t seed, const void *rules);

/* How many of `n` histories end wrong; a crash counts as a wrong chunk. Each wrong seed is told on
 * stderr, the first wrong chunk's first seed is put into *first. With `enough`, none is played
 * after the first wrong chunk. */
static inline unsigned histories_count(history_play *play, const void *rules, unsigned n,
                                       bool enough, uint64_t *first)
{
    unsigned wrong = 0;
    for (unsigned from = 0; from < n && !(enough && wrong > 0); from += HISTORIES_CHUNK) {
        fflush(stdout);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            unsigned bad = 0;
            for (unsigned i = from; i < from + HISTORIES_CHUNK && i < n; i++)
                if (!play(i, rules))
                    bad++, fprintf(stderr, "# seed %u\n", i);
            _exit((int)bad);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        unsigned bad = WIFEXITED(status) ? (unsigned)WEXITSTATUS(status) : HISTORIES_CHUNK;
        if (bad > 0 && wrong == 0)
            *first = from;
        wrong += bad;
    }
    return wrong;
}

/* At least one of `n` histories ends wrong. */
static inline void histories_some_wrong(history_play *play, const void *rules, unsigned n)
{
    uint64_t first;
    assert_true(histories_count(play, rules, n, true, &first) > 0);
}

static inline void histories_all_right(history_play *play, const void *rules, unsigned n)
{
    uint64_t first = 0;
    unsigned wrong = histories_count(play, rules, n, false, &first);
    if (wrong > 0)
        print_message("# %u of %u wrong, the first at seed %llu or a little later\n", wrong, n,
                      (unsigned long long)first);
    assert_int_equal(wrong, 0);
}

#endif
