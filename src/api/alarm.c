/* SPDX-License-Identifier: MIT
 *
 * The alarm; see alarm.h.
 */
#include "api/alarm.h"

#include "arch/sanitize.h"
#include "base/atomic.h"

void wi_alarm_init(struct wi_alarm *alarm, wi_timer_fn fire)
{
    *alarm = (struct wi_alarm){.references = 1, .timer = {.fire = fire, .arg = alarm}};
}

void wi_alarm_set(struct wi_alarm *alarm, int64_t when)
{
    wi_fetch_add_relaxed(&alarm->references, 1);
    alarm->timer.when = when;
    alarm->timer.ticket = ++alarm->setting;
    wi_sanitize_release(alarm);
    wi_timer_add(&alarm->timer);
}

bool wi_alarm_unset(struct wi_alarm *alarm)
{
    bool pending = wi_timer_remove(&alarm->timer);
    if (pending || wi_timer_was_forgotten(&alarm->timer))
        wi_fetch_sub_acq_rel(&alarm->references, 1); /* the caller's is left */
    alarm->timer.p = NULL;                           /* not forgotten a second time */
    alarm->setting++; /* a call of fire that is under way is no longer this one's */
    return pending;
}

bool wi_alarm_stop(struct wi_alarm *alarm)
{
    wi_lock(&alarm->lock);
    bool pending = wi_alarm_unset(alarm);
    wi_unlock(&alarm->lock);
    return pending;
}

bool wi_alarm_goes_off(struct wi_alarm *alarm, uint64_t setting)
{
    return alarm->setting == setting;
}

int wi_alarm_spawn(struct wi_alarm *alarm, const struct wi_spawn *request)
{
    struct wi_sanitize_loan loan = wi_sanitize_borrow(alarm);
    int error = wi_spawn_with(NULL, request);
    wi_sanitize_give_back(loan);
    return error;
}

bool wi_alarm_unref(struct wi_alarm *alarm)
{
    wi_sanitize_release(&alarm->references);
    if (wi_fetch_sub_acq_rel(&alarm->references, 1) != 1)
        return false;
    wi_sanitize_acquire(&alarm->references);
    return true;
}
