/* SPDX-License-Identifier: MIT
 *
 * The scheduler: distributes runnable goroutines over threads. The structure is that of Go's
 * runtime (proc.go; D. Vyukov, "Scalable Go Scheduler Design Doc", 2012).
 *
 * G a goroutine, M an OS thread, P a slot that an M must hold to run goroutines. This file puts one
 * goroutine after the other on an M; findrunnable.c finds them; seize.c takes Ps from blocked Ms.
 *
 * Every M runs the loop in wi_schedule on its own stack, g0, and goroutines switch to and from g0
 * only. What becomes of a goroutine that leaves (parked, queued, ended) is done on g0 by an
 * action, when the goroutine is off its stack, so that another M may run it the moment it is
 * published. Rejected: direct switches from goroutine to goroutine, which save one switch of 1-2
 * ns, for needing all of that in every place that parks.
 *
 * What C keeps per thread but belongs to a goroutine is exchanged in execute(): errno, C++'s
 * exception globals, the floating-point control words. g0 never changes threads, so it may hold
 * their addresses.
 */
#include "core/sched.h"

#include <stdlib.h>

#include <weft/panic.h>

#include "core/park.h"

struct wi_sched wi_sched = {.max_goroutines = INT32_MAX, .max_threads = 10000, .run = 1};

#define STARVED_TOO_LONG INT64_C(10000000000)
#define STARVED_PAUSE    INT64_C(500000)

/* Stacks are bound late, so running out of them shows here, where nobody can be told. Others may
 * end and give some back: the goroutine is queued again, and the program ended only when none of
 * those that want a stack has got one for a long time. A P rests when all that is queued wants a
 * stack. */
static void stack_starved(struct wi_p *pp, struct wi_g *gp)
{
    int64_t now = wi_os_now();
    int64_t since = 0;
    if (!wi_cas_relaxed(&wi_sched.starved_since, &since, now) && now - since > STARVED_TOO_LONG)
        wi_fatal("no memory for goroutine stacks (goroutine %llu)", (unsigned long long)gp->id);
    wi_submit_global(gp);
    if (++pp->starved > wi_load_relaxed(&wi_sched.queue_size) && wi_runq_empty(&pp->runq)) {
        pp->starved = 0;
        wi_os_sleep(STARVED_PAUSE);
    }
}

static bool bind_stack(struct wi_m *mp, struct wi_g *gp)
{
    struct wi_p *pp = mp->p;
    struct wi_stack *stack = wi_stack_get(&pp->stacks, gp->stack_class);
    if (wi_unlikely(!stack)) {
        stack_starved(pp, gp);
        return false;
    }
    if (wi_unlikely(wi_load_relaxed(&wi_sched.starved_since) != 0)) {
        wi_store_relaxed(&wi_sched.starved_since, 0);
        pp->starved = 0;
    }
    gp->stack = stack;
    if (mp->cxa_address)
        gp->cxa[0] = gp->cxa[1] = NULL;
    wi_sanitize_begin(&gp->sanitize);
    wi_context_init(&gp->context, wi_stack_high(stack));
    return true;
}

static inline void enter_goroutine(struct wi_m *mp, struct wi_g *gp)
{
    wi_owner_add(&mp->p->tick, 1);
    wi_store_relaxed(&gp->status, WI_G_RUNNING);
    gp->m = mp;
    mp->curg = gp;
    *mp->errno_address = gp->saved_errno;
    if (mp->cxa_address) {
        mp->cxa_address[0] = gp->cxa[0];
        mp->cxa_address[1] = gp->cxa[1];
    }
    wi_fp_control_switch(&mp->fp, &gp->fp);
}

static inline void leave_goroutine(struct wi_m *mp, struct wi_g *gp)
{
    wi_fp_control_read(&gp->fp);
    wi_fp_control_copy(&mp->fp, &gp->fp);
    if (mp->cxa_address) {
        gp->cxa[0] = mp->cxa_address[0];
        gp->cxa[1] = mp->cxa_address[1];
    }
    gp->saved_errno = *mp->errno_address;
    mp->curg = NULL;
    if (wi_stack_overflowed(gp->stack, gp->context.sp))
        wi_fatal_overflow(gp);
}

/* Runs a goroutine until one switches back to g0: it, since nothing else runs on this M in between.
 * Every register is lost in a switch; who came back is known without a look at the stack, and mp
 * from there, which is returned so that the caller need not keep it either. */
static inline struct wi_m *execute(struct wi_m *mp, struct wi_g *gp)
{
    if (!gp->stack && !bind_stack(mp, gp))
        return mp;
    enter_goroutine(mp, gp);
    wi_sanitize_leave(&mp->sanitize, &gp->sanitize, gp->stack->low, wi_stack_window(gp->stack),
                      false);
    gp = wi_container_of(wi_switch(&mp->g0, &gp->context), struct wi_g, context);
    mp = gp->m;
    wi_sanitize_arrive(&mp->sanitize);
    leave_goroutine(mp, gp);
    mp->action(mp, gp);
    return mp;
}

/* Reading the clock costs more than a dispatch, so a busy P looks at its timers now and then only;
 * sysmon, through preempt, sees to it that this is soon enough even if every dispatch is a long
 * one. */
enum { TIMERS_PERIOD = 8 };

/* The usual next goroutine, found without a call; NULL where anything is out of the ordinary, and
 * wi_findrunnable has to look. */
static inline struct wi_g *next_local(struct wi_m *mp)
{
    struct wi_p *pp = mp->p;
    if (wi_unlikely(!pp || mp->locked_g || wi_load_relaxed(&mp->preempt) || pp->timers.unannounced))
        return NULL;
    uint32_t left = pp->until_fair;
    if (wi_unlikely(left % TIMERS_PERIOD == 0 &&
                    (left == 0 || wi_load_relaxed(&pp->timers.count) != 0)))
        return NULL;
    pp->until_fair = left - 1;
    struct wi_g *gp = wi_runq_take_next(&pp->runq);
    if (!gp)
        gp = wi_runq_get(&pp->runq);
    if (wi_unlikely(gp && gp->locked_m)) {
        wi_m_start_pinned(mp, gp);
        return NULL;
    }
    return gp;
}

void wi_schedule(struct wi_m *mp)
{
    for (;;) {
        struct wi_g *gp = next_local(mp);
        if (!gp && !(gp = wi_findrunnable(mp)))
            return;
        mp = execute(mp, gp);
    }
}

void wi_switch_to_g0(struct wi_g *gp, wi_action action)
{
    struct wi_m *mp = gp->m;
    mp->action = action;
    wi_sanitize_leave(&gp->sanitize, &mp->sanitize, mp->stack_low, mp->stack_size, false);
    wi_switch(&gp->context, &mp->g0);
    wi_sanitize_arrive(&gp->sanitize);
    wi_sanitize_acquire(&gp->m->sanitize);
}

void wi_goroutine_entry(void)
{
    struct wi_g *gp = wi_getg();
    wi_sanitize_arrive(&gp->sanitize);
    wi_sanitize_acquire(&gp->m->sanitize);
    wi_sanitize_woken(&gp->sanitize);
    wi_store_release(&gp->m->mode, WI_MODE_USER);
    gp->fn(gp->arg);
    gp = wi_enter();
    if (wi_unlikely(gp->stack->unwind))
        weft_panic("a function that weft called was left by longjmp or an exception");
    wi_goroutine_exit(gp);
}

void wi_goroutine_free(struct wi_p *pp, struct wi_g *gp)
{
    if (gp->copied) {
        free(gp->arg);
        gp->copied = false;
    }
    if (gp->stack) {
        wi_sanitize_end(&gp->sanitize, gp->stack->low, wi_stack_window(gp->stack));
        wi_stack_forget(gp->stack);
        gp->stack->unwind = NULL; /* one that is discarded has records left */
        wi_stack_put(pp ? &pp->stacks : NULL, gp->stack);
        gp->stack = NULL;
    }
    wi_store_relaxed(&gp->status, WI_G_FREE);
    wi_g_free(pp, gp);
}

/* A goroutine that ends while pinned takes its thread with it: nobody knows what it did to it. */
static void exit_action(struct wi_m *mp, struct wi_g *gp)
{
    struct wi_p *pp = mp->p;
    if (wi_unlikely(gp->locked_m)) {
        gp->locked_m = NULL;
        mp->locked_g = NULL;
        mp->ending = true;
    }
    wi_store_release(&pp->exited, pp->exited + 1); /* pairs with wi_goroutine_count */
    wi_goroutine_free(pp, gp);
    if (wi_unlikely(mp->ending))
        wi_p_handoff(wi_p_release(mp));
}

void wi_goroutine_exit(struct wi_g *gp)
{
    struct wi_m *mp = gp->m;
    mp->action = exit_action;
    wi_sanitize_release(&wi_sched);
    wi_sanitize_leave(&gp->sanitize, &mp->sanitize, mp->stack_low, mp->stack_size, true);
    wi_switch(&gp->context, &mp->g0);
    __builtin_unreachable();
}
