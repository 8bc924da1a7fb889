/*
 * net.h: requests to modelled servers: what lies between a driver and a server, with its faults.
 *
 *     net_send ──(time)──► serve(server, request, answer) ──(time)──► done(call), its env is woken
 *         └ lost ─────────────────────────────────────────────────► done: it failed
 *                                        └ the answer is lost ─────► done: it failed
 *
 * A request that is on its way when its sender is killed arrives or does not, as dice say; and one
 * whose sender was told that it failed may still arrive, late_us after it was sent at most.
 */
#ifndef WEIR_SIM_NET_H
#define WEIR_SIM_NET_H

#include "dataplane/base/arena.h"
#include "tests/sim/sim.h"

/* A server's front door. */
struct net_server {
    const char *name;
    /* Does what the request says, now; the answer is put into *answer. False: it hangs up without
     * a word, having done nothing. */
    bool (*serve)(struct net_server *server, struct slice request, struct buf *answer);
    bool away; /* connections are refused */
};

/* One request. The memory is the driver's and is taken until done() was called. */
struct net_call {
    /* From the scheduler, while the sender's actor rests; it is woken after. `answer` is valid
     * within the call; `failed`: no answer, whether it was done is not known. */
    void (*done)(struct net_call *call, bool failed, struct slice answer);
    void *owner;
    struct net_request *request; /* net.c's; NULL: none is under way */
};

/* Copies the request. `from` is the sender's env: when its node is dead, done() is never called. */
void net_send(struct env *from, struct net_server *server, struct net_call *call,
              struct slice request);

/* The driver has given up on it: done() is not called; the request may still arrive. */
void net_abandon(struct net_call *call);

/* For threads that wait (control): sends and rests until it is through. 0 and the answer, which is
 * the caller's to free(); or -1. */
int net_ask(struct env *from, struct net_server *server, struct slice request, char **answer,
            size_t *bytes);

#endif
