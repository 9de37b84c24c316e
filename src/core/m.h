/* SPDX-License-Identifier: MIT
 *
 * The M: an OS thread owned by weft. Ms are never freed, only reused, so that a look at p->m from
 * another thread is always a look at an M.
 */
#ifndef WI_CORE_M_H
#define WI_CORE_M_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/arch.h"
#include "arch/sanitize.h"
#include "core/g.h"
#include "os/os.h"

/* Where an M is, as far as taking its P away is concerned (seize.c). */
enum wi_mode {
    WI_MODE_RUNTIME,  /* it may touch its P: hands off */
    WI_MODE_USER,     /* in user code: its P can be claimed */
    WI_MODE_BLOCKING, /* in a declared blocking region: its P should be claimed */
};

/* What the scheduler does with the goroutine that has just switched to g0. */
typedef void (*wi_action)(struct wi_m *mp, struct wi_g *gp);

struct wi_lock;

struct wi_m {
    /* Used by its own thread; mode, claim and preempt are the exception. */
    struct wi_context g0; /* the scheduler, while a goroutine runs */
    struct wi_g *curg;    /* the goroutine that runs; NULL on g0 */
    struct wi_p *p;       /* the P it holds, or NULL; stale once claim is 2; atomic to others */
    uint32_t mode;        /* enum wi_mode; atomic, written by its own thread only */
    uint32_t claim;       /* atomic: see seize.c */
    uint32_t preempt;     /* atomic: sysmon asks the goroutine to give way */
    uint32_t block_tick;  /* atomic: blocking regions entered; written by its own thread only */

    wi_action action;            /* set just before a switch to g0 */
    struct wi_lock *park_lock;   /* for the park action: released once the goroutine is off */
    struct wi_timer *park_timer; /* for both park actions: armed once the goroutine is off */
    int *errno_address;          /* this thread's errno; g0 never changes threads */
    void **cxa_address;          /* this thread's C++ exception globals, or NULL without C++ */
    struct wi_fp_control fp;     /* the control words in the processor while on g0 */
    bool spinning;               /* out of work and looking for some; counted in sched.spinning */
    bool ending;                 /* its thread ends at the next look for work */
    struct wi_sanitize sanitize;
    void *stack_low; /* g0's stack, for sanitizers */
    size_t stack_size;

    /* Handed to it. */
    uint32_t wakeup;       /* atomic: 1 once there is a reason to wake; the futex it sleeps on */
    struct wi_p *next_p;   /* the P that comes with the wake-up, NULL: end the thread */
    struct wi_g *locked_g; /* the goroutine pinned here; written by its own thread */

    /* Constant while the thread lives. */
    struct wi_os_thread thread;
    uint64_t run;   /* the weft_run it belongs to */
    void *altstack; /* for signal handlers, or NULL */

    /* Set by its own thread for wi_park_many's action. */
    void (*park_unlock)(void *arg);
    void *park_unlock_arg;

    /* Guarded by sched.lock. */
    struct wi_m *idle_next; /* on sched.idle_ms */
    struct wi_m *all_next;  /* on sched.all_ms, from its thread's start until it was joined */
    struct wi_m *free_next; /* on sched.free_ms */
    bool ended;             /* its thread touches nothing more and can be joined */
    bool orphan;            /* the run ended while it was in user code; nobody joins it */
    bool stopped_pinned;    /* sleeps until its pinned goroutine may run */
    bool told_to_end;       /* at the end of a run, while stopped_pinned */
};

/* Gives pp, which nobody holds, to an M: an idle one, or a new one. spinning: the caller has
 * counted the M in sched.spinning. pp NULL: an idle P, and nothing happens if there is none. */
void wi_m_start(struct wi_p *pp, bool spinning);

/* Sleeps until another thread hands over a P, then holds it. False: the thread is to end. Called on
 * g0 without a P. */
bool wi_m_stop(struct wi_m *mp);

/* For an M with a pinned goroutine: passes on its P if it holds one, and sleeps until that
 * goroutine may run here, with a P. False: the thread is to end. */
bool wi_m_stop_pinned(struct wi_m *mp);

/* For an M that was about to run a goroutine that is pinned to another M: gives it its P. */
void wi_m_start_pinned(struct wi_m *mp, struct wi_g *gp);

/* For the end of a run, by weft_run: ends every M but those in user code, which are left to end
 * themselves; joins those that ended. */
void wi_m_end_all(void);

/* Joins threads that ended by themselves; by sysmon. */
void wi_m_reap(void);

#endif
