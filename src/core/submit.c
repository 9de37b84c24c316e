/* SPDX-License-Identifier: MIT
 *
 * Putting runnable goroutines into queues: the local one, and the global one that it overflows
 * into.
 */
#include "core/sched.h"

/* sched.lock is held, after the global queue changed. */
static void publish_size(void)
{
    wi_store_release(&wi_sched.queue_size, wi_globq_count(&wi_sched.queue));
}

/* A full ring: half of it, the older half, and gp go to the global queue, in order. */
static bool overflow(struct wi_p *pp, struct wi_g *gp)
{
    struct wi_g *batch[WI_RUNQ_SIZE / 2 + 1];
    uint32_t count = wi_runq_take_half(&pp->runq, batch);
    if (count == 0)
        return false;
    batch[count++] = gp;
    wi_lock(&wi_sched.lock);
    wi_globq_push(&wi_sched.queue, batch, count);
    publish_size();
    wi_unlock(&wi_sched.lock);
    return true;
}

void wi_submit_overflow(struct wi_p *pp, struct wi_g *gp)
{
    while (!overflow(pp, gp))
        if (wi_runq_put(&pp->runq, gp))
            return;
}

/* Once a run is ending, what becomes runnable is left as it is, for run.c to discard. */
void wi_submit_global_locked(struct wi_g *gp)
{
    if (wi_load_relaxed(&wi_sched.maxprocs) == 0)
        return;
    wi_store_relaxed(&gp->status, WI_G_RUNNABLE);
    wi_globq_push(&wi_sched.queue, &gp, 1);
    publish_size();
}

void wi_submit_global(struct wi_g *gp)
{
    wi_lock(&wi_sched.lock);
    wi_submit_global_locked(gp);
    wi_unlock(&wi_sched.lock);
}

void wi_submit_global_list(struct wi_glist *list)
{
    struct wi_g *gp;
    wi_lock(&wi_sched.lock);
    while ((gp = wi_glist_pop(list)))
        wi_submit_global_locked(gp);
    wi_unlock(&wi_sched.lock);
}

void wi_submit_global_all_locked(struct wi_p *pp)
{
    struct wi_g *gp;
    while ((gp = wi_runq_take_next(&pp->runq)) || (gp = wi_runq_get(&pp->runq)))
        wi_globq_push(&wi_sched.queue, &gp, 1);
    publish_size();
}

struct wi_g *wi_take_global_locked(struct wi_p *pp, uint32_t limit)
{
    struct wi_g *batch[WI_RUNQ_SIZE / 2];
    uint32_t procs = wi_load_relaxed(&wi_sched.maxprocs);
    size_t share = wi_globq_count(&wi_sched.queue) / (procs ? procs : 1) + 1;
    if (share > limit)
        share = limit;
    size_t count = wi_globq_pop(&wi_sched.queue, batch, share);
    if (count > 1)
        wi_runq_put_batch(&pp->runq, batch + 1, (uint32_t)count - 1);
    publish_size(); /* only now: they must not be in neither queue for those who look */
    return count ? batch[0] : NULL;
}
