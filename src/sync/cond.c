/* SPDX-License-Identifier: MIT
 *
 * The condition variable: a queue of waiters and the inner lock (the field "lock") that guards it.
 *
 * Protocol.
 *   wait:
 *     1. Take the inner lock; queue.
 *     2. Park, and once off the stack (for a foreign thread: before it sleeps): release the inner
 *        lock, then unlock the mutex.
 *     3. Awake: lock the mutex as anybody does.
 *   wait_until: the wait has a ticket. If time won it, take the inner lock and leave the queue
 *     before 3.
 *   signal:
 *     4. Look at the queue without the lock (acquire); nobody there: done.
 *     5. Take the inner lock; take the first waiter off; release the lock; ready the waiter.
 *   broadcast: the same with all that are there.
 *
 * In step 2 the mutex is unlocked on g0, when the waiter can be woken by whoever gets to see it.
 * That may ready a goroutine, as a timer may from there, and never parks. No lock of the runtime is
 * held then: there is no order between inner locks to keep, and none is held across the system call
 * that wakes a thread. What step 2 needs lies on the waiter's stack, and stays there until the
 * waiter, awake, has locked the mutex in step 3, which it cannot before step 2 has unlocked it. For
 * the same reason the mutex is still there, and it is not touched after the unlock, by the rules of
 * mutex.c.
 *
 * No wake-up is lost. A waiter found the condition false while it held the mutex, and gives the
 * mutex up after it has queued, in 2 (the unlock releases). One who makes the condition true under
 * the mutex after that has so seen the waiter queue, in 4 too; or somebody else has taken it off
 * since, and woken it. This does not depend on whether the signal comes before or after the
 * signaller's own unlock.
 *
 * No wake-up is made up: a waiter is readied by the one who took it off the queue, or by its
 * deadline, and wi_park_many tells which. Nor is a signal eaten by a waiter that is past its
 * deadline: it goes to the first whose wait it wins.
 *
 * Lifetime. A waiter that has been signalled touches the cond no more, and the signaller none after
 * releasing the inner lock, before it readies anybody. So one that was signalled may free the cond
 * if no other will wait or signal; after a broadcast the others need only the mutex.
 *
 * Rejected: unlocking the mutex under the inner lock and parking then (as safe, but wakes under a
 * lock, and a signal that follows at once runs into it); moving waiters from here to the mutex's
 * queue instead of waking them (a broadcast would wake one at a time; but each wait would have to
 * tell the cond its mutex, and deadlines would have to follow from one queue to the other).
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
#include "sync/mutex.h"
#include "sync/sudog.h"

_Static_assert(sizeof(weft_cond) == 24, "part of the ABI");

/* ---- Waiting ---- */

struct cond_wait {
    struct wi_lock *inner;
    weft_mutex *mutex;
};

/* The end of step 2. Once the inner lock is free the waiter may run, but it comes no further than
 * the mutex. */
static void cond_let_go(void *arg)
{
    const struct cond_wait *wait = arg;
    weft_mutex *mutex = wait->mutex;
    wi_unlock(wait->inner);
    wi_mutex_unlock(mutex);
}

/* The mutex is locked, before and after. */
static int cond_wait_until(struct wi_g *gp, weft_cond *cond, weft_mutex *mutex, int64_t deadline)
{
    struct wi_lock *inner = wi_lock_of(&cond->lock);
    struct cond_wait wait = {.inner = inner, .mutex = mutex};
    struct wi_sudog sg = {.g = gp};
    int result = 0;

    if (deadline != WEFT_FOREVER)
        sg.ticket = wi_wait_open(gp);
    wi_sanitize_release(mutex); /* cond_let_go is no part of this goroutine */
    wi_lock(inner);
    wi_waitq_push(&cond->waiters, &sg);
    if (!wi_park_many(gp, cond_let_go, &wait, WI_WAIT_COND, sg.ticket, deadline)) {
        wi_lock(inner);
        wi_waitq_remove(&cond->waiters, &sg);
        wi_unlock(inner);
        result = -ETIMEDOUT;
    }
    wi_mutex_lock(gp, mutex);
    return result;
}

static void cond_check(const weft_cond *cond, const weft_mutex *mutex, const char *call)
{
    if (wi_unlikely(!cond))
        weft_panic("%s: the cond is NULL", call);
    if (wi_unlikely(!mutex))
        weft_panic("%s: the mutex is NULL", call);
    if (wi_unlikely(!wi_mutex_is_locked(mutex)))
        weft_panic("%s: mutex %p is not locked", call, (const void *)mutex);
}

void weft_cond_wait(weft_cond *cond, weft_mutex *mutex)
{
    cond_check(cond, mutex, "weft_cond_wait");
    struct wi_g *gp = wi_enter();
    cond_wait_until(gp, cond, mutex, WEFT_FOREVER);
    wi_leave(gp);
}

int weft_cond_wait_until(weft_cond *cond, weft_mutex *mutex, int64_t deadline)
{
    cond_check(cond, mutex, "weft_cond_wait_until");
    struct wi_g *gp = wi_enter();
    int result = -EAGAIN;
    if (deadline != WEFT_NOWAIT)
        result = cond_wait_until(gp, cond, mutex, deadline);
    wi_leave(gp);
    return result;
}

/* ---- Waking ---- */

static WI_NOINLINE void cond_wake_first(weft_cond *cond)
{
    struct wi_lock *inner = wi_lock_of(&cond->lock);
    struct wi_g *gp = wi_enter();
    wi_lock(inner);
    struct wi_sudog *sg = wi_waitq_pop(&cond->waiters);
    struct wi_g *waiter = sg ? sg->g : NULL;
    wi_unlock(inner);
    if (waiter)
        wi_ready(waiter);
    wi_leave(gp);
}

static WI_NOINLINE void cond_wake_all(weft_cond *cond)
{
    struct wi_lock *inner = wi_lock_of(&cond->lock);
    struct wi_g *gp = wi_enter();
    struct wi_glist list = {0};
    wi_lock(inner);
    wi_waitq_take_all(&cond->waiters, &list);
    wi_unlock(inner);
    wi_ready_all(&list);
    wi_leave(gp);
}

void weft_cond_signal(weft_cond *cond)
{
    if (wi_unlikely(!cond))
        weft_panic("weft_cond_signal: the cond is NULL");
    if (!wi_waitq_was_empty(&cond->waiters))
        cond_wake_first(cond);
}

void weft_cond_broadcast(weft_cond *cond)
{
    if (wi_unlikely(!cond))
        weft_panic("weft_cond_broadcast: the cond is NULL");
    if (!wi_waitq_was_empty(&cond->waiters))
        cond_wake_all(cond);
}
