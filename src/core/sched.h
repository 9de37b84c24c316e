/* SPDX-License-Identifier: MIT
 *
 * The state that all Ms share, and the scheduler's inner interfaces.
 */
#ifndef WI_CORE_SCHED_H
#define WI_CORE_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/runtime.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "core/g.h"
#include "core/globq.h"
#include "core/lock.h"
#include "core/m.h"
#include "core/p.h"

struct wi_sched {
    /* Read at every dispatch, seldom written. */
    uint32_t maxprocs; /* atomic, written under lock; 0 once a run is ending */
    uint32_t running;  /* atomic, written under lock: a run is on, and not ending */
    uint64_t run;      /* atomic: number of the run */
    struct wi_p *ps[WEFT_MAXPROCS_LIMIT]; /* constant once set; Ps below ps_made exist */
    uint32_t ps_made;                     /* atomic, written under lock */
    struct wi_fp_control fp; /* what new goroutines start with; constant during a run */
    int max_goroutines;      /* atomic */
    int max_threads;         /* atomic */

    int64_t starved_since; /* atomic: since when no stack could be had; 0: they can */

    /* The submit/spin protocol (sched.c) lives on these. */
    _Alignas(WI_CACHE_LINE) uint32_t idle_p_count; /* atomic, written under lock */
    uint32_t spinning;                             /* atomic: Ms that look for work */
    uint64_t queue_size;                           /* atomic, written under lock: length of queue */

    /* Who polls. */
    _Alignas(
        WI_CACHE_LINE) int64_t last_poll; /* atomic: when; 0 while an M waits in the netpoller */
    int64_t poll_until;                   /* atomic: until when it waits; 0 while not known */
    uint32_t watch_level;                 /* see findrunnable.c, is_watched */
    uint32_t watch_left;

    _Alignas(WI_CACHE_LINE) struct wi_lock lock;
    /* Guarded by lock. */
    struct wi_globq queue; /* the global run queue */
    struct wi_p *idle_ps;
    struct wi_m *idle_ms;
    struct wi_m *all_ms;
    struct wi_m *free_ms;
    uint32_t m_count;        /* threads that exist or are being made */
    uint32_t idle_m_count;   /* on idle_ms; atomic to read */
    uint32_t pinned_m_count; /* asleep until their pinned goroutine may run */
    uint32_t listeners;      /* atomic: who wait for what comes from outside, besides netpoll's */
    bool thread_failed;      /* atomic: a thread could not be made; sysmon tries again */
    uint64_t seizes;         /* atomic */
    uint64_t spawned;        /* goroutines started by foreign threads */
    uint64_t discarded;      /* goroutines that a run left behind */
};

extern struct wi_sched wi_sched;

extern uint32_t wi_run_taken; /* atomic: a call of weft_run is under way */

/* ---- Dispatching (sched.c) ---- */

/* Runs goroutines on mp's g0 until its thread is to end. */
void wi_schedule(struct wi_m *mp);

/* Switches from the running goroutine to g0, which then calls action(mp, gp). Returns when gp is
 * dispatched again. */
void wi_switch_to_g0(struct wi_g *gp, wi_action action);

/* Ends the running goroutine, in the runtime. */
_Noreturn void wi_goroutine_exit(struct wi_g *gp);

/* Gives back everything a goroutine holds; it is not running. pp may be NULL. */
void wi_goroutine_free(struct wi_p *pp, struct wi_g *gp);

/* ---- Finding work (findrunnable.c) ---- */

/* The next goroutine for mp to run, and a P to run it on; blocks while there is none. NULL: the
 * thread is to end. */
struct wi_g *wi_findrunnable(struct wi_m *mp);

/* Whether anything is queued, as seen at some instant of the call; goroutines that are next on
 * their P count if even_next. */
bool wi_work_anywhere(bool even_next);

/* After work was submitted: wakes one more M if a P is idle and nobody is looking already. */
void wi_wake_p(void);

/* The same for a caller that holds a P: with one P there is nobody to wake. */
static inline void wi_wake_another(void)
{
    if (wi_load_relaxed(&wi_sched.maxprocs) != 1)
        wi_wake_p();
}

/* Makes sure that somebody wakes in time for a timer. */
void wi_announce_timer(int64_t when);

/* ---- Queues (submit.c) ---- */

void wi_submit_overflow(struct wi_p *pp, struct wi_g *gp);

/* Queue a runnable goroutine on a P that the caller holds, at its end or as the next to run. */
static inline void wi_submit(struct wi_p *pp, struct wi_g *gp)
{
    if (wi_unlikely(!wi_runq_put(&pp->runq, gp)))
        wi_submit_overflow(pp, gp);
}

static inline void wi_submit_next(struct wi_p *pp, struct wi_g *gp)
{
    struct wi_g *old = wi_runq_put_next(&pp->runq, gp);
    if (wi_unlikely(old != NULL))
        wi_submit(pp, old);
}

/* The global queue. _locked: sched.lock is held. */
void wi_submit_global(struct wi_g *gp);
void wi_submit_global_locked(struct wi_g *gp);
void wi_submit_global_list(struct wi_glist *list);

/* Moves all of a P's run queue there; nobody else holds the P. sched.lock is held. */
void wi_submit_global_all_locked(struct wi_p *pp);

/* A share of the global queue, at most limit <= WI_RUNQ_SIZE / 2: the first is returned, the
 * others go to pp's run queue, which has room for them. sched.lock is held. */
struct wi_g *wi_take_global_locked(struct wi_p *pp, uint32_t limit);

/* ---- Taking Ps away (seize.c) ---- */

/* Takes pp from its M if that is in a blocking region, or, if any_user, in any user code. True: the
 * caller holds pp now and must pass it on. */
bool wi_seize(struct wi_p *pp, bool any_user);

/* Takes runnext from a P whose M is in user code, and may be for long; NULL otherwise. */
struct wi_g *wi_steal_next(struct wi_p *pp);

/* Every later wi_enter of mp, the calling thread's, ends the process (fork.c). */
void wi_enter_never(struct wi_m *mp);

/* ---- The monitor (sysmon.c) ---- */

enum wi_pace {
    WI_PACE_FAST,   /* looks every few dozen microseconds */
    WI_PACE_SLOW,   /* every few milliseconds */
    WI_PACE_ASLEEP, /* every P is idle: not at all */
};

extern uint32_t wi_sysmon_pace; /* atomic: enum wi_pace */

/* On weft_run's thread: begin before the main goroutine is started, then wi_sysmon until
 * wi_sysmon_end. */
void wi_sysmon_begin(void);
void wi_sysmon(void);
void wi_sysmon_end(void);

/* Makes it look at once, and often. */
void wi_sysmon_nudge(void);

/* Work that signal handlers leave to sysmon's thread: after a post it calls wi_sysmon_errand(false)
 * soon. At the end of every run, when no M runs any more, errand(true) is called there. post is
 * signal-safe, at any time. */
extern void (*wi_sysmon_errand)(bool ending); /* atomic; NULL, or constant */
void wi_sysmon_post(void);
void wi_sysmon_finish(void);

/* ---- Failures (fatal.c) ---- */

/* Prints "fatal error: " and the message, and exits with status 2. */
_Noreturn void wi_fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints to standard error. */
void wi_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Lists all goroutines on standard error. */
void wi_print_goroutines(void);

_Noreturn void wi_fatal_overflow(struct wi_g *gp);
_Noreturn void wi_fatal_deadlock(void);

/* For wi_os_fault_init: reports a hit on the running goroutine's guard. */
bool wi_fault(void *address);

#endif
