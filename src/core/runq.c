/* SPDX-License-Identifier: MIT
 *
 * The run queue of a P; the protocol stands in runq.h.
 */
#include "core/runq.h"

static struct wi_g **slot(struct wi_runq *queue, uint32_t position)
{
    return &queue->ring[position % WI_RUNQ_SIZE];
}

bool wi_runq_put(struct wi_runq *queue, struct wi_g *gp)
{
    uint32_t head = wi_load_acquire(&queue->head);
    uint32_t tail = queue->tail;
    if (tail - head >= WI_RUNQ_SIZE)
        return false;
    wi_store_relaxed(slot(queue, tail), gp);
    wi_store_release(&queue->tail, tail + 1);
    return true;
}

bool wi_runq_overflow(struct wi_runq *queue, struct wi_g *gp, struct wi_glist *list)
{
    uint32_t head = wi_load_acquire(&queue->head);
    uint32_t half = (queue->tail - head) / 2;
    if (half < WI_RUNQ_SIZE / 2)
        return false;
    struct wi_g *batch[WI_RUNQ_SIZE / 2];
    for (uint32_t i = 0; i < half; i++)
        batch[i] = wi_load_relaxed(slot(queue, head + i));
    if (!wi_cas_release(&queue->head, &head, head + half))
        return false;
    for (uint32_t i = 0; i < half; i++)
        wi_glist_push(list, batch[i]);
    wi_glist_push(list, gp);
    return true;
}

struct wi_g *wi_runq_get(struct wi_runq *queue)
{
    uint32_t head = wi_load_acquire(&queue->head);
    for (;;) {
        if (head == queue->tail)
            return NULL;
        struct wi_g *gp = wi_load_relaxed(slot(queue, head));
        if (wi_cas_acq_rel(&queue->head, &head, head + 1))
            return gp;
    }
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
            wi_store_relaxed(slot(thief, tail + i), wi_load_relaxed(slot(victim, head + i)));
        if (!wi_cas_acq_rel(&victim->head, &head, head + count))
            continue;
        struct wi_g *last = wi_load_relaxed(slot(thief, tail + count - 1));
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

uint32_t wi_runq_length(struct wi_runq *queue)
{
    uint32_t head = wi_load_acquire(&queue->head);
    return wi_load_acquire(&queue->tail) - head + (wi_load_relaxed(&queue->runnext) != NULL);
}
