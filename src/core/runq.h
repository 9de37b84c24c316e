/* SPDX-License-Identifier: MIT
 *
 * A P's run queue: a ring with one producer (the P's holder) and many consumers (the holder and
 * thieves), and runnext, a slot for the goroutine that was made runnable last and runs next.
 *
 * Protocol (the structure is that of Go's runtime, proc.go, runqput and runqgrab).
 *   head is advanced by consumers with CAS; tail is written by the holder only. Both count up and
 *   wrap; tail - head is the length.
 *   put:   1. load head (acquire: pairs with 5, so that a consumer's read of a slot is over before
 *             the slot is written again); 2. write ring[tail]; 3. store tail (release: pairs with
 *             4).
 *   get:   the holder reads its own tail; it reads the slot, then 5. CAS head (release).
 *   steal: 4. load head (acquire), then tail (acquire: pairs with 3); copy up to half; 5. CAS head
 *          (release); on failure start again, since what was copied may be stale.
 *   The copy may read a slot that the holder writes anew; the CAS then fails, since head has moved.
 *   Slots are therefore accessed atomically, relaxed.
 *   runnext is the holder's alone, without atomic read-modify-writes: a locked instruction waits
 *   until the stores before it have drained, and a park comes right after a dozen [a round trip
 *   through an
 *   unbuffered channel: 79 ns with a CAS in take_next, 66 without]. A thief gets at it only while
 *   it keeps the holder from entering the runtime (wi_steal_next in seize.c).
 */
#ifndef WI_CORE_RUNQ_H
#define WI_CORE_RUNQ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "core/g.h"

enum { WI_RUNQ_SIZE = 256 };

struct wi_runq {
    _Alignas(WI_CACHE_LINE) uint32_t head; /* atomic: every consumer */
    _Alignas(WI_CACHE_LINE) uint32_t tail; /* atomic, one writer: the holder */
    struct wi_g *runnext;                  /* atomic to read; the holder's to write */
    struct wi_g *ring[WI_RUNQ_SIZE];       /* atomic */
};

static inline struct wi_g **wi_runq_slot(struct wi_runq *queue, uint32_t position)
{
    return &queue->ring[position % WI_RUNQ_SIZE];
}

/* Appends; false if the ring is full. Holder only. */
static inline bool wi_runq_put(struct wi_runq *queue, struct wi_g *gp)
{
    uint32_t head = wi_load_acquire(&queue->head);
    uint32_t tail = queue->tail;
    if (wi_unlikely(tail - head >= WI_RUNQ_SIZE))
        return false;
    wi_store_relaxed(wi_runq_slot(queue, tail), gp);
    wi_store_release(&queue->tail, tail + 1);
    return true;
}

/* The oldest in the ring, or NULL. Holder only. */
static inline struct wi_g *wi_runq_get(struct wi_runq *queue)
{
    enum { PREFETCH_AHEAD = 4 };
    uint32_t head = wi_load_acquire(&queue->head);
    for (;;) {
        if (head == queue->tail)
            return NULL;
        struct wi_g *gp = wi_load_relaxed(wi_runq_slot(queue, head));
        /* A slot that is not in use holds NULL or a goroutine all the same. */
        wi_g_prefetch(wi_load_relaxed(wi_runq_slot(queue, head + PREFETCH_AHEAD)));
        if (wi_likely(wi_cas_acq_rel(&queue->head, &head, head + 1)))
            return gp;
    }
}

/* Appends several, for which there is room. Holder only. */
void wi_runq_put_batch(struct wi_runq *queue, struct wi_g *const *batch, uint32_t count);

/* Takes the older half of a full ring. Holder only. 0: thieves made room meanwhile. */
uint32_t wi_runq_take_half(struct wi_runq *queue, struct wi_g *half[WI_RUNQ_SIZE / 2]);

/* Makes gp run next; what was to run next before, or NULL. Holder only. */
static inline struct wi_g *wi_runq_put_next(struct wi_runq *queue, struct wi_g *gp)
{
    struct wi_g *old = wi_load_relaxed(&queue->runnext);
    wi_store_release(&queue->runnext, gp);
    return old;
}

/* Takes runnext, or NULL. Holder only. */
static inline struct wi_g *wi_runq_take_next(struct wi_runq *queue)
{
    struct wi_g *gp = wi_load_relaxed(&queue->runnext);
    if (gp)
        wi_store_relaxed(&queue->runnext, NULL);
    return gp;
}

/* Moves half of victim's ring into the empty ring of thief, except the last one moved, which is
 * returned; NULL if there was nothing. Holder of thief only. */
struct wi_g *wi_runq_steal(struct wi_runq *thief, struct wi_runq *victim);

/* Whether anything is in the ring; in the ring and runnext, at some instant during the call. Any
 * thread. */
static inline bool wi_runq_ring_empty(struct wi_runq *queue)
{
    uint32_t head = wi_load_acquire(&queue->head);
    return head == wi_load_acquire(&queue->tail);
}
bool wi_runq_empty(struct wi_runq *queue);

#endif
