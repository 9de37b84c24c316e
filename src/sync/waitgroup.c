/* SPDX-License-Identifier: MIT
 *
 * The waitgroup.
 *
 * state (atomic): the counter in the upper 32 bits, signed; in the lower 32 the number of waiters,
 * that is, of sudogs in the queue that somebody will have to wake. The inner lock (the field
 * "lock") guards the queue; a waiter counts itself and queues in one critical section.
 *
 * A wait is over when the whole of state is 0, not when the counter is. A counter of 0 with waiters
 * counted means that the last done is at its steps 2 to 3 and still needs the waitgroup.
 *
 * Protocol.
 *   add:
 *     1. Add n to the counter (acquire and release). Done, unless the counter is 0 now and waiters
 *        are counted.
 *     2. Take the inner lock; move all waiters to a list of our own; read state; release the lock.
 *     3. CAS state from what was read to 0 (release). On failure another waiter has come: go to 2.
 *     4. Ready the list.
 *   wait:
 *     5. If state is 0 (acquire; pairs with 1 and 3), return.
 *     6. Take the inner lock. If state is 0 now, release the lock and return; else CAS the count of
 *        waiters up by 1.
 *     7. Queue; park, which releases the inner lock.
 *     8. If time won: take the inner lock, leave the queue, and, unless the counter is 0, count
 *        ourselves out. (If it is 0, a last done is at 2 or 3, and will set the count to 0.)
 *
 * Lifetime. The memory may belong to a waiter, who reuses it as soon as its wait returns. No wait
 * returns 0 before state is 0, and the add that makes it 0 touches the waitgroup no more: with
 * nobody waiting that is step 1, else step 3, where the inner lock has been released and nobody has
 * been readied yet. So step 8 must not bring the count to 0 once the counter is 0: another look at
 * the waitgroup would find it done while step 2 is still to come. And so WEFT_NOWAIT or a passed
 * deadline during steps 1 to 3 give -EAGAIN or -ETIMEDOUT: the done has not taken effect yet.
 *
 * No wake-up is lost. A waiter counts itself, which changes state, while state is not 0. If that
 * comes before step 1 of the last done, step 1 finds it counted, and 2 takes it. If it comes after
 * step 1 and before 3, either 2 takes it (both hold the inner lock) or 3 finds state changed. The
 * count only grows between 1 and 3, so the comparison is not fooled.
 *
 * The counter stays 0 in steps 2 and 3: an add would start from 0 while somebody waits, which the
 * contract forbids and step 1 reports.
 *
 * Step 1 and a wait that finds 0 do not enter the runtime.
 *
 * Rejected: Go's way (the last add writes 0 and then releases each waiter through the waitgroup,
 * which is garbage-collected there); a waiter that, before it returns, sees to it that the inner
 * lock is free (every wait would pay, and one that did not park would have to spin).
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
        wi_lock(inner);
        wi_waitq_take_all(&wg->waiters, &list);
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
    if (n < 0)
        wi_sanitize_release(wg);
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
    int result = 0;
    if (wi_load_acquire(&wg->state) != 0) {
        struct wi_g *gp = wi_enter();
        result = deadline == WEFT_NOWAIT ? -EAGAIN : wait_until(gp, wg, deadline);
        wi_leave(gp);
    }
    if (result == 0)
        wi_sanitize_acquire(wg);
    return result;
}

void weft_waitgroup_wait(weft_waitgroup *wg)
{
    if (wi_unlikely(!wg))
        weft_panic("weft_waitgroup_wait: the waitgroup is NULL");
    if (wi_load_acquire(&wg->state) != 0) {
        struct wi_g *gp = wi_enter();
        wait_until(gp, wg, WEFT_FOREVER);
        wi_leave(gp);
    }
    wi_sanitize_acquire(wg);
}
