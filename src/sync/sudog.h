/* SPDX-License-Identifier: MIT
 *
 * The wait record (Go's sudog): one goroutine, or one case of its select, in one queue. It lives on
 * the waiter's stack and is guarded by the lock of the object whose queue it is in. The queue's
 * first field is written atomically, so that wi_waitq_was_empty can look at it without the lock.
 */
#ifndef WI_SYNC_SUDOG_H
#define WI_SYNC_SUDOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weft/sync.h>

#include "core/g.h"
#include "core/park.h"

/* The lock word of the public structs in <weft/sync.h>, which cannot name the runtime's lock. */
_Static_assert(sizeof(struct wi_lock) == sizeof(uint32_t), "a lock word is a wi_lock");
_Static_assert(_Alignof(struct wi_lock) == _Alignof(uint32_t), "a lock word is a wi_lock");

static inline struct wi_lock *wi_lock_of(uint32_t *word)
{
    return (struct wi_lock *)(void *)word;
}

struct wi_sudog {
    struct wi_g *g;
    struct wi_sudog *next;
    struct wi_sudog *prev;
    uint64_t ticket; /* the wait to claim, or 0 (park.h) */
    void *elem;      /* channels: where to copy from or to; may be NULL */
    int64_t since;   /* when the wait began, where somebody wants to know */
    int result;      /* written by the one who wakes it, before wi_ready */
    bool queued;     /* in a queue */
};

/* Without the lock: whether the queue was empty at some instant. A queue that holds only waiters
 * whose wait is over counts as not empty. */
static inline bool wi_waitq_was_empty(const weft_waitq *queue)
{
    return !wi_load_acquire(&queue->first);
}

static inline void wi_waitq_push(weft_waitq *queue, struct wi_sudog *sg)
{
    sg->next = NULL;
    sg->prev = queue->last;
    if (sg->prev)
        sg->prev->next = sg;
    else
        wi_store_relaxed(&queue->first, sg);
    queue->last = sg;
    sg->queued = true;
}

static inline void wi_waitq_push_front(weft_waitq *queue, struct wi_sudog *sg)
{
    sg->prev = NULL;
    sg->next = queue->first;
    if (sg->next)
        sg->next->prev = sg;
    else
        queue->last = sg;
    wi_store_relaxed(&queue->first, sg);
    sg->queued = true;
}

/* No-op if it is not queued. */
static inline void wi_waitq_remove(weft_waitq *queue, struct wi_sudog *sg)
{
    if (!sg->queued)
        return;
    if (sg->prev)
        sg->prev->next = sg->next;
    else
        wi_store_relaxed(&queue->first, sg->next);
    if (sg->next)
        sg->next->prev = sg->prev;
    else
        queue->last = sg->prev;
    sg->queued = false;
}

/* Removes and returns the first waiter that the caller may wake: it has won that waiter's wait.
 * Waiters whose wait was won by others (a deadline, another case) are dropped; they clean up after
 * themselves. NULL if none is left. */
static inline struct wi_sudog *wi_waitq_pop(weft_waitq *queue)
{
    struct wi_sudog *sg;
    while ((sg = queue->first)) {
        struct wi_sudog *next = sg->next;
        wi_store_relaxed(&queue->first, next);
        if (next)
            next->prev = NULL;
        else
            queue->last = NULL;
        sg->queued = false;
        if (sg->ticket == 0 || wi_wait_claim(sg->g, sg->ticket))
            return sg;
    }
    return NULL;
}

/* Moves all waiters that the caller may wake to the list, to be readied once the lock is released. */
static inline void wi_waitq_take_all(weft_waitq *queue, struct wi_glist *list)
{
    struct wi_sudog *sg;
    while ((sg = wi_waitq_pop(queue)))
        wi_glist_push(list, sg->g);
}

#endif
