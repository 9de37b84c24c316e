/* SPDX-License-Identifier: MIT
 *
 * Mutex and waitgroup. Zero is ready; nothing to destroy. Every function: any thread. A broken rule
 * (unlock of an unlocked mutex, a negative counter, NULL) is a weft_panic that names the object.
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
typedef struct weft_waitgroup {
    uint64_t state;
    uint32_t lock;
    uint32_t unused;
    weft_waitq waiters;
} weft_waitgroup;

/* Locks; not recursive. A waiter that has waited 1 ms gets the mutex handed over by the next
 * unlock, ahead of newcomers. Any goroutine or thread may unlock. lock may park; trylock returns 1
 * if it took the mutex, else 0. */
WEFT_API void weft_mutex_lock(weft_mutex *mutex);
WEFT_API int weft_mutex_trylock(weft_mutex *mutex);
WEFT_API void weft_mutex_unlock(weft_mutex *mutex);

/* Adds n (which may be negative) to the counter; at 0 every waiter is released. An add that starts
 * from 0 must happen before the wait it concerns. done is add(-1). Never wait. */
WEFT_API void weft_waitgroup_add(weft_waitgroup *wg, int n);
WEFT_API void weft_waitgroup_done(weft_waitgroup *wg);

/* Waits until the counter is 0. wait_until: 0, -ETIMEDOUT, or -EAGAIN with WEFT_NOWAIT. May park.
 */
WEFT_API void weft_waitgroup_wait(weft_waitgroup *wg);
WEFT_API int weft_waitgroup_wait_until(weft_waitgroup *wg, int64_t deadline);

WEFT_END_DECLS

#endif
