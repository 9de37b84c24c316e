/* SPDX-License-Identifier: MIT
 *
 * The mutex.
 *
 * state (atomic) holds three bits:
 *   LOCKED   somebody owns the mutex.
 *   WAITERS  the queue is not empty. Changed only under the inner lock (the field "lock").
 *   WOKEN    a waiter has been taken off the queue and woken to compete. It will either take the
 *            mutex or queue again, and clears the bit in the same step; until then no other is woken.
 * The queue is guarded by the inner lock, which is held for a few instructions and never while the
 * mutex is given away (see Lifetime).
 *
 * Protocol.
 *   lock:
 *     1. CAS 0 -> LOCKED (acquire; pairs with 7 and 10). Done if it succeeds.
 *     2. While LOCKED is clear, CAS it in (acquire), with WOKEN out if we are the woken one.
 *     3. Take the inner lock. CAS: LOCKED clear: as 2, release the inner lock, done. LOCKED set:
 *        WAITERS in, and WOKEN out if that was us.
 *     4. Queue: a newcomer at the end, a woken waiter that lost at the front. Park, which releases
 *        the inner lock.
 *     5. Awake: either the mutex has been handed over and is ours (it stayed LOCKED), or we are the
 *        woken one and go on at 2.
 *   unlock:
 *     6. CAS LOCKED -> 0 (release). Done if it succeeds.
 *     7. While WOKEN is set or WAITERS is clear: CAS LOCKED out (release). Done if it succeeds.
 *     8. Take the inner lock, and the first waiter off the queue. Hand over if it has waited for
 *        1 ms or more; else WOKEN in. WAITERS out if the queue is empty now. We own the mutex and
 *        the inner lock, so nobody else changes the state: a plain store.
 *     9. Release the inner lock.
 *    10. Not a hand-over: LOCKED out (release; atomic, as waiters may come since 9).
 *    11. Ready the waiter.
 *
 * No wake-up is lost. A waiter parks only after a CAS in step 3 that saw LOCKED and left WAITERS.
 * The owner's unlock follows in the order of changes to state; so it finds WAITERS and
 *   - WOKEN clear: it goes to 8, waits there until the waiter is parked, and wakes the first in the
 *     queue;
 *   - WOKEN set (or an unlocker is between 8 and 10, and has just set it): the woken one is on its
 *     way. It sees LOCKED clear and takes the mutex, and its own unlock looks again; or it sees
 *     LOCKED, and by clearing WOKEN, with WAITERS set, leaves it to that owner's unlock.
 * So whenever the queue is not empty, there is an owner that will unlock, or a woken waiter.
 *
 * Starvation. In between, newcomers may take the mutex before the woken one (that is what makes a
 * contended mutex fast: no switch per hand-over). A loser keeps its place and the time it came.
 * Once it has waited 1 ms, the unlock that takes it off the queue leaves LOCKED set: newcomers
 * cannot come between. As those behind it have waited long as well by then, the mutex goes from
 * waiter to waiter until one has waited less. This is the starvation mode of Go's sync.Mutex,
 * decided by the unlocker, who can tell from the queue, and so without a bit for it. Unlocking
 * while WOKEN is set hands over to nobody: the waiter that is first in line is not in the queue.
 *
 * Lifetime. Whoever owns a mutex may free its memory after unlocking, when it knows that nobody
 * else will lock it: the last of those who lock it to drop a reference. The one who unlocked just
 * before may still be in its unlock. So the step that lets the next owner in (6, 7, 10, or 11 for a
 * hand-over) is the last that touches the mutex, and the inner lock is released before it. A waiter
 * that has still to lock is no concern: the mutex must live until it has.
 *
 * The uncontended steps 1, 6 and 7 do not enter the runtime; a goroutine that does nothing but them
 * is like one that computes. As soon as another one waits for the mutex, unlock does enter it, and
 * there gives way if its slice is over.
 *
 * Rejected: clearing LOCKED first and then looking for waiters, as Go does (touches the mutex when
 * it may be gone); handing over always (a switch for every lock under contention); the runtime's
 * futex-like table of queues keyed by address (the struct has room for a queue, and a table has
 * locks of its own).
 */
#include <stddef.h>

#include <weft/panic.h>
#include <weft/sync.h>
#include <weft/time.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "core/lock.h"
#include "core/park.h"
#include "os/os.h"
#include "sync/mutex.h"
#include "sync/sudog.h"

enum { LOCKED = 1, WAITERS = 2, WOKEN = 4 };

/* sudog.result: what the unlocker did for the waiter. */
enum { COMPETE, HANDED_OVER };

#define STARVING_AFTER WEFT_MILLISECOND

_Static_assert(sizeof(weft_mutex) == 24, "part of the ABI");

/* Step 2. *state is what was last seen. */
static inline bool take_if_free(weft_mutex *mutex, uint32_t *state, uint32_t woken)
{
    while (!(*state & LOCKED)) {
        if (wi_cas_acquire(&mutex->state, state, (*state | LOCKED) & ~woken))
            return true;
    }
    return false;
}

/* Steps 2 to 5. */
static void mutex_lock_slow(struct wi_g *gp, weft_mutex *mutex)
{
    struct wi_lock *inner = wi_lock_of(&mutex->lock);
    struct wi_sudog sg = {.g = gp};
    uint32_t woken = 0;
    for (;;) {
        uint32_t state = wi_load_relaxed(&mutex->state);
        if (take_if_free(mutex, &state, woken))
            return;
        wi_lock(inner);
        do {
            if (take_if_free(mutex, &state, woken)) {
                wi_unlock(inner);
                return;
            }
        } while (!wi_cas_relaxed(&mutex->state, &state, (state | WAITERS) & ~woken));
        if (woken) {
            wi_waitq_push_front(&mutex->waiters, &sg);
        } else {
            sg.since = wi_os_now();
            wi_waitq_push(&mutex->waiters, &sg);
        }
        wi_park(gp, inner, WI_WAIT_MUTEX);
        if (sg.result == HANDED_OVER)
            return;
        woken = WOKEN;
    }
}

/* Steps 8 to 11. */
static void mutex_unlock_wake(weft_mutex *mutex)
{
    struct wi_lock *inner = wi_lock_of(&mutex->lock);
    int64_t now = wi_os_now();

    wi_lock(inner);
    struct wi_sudog *sg = wi_waitq_pop(&mutex->waiters);
    if (wi_unlikely(!sg)) /* somebody else unlocks too, and has taken the only waiter */
        weft_panic("weft_mutex_unlock: mutex %p is not locked", (void *)mutex);
    struct wi_g *gp = sg->g;
    bool hand_over = now - sg->since >= STARVING_AFTER;
    uint32_t state = LOCKED;
    if (!wi_waitq_was_empty(&mutex->waiters))
        state |= WAITERS;
    if (!hand_over)
        state |= WOKEN;
    sg->result = hand_over ? HANDED_OVER : COMPETE;
    wi_store_relaxed(&mutex->state, state);
    wi_unlock(inner);

    if (!hand_over)
        wi_fetch_and_acq_rel(&mutex->state, ~(uint32_t)LOCKED);
    wi_ready(gp);
}

/* Step 7 and on. */
static void mutex_unlock_slow(weft_mutex *mutex)
{
    uint32_t state = wi_load_relaxed(&mutex->state);
    while ((state & WOKEN) || !(state & WAITERS)) {
        if (wi_cas_release(&mutex->state, &state, state & ~(uint32_t)LOCKED))
            return;
    }
    mutex_unlock_wake(mutex);
}

bool wi_mutex_is_locked(const weft_mutex *mutex)
{
    return wi_load_relaxed(&mutex->state) & LOCKED;
}

void wi_mutex_lock(struct wi_g *gp, weft_mutex *mutex)
{
    uint32_t free = 0;
    if (!wi_cas_acquire(&mutex->state, &free, LOCKED))
        mutex_lock_slow(gp, mutex);
    wi_sanitize_acquire(mutex);
}

void wi_mutex_unlock(weft_mutex *mutex)
{
    uint32_t owned = LOCKED;
    wi_sanitize_release(mutex);
    if (!wi_cas_release(&mutex->state, &owned, 0))
        mutex_unlock_slow(mutex);
}

static WI_NOINLINE void lock_contended(weft_mutex *mutex)
{
    if (!mutex)
        weft_panic("weft_mutex_lock: the mutex is NULL");
    struct wi_g *gp = wi_enter();
    mutex_lock_slow(gp, mutex);
    wi_leave(gp);
}

static WI_NOINLINE void unlock_contended(weft_mutex *mutex)
{
    if (!mutex)
        weft_panic("weft_mutex_unlock: the mutex is NULL");
    if (!(wi_load_relaxed(&mutex->state) & LOCKED))
        weft_panic("weft_mutex_unlock: mutex %p is not locked", (void *)mutex);
    struct wi_g *gp = wi_enter();
    mutex_unlock_slow(mutex);
    wi_leave(gp);
}

void weft_mutex_lock(weft_mutex *mutex)
{
    uint32_t free = 0;
    if (wi_unlikely(!mutex || !wi_cas_acquire(&mutex->state, &free, LOCKED)))
        lock_contended(mutex);
    wi_sanitize_acquire(mutex);
}

int weft_mutex_trylock(weft_mutex *mutex)
{
    if (wi_unlikely(!mutex))
        weft_panic("weft_mutex_trylock: the mutex is NULL");
    uint32_t state = wi_load_relaxed(&mutex->state);
    if (!take_if_free(mutex, &state, 0))
        return 0;
    wi_sanitize_acquire(mutex);
    return 1;
}

void weft_mutex_unlock(weft_mutex *mutex)
{
    uint32_t owned = LOCKED;
    wi_sanitize_release(mutex);
    if (wi_unlikely(!mutex || !wi_cas_release(&mutex->state, &owned, 0)))
        unlock_contended(mutex);
}
