/* SPDX-License-Identifier: MIT
 *
 * Deadlines of descriptors.
 *
 * The deadline is a number in the descriptor that operations look at before they try. A timer is
 * needed only for those that wait. Servers move a deadline on with every request and seldom meet
 * it, so the timer is set when somebody begins to wait and is left where it is while that is early
 * enough:
 *
 *   Invariant, under the lock: while somebody waits in a direction whose deadline is neither
 *   WEFT_FOREVER nor WEFT_NOWAIT, the direction's timer is set, for that deadline or an earlier
 *   time.
 *
 * A timer that goes off too early is set again for the deadline as it is then, if anybody waits.
 *
 * armed says that the timer is set, or that it went off and its call has yet to take the lock. A
 * timer's ticket is its direction in bit 0 and a count of settings above. A call with an old ticket
 * came after the timer had been set again or removed, and does nothing: the later setting keeps the
 * invariant.
 */
#include "core/polldesc.h"

#include <errno.h>

#include "core/park.h"
#include "os/os.h"

static void time_is_up(void *arg, uint64_t ticket);

static void arm(struct wi_poll_desc *desc, int i)
{
    int64_t deadline = wi_load_relaxed(&desc->deadline[i]);
    struct wi_timer *timer = &desc->timer[i];
    if (!wi_deadline_is_time(deadline))
        return;
    if (desc->armed[i]) {
        if (timer->when <= deadline)
            return;
        wi_timer_remove(timer);
    }
    desc->armed[i] = true;
    timer->when = deadline;
    timer->fire = time_is_up;
    timer->arg = desc;
    timer->ticket = ((timer->ticket >> 1) + 1) << 1 | (unsigned)i;
    wi_timer_add(timer);
}

void wi_poll_deadline_arm(struct wi_poll_desc *desc, unsigned directions)
{
    for (int i = 0; i < WI_DIRECTIONS; i++)
        if (wi_poll_has(directions, i))
            arm(desc, i);
}

void wi_poll_deadline_disarm(struct wi_poll_desc *desc, unsigned directions)
{
    for (int i = 0; i < WI_DIRECTIONS; i++) {
        if (wi_poll_has(directions, i) && desc->armed[i]) {
            wi_timer_remove(&desc->timer[i]);
            desc->armed[i] = false;
        }
    }
}

/* Wakes waiters whose time has passed, and keeps the invariant for the others. The lock is held. */
static void apply(struct wi_poll_desc *desc, int i, struct wi_poll_wake *wake)
{
    int64_t deadline = wi_load_relaxed(&desc->deadline[i]);
    unsigned direction = 1u << i;
    if (!wi_deadline_is_time(deadline) || deadline <= wi_os_now()) {
        wi_poll_deadline_disarm(desc, direction);
        if (deadline != WEFT_FOREVER)
            wi_poll_end_waits(desc, direction, deadline == WEFT_NOWAIT ? -EAGAIN : -ETIMEDOUT,
                              wake);
    } else if (desc->waiters[i].first || desc->turns[i].first) {
        arm(desc, i);
    }
}

/* The timer's call. */
static void time_is_up(void *arg, uint64_t ticket)
{
    struct wi_poll_desc *desc = arg;
    int i = (int)(ticket & 1);
    struct wi_poll_wake wake = {0};
    wi_lock(&desc->lock);
    if (desc->armed[i] && desc->timer[i].ticket == ticket) {
        desc->armed[i] = false;
        apply(desc, i, &wake);
    }
    wi_poll_unlock(desc, &wake, false);
}

int wi_poll_set_deadline(struct wi_g *gp, int fd, unsigned directions, int64_t read_deadline,
                         int64_t write_deadline)
{
    struct wi_poll_desc *desc;
    int err = wi_poll_begin(gp, fd, 0, &desc);
    if (err)
        return err;
    struct wi_poll_wake wake = {0};
    wi_lock(&desc->lock);
    for (int i = 0; i < WI_DIRECTIONS; i++) {
        if (wi_poll_has(directions, i)) {
            wi_store_relaxed(&desc->deadline[i], i == 0 ? read_deadline : write_deadline);
            apply(desc, i, &wake);
        }
    }
    wi_poll_unlock(desc, &wake, gp->foreign);
    wi_poll_end(gp, desc, 0);
    return 0;
}
