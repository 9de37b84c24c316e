/* SPDX-License-Identifier: MIT
 *
 * A bound on the goroutines that do one thing at a time, for state that outlives a run.
 *
 * A weft_sem would do within one run. But the end of a run discards goroutines that are inside, who
 * never come out; and one that is in user code then may still do so, since a semaphore that is free
 * is used without entering the runtime, and would give its permit to the next run. So the gate
 * knows which run it counts for, and both calls are made in the runtime, which a goroutine of a run
 * that is over does not get into any more.
 *
 * FIFO: nobody passes who waits. Goroutines only. Zero is ready.
 */
#ifndef WI_API_GATE_H
#define WI_API_GATE_H

#include <stdint.h>

#include <weft/sync.h>

#include "core/lock.h"

struct wi_g;

struct wi_gate {
    struct wi_lock lock;
    /* Guarded by lock. */
    uint32_t inside;
    uint64_t run; /* that inside and waiters are of */
    weft_waitq waiters;
};

/* Waits until fewer than limit are inside. 0 or -ETIMEDOUT; deadline is not WEFT_NOWAIT. */
int wi_gate_enter(struct wi_g *gp, struct wi_gate *gate, uint32_t limit, int64_t deadline);
void wi_gate_leave(struct wi_gate *gate);

#endif
