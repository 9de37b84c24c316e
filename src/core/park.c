/* SPDX-License-Identifier: MIT
 *
 * Park, ready and yield. The rules stand in park.h.
 */
#include "core/park.h"

#include <weft/time.h>

#include "core/sched.h"
#include "core/timer.h"

/* What both park actions do first. */
static inline void become_waiting(struct wi_m *mp, struct wi_g *gp)
{
    struct wi_timer *timer = mp->park_timer;
    mp->park_timer = NULL;
    wi_store_relaxed(&gp->status, WI_G_WAITING);
    if (timer)
        wi_timer_add(timer);
}

/* After the last line somebody else may run gp; the timer and the lock's object are still there
 * because their owner, gp, must take the lock, or remove the timer, before it can leave them
 * behind. */
static void park_action(struct wi_m *mp, struct wi_g *gp)
{
    struct wi_lock *lock = mp->park_lock;
    mp->park_lock = NULL;
    become_waiting(mp, gp);
    if (lock)
        wi_unlock(lock);
}

static void park_many_action(struct wi_m *mp, struct wi_g *gp)
{
    become_waiting(mp, gp);
    mp->park_unlock(mp->park_unlock_arg);
}

static inline void park_with(struct wi_g *gp, wi_action action, struct wi_timer *timer,
                             enum wi_wait why)
{
    gp->m->park_timer = timer;
    wi_store_relaxed(&gp->waiting_for, (uint8_t)why);
    wi_switch_to_g0(gp, action);
    wi_sanitize_woken(&gp->sanitize);
    wi_store_relaxed(&gp->waiting_for, WI_WAIT_NONE);
}

static void time_is_up(void *arg, uint64_t ticket)
{
    struct wi_g *gp = arg;
    if (!wi_wait_claim(gp, ticket))
        return;
    gp->timed_out = true;
    wi_ready(gp);
}

static bool park_with_until(struct wi_g *gp, wi_action action, enum wi_wait why, uint64_t ticket,
                            int64_t deadline)
{
    if (deadline == WEFT_FOREVER) {
        park_with(gp, action, NULL, why);
        return true;
    }
    struct wi_timer timer = {.when = deadline, .fire = time_is_up, .arg = gp, .ticket = ticket};
    gp->timed_out = false;
    park_with(gp, action, &timer, why);
    if (gp->timed_out)
        return false;
    wi_timer_remove(&timer);
    return true;
}

/* A foreign thread sleeps on its stand-in's futex word, which is 0 except between a ready and the
 * end of the wait that it ends. False: the deadline passed first. */
static bool sleep_foreign(struct wi_g *gp, int64_t deadline)
{
    while (wi_load_acquire(&gp->futex) == 0)
        if (wi_os_futex_wait(&gp->futex, 0, deadline) != 0)
            return false;
    wi_sanitize_woken(&gp->sanitize);
    wi_store_relaxed(&gp->futex, 0);
    return true;
}

static bool sleep_foreign_until(struct wi_g *gp, uint64_t ticket, int64_t deadline)
{
    if (sleep_foreign(gp, deadline))
        return true;
    if (wi_wait_claim(gp, ticket))
        return false;
    return sleep_foreign(gp, WEFT_FOREVER); /* somebody won and is about to ready us */
}

void wi_park(struct wi_g *gp, struct wi_lock *lock, enum wi_wait why)
{
    if (wi_likely(!gp->foreign)) {
        gp->m->park_lock = lock;
        park_with(gp, park_action, NULL, why);
        return;
    }
    if (lock)
        wi_unlock(lock);
    sleep_foreign(gp, WEFT_FOREVER);
}

bool wi_park_until(struct wi_g *gp, struct wi_lock *lock, enum wi_wait why, uint64_t ticket,
                   int64_t deadline)
{
    if (wi_likely(!gp->foreign)) {
        gp->m->park_lock = lock;
        return park_with_until(gp, park_action, why, ticket, deadline);
    }
    if (lock)
        wi_unlock(lock);
    return sleep_foreign_until(gp, ticket, deadline);
}

bool wi_park_many(struct wi_g *gp, void (*unlock)(void *arg), void *arg, enum wi_wait why,
                  uint64_t ticket, int64_t deadline)
{
    if (wi_likely(!gp->foreign)) {
        gp->m->park_unlock = unlock;
        gp->m->park_unlock_arg = arg;
        return park_with_until(gp, park_many_action, why, ticket, deadline);
    }
    unlock(arg);
    return sleep_foreign_until(gp, ticket, deadline);
}

/* A woken stand-in's thread may be gone, and its futex word with it, before the wake call: the
 * kernel then finds nobody at that address. */
static void ready_foreign(struct wi_g *gp)
{
    wi_sanitize_wake(&gp->sanitize);
    wi_store_release(&gp->futex, 1);
    wi_os_futex_wake(&gp->futex, 1);
}

void wi_ready(struct wi_g *gp)
{
    if (wi_unlikely(gp->foreign)) {
        ready_foreign(gp);
        return;
    }
    wi_sanitize_wake(&gp->sanitize);
    struct wi_m *mp = wi_getm();
    if (wi_likely(mp && mp->p)) {
        wi_store_relaxed(&gp->status, WI_G_RUNNABLE);
        wi_submit_next(mp->p, gp);
        wi_wake_another();
    } else {
        wi_submit_global(gp);
        wi_wake_p();
    }
}

void wi_ready_all(struct wi_glist *list)
{
    struct wi_m *mp = wi_getm();
    struct wi_p *pp = mp ? mp->p : NULL;
    struct wi_glist global = {0};
    struct wi_g *gp;
    uint32_t count = 0;
    while ((gp = wi_glist_pop(list))) {
        if (gp->foreign) {
            ready_foreign(gp);
            continue;
        }
        wi_sanitize_wake(&gp->sanitize);
        if (pp) {
            wi_store_relaxed(&gp->status, WI_G_RUNNABLE);
            wi_submit(pp, gp);
        } else {
            wi_glist_push(&global, gp);
        }
        count++;
    }
    if (global.head)
        wi_submit_global_list(&global);
    /* One M is woken at once; it wakes the next when it finds work. */
    if (count)
        wi_wake_p();
}

void wi_sleep_until(struct wi_g *gp, int64_t deadline)
{
    if (deadline == WEFT_FOREVER)
        wi_park(gp, NULL, WI_WAIT_FOREVER);
    else
        wi_park_until(gp, NULL, WI_WAIT_SLEEP, wi_wait_open(gp), deadline);
}

static void yield_action(struct wi_m *mp, struct wi_g *gp)
{
    wi_store_relaxed(&gp->status, WI_G_RUNNABLE);
    wi_submit(mp->p, gp);
}

void wi_yield(struct wi_g *gp)
{
    if (gp->foreign)
        wi_os_yield();
    else
        wi_switch_to_g0(gp, yield_action);
}
