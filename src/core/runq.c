/* SPDX-License-Identifier: MIT
 *
 * The run queue of a P; the protocol stands in runq.h.
 */
#include "core/runq.h"

void wi_runq_put_batch(struct wi_runq *queue, struct wi_g *const *batch, uint32_t count)
{
    uint32_t tail = queue->tail;
    for (uint32_t i = 0; i < count; i++)
        wi_store_relaxed(wi_runq_slot(queue, tail + i), batch[i]);
    wi_store_release(&queue->tail, tail + count);
}

uint32_t wi_runq_take_half(struct wi_runq *queue, struct wi_g *half[WI_RUNQ_SIZE / 2])
{
    uint32_t head = wi_load_acquire(&queue->head);
    uint32_t count = WI_RUNQ_SIZE / 2;
    if (queue->tail - head < WI_RUNQ_SIZE)
        return 0;
    for (uint32_t i = 0; i < count; i++)
        half[i] = wi_load_relaxed(wi_runq_slot(queue, head + i));
    return wi_cas_release(&queue->head, &head, head + count) ? count : 0;
}

struct wi_g *wi_runq_steal(struct wi_runq *thief, struct wi_runq *victim)
{
    uint32_t tail = thief->tail;
    uint32_t head = wi_load_acquire(&victim->head);
    for (;;) {
        uint32_t count = wi_load_acquire(&victim->tail) - head;
        count -= count / 2;
        if (count == 0)
            return NULL;
        if (count > WI_RUNQ_SIZE / 2) { /* head and tail were read apart: look again */
            head = wi_load_acquire(&victim->head);
            continue;
        }
        for (uint32_t i = 0; i < count; i++)
            wi_store_relaxed(wi_runq_slot(thief, tail + i),
                             wi_load_relaxed(wi_runq_slot(victim, head + i)));
        if (!wi_cas_acq_rel(&victim->head, &head, head + count))
            continue;
        struct wi_g *last = wi_load_relaxed(wi_runq_slot(thief, tail + count - 1));
        wi_store_release(&thief->tail, tail + count - 1);
        return last;
    }
}

/* runnext can move to the ring between two loads; an unchanged tail says that it did not. */
bool wi_runq_empty(struct wi_runq *queue)
{
    for (;;) {
        uint32_t head = wi_load_acquire(&queue->head);
        uint32_t tail = wi_load_acquire(&queue->tail);
        struct wi_g *next = wi_load_acquire(&queue->runnext);
        if (tail == wi_load_acquire(&queue->tail))
            return head == tail && !next;
    }
}
