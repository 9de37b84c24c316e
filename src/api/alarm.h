/* SPDX-License-Identifier: MIT
 *
 * An alarm: a core timer in an object that its user may stop, set anew and drop at any time, also
 * while it goes off on another M. Timers, tickers and contexts with a deadline contain one.
 *
 * The object is counted. One reference is the user's. One belongs to a pending setting; it goes
 * with it to the fire function, which must drop it, or pass it on. Whoever drops the last one, as
 * wi_alarm_unref tells, frees the object.
 *
 * lock orders settings and unsettings. Each of them takes a new number, so that a fire function
 * that comes too late finds, under the lock, that its number is not the current one.
 *
 * A setting that the end of a run made the timers forget is gone without having fired, and nobody
 * holds its reference any more: the next unset drops it. The timer itself tells. Rejected: to
 * compare the number of the run in which it was set, which changes some time after the timers have
 * been forgotten, and says nothing of a timer that a foreign thread sets in between.
 *
 * Rule: whoever holds the lock may add and remove timers, lock a channel, and load atomics.
 */
#ifndef WI_API_ALARM_H
#define WI_API_ALARM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/lock.h"
#include "core/spawn.h"
#include "core/timer.h"

struct wi_alarm {
    struct wi_lock lock;
    uint32_t references;   /* atomic */
    struct wi_timer timer; /* set or not: guarded by lock */
    uint64_t setting;      /* counts settings and unsettings; guarded by lock */
};

/* fire is called as core/timer.h says, with the alarm and the number of the setting. */
void wi_alarm_init(struct wi_alarm *alarm, wi_timer_fn fire);

/* Sets an alarm that is not set. In the runtime, the lock held. */
void wi_alarm_set(struct wi_alarm *alarm, int64_t when);

/* Makes it not set. True: it was, in this run, and will not go off. The caller holds the lock, and
 * a reference that is not the setting's. */
bool wi_alarm_unset(struct wi_alarm *alarm);

/* The same for one who is in the runtime and does not hold the lock. */
bool wi_alarm_stop(struct wi_alarm *alarm);

/* How long fire waits when no goroutine can be had, before it sets the alarm to try again. */
#define WI_ALARM_RETRY INT64_C(1000000)

/* For fire, the lock held: the setting goes off now, and is over; false: it was taken back. */
bool wi_alarm_goes_off(struct wi_alarm *alarm, uint64_t setting);

/* For fire: starts a goroutine that comes, for ThreadSanitizer, after who set the alarm. Results as
 * wi_spawn_with. */
int wi_alarm_spawn(struct wi_alarm *alarm, const struct wi_spawn *request);

/* True: the caller dropped the last reference. */
bool wi_alarm_unref(struct wi_alarm *alarm);

#endif
