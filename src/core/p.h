/* SPDX-License-Identifier: MIT
 *
 * The P: a scheduler slot with its run queue, caches and timers. Fields without a tag belong to
 * the M that holds the P; a P that no M holds belongs to whoever took it from the idle list or
 * seized it. Ps are never freed.
 */
#ifndef WI_CORE_P_H
#define WI_CORE_P_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "core/g.h"
#include "core/runq.h"
#include "core/stack.h"
#include "core/timer.h"

/* Who holds a P, by its state. */
enum wi_pstatus {
    WI_P_IDLE,    /* sched.idle_ps; its run queue is empty, its timers may not be */
    WI_P_HELD,    /* an M, or a thread about to hand it to one */
    WI_P_RETIRED, /* nobody: its number is not below maxprocs; it owns nothing */
};

struct wi_p {
    /* Read by others, seldom written. */
    uint32_t id;            /* constant */
    uint32_t status;        /* enum wi_pstatus; atomic, changed under sched.lock */
    struct wi_m *m;         /* atomic: the M that holds it, a hint for sysmon */
    struct wi_p *idle_next; /* guarded by sched.lock */

    /* Written by the holder at every dispatch; read by sysmon and statistics. */
    _Alignas(WI_CACHE_LINE) uint64_t tick; /* atomic, one writer: dispatches */
    uint32_t until_fair;                   /* dispatches until the other queues have their turn */
    uint64_t spawned;                      /* atomic, one writer */
    uint64_t exited;                       /* atomic, one writer */
    uint64_t steals;                       /* atomic, one writer */
    uint64_t preempts;                     /* atomic, one writer */
    uint64_t next_id;                      /* ids set aside for goroutines started here */
    uint64_t last_id;
    uint64_t random;
    struct wi_g_cache free_gs;
    struct wi_stack_cache stacks;
    uint64_t starved; /* goroutines in a row that found no stack */

    struct wi_runq runq;
    struct wi_timers timers;

    /* sysmon's notes of what it saw last. */
    _Alignas(WI_CACHE_LINE) uint64_t seen_tick;
    int64_t seen_since;
    struct wi_m *seen_m;
    uint32_t seen_block_tick;
    int64_t seen_block_since;
};

/* A new retired P with that number. NULL: out of memory. */
struct wi_p *wi_p_new(uint32_t id);

/* Makes mp the holder of pp and the reverse. pp is held by nobody else. */
void wi_p_acquire(struct wi_m *mp, struct wi_p *pp);
struct wi_p *wi_p_release(struct wi_m *mp);

/* Take a P from and put one on the idle list; sched.lock is held. get: NULL if none is idle. put
 * retires a P whose number is no longer below maxprocs. */
struct wi_p *wi_p_idle_get(void);
void wi_p_idle_put(struct wi_p *pp);

/* Passes on a P whose M is blocked or gone: to another M if there is work, else to the idle list.
 */
void wi_p_handoff(struct wi_p *pp);

/* Makes the first P, retired, which is there for timers from then on. 0 or -ENOMEM. */
int wi_p_make_first(void);

/* Sets the number of Ps; returns once every P above it is retired. count 0 ends the run: afterwards
 * no goroutine can be scheduled, and other counts have no effect until the next run. 0 or -ENOMEM.
 * Not called on g0 or with a lock held. */
int wi_p_resize(uint32_t count);

/* xorshift64*: fast and good enough to choose victims. */
static inline uint64_t wi_p_random(struct wi_p *pp)
{
    uint64_t x = pp->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    pp->random = x;
    return x * UINT64_C(0x2545F4914F6CDD1D);
}

#endif
