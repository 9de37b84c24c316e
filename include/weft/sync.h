/* SPDX-License-Identifier: MIT
 *
 * Mutex, rwmutex, condition, once, waitgroup, semaphore. Zero is ready; nothing to destroy. Every
 * function: any thread; where a goroutine would park, a foreign thread sleeps. A broken rule
 * (unlock of an unlocked mutex, a negative counter, NULL) is a weft_panic that names the object and
 * the call.
 */
#ifndef WEFT_SYNC_H
#define WEFT_SYNC_H

#include <stdint.h>

#include <weft/export.h>

WEFT_BEGIN_DECLS

/* Private to weft: a FIFO of waiters. */
typedef struct weft_waitq {
    void *first;
    void *last;
} weft_waitq;

/* Fields are private to weft. */
typedef struct weft_mutex {
    uint32_t state;
    uint32_t lock;
    weft_waitq waiters;
} weft_mutex;

/* Fields are private to weft. */
typedef struct weft_rwmutex {
    uint32_t state;
    uint32_t lock;
    weft_waitq readers;
    weft_waitq writers;
} weft_rwmutex;

/* Fields are private to weft. */
typedef struct weft_cond {
    uint32_t lock;
    uint32_t unused;
    weft_waitq waiters;
} weft_cond;

/* Fields are private to weft. */
typedef struct weft_once {
    uint32_t state;
    uint32_t lock;
    weft_waitq waiters;
} weft_once;

/* Fields are private to weft. */
typedef struct weft_waitgroup {
    uint64_t state;
    uint32_t lock;
    uint32_t unused;
    weft_waitq waiters;
} weft_waitgroup;

/* Fields are private to weft. */
typedef struct weft_sem {
    uint64_t state;
    int64_t size;
    uint32_t lock;
    uint32_t unused;
    weft_waitq waiters;
} weft_sem;

/* Locks; not recursive. A waiter that has waited 1 ms gets the mutex handed over by the next
 * unlock, ahead of newcomers. Any goroutine or thread may unlock. lock may park; trylock returns 1
 * if it took the mutex, else 0. */
WEFT_API void weft_mutex_lock(weft_mutex *mutex);
WEFT_API int weft_mutex_trylock(weft_mutex *mutex);
WEFT_API void weft_mutex_unlock(weft_mutex *mutex);

/* Any number of readers (up to 2^29) or one writer. Neither starves: a writer that waits keeps new
 * readers out, and a writer's unlock lets in all readers that wait. So a goroutine that holds it
 * for reading must not rdlock it again. rdlock and wrlock may park; the try functions return 1 if
 * they took it, else 0. Any goroutine or thread may unlock. */
WEFT_API void weft_rwmutex_rdlock(weft_rwmutex *rwmutex);
WEFT_API int weft_rwmutex_tryrdlock(weft_rwmutex *rwmutex);
WEFT_API void weft_rwmutex_rdunlock(weft_rwmutex *rwmutex);
WEFT_API void weft_rwmutex_wrlock(weft_rwmutex *rwmutex);
WEFT_API int weft_rwmutex_trywrlock(weft_rwmutex *rwmutex);
WEFT_API void weft_rwmutex_wrunlock(weft_rwmutex *rwmutex);

/* Unlocks the mutex and waits for a signal, in one step; returns with the mutex locked again. Never
 * wakes without one. wait_until: 0 if signalled; -ETIMEDOUT; with WEFT_NOWAIT -EAGAIN, and
 * the mutex has not been unlocked at all. The mutex is locked on return in any case. May park. */
WEFT_API void weft_cond_wait(weft_cond *cond, weft_mutex *mutex);
WEFT_API int weft_cond_wait_until(weft_cond *cond, weft_mutex *mutex, int64_t deadline);

/* Wakes the one that has waited longest, or all that wait now. The mutex need not be held. */
WEFT_API void weft_cond_signal(weft_cond *cond);
WEFT_API void weft_cond_broadcast(weft_cond *cond);

/* Calls fn(arg) if this is the first call for once, and returns when that first fn has ended;
 * one that ends its goroutine by weft_exit counts as ended. What fn did is seen by all that
 * return. fn must not be left by longjmp or an exception, nor end a foreign thread. A fn that calls
 * it for the same once waits for ever. May park. */
WEFT_API void weft_once_do(weft_once *once, void (*fn)(void *arg), void *arg);

/* Adds n (which may be negative) to the counter; at 0 every waiter is released. An add that starts
 * from 0 must happen before the wait it concerns. done is add(-1). Never wait. */
WEFT_API void weft_waitgroup_add(weft_waitgroup *wg, int n);
WEFT_API void weft_waitgroup_done(weft_waitgroup *wg);

/* Waits until the counter is 0. wait_until: 0, -ETIMEDOUT, or -EAGAIN with WEFT_NOWAIT. May park.
 */
WEFT_API void weft_waitgroup_wait(weft_waitgroup *wg);
WEFT_API int weft_waitgroup_wait_until(weft_waitgroup *wg, int64_t deadline);

/* Gives the semaphore size permits, all free; nobody may be using it. Negative: a panic. Without it
 * there are none. */
WEFT_API void weft_sem_init(weft_sem *sem, int64_t size);

/* Takes n permits once they are free and nobody who came earlier waits (FIFO; 0 permits likewise).
 * 0; -EINVAL if sem is NULL, n negative or above the size. acquire_until: also -ETIMEDOUT, or
 * -EAGAIN with WEFT_NOWAIT. May park. tryacquire: 1 if it took them, else 0 (for
 * what acquire calls -EINVAL too, but NULL is a panic); never waits. */
WEFT_API int weft_sem_acquire(weft_sem *sem, int64_t n);
WEFT_API int weft_sem_acquire_until(weft_sem *sem, int64_t n, int64_t deadline);
WEFT_API int weft_sem_tryacquire(weft_sem *sem, int64_t n);

/* Gives n permits back. Negative, or more than are taken: a panic. Never waits. */
WEFT_API void weft_sem_release(weft_sem *sem, int64_t n);

WEFT_END_DECLS

#endif
