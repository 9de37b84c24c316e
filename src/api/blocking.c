/* SPDX-License-Identifier: MIT
 *
 * Declared blocking regions; see weft/blocking.h. The handshake with sysmon is in core/seize.c.
 */
#include <weft/blocking.h>

#include <errno.h>

#include <weft/panic.h>

#include "core/park.h"
#include "core/sched.h"

/* sysmon looks seldom: is there anybody who would miss this P before it does? Work that waits for it, or
 * nobody else awake to notice new work. */
static WI_NOINLINE void nudge_if_missed(const struct wi_m *mp)
{
    struct wi_p *pp = mp->p;
    if (wi_load_relaxed(&mp->claim) == 2)
        return;
    bool work = !wi_runq_empty(&pp->runq) || wi_load_relaxed(&wi_sched.queue_size) != 0;
    bool others = wi_load_relaxed(&wi_sched.spinning) != 0 || wi_load_relaxed(&wi_sched.last_poll) == 0;
    if (work || !others)
        wi_sysmon_nudge();
}

void weft_blocking_begin(void)
{
    struct wi_g *gp = wi_getg();
    if (!gp)
        return;
    struct wi_m *mp = gp->m;
    gp->blocking++;
    gp->user_mode = WI_MODE_BLOCKING;
    wi_owner_add(&mp->block_tick, 1);
    wi_store_release(&mp->mode, WI_MODE_BLOCKING);
    if (wi_unlikely(wi_load_relaxed(&wi_sysmon_pace) != WI_PACE_FAST))
        nudge_if_missed(mp);
}

void weft_blocking_end(void)
{
    struct wi_g *gp = wi_enter();
    if (gp->foreign)
        return;
    if (wi_unlikely(gp->blocking == 0))
        weft_panic("weft_blocking_end without weft_blocking_begin");
    if (--gp->blocking == 0)
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
