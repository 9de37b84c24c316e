/* SPDX-License-Identifier: MIT
 *
 * The clock, sleeping, and timers that call; see weft/time.h.
 *
 * A weft_timer is an alarm (alarm.h) and what to call.
 */
#include <weft/time.h>

#include <errno.h>
#include <stdlib.h>

#include "api/alarm.h"
#include "core/park.h"
#include "core/sched.h"

struct weft_timer {
    struct wi_alarm alarm;
    void (*fn)(void *arg); /* constant */
    void *arg;             /* constant */
};

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
    if (wi_alarm_unref(&timer->alarm))
        free(timer);
}

/* Holds the setting's reference. No memory for a goroutine now is no reason to lose the call. */
static void fire(void *arg, uint64_t setting)
{
    weft_timer *timer = wi_container_of(arg, weft_timer, alarm);
    struct wi_spawn request = {
        .fn = timer->fn, .arg = timer->arg, .stack_class = WI_STACK_CLASS_DEFAULT};
    bool spawned = wi_alarm_spawn(&timer->alarm, &request) == 0;
    wi_lock(&timer->alarm.lock);
    if (wi_alarm_goes_off(&timer->alarm, setting) && !spawned)
        wi_alarm_set(&timer->alarm, wi_os_now() + WI_ALARM_RETRY);
    wi_unlock(&timer->alarm.lock);
    unref(timer);
}

weft_timer *weft_after_func(int64_t duration, void (*fn)(void *arg), void *arg)
{
    if (!fn || !wi_load_acquire(&wi_sched.running))
        return NULL;
    weft_timer *timer = malloc(sizeof *timer);
    if (!timer)
        return NULL;
    wi_alarm_init(&timer->alarm, fire);
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
    bool pending = wi_alarm_stop(&timer->alarm);
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
    wi_lock(&timer->alarm.lock);
    bool pending = wi_alarm_unset(&timer->alarm);
    wi_alarm_set(&timer->alarm, weft_after(duration));
    wi_unlock(&timer->alarm.lock);
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
