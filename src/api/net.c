/* SPDX-License-Identifier: MIT
 *
 * Descriptors apart from their data: deadlines, readiness, closing.
 */
#include <weft/net.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include <weft/time.h>

#include "api/attempt.h"
#include "core/netpoll.h"
#include "core/park.h"
#include "os/os.h"
#include "os/socket.h"

static int set_deadline(int fd, unsigned directions, int64_t read_deadline, int64_t write_deadline)
{
    struct wi_g *gp = wi_enter();
    int result = wi_poll_set_deadline(gp, fd, directions, read_deadline, write_deadline);
    wi_leave(gp);
    return result;
}

int weft_set_deadline(int fd, int64_t read_deadline, int64_t write_deadline)
{
    return set_deadline(fd, WI_READ | WI_WRITE, read_deadline, write_deadline);
}

int weft_set_read_deadline(int fd, int64_t deadline)
{
    return set_deadline(fd, WI_READ, deadline, 0);
}

int weft_set_write_deadline(int fd, int64_t deadline)
{
    return set_deadline(fd, WI_WRITE, 0, deadline);
}

static unsigned directions_of(int events)
{
    return (events & (POLLIN | POLLRDHUP) ? WI_READ : 0u) | (events & POLLOUT ? WI_WRITE : 0u);
}

/* The level counts here, so poll(2) is asked; an edge only says when to ask again. */
static int wait_level(struct wi_g *gp, struct wi_poll_desc *desc, int fd, int events,
                      int64_t deadline)
{
    unsigned directions = directions_of(events);
    int result = wi_poll_can_wait(desc);
    while (result == 0) {
        uint32_t seen;
        result = wi_poll_prepare(desc, directions, &seen);
        if (result == 0)
            result = wi_os_fd_poll(fd, events, WEFT_NOWAIT);
        if (result != 0)
            break;
        result = wi_poll_wait(gp, desc, directions, seen, deadline);
    }
    return result;
}

static bool are_valid(int poll_events)
{
    return poll_events != 0 && !(poll_events & ~(POLLIN | POLLOUT | POLLRDHUP));
}

struct wait {
    int events;
    int64_t deadline;
};

static ssize_t wait_for(struct wi_g *gp, struct wi_poll_desc *desc, int fd, void *args)
{
    const struct wait *wait = args;
    if (!are_valid(wait->events))
        return -EINVAL;
    return wait_level(gp, desc, fd, wait->events, wait->deadline);
}

int weft_wait(int fd, int poll_events, int64_t deadline)
{
    return (int)wi_call(fd, 0, wait_for, &(struct wait){poll_events, deadline});
}

/* As wait_level, but the record waits. The record is the runtime's if 0. */
static int when_ready(struct wi_g *gp, struct wi_poll_desc *desc, int fd, int events,
                      int64_t deadline, struct wi_poll_when *when)
{
    int result = wi_poll_can_wait(desc);
    if (result)
        return result;
    do {
        uint32_t seen = wi_poll_seen(desc);
        bool nothing =
            events == POLLIN && deadline != WEFT_NOWAIT && wi_poll_is_drained(desc, seen);
        result = nothing ? 0 : wi_os_fd_poll(fd, events, WEFT_NOWAIT);
        if (result < 0)
            return result;
        if (result == 0 && deadline == WEFT_NOWAIT)
            return -EAGAIN;
        if (result > 0 || deadline <= wi_os_now()) {
            wi_poll_when_start_now(when, result > 0 ? 0 : -ETIMEDOUT);
            return 0;
        }
        result = wi_poll_when_add(gp, desc, when, seen);
    } while (result == 1);
    return result;
}

int weft_go_when(int fd, int poll_events, int64_t deadline, void (*fn)(void *arg), void *arg)
{
    if (!fn || !are_valid(poll_events))
        return -EINVAL;
    struct wi_g *gp = wi_enter();
    struct wi_poll_desc *desc;
    int result = wi_poll_active() ? wi_poll_begin(gp, fd, 0, &desc) : -EPERM;
    if (result == 0) {
        struct wi_poll_when *when =
            wi_poll_when_new(fn, arg, directions_of(poll_events), poll_events, deadline);
        result = when ? when_ready(gp, desc, fd, poll_events, deadline, when) : -ENOMEM;
        if (result)
            free(when);
        wi_poll_end(gp, desc, 0);
    }
    wi_leave(gp);
    return result;
}

int weft_when_result(void)
{
    const struct wi_g *gp = wi_getg();
    return gp ? wi_poll_when_result(gp) : -EINVAL;
}

/* On a Unix socket whose buffers are full the kernel reports nothing to who waits to write. */
static ssize_t shut_down(struct wi_g *gp, struct wi_poll_desc *desc, int fd, void *how)
{
    int result = wi_os_shutdown(fd, *(const int *)how);
    if (result == 0 && *(const int *)how != SHUT_RD)
        wi_poll_wake(gp, desc, WI_WRITE);
    return result;
}

int weft_shutdown(int fd, int how)
{
    return (int)wi_call(fd, 0, shut_down, &how);
}

int weft_close(int fd)
{
    struct wi_g *gp = wi_enter();
    int result = wi_poll_close(gp, fd);
    wi_leave(gp);
    return result;
}
