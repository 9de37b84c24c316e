/* SPDX-License-Identifier: MIT
 *
 * Park and ready: all that channels, sync, timers and the netpoller know of the scheduler.
 *
 * Every public function that touches the runtime is bracketed:
 *
 *     struct wi_g *gp = wi_enter();
 *     ... wi_park(gp, ...) ...
 *     wi_leave(gp);
 *
 * gp stays the same across parks, while the thread may change; so nothing thread-local may be held
 * across one (self.h). A foreign thread gets a stand-in goroutine that blocks on a futex where a
 * real one parks; callers need not care.
 *
 * Parking. A waiter publishes itself (a sudog in a queue) under a lock of the object it waits for,
 * and calls wi_park with that lock held. The lock is released only when the goroutine is off its
 * stack, so that whoever takes the lock and finds the sudog may ready it at once. The waiter's
 * sudog lives on its stack; the one who wakes it removes the sudog from the queue, under the lock,
 * before wi_ready.
 *
 * Wait tickets. A wait that can end in more than one way (a value, a deadline, one of several
 * channels) is raced for: gp->wait is even while a wait is open and odd once somebody has won it.
 *   1. the waiter: ticket = wi_wait_open(gp); it stores the ticket in its sudogs, and parks.
 *   2. anyone who wants to wake it: wi_wait_claim(gp, ticket) is true for exactly one of them; the
 *      winner readies it, the others leave it alone. A sender that loses goes on to the next
 *      waiter.
 *   3. the waiter, awake, removes what is left of its sudogs from queues, under their locks.
 * A ticket is never used twice, so a claim that comes too late, even in another wait of the same
 * goroutine, fails. A wait that can end in one way only uses ticket 0 and saves the atomics:
 * whoever removed the sudog from the queue under the lock is the winner.
 */
#ifndef WI_CORE_PARK_H
#define WI_CORE_PARK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "core/g.h"
#include "core/lock.h"
#include "core/m.h"
#include "core/self.h"

void wi_enter_slow(struct wi_g *gp);
void wi_leave_slow(struct wi_g *gp);

/* Enters the runtime: from here to wi_leave this thread's P cannot be taken away. The claim
 * protocol is explained in seize.c. */
static inline struct wi_g *wi_enter(void)
{
    struct wi_m *mp = wi_getm();
    struct wi_g *gp;
    if (wi_unlikely(!mp || !(gp = mp->curg)))
        return wi_foreign_g();
    wi_store_relaxed(&mp->mode, WI_MODE_RUNTIME);
    wi_compiler_barrier();
    if (wi_unlikely(wi_load_acquire(&mp->claim)))
        wi_enter_slow(gp);
    return gp;
}

static inline void wi_leave(struct wi_g *gp)
{
    if (wi_unlikely(gp->foreign))
        return;
    if (wi_unlikely(wi_load_relaxed(&gp->m->preempt)))
        wi_leave_slow(gp);
    wi_store_release(&gp->m->mode, gp->user_mode);
}

/* Keeps gp in the runtime when it leaves: it is not made to give way, its P is not taken, and so
 * the end of a run waits until it has ended. For a goroutine of the runtime's own that does not
 * park, and that would leave something half done if it were discarded. In the runtime. */
static inline void wi_stay(struct wi_g *gp)
{
    gp->user_mode = WI_MODE_RUNTIME;
}

/* Parks until wi_ready(gp), and releases the lock as soon as the goroutine is off its stack. The
 * calling goroutine only, in the runtime. */
void wi_park(struct wi_g *gp, struct wi_lock *lock, enum wi_wait why);

/* The same, at most until deadline (WEFT_FOREVER: no bound). ticket is an open wait. True: somebody
 * claimed the wait and readied gp. False: time won, and every later claim on this ticket fails. */
bool wi_park_until(struct wi_g *gp, struct wi_lock *lock, enum wi_wait why, uint64_t ticket,
                   int64_t deadline);

/* The same for a waiter that stands in queues of several objects: unlock(arg) releases their locks.
 * As soon as one of them is free somebody may ready gp, and it may run; so arg may lie on gp's
 * stack only if gp, awake, takes the lock that unlock releases last, or knows that somebody did. */
bool wi_park_many(struct wi_g *gp, void (*unlock)(void *arg), void *arg, enum wi_wait why,
                  uint64_t ticket, int64_t deadline);

/* Makes a parked goroutine runnable. Only by the one entitled to it, once for each park. In the
 * runtime, on g0, or from a foreign thread; not with the lock of step "park" held by the parker. */
void wi_ready(struct wi_g *gp);

/* The same for a list; foreign stand-ins included. Empties the list. */
void wi_ready_all(struct wi_glist *list);

/* Lets others run: to the end of the local queue. */
void wi_yield(struct wi_g *gp);

/* Parks until the deadline. */
void wi_sleep_until(struct wi_g *gp, int64_t deadline);

/* Opens a wait; never 0. */
static inline uint64_t wi_wait_open(struct wi_g *gp)
{
    uint64_t ticket = (wi_load_relaxed(&gp->wait) | 1) + 1;
    wi_store_relaxed(&gp->wait, ticket);
    return ticket;
}

/* True for exactly one caller per opened ticket. Acquires and releases. */
static inline bool wi_wait_claim(struct wi_g *gp, uint64_t ticket)
{
    return wi_cas_acq_rel(&gp->wait, &ticket, ticket + 1);
}

#endif
