/* SPDX-License-Identifier: MIT
 *
 * Once.
 *
 * state (atomic) goes from NEW to RUNNING by the first call, and to DONE when its fn has ended; in
 * between it is WAITED_FOR while somebody may be in the queue. The inner lock (the field "lock")
 * guards the queue, and a waiter holds it when it changes RUNNING to WAITED_FOR.
 *
 * Protocol.
 *   1. If state is DONE (acquire; pairs with 4), return.
 *   2. CAS NEW -> RUNNING. Whoever succeeds calls fn outside the runtime, and goes on at 4.
 *   3. The others: take the inner lock. DONE now (acquire): release it and return. Else CAS RUNNING
 *      -> WAITED_FOR unless it is that already; queue; park, which releases the inner lock. Awake,
 *      fn has ended.
 *   4. CAS RUNNING -> DONE (release). If it succeeds, ready the list of 5; that is all.
 *   5. Else take the inner lock, move all waiters to a list of our own, set state to RUNNING, and
 *      release the lock. Go to 4.
 * Step 4 is also what weft_exit in fn does, by the record that is on the stack meanwhile.
 *
 * No wake-up is lost. A waiter queues under the inner lock with state WAITED_FOR, so that 4 fails
 * until 5 has taken it. The loop ends: it goes round again only if another waiter has come.
 *
 * Lifetime. Whoever finds it done may free the memory of a once that nobody else will call, though
 * the one who ran fn is still on its way out: step 4 is its last touch, and those waiting are
 * readied after that. A caller in step 3 is one that still calls it.
 *
 * Rejected: DONE stored under the inner lock (as simple, but the lock is released after a caller
 * has found it done at 1); the runner's holding a mutex while fn runs, as Go does (the mutex would
 * have to be one that a goroutine may leave behind).
 */
#include <stddef.h>

#include <weft/panic.h>
#include <weft/sync.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "core/lock.h"
#include "core/park.h"
#include "core/unwind.h"
#include "sync/sudog.h"

enum { NEW, RUNNING, WAITED_FOR, DONE };

_Static_assert(sizeof(weft_once) == 24, "part of the ABI");

/* Step 5. */
static void once_take_waiters(weft_once *once, struct wi_glist *list)
{
    struct wi_lock *inner = wi_lock_of(&once->lock);
    wi_lock(inner);
    wi_waitq_take_all(&once->waiters, list);
    wi_store_relaxed(&once->state, RUNNING);
    wi_unlock(inner);
}

/* Steps 4 and 5. */
static void once_finish(void *arg)
{
    weft_once *once = arg;
    struct wi_glist list = {0};
    uint32_t running = RUNNING;
    wi_sanitize_release(once);
    struct wi_g *gp = wi_enter();
    while (!wi_cas_release(&once->state, &running, DONE)) {
        once_take_waiters(once, &list);
        running = RUNNING;
    }
    wi_ready_all(&list);
    wi_leave(gp);
}

/* Step 3. */
static void once_wait(weft_once *once)
{
    struct wi_g *gp = wi_enter();
    struct wi_lock *inner = wi_lock_of(&once->lock);
    struct wi_sudog sg = {.g = gp};

    wi_lock(inner);
    uint32_t state = RUNNING;
    if (!wi_cas_acquire(&once->state, &state, WAITED_FOR) && state == DONE) {
        wi_unlock(inner);
    } else {
        wi_waitq_push(&once->waiters, &sg);
        wi_park(gp, inner, WI_WAIT_ONCE);
    }
    wi_leave(gp);
}

static void once_run(weft_once *once, void (*fn)(void *arg), void *arg)
{
    struct wi_unwind record = {.run = once_finish, .arg = once};
    struct wi_g *gp = wi_enter();
    wi_unwind_push(gp, &record);
    wi_leave(gp);
    fn(arg);
    wi_unwind_pop(gp, &record);
    once_finish(once);
}

static WI_NOINLINE void once_do_slow(weft_once *once, void (*fn)(void *arg), void *arg)
{
    uint32_t state = NEW;
    if (wi_cas_acquire(&once->state, &state, RUNNING))
        once_run(once, fn, arg);
    else if (state != DONE)
        once_wait(once);
}

void weft_once_do(weft_once *once, void (*fn)(void *arg), void *arg)
{
    if (wi_unlikely(!once))
        weft_panic("weft_once_do: the once is NULL");
    if (wi_unlikely(!fn))
        weft_panic("weft_once_do: fn of once %p is NULL", (void *)once);
    if (wi_unlikely(wi_load_acquire(&once->state) != DONE))
        once_do_slow(once, fn, arg);
    wi_sanitize_acquire(once);
}
