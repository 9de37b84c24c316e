/* SPDX-License-Identifier: MIT
 *
 * Timers: a heap for each P, in which the P's holder, or any thread under the heap's lock, adds,
 * removes and fires.
 *
 * Rules for users:
 *   - A struct wi_timer is the caller's memory, zeroed before first use. While it is set (added and
 *     neither fired nor removed) the runtime refers to it; afterwards it does not.
 *   - fire is called in the runtime on an M that holds a P, without locks, possibly after
 *     wi_timer_remove returned false and at any later time: fn, arg and ticket are copies, the
 *     timer itself may be gone. So fire must be able to tell, from arg and ticket, that it comes
 *     too late (a wait ticket for a parked goroutine, the stored deadline of a descriptor).
 *   - fire must not park.
 *   - At the end of a run the timers that are set are forgotten: no longer set, never fired. So is one
 *     that a foreign thread sets when it is too late. Who counts on the call can ask
 *     (wi_timer_was_forgotten).
 */
#ifndef WI_CORE_TIMER_H
#define WI_CORE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include <weft/time.h>

#include "base/atomic.h"
#include "core/lock.h"
#include "os/os.h"

struct wi_p;

/* Whether a deadline is a time, and not one of the two with a meaning of their own; and whether it
 * has passed, which those never do. */
static inline bool wi_deadline_is_time(int64_t deadline)
{
    return deadline != WEFT_FOREVER && deadline != WEFT_NOWAIT;
}

static inline bool wi_deadline_has_passed(int64_t deadline)
{
    return wi_deadline_is_time(deadline) && deadline <= wi_os_now();
}

typedef void (*wi_timer_fn)(void *arg, uint64_t ticket);

struct wi_timer {
    int64_t when;
    wi_timer_fn fire;
    void *arg;
    uint64_t ticket;
    struct wi_p
        *p; /* atomic: whose heap it is in, NULL while not set, or WI_TIMER_FORGOTTEN; guarded
                       by that heap's lock */
    uint32_t index; /* place in the heap; guarded by that heap's lock */
};

#define WI_TIMER_FORGOTTEN ((struct wi_p *)1)

struct wi_timer_entry {
    int64_t when;
    struct wi_timer *timer;
};

/* A 4-ary heap of deadlines in address space that was reserved for all the timers there can be, so
 * that adding one allocates nothing and cannot fail. */
struct wi_timers {
    struct wi_lock lock;
    uint32_t count;              /* atomic to read; guarded by lock to write */
    int64_t earliest;            /* atomic to read: when of the first, INT64_MAX if none */
    uint32_t capacity;           /* constant */
    struct wi_timer_entry *heap; /* constant */
    bool unannounced;            /* holder only: earliest moved up and a poller may sleep past it */
};

/* 0 or -ENOMEM; once for each P. */
int wi_timers_init(struct wi_timers *timers);

/* Sets a timer that is not set, with when, fire, arg and ticket filled in. In the runtime; any
 * thread. The goroutine's own P is used, or the first P from elsewhere; without a run the timer is
 * forgotten at once. */
void wi_timer_add(struct wi_timer *timer);

/* Makes it not set. True: it was set, and fire will not be called for this setting. Any thread. */
bool wi_timer_remove(struct wi_timer *timer);

/* Whether it was set, and then forgotten. By who may set and remove it, after a remove. */
static inline bool wi_timer_was_forgotten(const struct wi_timer *timer)
{
    return wi_load_relaxed(&timer->p) == WI_TIMER_FORGOTTEN;
}

/* Fires what is due on pp. Returns when the next is due, INT64_MAX if none; *fired says whether any
 * did. now is updated if time was looked up (pass 0 for unknown). On an M that holds a P. */
int64_t wi_timers_run(struct wi_p *pp, int64_t *now, bool *fired);

/* Moves all timers from a P that is being retired to another; NULL: forgets them. */
void wi_timers_move(struct wi_p *from, struct wi_p *to);

/* The earliest deadline over all Ps. */
int64_t wi_timers_earliest(void);

#endif
