/* SPDX-License-Identifier: MIT
 *
 * Putting runnable goroutines into queues: the local one, and the global one that it overflows into.
 */
#include "core/sched.h"

void wi_submit(struct wi_p *pp, struct wi_g *gp)
{
    while (!wi_runq_put(&pp->runq, gp)) {
        struct wi_glist half = {0};
        if (wi_runq_overflow(&pp->runq, gp, &half)) {
            wi_submit_global_list(&half);
            return;
        }
    }
}

void wi_submit_next(struct wi_p *pp, struct wi_g *gp)
{
    struct wi_g *old = wi_runq_put_next(&pp->runq, gp);
    if (wi_unlikely(old))
        wi_submit(pp, old);
}

void wi_submit_global_locked(struct wi_g *gp)
{
    wi_glist_push(&wi_sched.queue, gp);
    wi_store_relaxed(&wi_sched.queue_size, wi_sched.queue.count);
}

void wi_submit_global(struct wi_g *gp)
{
    wi_lock(&wi_sched.lock);
    wi_submit_global_locked(gp);
    wi_unlock(&wi_sched.lock);
}

void wi_submit_global_list_locked(struct wi_glist *list)
{
    struct wi_glist *queue = &wi_sched.queue;
    if (!list->head)
        return;
    if (queue->tail)
        queue->tail->next = list->head;
    else
        queue->head = list->head;
    queue->tail = list->tail;
    queue->count += list->count;
    wi_store_relaxed(&wi_sched.queue_size, queue->count);
    *list = (struct wi_glist){0};
}

void wi_submit_global_list(struct wi_glist *list)
{
    wi_lock(&wi_sched.lock);
    wi_submit_global_list_locked(list);
    wi_unlock(&wi_sched.lock);
}

struct wi_g *wi_take_global_locked(struct wi_p *pp, uint32_t limit)
{
    struct wi_glist *queue = &wi_sched.queue;
    uint32_t procs = wi_load_relaxed(&wi_sched.maxprocs);
    uint32_t share = queue->count / (procs ? procs : 1) + 1;
    if (share > WI_RUNQ_SIZE / 2)
        share = WI_RUNQ_SIZE / 2;
    if (limit && share > limit)
        share = limit;

    struct wi_g *first = wi_glist_pop(queue);
    while (--share > 0 && queue->head && wi_runq_length(&pp->runq) < WI_RUNQ_SIZE)
        wi_runq_put(&pp->runq, wi_glist_pop(queue));
    wi_store_relaxed(&wi_sched.queue_size, queue->count);
    return first;
}
