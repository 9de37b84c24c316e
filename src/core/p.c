/* SPDX-License-Identifier: MIT
 *
 * Ps: making, holding, idling, passing on, and changing their number while the program runs.
 *
 * The world is never stopped. A higher number publishes new Ps as idle ones. A lower number only
 * writes sched.maxprocs: whoever holds a P above it gives it up at its next look for work, or when
 * it is asked to (preempt), or loses it while in user code (seize.c); the P is emptied under
 * sched.lock as it is put back, and the caller of wi_p_resize waits until that has happened to all
 * of them. Rejected: Go's stop-the-world, for a pause that grows with the longest stretch of user
 * code.
 */
#include "core/p.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/time.h>

#include "core/netpoll.h"
#include "core/park.h"
#include "core/sched.h"

#define RETIRE_PAUSE INT64_C(50000)

struct wi_p *wi_p_new(uint32_t id)
{
    struct wi_p *pp = aligned_alloc(WI_CACHE_LINE, sizeof *pp);
    if (!pp)
        return NULL;
    memset(pp, 0, sizeof *pp);
    pp->id = id;
    pp->status = WI_P_RETIRED;
    pp->random = (uint64_t)wi_os_now() ^ ((id + 1) * UINT64_C(0x9E3779B97F4A7C15));
    if (wi_timers_init(&pp->timers) != 0) {
        free(pp);
        return NULL;
    }
    return pp;
}

void wi_p_acquire(struct wi_m *mp, struct wi_p *pp)
{
    wi_store_relaxed(&mp->p, pp);
    wi_store_release(&pp->m, mp);
}

struct wi_p *wi_p_release(struct wi_m *mp)
{
    struct wi_p *pp = mp->p;
    wi_store_release(&pp->m, NULL);
    wi_store_relaxed(&mp->p, NULL);
    return pp;
}

struct wi_p *wi_p_idle_get(void)
{
    struct wi_p *pp = wi_sched.idle_ps;
    if (!pp)
        return NULL;
    wi_sched.idle_ps = pp->idle_next;
    pp->until_fair = 0; /* its timers, and others', may be overdue */
    wi_store_relaxed(&pp->status, WI_P_HELD);
    wi_store_seq_cst(&wi_sched.idle_p_count, wi_sched.idle_p_count - 1);
    if (wi_unlikely(wi_load_relaxed(&wi_sysmon_pace) == WI_PACE_ASLEEP))
        wi_sysmon_nudge();
    return pp;
}

/* Leaves nothing behind in a P that nobody holds. sched.lock is held. */
static void retire(struct wi_p *pp)
{
    wi_submit_global_all_locked(pp);
    wi_timers_move(pp, wi_load_relaxed(&wi_sched.maxprocs) ? wi_sched.ps[0] : NULL);
    wi_g_flush(pp);
    wi_stack_flush(&pp->stacks);
    wi_store_release(&pp->status, WI_P_RETIRED);
}

void wi_p_idle_put(struct wi_p *pp)
{
    if (pp->id >= wi_load_relaxed(&wi_sched.maxprocs)) {
        retire(pp);
        return;
    }
    pp->idle_next = wi_sched.idle_ps;
    wi_sched.idle_ps = pp;
    wi_store_relaxed(&pp->status, WI_P_IDLE);
    wi_store_seq_cst(&wi_sched.idle_p_count, wi_sched.idle_p_count + 1);
}

/* Whether a P without an M needs one: it has work, or nobody else would notice new work. sched.lock
 * is held. */
static bool needs_m(struct wi_p *pp)
{
    if (pp->id >= wi_load_relaxed(&wi_sched.maxprocs))
        return false;
    if (!wi_runq_empty(&pp->runq) || wi_load_relaxed(&wi_sched.queue_size) != 0)
        return true;
    bool last = wi_sched.idle_p_count + 1 == wi_load_relaxed(&wi_sched.maxprocs);
    bool polled = wi_load_relaxed(&wi_sched.last_poll) == 0;
    return last && !polled;
}

void wi_p_handoff(struct wi_p *pp)
{
    wi_lock(&wi_sched.lock);
    if (needs_m(pp)) {
        wi_unlock(&wi_sched.lock);
        wi_m_start(pp, false);
        return;
    }
    int64_t when = wi_load_relaxed(&pp->timers.earliest);
    wi_p_idle_put(pp);
    wi_unlock(&wi_sched.lock);
    wi_fence_seq_cst();
    if (wi_work_anywhere(false))
        wi_wake_p();
    if (when != INT64_MAX)
        wi_announce_timer(when);
}

/* Makes the Ps below count exist. sched.lock is held. */
static int make_ps(uint32_t count)
{
    for (uint32_t id = wi_sched.ps_made; id < count; id++) {
        struct wi_p *pp = wi_p_new(id);
        if (!pp)
            return -ENOMEM;
        wi_store_release(&wi_sched.ps[id], pp);
        wi_store_release(&wi_sched.ps_made, id + 1);
    }
    return 0;
}

int wi_p_make_first(void)
{
    wi_lock(&wi_sched.lock);
    int error = make_ps(1);
    wi_unlock(&wi_sched.lock);
    return error;
}

/* Retired Ps below the new number become idle, and idle ones above it retired. sched.lock is held.
 */
static void apply_count(uint32_t count)
{
    struct wi_p *idle = wi_sched.idle_ps;
    wi_store_seq_cst(&wi_sched.maxprocs, count);
    wi_sched.idle_ps = NULL;
    wi_store_seq_cst(&wi_sched.idle_p_count, 0);
    while (idle) {
        struct wi_p *next = idle->idle_next;
        wi_p_idle_put(idle);
        idle = next;
    }
    for (uint32_t id = count; id-- > 0;)
        if (wi_load_relaxed(&wi_sched.ps[id]->status) == WI_P_RETIRED)
            wi_p_idle_put(wi_sched.ps[id]);
}

/* Takes what can be taken of the Ps above the number; true once none is left. */
static bool retire_surplus(void)
{
    bool done = true;
    uint32_t made = wi_load_acquire(&wi_sched.ps_made);
    for (uint32_t id = wi_load_relaxed(&wi_sched.maxprocs); id < made; id++) {
        struct wi_p *pp = wi_sched.ps[id];
        if (wi_load_acquire(&pp->status) == WI_P_RETIRED)
            continue;
        if (wi_seize(pp, true))
            wi_p_handoff(pp);
        else
            done = false;
    }
    return done;
}

int wi_p_resize(uint32_t count)
{
    struct wi_g *gp = wi_enter();
    wi_lock(&wi_sched.lock);
    int error = make_ps(count);
    if (!error && (count == 0 || wi_load_relaxed(&wi_sched.running)))
        apply_count(count);
    wi_unlock(&wi_sched.lock);

    if (!error) {
        wi_wake_p();
        int64_t when = wi_timers_earliest(); /* timers of retired Ps have moved */
        if (when != INT64_MAX)
            wi_announce_timer(when);
        while (!retire_surplus())
            wi_sleep_until(gp, wi_os_now() + RETIRE_PAUSE);
    }
    wi_leave(gp);
    return error;
}
