/* SPDX-License-Identifier: MIT
 *
 * Gates. Who leaves hands its place to the first that waits, so that inside does not change then.
 */
#include "api/gate.h"

#include <errno.h>
#include <stddef.h>

#include "core/park.h"
#include "core/sched.h"
#include "sync/sudog.h"

/* Whoever was inside or waited in a run that is over is gone. The lock is held. */
static void forget_old_run(struct wi_gate *gate)
{
    uint64_t run = wi_load_relaxed(&wi_sched.run);
    if (gate->run == run)
        return;
    gate->run = run;
    gate->inside = 0;
    gate->waiters = (weft_waitq){0};
}

static int wait_for_place(struct wi_g *gp, struct wi_gate *gate, int64_t deadline)
{
    struct wi_sudog sg = {.g = gp, .ticket = wi_wait_open(gp)};
    wi_waitq_push(&gate->waiters, &sg);
    if (wi_park_until(gp, &gate->lock, WI_WAIT_SEM, sg.ticket, deadline))
        return 0;
    wi_lock(&gate->lock);
    wi_waitq_remove(&gate->waiters, &sg);
    wi_unlock(&gate->lock);
    return -ETIMEDOUT;
}

int wi_gate_enter(struct wi_g *gp, struct wi_gate *gate, uint32_t limit, int64_t deadline)
{
    wi_lock(&gate->lock);
    forget_old_run(gate);
    if (gate->inside >= limit)
        return wait_for_place(gp, gate, deadline);
    gate->inside++;
    wi_unlock(&gate->lock);
    return 0;
}

void wi_gate_leave(struct wi_gate *gate)
{
    wi_lock(&gate->lock);
    struct wi_sudog *sg = wi_waitq_pop(&gate->waiters);
    struct wi_g *next = sg ? sg->g : NULL;
    if (!next)
        gate->inside--;
    wi_unlock(&gate->lock);
    if (next)
        wi_ready(next);
}
