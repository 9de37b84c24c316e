/* SPDX-License-Identifier: MIT
 *
 * Tickers; see weft/time.h.
 *
 * A ticker is an alarm (alarm.h) that sets itself anew as it goes off, and a channel with room for
 * one tick. alarm.lock guards what the ticker is set to; it is taken before the channel's lock.
 *
 * Going off, on g0:
 *   1. Take alarm.lock. If the setting is no longer the current one, go to 5.
 *   2. Under the channel's lock: hand now to a receiver that waits, or leave it in the channel; if
 *      there is one already, drop it.
 *   3. Set the alarm to the first multiple of the period after now, counted from when this one was
 *      due: late ticks neither shift the later ones nor come in a burst.
 *   4. Release alarm.lock, and then ready the receiver.
 *   5. Drop the setting's reference.
 * Stop and reset: under alarm.lock take back the setting, and take out of the channel what is in
 * it.
 *
 * No stale tick. Every tick is sent under alarm.lock, while its setting is current. So one is sent
 * either before the stop's critical section, and then taken out there, unless it has been handed to
 * a receiver, who has thus received it before the stop; or never.
 *
 * Memory. The channel is the ticker's as long as anybody refers to the ticker; step 2 is done with
 * the reference of the setting. The receiver of step 4 has been taken off the channel's queue, and
 * its wait can end in no other way.
 *
 * A short period. The alarm is set to a time after now, and the P that fires its timers fires
 * those that were due when it began; so it comes by its run queue between two ticks, however short
 * the period.
 */
#include <weft/time.h>

#include <errno.h>
#include <stdlib.h>

#include "api/alarm.h"
#include "core/park.h"
#include "core/sched.h"
#include "sync/chan.h"

struct weft_ticker {
    struct wi_alarm alarm;
    weft_chan *chan; /* constant */
    int64_t period;  /* guarded by alarm.lock */
};

static void unref(weft_ticker *ticker)
{
    if (!wi_alarm_unref(&ticker->alarm))
        return;
    weft_chan_unref(ticker->chan);
    free(ticker);
}

/* The first after now of due + period, due + 2 period, …; due is not after now. */
static int64_t next_tick(int64_t due, int64_t period, int64_t now)
{
    int64_t next;
    int64_t last = now - (now - due) % period;
    return __builtin_add_overflow(last, period, &next) ? WEFT_FOREVER : next;
}

/* Step 2; returns whom to ready, or NULL. Not inlined: the compiler would warn of what the
 * channel's copying does with larger elements. */
static WI_NOINLINE struct wi_g *tick(weft_chan *chan, const int64_t *now)
{
    struct wi_g *wake;
    wi_lock(&chan->lock);
    wi_chan_try_send(chan, now, &wake);
    wi_unlock(&chan->lock);
    return wake;
}

static void fire(void *arg, uint64_t setting)
{
    weft_ticker *ticker = wi_container_of(arg, weft_ticker, alarm);
    struct wi_g *wake = NULL;
    wi_lock(&ticker->alarm.lock);
    if (wi_alarm_goes_off(&ticker->alarm, setting)) {
        int64_t now = wi_os_now();
        wake = tick(ticker->chan, &now);
        wi_alarm_set(&ticker->alarm, next_tick(ticker->alarm.timer.when, ticker->period, now));
    }
    wi_unlock(&ticker->alarm.lock);
    if (wake)
        wi_ready(wake);
    unref(ticker);
}

/* A ticker that is not in use yet has nothing to take back. period 0: not set anew. */
static void change(weft_ticker *ticker, int64_t period)
{
    struct wi_g *wake; /* if the user sends on the channel too */
    struct wi_g *gp = wi_enter();
    wi_lock(&ticker->alarm.lock);
    wi_alarm_unset(&ticker->alarm);
    wi_lock(&ticker->chan->lock);
    wi_chan_try_recv(ticker->chan, NULL, &wake);
    wi_unlock(&ticker->chan->lock);
    if (period > 0) {
        ticker->period = period;
        wi_alarm_set(&ticker->alarm, weft_after(period));
    }
    wi_unlock(&ticker->alarm.lock);
    if (wake)
        wi_ready(wake);
    wi_leave(gp);
}

weft_ticker *weft_ticker_new(int64_t period)
{
    if (period < 1 || !wi_load_acquire(&wi_sched.running))
        return NULL;
    weft_ticker *ticker = malloc(sizeof *ticker);
    if (!ticker)
        return NULL;
    wi_alarm_init(&ticker->alarm, fire);
    ticker->chan = weft_chan_new(sizeof(int64_t), 1);
    if (!ticker->chan) {
        free(ticker);
        return NULL;
    }
    change(ticker, period);
    return ticker;
}

weft_chan *weft_ticker_chan(weft_ticker *ticker)
{
    return ticker ? ticker->chan : NULL;
}

int weft_ticker_stop(weft_ticker *ticker)
{
    if (!ticker)
        return -EINVAL;
    change(ticker, 0);
    return 0;
}

int weft_ticker_reset(weft_ticker *ticker, int64_t period)
{
    if (!ticker || period < 1)
        return -EINVAL;
    if (!wi_load_acquire(&wi_sched.running))
        return -EPERM;
    change(ticker, period);
    return 0;
}

void weft_ticker_free(weft_ticker *ticker)
{
    if (!ticker)
        return;
    weft_ticker_stop(ticker);
    unref(ticker);
}
