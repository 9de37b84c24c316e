/* SPDX-License-Identifier: MIT
 *
 * Turns: in each direction of a descriptor one operation is under way at a time, and the others
 * come after it in the order in which they began. So what a write of many bytes writes stays
 * together, several readers and acceptors are served fairly, and an event wakes one of them.
 *
 * Who has the turn, and whether others wait for it, are bits of the state (polldesc.h), so that an
 * operation that meets nobody begins and ends with the atomics it needs anyway.
 *
 * begin:
 *    1. neither the turn nor a queue: CAS to one operation more and the turn taken (acquire).
 *    2. else: CAS to one operation more. Under the lock: the turn is free and nobody queues: CAS to
 *       take it. Otherwise CAS to set the queue's bit, a waiter record goes into the queue, and the
 *       goroutine parks.
 * end:
 *    3. one operation less and the turn given back, in one subtraction (release). The queue's bit was
 *       not set: done.
 *    4. it was: under the lock, if still nobody has the turn, it is given to the first in the queue,
 *       whose bit is cleared with the last; it is readied.
 *
 * Nobody waits for ever: the queue's bit is set, in 2, only while somebody has the turn, by a CAS;
 * so the subtraction of 3 comes after it and sees it. Nobody overtakes: while the bit is set
 * newcomers queue, also between 3 and 4. In that time the one who is to pass the turn on holds
 * nothing; if the queue was emptied meanwhile (close, deadline), and even if the number has a new
 * life, 4 finds the bit cleared, or does for the new queue what somebody is about to do anyway.
 *
 * Close and deadlines end waits for the turn as they end waits for readiness (wi_poll_wake). A
 * deadline's timer is armed for both.
 *
 * While no run is on there are no timers, and foreign threads wait for the turn by looking again,
 * in no order.
 */
#include "core/polldesc.h"

#include <errno.h>

#include "core/park.h"
#include "os/os.h"

#define LOOK_AGAIN WEFT_MILLISECOND

/* Step 2, the lock is held. 0: the turn is taken; 1: it is not, and if queue, the queue's bit is
 * set; or an error. */
static int take_turn(struct wi_g *gp, struct wi_poll_desc *desc, unsigned direction, bool queue)
{
    int64_t deadline = wi_poll_deadline(desc, direction);
    if (wi_deadline_has_passed(deadline))
        return -ETIMEDOUT;
    uint64_t state = wi_load_relaxed(&desc->state);
    for (;;) {
        if (state & WI_POLL_CLOSING)
            return -ECANCELED;
        bool free = !(state & wi_poll_turn_taken(direction));
        if (!free && deadline == WEFT_NOWAIT)
            return -EAGAIN;
        if (!free && !queue)
            return 1;
        uint64_t bit = free ? wi_poll_turn_of(gp, direction) : WI_POLL_QUEUE(direction);
        if (wi_cas_acquire(&desc->state, &state, state | bit))
            return free ? 0 : 1;
    }
}

static int queue_and_park(struct wi_g *gp, struct wi_poll_desc *desc, unsigned direction)
{
    struct wi_poll_waiter waiter = {.gp = gp, .directions = direction};
    wi_poll_enqueue(desc->turns, &waiter);
    wi_poll_deadline_arm(desc, direction);
    wi_park(gp, &desc->lock, direction == WI_READ ? WI_WAIT_READ : WI_WAIT_WRITE);
    return waiter.result;
}

int wi_poll_await_turn(struct wi_g *gp, struct wi_poll_desc *desc, unsigned direction)
{
    for (;;) {
        wi_lock(&desc->lock);
        bool active = wi_poll_active();
        int result = take_turn(gp, desc, direction, active);
        if (result == 1 && active)
            return queue_and_park(gp, desc, direction);
        wi_unlock(&desc->lock);
        if (result != 1)
            return result;
        wi_os_sleep(LOOK_AGAIN);
    }
}

/* Step 4. */
WI_NOINLINE void wi_poll_pass_turn(struct wi_g *gp, struct wi_poll_desc *desc, unsigned direction)
{
    unsigned i = direction == WI_READ ? 0 : 1;
    struct wi_poll_wake wake = {0};
    wi_lock(&desc->lock);
    struct wi_poll_waiter *waiter = desc->turns[i].first;
    uint64_t state = wi_load_relaxed(&desc->state);
    uint64_t held = WI_POLL_TURN(direction) | WI_POLL_FOREIGN_TURN(direction);
    if (waiter && !(state & held)) {
        wi_poll_dequeue(desc->turns, waiter);
        wake.removed = 1;
        /* Nobody else sets or clears these bits now; others add and subtract operations. */
        wi_fetch_add_acq_rel(&desc->state, wi_poll_turn_of(waiter->gp, direction));
        if (!desc->turns[i].first)
            wi_fetch_and_acq_rel(&desc->state, ~WI_POLL_QUEUE(direction));
        waiter->result = 0;
        wi_glist_push(&wake.list, waiter->gp);
    }
    wi_poll_unlock(desc, &wake, gp->foreign);
}
