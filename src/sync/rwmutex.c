/* SPDX-License-Identifier: MIT
 *
 * The readers-writer mutex.
 *
 * state (atomic):
 *   WRITER    a writer owns the rwmutex.
 *   WAITERS   a queue is not empty. Changed only under the inner lock (the field "lock").
 *   READER    one of these for each reader that owns it; never together with WRITER. Of readers so
 *             many that they reach FULL no more are let in, so that they cannot overflow: it takes
 *             a loop that forgets to unlock.
 * There is a queue of readers and one of writers; the inner lock guards both. Ownership is always
 * handed over: who finds somebody in a queue joins one, and leaves it as an owner.
 *
 * Invariants, whenever the inner lock is free:
 *   - WAITERS is set exactly while a queue is not empty, and then somebody owns the rwmutex.
 *   - While readers own it, readers wait only if a writer does.
 * While WAITERS is set and the inner lock is held by an owner that is about to give up, state does
 * not change but by that owner: newcomers and others in their slow paths need the inner lock, and
 * the steps 1, 4 and 7 do not apply.
 *
 * Protocol.
 *   rdlock:
 *     1. While neither WRITER nor WAITERS is set: CAS one READER in (acquire; pairs with 4, 7, 8).
 *     2. Take the inner lock, and try 1 again. If it fails, set WAITERS unless it is set, by a CAS
 *        that sees it owned; queue; park, which releases the inner lock.
 *     3. Awake, we are an owner and counted.
 *   rdunlock:
 *     4. Unless we are the last reader and WAITERS is set: CAS one READER out (release).
 *     5. Else, still counted: take the inner lock; load state (acquire; pairs with the 4 of the
 *        readers before); take the first writer off its queue; state = WRITER, and WAITERS if a
 *        queue is not empty. Release the inner lock; ready the writer.
 *   wrlock:
 *     6. CAS 0 -> WRITER (acquire). Else as 2 and 3.
 *   wrunlock:
 *     7. CAS WRITER -> 0 (release).
 *     8. If that fails, WAITERS is set: take the inner lock. If readers wait, take them all off:
 *        state = so many READERs (release), and WAITERS if a writer waits. Else as 5. Release the
 *        inner lock; ready those taken.
 *
 * No wake-up is lost. Who queues has seen, in the CAS of 2 or under the inner lock, that WAITERS is
 * set and somebody owns the rwmutex. The unlock that would leave it without an owner comes later in
 * the order of changes to state, finds WAITERS, and takes the inner lock, which it gets when the
 * waiter is parked. There it finds the queue as the last one left it: in 5 a writer, because of the
 * second invariant.
 *
 * Starvation. A writer that waits keeps new readers out, so that it waits for those that own the
 * rwmutex now and for the writers before it, and, in between, for the readers that each of those
 * lets in at its unlock. These are the ones that waited then: a reader waits for one writer at most
 * after the one that owns.
 *
 * Lifetime. As for a mutex, whoever owned it last may free its memory while the one who unlocked
 * before is still in its unlock. Steps 4 and 7 touch it no more. In 5 and 8 the store to state lets
 * nobody in but those taken off the queues, who know of it only when they are readied, after the
 * inner lock has been released; and in 8, if no writer waits, new readers at step 1, who are not
 * the last to use it, since those taken off have not yet returned from their rdlock.
 *
 * The steps 1, 4, 6 and 7 do not enter the runtime.
 *
 * Rejected: Go's way (readers add themselves first and find out then, on two counters and two
 * semaphores; the last reader of an unlock touches it when it may be gone); letting newcomers pass
 * the one that was woken, as the mutex does (with readers that pass, a writer waits without bound,
 * and with a bit for each kind of woken one the state is hard to follow).
 */
#include <stddef.h>

#include <weft/panic.h>
#include <weft/sync.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "core/lock.h"
#include "core/park.h"
#include "sync/sudog.h"

enum { WRITER = 1, WAITERS = 2, READER = 4 };

#define FULL (UINT32_C(1) << 31)

_Static_assert(sizeof(weft_rwmutex) == 40, "part of the ABI");

static WI_NOINLINE void panic_null(const char *call)
{
    weft_panic("%s: the rwmutex is NULL", call);
}

/* ---- Locking ---- */

/* For ThreadSanitizer: a writer comes after all, a reader after the writers only. */
static inline void acquire_all(const weft_rwmutex *rw)
{
    wi_sanitize_acquire(&rw->writers);
    wi_sanitize_acquire(&rw->readers);
}

/* Step 1. */
static inline bool take_for_reading(weft_rwmutex *rw, uint32_t *state)
{
    while (!(*state & (WRITER | WAITERS | FULL))) {
        if (wi_cas_acquire(&rw->state, state, *state + READER))
            return true;
    }
    return false;
}

/* Step 6. */
static inline bool take_for_writing(weft_rwmutex *rw, uint32_t *state)
{
    while (*state == 0) {
        if (wi_cas_acquire(&rw->state, state, WRITER))
            return true;
    }
    return false;
}

/* Steps 2 and 3. */
static inline void lock_slow(weft_rwmutex *rw, weft_waitq *queue,
                             bool (*take)(weft_rwmutex *rw, uint32_t *state), enum wi_wait why)
{
    struct wi_g *gp = wi_enter();
    struct wi_lock *inner = wi_lock_of(&rw->lock);
    struct wi_sudog sg = {.g = gp};

    wi_lock(inner);
    uint32_t state = wi_load_relaxed(&rw->state);
    do {
        if (take(rw, &state)) {
            wi_unlock(inner);
            wi_leave(gp);
            return;
        }
        if (wi_unlikely(queue == &rw->readers && (state & FULL)))
            weft_panic("weft_rwmutex_rdlock: rwmutex %p has too many readers", (void *)rw);
    } while (!(state & WAITERS) && !wi_cas_relaxed(&rw->state, &state, state | WAITERS));
    wi_waitq_push(queue, &sg);
    wi_park(gp, inner, why);
    wi_leave(gp);
}

static WI_NOINLINE void rdlock_slow(weft_rwmutex *rw)
{
    lock_slow(rw, &rw->readers, take_for_reading, WI_WAIT_RWMUTEX_READ);
}

static WI_NOINLINE void wrlock_slow(weft_rwmutex *rw)
{
    lock_slow(rw, &rw->writers, take_for_writing, WI_WAIT_RWMUTEX_WRITE);
}

void weft_rwmutex_rdlock(weft_rwmutex *rw)
{
    if (wi_unlikely(!rw))
        panic_null("weft_rwmutex_rdlock");
    uint32_t state = wi_load_relaxed(&rw->state);
    if (wi_unlikely(!take_for_reading(rw, &state)))
        rdlock_slow(rw);
    wi_sanitize_acquire(&rw->writers);
}

int weft_rwmutex_tryrdlock(weft_rwmutex *rw)
{
    if (wi_unlikely(!rw))
        panic_null("weft_rwmutex_tryrdlock");
    uint32_t state = wi_load_relaxed(&rw->state);
    if (!take_for_reading(rw, &state))
        return 0;
    wi_sanitize_acquire(&rw->writers);
    return 1;
}

void weft_rwmutex_wrlock(weft_rwmutex *rw)
{
    if (wi_unlikely(!rw))
        panic_null("weft_rwmutex_wrlock");
    uint32_t free = 0;
    if (wi_unlikely(!wi_cas_acquire(&rw->state, &free, WRITER)))
        wrlock_slow(rw);
    acquire_all(rw);
}

int weft_rwmutex_trywrlock(weft_rwmutex *rw)
{
    if (wi_unlikely(!rw))
        panic_null("weft_rwmutex_trywrlock");
    uint32_t state = wi_load_relaxed(&rw->state);
    if (!take_for_writing(rw, &state))
        return 0;
    acquire_all(rw);
    return 1;
}

/* ---- Unlocking ---- */

static WI_NOINLINE void panic_unlocked(const char *call, const weft_rwmutex *rw, const char *how)
{
    weft_panic("%s: rwmutex %p is not locked for %s", call, (const void *)rw, how);
}

static uint32_t waiters_left(const weft_rwmutex *rw)
{
    return wi_waitq_was_empty(&rw->readers) && wi_waitq_was_empty(&rw->writers) ? 0 : WAITERS;
}

/* The end of steps 5 and 8. The inner lock is held. */
static void hand_to_writer(weft_rwmutex *rw)
{
    struct wi_g *writer = wi_waitq_pop(&rw->writers)->g;
    wi_store_release(&rw->state, WRITER | waiters_left(rw));
    wi_unlock(wi_lock_of(&rw->lock));
    wi_ready(writer);
}

static void hand_to_readers(weft_rwmutex *rw)
{
    struct wi_glist list = {0};
    wi_waitq_take_all(&rw->readers, &list);
    wi_store_release(&rw->state, list.count * READER | waiters_left(rw));
    wi_unlock(wi_lock_of(&rw->lock));
    wi_ready_all(&list);
}

/* Step 5. */
static WI_NOINLINE void rdunlock_last(weft_rwmutex *rw)
{
    struct wi_g *gp = wi_enter();
    wi_lock(wi_lock_of(&rw->lock));
    if (wi_unlikely(wi_load_acquire(&rw->state) != (READER | WAITERS)))
        panic_unlocked("weft_rwmutex_rdunlock", rw, "reading");
    hand_to_writer(rw);
    wi_leave(gp);
}

/* Step 8. */
static WI_NOINLINE void wrunlock_contended(weft_rwmutex *rw)
{
    struct wi_g *gp = wi_enter();
    wi_lock(wi_lock_of(&rw->lock));
    if (wi_unlikely(wi_load_relaxed(&rw->state) != (WRITER | WAITERS)))
        panic_unlocked("weft_rwmutex_wrunlock", rw, "writing");
    if (wi_waitq_was_empty(&rw->readers))
        hand_to_writer(rw);
    else
        hand_to_readers(rw);
    wi_leave(gp);
}

void weft_rwmutex_rdunlock(weft_rwmutex *rw)
{
    if (wi_unlikely(!rw))
        panic_null("weft_rwmutex_rdunlock");
    wi_sanitize_release(&rw->readers);
    uint32_t state = wi_load_relaxed(&rw->state);
    do {
        if (wi_unlikely(state < READER))
            panic_unlocked("weft_rwmutex_rdunlock", rw, "reading");
        if (wi_unlikely(state == (READER | WAITERS))) {
            rdunlock_last(rw);
            return;
        }
    } while (!wi_cas_release(&rw->state, &state, state - READER));
}

void weft_rwmutex_wrunlock(weft_rwmutex *rw)
{
    if (wi_unlikely(!rw))
        panic_null("weft_rwmutex_wrunlock");
    wi_sanitize_release(&rw->writers);
    uint32_t state = WRITER;
    if (wi_likely(wi_cas_release(&rw->state, &state, 0)))
        return;
    if (wi_unlikely(!(state & WRITER)))
        panic_unlocked("weft_rwmutex_wrunlock", rw, "writing");
    wrunlock_contended(rw);
}
