/* SPDX-License-Identifier: MIT
 *
 * The waitgroup.
 *
 * state (atomic): the counter in the upper 32 bits, signed; in the lower 32 the number of waiters,
 * that is of sudogs in the queue that somebody will have to wake. The queue is guarded by the inner
 * lock (the word "lock"); a waiter counts itself and queues in one critical section.
 *
 * A wait is over when the whole of state is 0, not when the counter is: counter 0 with waiters
 * counted means that the last done is at its steps 2 to 4 and still needs the waitgroup.
 *
 * Protocol.
 *   add:
 *     1. Add n to the counter (acquire and release). Done, unless the counter is 0 now with waiters
 * counted.
 *     2. Take the inner lock; move all waiters from the queue to a list of our own; read state;
 * release the inner lock.
 *     3. CAS state from what was read to 0 (release). If it fails, another waiter has come: back
 * to 2.
 *     4. Ready the list.
 *   wait:
 *     5. If state is 0 (acquire; pairs with 1 and 3), return.
 *     6. Take the inner lock. If state is 0 now, release it and return; else CAS the count of
 * waiters up.
 *     7. Queue and park, which releases the inner lock.
 *     8. If time won: take the inner lock, leave the queue, and count ourselves out unless the
 * counter is 0: then a last done is at 2 or 3 and will set the count to 0.
 *
 * Lifetime. The memory may belong to a waiter, who reuses it as soon as its wait returns. No wait
 * returns 0 before state is 0, and the add that makes it so touches the waitgroup no more: with
 * nobody waiting that is step 1, else step 3, where the inner lock has been released and nobody has
 * been readied yet. In step 8 the count must not be brought to 0 once the counter is 0, since
 * another look at the waitgroup would then find it done while step 2 is still to come. This is why
 * a WEFT_NOWAIT or a passed deadline during steps 1 to 3 gives -EAGAIN or -ETIMEDOUT: the done has
 * not taken effect yet.
 *
 * No wake-up is lost. A waiter counts itself, by a change of state, while state is not 0. If that
 * is before the last done's step 1, step 1 finds it counted and takes it in 2. If it is after step
 * 1 but before 3, it is either in the queue that 2 takes (both under the inner lock) or has changed
 * the state that 3 compares with. The count only grows between 1 and 3, so the comparison is not
 * fooled.
 *
 * The counter in steps 2 and 3 stays 0: an add then would start from 0 while somebody waits,
 * which the contract forbids, and which is reported.
 *
 * Step 1 and a wait that finds 0 do not enter the runtime.
 *
 * Rejected: Go's way (the last add writes 0 and then releases each waiter through the waitgroup's
 * address: the memory is garbage-collected there); letting the waiter, before it returns, wait for
 * the inner lock to be free (every wait would pay, and a waiter that did not park would spin).
 */
#include <errno.h>
#include <stddef.h>

#include <weft/panic.h>
#include <weft/sync.h>
#include <weft/time.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "core/lock.h"
#include "core/park.h"
#include "sync/sudog.h"

_Static_assert(sizeof(weft_waitgroup) == 32, "part of the ABI");

static inline int32_t counter_of(uint64_t state)
{
    return (int32_t)(state >> 32);
}

static inline uint32_t waiters_of(uint64_t state)
{
    return (uint32_t)state;
}

/* ---- Counting ---- */

/* Steps 2 to 4. */
static WI_NOINLINE void release_waiters(weft_waitgroup *wg)
{
    struct wi_lock *inner = wi_lock_of(&wg->lock);
    struct wi_glist list = {0};
    struct wi_g *gp = wi_enter();
    uint64_t state;
    do {
        struct wi_sudog *sg;
        wi_lock(inner);
        while ((sg = wi_waitq_pop(&wg->waiters)))
            wi_glist_push(&list, sg->g);
        state = wi_load_relaxed(&wg->state);
        wi_unlock(inner);
    } while (!wi_cas_acq_rel(&wg->state, &state, 0));
    wi_ready_all(&list);
    wi_leave(gp);
}

static inline void add(weft_waitgroup *wg, int n, const char *call)
{
    if (wi_unlikely(!wg))
        weft_panic("%s: the waitgroup is NULL", call);
    uint64_t change = (uint64_t)(uint32_t)n << 32;
    uint64_t state = wi_fetch_add_acq_rel(&wg->state, change) + change;
    int32_t counter = counter_of(state);
    if (wi_likely(counter > 0)) {
        if (wi_unlikely(counter == n && waiters_of(state)))
            weft_panic("%s: waitgroup %p is added to from 0 while a wait is under way", call,
                       (void *)wg);
        return;
    }
    if (wi_unlikely(counter < 0))
        weft_panic("%s: the counter of waitgroup %p is negative: %d", call, (void *)wg, counter);
    /* add(0) changes nothing, and so is not the last done. */
    if (waiters_of(state) && n != 0)
        release_waiters(wg);
}

void weft_waitgroup_add(weft_waitgroup *wg, int n)
{
    add(wg, n, "weft_waitgroup_add");
}

void weft_waitgroup_done(weft_waitgroup *wg)
{
    add(wg, -1, "weft_waitgroup_done");
}

/* ---- Waiting ---- */

/* Step 8. */
static int time_out(weft_waitgroup *wg, struct wi_sudog *sg)
{
    struct wi_lock *inner = wi_lock_of(&wg->lock);
    wi_lock(inner);
    if (sg->queued) {
        wi_waitq_remove(&wg->waiters, sg);
        uint64_t state = wi_load_relaxed(&wg->state);
        while (counter_of(state) != 0 && !wi_cas_relaxed(&wg->state, &state, state - 1))
            ;
    }
    wi_unlock(inner);
    return -ETIMEDOUT;
}

/* Steps 6 and 7. */
static int wait_until(struct wi_g *gp, weft_waitgroup *wg, int64_t deadline)
{
    struct wi_lock *inner = wi_lock_of(&wg->lock);
    struct wi_sudog sg = {.g = gp};

    wi_lock(inner);
    uint64_t state = wi_load_acquire(&wg->state);
    do {
        if (state == 0) {
            wi_unlock(inner);
            return 0;
        }
    } while (!wi_cas_acquire(&wg->state, &state, state + 1));
    if (deadline == WEFT_FOREVER) {
        wi_waitq_push(&wg->waiters, &sg);
        wi_park(gp, inner, WI_WAIT_WAITGROUP);
        return 0;
    }
    sg.ticket = wi_wait_open(gp);
    wi_waitq_push(&wg->waiters, &sg);
    if (wi_park_until(gp, inner, WI_WAIT_WAITGROUP, sg.ticket, deadline))
        return 0;
    return time_out(wg, &sg);
}

int weft_waitgroup_wait_until(weft_waitgroup *wg, int64_t deadline)
{
    if (wi_unlikely(!wg))
        weft_panic("weft_waitgroup_wait_until: the waitgroup is NULL");
    if (wi_load_acquire(&wg->state) == 0)
        return 0;
    struct wi_g *gp = wi_enter();
    int result = deadline == WEFT_NOWAIT ? -EAGAIN : wait_until(gp, wg, deadline);
    wi_leave(gp);
    return result;
}

void weft_waitgroup_wait(weft_waitgroup *wg)
{
    if (wi_unlikely(!wg))
        weft_panic("weft_waitgroup_wait: the waitgroup is NULL");
    if (wi_load_acquire(&wg->state) == 0)
        return;
    struct wi_g *gp = wi_enter();
    wait_until(gp, wg, WEFT_FOREVER);
    wi_leave(gp);
}
