/* SPDX-License-Identifier: MIT
 *
 * Waiting for a descriptor: the wait's side of the protocol in netpoll.c.
 */
#include <errno.h>
#include <poll.h>

#include "core/park.h"
#include "core/polldesc.h"
#include "os/os.h"
#include "os/socket.h"

/* How often a wait without a run looks at the descriptor. */
#define SLICE (20 * WEFT_MILLISECOND)

int wi_poll_can_wait(struct wi_poll_desc *desc)
{
    if (wi_load_relaxed(&desc->pollable))
        return 0;
    wi_lock(&desc->lock);
    int err = wi_poll_active() ? wi_poll_register(desc) : wi_os_fd_can_poll(desc->fd);
    if (err == 0)
        wi_store_relaxed(&desc->pollable, true);
    wi_unlock(&desc->lock);
    return err;
}

uint32_t wi_poll_seen(struct wi_poll_desc *desc)
{
    return wi_load_acquire(&desc->events);
}

int wi_poll_prepare(struct wi_poll_desc *desc, unsigned directions, uint32_t *seen)
{
    *seen = wi_poll_seen(desc);
    if (wi_unlikely(wi_poll_is_closing(desc)))
        return -ECANCELED;
    int64_t deadline = wi_poll_deadline(desc, directions);
    if (wi_unlikely(deadline != WEFT_FOREVER) && wi_deadline_has_passed(deadline))
        return -ETIMEDOUT;
    return 0;
}

/* Queued and parked until woken or deadline, which is not the descriptor's. The lock is held. */
static int park(struct wi_g *gp, struct wi_poll_desc *desc, unsigned directions, int64_t deadline)
{
    struct wi_poll_waiter waiter = {.gp = gp, .directions = directions};
    enum wi_wait why = directions & WI_READ ? WI_WAIT_READ : WI_WAIT_WRITE;
    if (deadline == WEFT_FOREVER) {
        wi_poll_publish(desc, &waiter, gp->foreign);
        wi_park(gp, &desc->lock, why);
        return waiter.result;
    }
    waiter.ticket = wi_wait_open(gp);
    wi_poll_publish(desc, &waiter, gp->foreign);
    if (wi_park_until(gp, &desc->lock, why, waiter.ticket, deadline))
        return waiter.result;
    wi_lock(&desc->lock);
    if (waiter.queued) {
        wi_poll_dequeue(desc->waiters, &waiter);
        wi_poll_count_out(1);
    }
    wi_unlock(&desc->lock);
    return -ETIMEDOUT;
}

/* While no run is on. */
static int wait_for_kernel(struct wi_poll_desc *desc, unsigned directions, int64_t deadline)
{
    int events =
        (directions & WI_READ ? POLLIN | POLLRDHUP : 0) | (directions & WI_WRITE ? POLLOUT : 0);
    for (;;) {
        int64_t slice = wi_os_now() + SLICE;
        int64_t own = wi_poll_deadline(desc, directions);
        int64_t until = own < deadline ? own : deadline;
        int ready = wi_os_fd_poll(desc->fd, events, until < slice ? until : slice);
        if (ready != 0)
            return ready < 0 ? ready : 0;
        if (wi_poll_is_closing(desc))
            return -ECANCELED;
        own = wi_poll_deadline(desc, directions);
        if (own == WEFT_NOWAIT)
            return -EAGAIN;
        if (wi_deadline_has_passed(own) || wi_deadline_has_passed(deadline))
            return -ETIMEDOUT;
        if (wi_poll_active())
            return 0;
    }
}

int wi_poll_wait(struct wi_g *gp, struct wi_poll_desc *desc, unsigned directions, uint32_t seen,
                 int64_t deadline)
{
    if (deadline == WEFT_NOWAIT)
        return -EAGAIN;
    wi_lock(&desc->lock);
    int err = 0;
    if (wi_poll_is_closing(desc)) {
        err = -ECANCELED;
    } else if (wi_poll_deadline(desc, directions) == WEFT_NOWAIT) {
        err = -EAGAIN;
    } else if (wi_load_relaxed(&desc->events) == seen) {
        if (!wi_poll_active()) {
            wi_unlock(&desc->lock);
            return wait_for_kernel(desc, directions, deadline);
        }
        err = wi_poll_register(desc);
        if (err == 0) {
            wi_poll_deadline_arm(desc, directions);
            return park(gp, desc, directions, deadline);
        }
    }
    wi_unlock(&desc->lock);
    return err;
}

enum wi_fd_kind wi_poll_kind(const struct wi_poll_desc *desc)
{
    return desc->kind;
}

bool wi_poll_is_socket(const struct wi_poll_desc *desc)
{
    return desc->kind >= WI_FD_SOCKET;
}

bool wi_poll_is_drained(const struct wi_poll_desc *desc, uint32_t seen)
{
    return wi_load_relaxed(&desc->drained_at) == seen && !wi_load_relaxed(&desc->special) &&
           wi_poll_active(); /* else nobody counts events */
}

bool wi_poll_skips_read(const struct wi_poll_desc *desc, uint32_t seen)
{
    return wi_poll_is_drained(desc, seen) && wi_load_relaxed(&desc->deadline[0]) != WEFT_NOWAIT;
}

void wi_poll_has_read(struct wi_poll_desc *desc, uint32_t seen, size_t wanted, ssize_t count)
{
    bool drained = desc->kind == WI_FD_TCP && count > 0 && (size_t)count < wanted;
    wi_store_relaxed(&desc->drained_at, drained ? seen : seen - 1);
}
