/* SPDX-License-Identifier: MIT
 *
 * A call that may block the thread in the kernel: between begin and end the goroutine's P can be
 * taken, so that others go on. weft_blocking_begin and weft_blocking_end are these, brought to user
 * code. The handshake with sysmon is in seize.c.
 */
#ifndef WI_CORE_BLOCKING_H
#define WI_CORE_BLOCKING_H

#include "core/park.h"
#include "core/sched.h"

void wi_block_nudge(const struct wi_m *mp);

/* From here to wi_block_end nothing of the runtime may be touched. In the runtime or in user code,
 * without locks. A foreign thread blocks anyway. */
static inline void wi_block_begin(struct wi_g *gp)
{
    if (wi_unlikely(gp->foreign))
        return;
    struct wi_m *mp = gp->m;
    wi_owner_add(&mp->block_tick, 1);
    wi_store_release(&mp->mode, WI_MODE_BLOCKING);
    wi_compiler_barrier();
    if (wi_unlikely(wi_load_relaxed(&wi_sysmon_pace) != WI_PACE_FAST))
        wi_block_nudge(mp);
}

/* In the runtime again, perhaps on another thread. May park; does not return if the run has ended
 * meanwhile. */
static inline void wi_block_end(struct wi_g *gp)
{
    if (wi_unlikely(gp->foreign))
        return;
    struct wi_m *mp = gp->m;
    wi_store_relaxed(&mp->mode, WI_MODE_RUNTIME);
    wi_compiler_barrier();
    if (wi_unlikely(wi_load_acquire(&mp->claim)))
        wi_enter_slow(gp);
}

#endif
