/* SPDX-License-Identifier: MIT
 *
 * The clock, sleeping, and timers. Durations and deadlines are nanoseconds on CLOCK_MONOTONIC.
 */
#ifndef WEFT_TIME_H
#define WEFT_TIME_H

#include <stdint.h>

#include <weft/chan.h>
#include <weft/export.h>

WEFT_BEGIN_DECLS

#define WEFT_NANOSECOND  INT64_C(1)
#define WEFT_MICROSECOND INT64_C(1000)
#define WEFT_MILLISECOND INT64_C(1000000)
#define WEFT_SECOND      INT64_C(1000000000)

/* Deadlines with a meaning of their own: wait without bound; never wait (-EAGAIN instead). */
#define WEFT_FOREVER INT64_MAX
#define WEFT_NOWAIT  INT64_MIN

typedef struct weft_timer weft_timer;
typedef struct weft_ticker weft_ticker;

/* Now. Any thread; signal-safe. */
WEFT_API int64_t weft_now(void);

/* The deadline that is duration from now; saturates at WEFT_FOREVER; a negative duration gives a
 * deadline that has passed. Any thread; signal-safe. */
WEFT_API int64_t weft_after(int64_t duration);

/* Sleep at least that long, or until then; at once if that is not in the future. WEFT_FOREVER never
 * returns. Return 0. May park; any thread. */
WEFT_API int weft_sleep(int64_t duration);
WEFT_API int weft_sleep_until(int64_t deadline);

/* Calls fn(arg) in a new goroutine once duration has passed. NULL if fn is NULL, no runtime runs or
 * memory is short. The timer ends with the runtime; the object must be freed. Any thread. */
WEFT_API weft_timer *weft_after_func(int64_t duration, void (*fn)(void *arg), void *arg);

/* Keeps a pending call from being made. 1: it was pending and will not be made; 0: it was made or
 * stopped before (its goroutine may still run), or ended with the runtime; -EINVAL: NULL. Any
 * thread. */
WEFT_API int weft_timer_stop(weft_timer *timer);

/* Sets the timer to go off duration from now, whatever its state. 1: a pending call was replaced;
 * 0: none was pending; -EINVAL: NULL; -EPERM: no runtime runs. Any thread. */
WEFT_API int weft_timer_reset(weft_timer *timer, int64_t duration);

/* Stops and frees the timer. NULL is allowed. Any thread. */
WEFT_API void weft_timer_free(weft_timer *timer);

/* Sends weft_now() as int64_t on a channel of capacity 1, one period from now and then every
 * period; a tick for which there is no room is dropped, and late ones do not shift the later ones.
 * NULL if period < 1, no runtime runs or memory is short. The ticker ends with the runtime; the
 * object must be freed. Any thread. */
WEFT_API weft_ticker *weft_ticker_new(int64_t period);

/* The channel, which lives as long as the ticker unless referenced (weft_chan_ref), and is never
 * closed. NULL for NULL. Any thread. */
WEFT_API weft_chan *weft_ticker_chan(weft_ticker *ticker);

/* Stops the ticks, or makes the next one come period from now. Once they return no tick from before
 * will be received. 0; -EINVAL: NULL, or period < 1; -EPERM: no runtime runs. Any thread. */
WEFT_API int weft_ticker_stop(weft_ticker *ticker);
WEFT_API int weft_ticker_reset(weft_ticker *ticker, int64_t period);

/* Stops and frees the ticker. NULL is allowed. Any thread. */
WEFT_API void weft_ticker_free(weft_ticker *ticker);

WEFT_END_DECLS

#endif
