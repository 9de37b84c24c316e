/* SPDX-License-Identifier: MIT
 *
 * The weighted semaphore.
 *
 * state (atomic): the free permits, times 2, and the bit WAITERS: the queue is not empty. Of a
 * semaphore's size permits (constant), the others are taken. The inner lock (the field "lock")
 * guards the queue. WAITERS changes only under it, and while WAITERS is set so does all of state.
 *
 * Invariant, whenever the inner lock is free: WAITERS is set exactly while the queue is not empty;
 * and then the first waiter wants more than what is free, or is past its deadline and has still to
 * leave the queue.
 *
 * Protocol.
 *   acquire:
 *     1. While WAITERS is clear and enough is free: CAS our permits out (acquire; pairs with 5, 7).
 *     2. Take the inner lock, and try 1 again. If it fails, set WAITERS unless it is set, by a CAS
 *        that sees too little free; queue; park, which releases the inner lock.
 *     3. Readied: our permits have been taken out for us.
 *     4. If time won: take the inner lock. If still queued, leave the queue; who comes behind may
 *        be served now, as in 7.
 *   release:
 *     5. While WAITERS is clear: CAS our permits in (release).
 *     6. Take the inner lock. WAITERS clear now: release it, go to 5.
 *     7. Load state (acquire). From the first waiter on, while there is enough: take the waiter
 *        off, and, if its wait is won (one without a deadline always is), its permits out; if it is
 *        lost, go on to the next. Store what is left (release), and WAITERS if the queue is not
 *        empty.
 *     8. Release the inner lock; ready those served.
 *
 * No wake-up is lost. A waiter parks only after a CAS, or a look under the inner lock, that found
 * WAITERS set and too little for it, or others before it. Permits that come after that come at 7,
 * which serves all that can be. What a waiter held up (by wanting more than there was) may be
 * served when it leaves, at 4. A waiter that is dropped at 7 finds that it is not queued at 4, and
 * all that it held up has been looked at.
 *
 * Order. Nobody passes a waiter: with WAITERS set all join the end of the queue, those that want 0
 * permits too. So a waiter that wants many gets them, however many want few.
 *
 * Lifetime. The memory may belong to one that acquires, as a way to wait for one that releases, and
 * is gone when the acquire returns. Step 5 touches it no more; and it must not be done under the
 * inner lock, hence 6. In 7 the store to state lets in newcomers at step 1, if it clears WAITERS;
 * but those served have not returned from their acquire before they are readied, at 8, and those
 * dropped not before they have had the inner lock, at 4. So as long as the inner lock is held there
 * is somebody in a call that has still to return, and the semaphore must live until then.
 *
 * Steps 1 and 5 do not enter the runtime.
 *
 * Rejected: permits as a plain field under the inner lock (twice the cost when nobody waits);
 * waking waiters to compete, as the mutex does (a large request would have to hold what it has got
 * so far, and two such block each other).
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

enum { WAITERS = 1, PERMIT = 2 };

_Static_assert(sizeof(weft_sem) == 40, "part of the ABI");

struct sem_waiter {
    struct wi_sudog sg;
    int64_t amount;
};

static inline int64_t free_of(uint64_t state)
{
    return (int64_t)(state / PERMIT);
}

static inline uint64_t permits(int64_t n)
{
    return (uint64_t)n * PERMIT;
}

void weft_sem_init(weft_sem *sem, int64_t size)
{
    if (wi_unlikely(!sem))
        weft_panic("weft_sem_init: the semaphore is NULL");
    if (wi_unlikely(size < 0))
        weft_panic("weft_sem_init: semaphore %p is given a negative size: %lld", (void *)sem,
                   (long long)size);
    *sem = (weft_sem){.state = permits(size), .size = size};
}

/* ---- Serving those that wait ---- */

/* Step 7. The inner lock is held, and WAITERS is set. */
static void serve(weft_sem *sem, int64_t released, struct wi_glist *list)
{
    int64_t left = free_of(wi_load_acquire(&sem->state)) + released;
    struct wi_sudog *sg;
    while ((sg = sem->waiters.first)) {
        int64_t amount = wi_container_of(sg, struct sem_waiter, sg)->amount;
        if (amount > left)
            break;
        wi_waitq_remove(&sem->waiters, sg);
        if (sg->ticket == 0 || wi_wait_claim(sg->g, sg->ticket)) {
            left -= amount;
            wi_glist_push(list, sg->g);
        }
    }
    wi_store_release(&sem->state, permits(left) | (sg ? WAITERS : 0));
}

/* ---- Acquiring ---- */

/* Step 1. *state is what was last seen. */
static inline bool take_permits(weft_sem *sem, uint64_t *state, int64_t n)
{
    while (!(*state & WAITERS) && free_of(*state) >= n) {
        if (wi_cas_acquire(&sem->state, state, *state - permits(n)))
            return true;
    }
    return false;
}

/* Step 4. */
static int time_out(weft_sem *sem, struct wi_sudog *sg)
{
    struct wi_lock *inner = wi_lock_of(&sem->lock);
    struct wi_glist list = {0};
    wi_lock(inner);
    if (sg->queued) {
        wi_waitq_remove(&sem->waiters, sg);
        serve(sem, 0, &list);
    }
    wi_unlock(inner);
    wi_ready_all(&list);
    return -ETIMEDOUT;
}

/* Steps 2 to 4. */
static int acquire_slow(struct wi_g *gp, weft_sem *sem, int64_t n, int64_t deadline)
{
    struct wi_lock *inner = wi_lock_of(&sem->lock);
    struct sem_waiter waiter = {.sg = {.g = gp}, .amount = n};

    wi_lock(inner);
    uint64_t state = wi_load_relaxed(&sem->state);
    do {
        if (take_permits(sem, &state, n)) {
            wi_unlock(inner);
            return 0;
        }
    } while (!(state & WAITERS) && !wi_cas_relaxed(&sem->state, &state, state | WAITERS));
    if (deadline == WEFT_FOREVER) {
        wi_waitq_push(&sem->waiters, &waiter.sg);
        wi_park(gp, inner, WI_WAIT_SEM);
        return 0;
    }
    waiter.sg.ticket = wi_wait_open(gp);
    wi_waitq_push(&sem->waiters, &waiter.sg);
    if (wi_park_until(gp, inner, WI_WAIT_SEM, waiter.sg.ticket, deadline))
        return 0;
    return time_out(sem, &waiter.sg);
}

static inline int acquire_until(weft_sem *sem, int64_t n, int64_t deadline)
{
    if (wi_unlikely(!sem || n < 0 || n > sem->size))
        return -EINVAL;
    uint64_t state = wi_load_relaxed(&sem->state);
    int result = 0;
    if (wi_unlikely(!take_permits(sem, &state, n))) {
        struct wi_g *gp = wi_enter();
        result = deadline == WEFT_NOWAIT ? -EAGAIN : acquire_slow(gp, sem, n, deadline);
        wi_leave(gp);
    }
    if (result == 0)
        wi_sanitize_acquire(sem);
    return result;
}

int weft_sem_acquire(weft_sem *sem, int64_t n)
{
    return acquire_until(sem, n, WEFT_FOREVER);
}

int weft_sem_acquire_until(weft_sem *sem, int64_t n, int64_t deadline)
{
    return acquire_until(sem, n, deadline);
}

int weft_sem_tryacquire(weft_sem *sem, int64_t n)
{
    if (wi_unlikely(!sem))
        weft_panic("weft_sem_tryacquire: the semaphore is NULL");
    if (wi_unlikely(n < 0))
        return 0;
    uint64_t state = wi_load_relaxed(&sem->state);
    if (!take_permits(sem, &state, n))
        return 0;
    wi_sanitize_acquire(sem);
    return 1;
}

/* ---- Releasing ---- */

static inline bool are_taken(const weft_sem *sem, uint64_t state, int64_t n)
{
    return n <= sem->size - free_of(state);
}

/* Steps 6 to 8. False: the semaphore is not as it was, and nothing has happened. */
static WI_NOINLINE bool release_contended(weft_sem *sem, int64_t n)
{
    struct wi_lock *inner = wi_lock_of(&sem->lock);
    struct wi_glist list = {0};
    struct wi_g *gp = wi_enter();
    wi_lock(inner);
    uint64_t state = wi_load_relaxed(&sem->state);
    bool as_it_was = (state & WAITERS) && are_taken(sem, state, n);
    if (as_it_was)
        serve(sem, n, &list);
    wi_unlock(inner);
    wi_ready_all(&list);
    wi_leave(gp);
    return as_it_was;
}

void weft_sem_release(weft_sem *sem, int64_t n)
{
    if (wi_unlikely(!sem))
        weft_panic("weft_sem_release: the semaphore is NULL");
    if (wi_unlikely(n < 0))
        weft_panic("weft_sem_release: semaphore %p gets back a negative number of permits: %lld",
                   (void *)sem, (long long)n);
    wi_sanitize_release(sem);
    uint64_t state = wi_load_relaxed(&sem->state);
    for (;;) {
        if (wi_unlikely(!are_taken(sem, state, n)))
            weft_panic("weft_sem_release: semaphore %p gets back %lld permits, but %lld are taken",
                       (void *)sem, (long long)n, (long long)(sem->size - free_of(state)));
        if (wi_unlikely(state & WAITERS)) {
            if (release_contended(sem, n))
                return;
            state = wi_load_relaxed(&sem->state);
        } else if (wi_cas_release(&sem->state, &state, state + permits(n))) {
            return;
        }
    }
}
