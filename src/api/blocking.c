/* SPDX-License-Identifier: MIT
 *
 * Declared blocking regions; see weft/blocking.h. The handshake with sysmon is in core/seize.c.
 */
#include <weft/blocking.h>

#include <errno.h>

#include <weft/panic.h>

#include "core/park.h"
#include "core/sched.h"

/* sysmon looks seldom: is there anybody who would miss this P before it does? Work that waits for
 * it, or nobody else awake to notice new work. */
static WI_NOINLINE void nudge_if_missed(const struct wi_m *mp)
{
    struct wi_p *pp = mp->p;
    if (wi_load_relaxed(&mp->claim) == 2)
        return;
    bool work = !wi_runq_empty(&pp->runq) || wi_load_relaxed(&wi_sched.queue_size) != 0;
    bool others =
        wi_load_relaxed(&wi_sched.spinning) != 0 || wi_load_relaxed(&wi_sched.last_poll) == 0;
    if (work || !others)
        wi_sysmon_nudge();
}

/* The innermost level is kept in user_mode, deeper ones in a count: a count for all would chain
 * every pair of calls to the one before through memory, 5 ns where the rest takes 3. */
void weft_blocking_begin(void)
{
    struct wi_g *gp = wi_getg();
    if (!gp)
        return;
    struct wi_m *mp = gp->m;
    if (wi_unlikely(gp->user_mode == WI_MODE_BLOCKING)) {
        gp->blocking_depth++;
        return;
    }
    gp->user_mode = WI_MODE_BLOCKING;
    wi_owner_add(&mp->block_tick, 1);
    wi_store_release(&mp->mode, WI_MODE_BLOCKING);
    wi_compiler_barrier();
    if (wi_unlikely(wi_load_relaxed(&wi_sysmon_pace) != WI_PACE_FAST))
        nudge_if_missed(mp);
}

void weft_blocking_end(void)
{
    struct wi_g *gp = wi_enter();
    if (wi_unlikely(gp->foreign))
        return;
    if (wi_unlikely(gp->user_mode != WI_MODE_BLOCKING))
        weft_panic("weft_blocking_end without weft_blocking_begin");
    if (wi_unlikely(gp->blocking_depth != 0))
        gp->blocking_depth--;
    else
        gp->user_mode = WI_MODE_USER;
    wi_leave(gp);
}

long weft_blocking(long (*fn)(void *arg), void *arg)
{
    if (!fn)
        return -EINVAL;
    weft_blocking_begin();
    long result = fn(arg);
    weft_blocking_end();
    return result;
}
