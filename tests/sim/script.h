/*
 * script.h: how much of a seed's history is played: all of it, or what words on the command line
 * leave.
 *
 *     weir-sim 1979 until=2.5 nodes=1 messages=3,17-19 kill@1.2 lose_answer@1.330112#2
 *
 * A word NAME@SECONDS#N is one fault: the dial's name, and the first time that the dial is asked
 * then or later (the N-th time, from 0, where it is asked several times at that moment). Where
 * there are words, only those faults happen. So a history that is told by all its words is the same
 * one, and with fewer words it keeps what it can: the log and its times, and whatever does not
 * follow from what is gone.
 */
#ifndef WEIR_SIM_SCRIPT_H
#define WEIR_SIM_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct script {
    bool given;             /* there were words */
    bool tells;             /* print the words that play what happens */
    uint64_t until_us;      /* when faults stop and the log ends; 0: as the seed says */
    unsigned nodes, shards; /* likewise */
    uint64_t luck;          /* another order of turns, other latencies: the rest is the same */
};
extern struct script script;

/* Takes a word of the command line; false: it is none. */
bool script_take(const char *word);

/* Does the log's change with that number happen? */
bool script_keeps(unsigned message);

/* The dial of that name (of so many bytes) is asked at that moment, and chance says `likely`: does
 * it go wrong? The moments never go back. */
bool script_decides(const char *dial, size_t len, uint64_t at_us, bool likely);

#endif
