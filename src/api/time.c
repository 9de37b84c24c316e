/* SPDX-License-Identifier: MIT
 *
 * The clock, sleeping, and timers that call; see weft/time.h.
 *
 * A weft_timer is counted: one reference is the user's, one belongs to a pending setting, and goes
 * to the fire function with it, so that a timer can be freed while its call is being started. lock
 * orders stop, reset and free. A setting made in a run that has ended is gone without having fired.
 */
#include <weft/time.h>

#include <errno.h>
#include <stdlib.h>

#include "core/park.h"
#include "core/sched.h"
#include "core/spawn.h"
#include "core/timer.h"

struct weft_timer {
    struct wi_lock lock;
    uint32_t references;   /* atomic */
    struct wi_timer timer; /* set or not: guarded by lock */
    uint64_t run;          /* in which it was set, 0 while it is not; guarded by lock */
    uint64_t setting;      /* counts settings and unsettings; guarded by lock */
    void (*fn)(void *arg); /* constant */
    void *arg;             /* constant */
};

#define SPAWN_RETRY INT64_C(1000000)

int64_t weft_now(void)
{
    return wi_os_now();
}

int64_t weft_after(int64_t duration)
{
    int64_t deadline;
    if (__builtin_add_overflow(wi_os_now(), duration, &deadline))
        return duration > 0 ? WEFT_FOREVER : 0;
    return deadline < 0 ? 0 : deadline;
}

int weft_sleep_until(int64_t deadline)
{
    struct wi_g *gp = wi_enter();
    if (deadline > wi_os_now())
        wi_sleep_until(gp, deadline);
    wi_leave(gp);
    return 0;
}

int weft_sleep(int64_t duration)
{
    return duration > 0 ? weft_sleep_until(weft_after(duration)) : 0;
}

static void unref(weft_timer *timer)
{
    if (wi_fetch_sub_acq_rel(&timer->references, 1) == 1)
        free(timer);
}

static void set(weft_timer *timer, int64_t when);

/* Holds the setting's reference. Out of memory for a goroutine now is no reason to lose the call. */
static void fire(void *arg, uint64_t setting)
{
    weft_timer *timer = arg;
    bool spawned = wi_spawn(NULL, timer->fn, timer->arg) == 0;
    wi_lock(&timer->lock);
    if (timer->setting == setting) {
        timer->run = 0;
        if (!spawned)
            set(timer, wi_os_now() + SPAWN_RETRY);
    }
    wi_unlock(&timer->lock);
    unref(timer);
}

/* The timer's lock is held. */
static void set(weft_timer *timer, int64_t when)
{
    wi_fetch_add_relaxed(&timer->references, 1);
    timer->run = wi_load_relaxed(&wi_sched.run);
    timer->timer.when = when;
    timer->timer.fire = fire;
    timer->timer.arg = timer;
    timer->timer.ticket = ++timer->setting;
    wi_timer_add(&timer->timer);
}

/* The timer's lock is held. True: a setting was taken back, in this run. */
static bool unset(weft_timer *timer)
{
    bool pending = wi_timer_remove(&timer->timer);
    bool forgotten = timer->run != 0 && timer->run != wi_load_relaxed(&wi_sched.run);
    if (pending || forgotten)
        wi_fetch_sub_acq_rel(&timer->references, 1); /* the user's is left */
    timer->run = 0;
    timer->setting++; /* a call that is being started is no longer this one */
    return pending;
}

weft_timer *weft_after_func(int64_t duration, void (*fn)(void *arg), void *arg)
{
    if (!fn || !wi_load_acquire(&wi_sched.running))
        return NULL;
    weft_timer *timer = calloc(1, sizeof *timer);
    if (!timer)
        return NULL;
    timer->references = 1;
    timer->fn = fn;
    timer->arg = arg;
    weft_timer_reset(timer, duration);
    return timer;
}

int weft_timer_stop(weft_timer *timer)
{
    if (!timer)
        return -EINVAL;
    struct wi_g *gp = wi_enter();
    wi_lock(&timer->lock);
    bool pending = unset(timer);
    wi_unlock(&timer->lock);
    wi_leave(gp);
    return pending;
}

int weft_timer_reset(weft_timer *timer, int64_t duration)
{
    if (!timer)
        return -EINVAL;
    if (!wi_load_acquire(&wi_sched.running))
        return -EPERM;
    struct wi_g *gp = wi_enter();
    wi_lock(&timer->lock);
    bool pending = unset(timer);
    set(timer, weft_after(duration));
    wi_unlock(&timer->lock);
    wi_leave(gp);
    return pending;
}

void weft_timer_free(weft_timer *timer)
{
    if (!timer)
        return;
    weft_timer_stop(timer);
    unref(timer);
}
