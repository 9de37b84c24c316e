/* SPDX-License-Identifier: MIT
 *
 * Blocking-style I/O: each call is tried at once, and waits for the netpoller only if the kernel
 * says EAGAIN. The protocol stands in core/netpoll.c.
 */
#include <weft/net.h>

#include <errno.h>
#include <limits.h>
#include <poll.h>

#include <weft/time.h>

#include "core/netpoll.h"
#include "core/park.h"
#include "os/socket.h"

/* One attempt after the other, until the kernel lets one through or waiting ends. ATTEMPT is an
 * expression: a result or a negative errno. */
#define TRY_UNTIL_READY(gp, desc, direction, result, ATTEMPT)                                      \
    for (;;) {                                                                                     \
        uint32_t seen_;                                                                            \
        (result) = wi_poll_prepare(desc, direction, &seen_);                                       \
        if ((result) != 0)                                                                         \
            break;                                                                                 \
        (result) = (ATTEMPT);                                                                      \
        if ((result) != -EAGAIN)                                                                   \
            break;                                                                                 \
        (result) = wi_poll_wait(gp, desc, direction, seen_, WEFT_FOREVER);                         \
        if ((result) != 0)                                                                         \
            break;                                                                                 \
    }

/* ---- Read and write ---- */

ssize_t weft_read(int fd, void *buffer, size_t size)
{
    if (size > SSIZE_MAX)
        return -EINVAL;
    struct wi_g *gp = wi_enter();
    struct wi_poll_desc *desc;
    ssize_t result = wi_poll_begin(gp, fd, &desc);
    if (result == 0) {
        TRY_UNTIL_READY(gp, desc, WI_READ, result, wi_os_fd_read(fd, buffer, size));
        wi_poll_end(gp, desc);
    }
    wi_leave(gp);
    return result;
}

static ssize_t try_write(struct wi_poll_desc *desc, int fd, const void *buffer, size_t size)
{
    if (wi_poll_is_socket(desc)) {
        ssize_t result = wi_os_send(fd, buffer, size);
        if (result != -ENOTSOCK)
            return result;
        wi_poll_is_not_socket(desc);
    }
    return wi_os_fd_write(fd, buffer, size);
}

static ssize_t write_some(struct wi_g *gp, struct wi_poll_desc *desc, int fd, const void *buffer,
                          size_t size)
{
    ssize_t result;
    TRY_UNTIL_READY(gp, desc, WI_WRITE, result, try_write(desc, fd, buffer, size));
    return result;
}

ssize_t weft_write(int fd, const void *buffer, size_t size)
{
    if (size > SSIZE_MAX)
        return -EINVAL;
    struct wi_g *gp = wi_enter();
    struct wi_poll_desc *desc;
    ssize_t result = wi_poll_begin(gp, fd, &desc);
    if (result == 0) {
        result = write_some(gp, desc, fd, buffer, size);
        wi_poll_end(gp, desc);
    }
    wi_leave(gp);
    return result;
}

/* Writes once even if size is 0: what that means is the kernel's to say. */
static ssize_t write_all(struct wi_g *gp, struct wi_poll_desc *desc, int fd, const char *buffer,
                         size_t size)
{
    size_t done = 0;
    do {
        ssize_t count = write_some(gp, desc, fd, buffer + done, size - done);
        if (count < 0)
            return count;
        if (count == 0 && done < size)
            return -EIO; /* no progress and no error: some drivers do so */
        done += (size_t)count;
    } while (done < size);
    return (ssize_t)done;
}

ssize_t weft_write_all(int fd, const void *buffer, size_t size)
{
    if (size > SSIZE_MAX)
        return -EINVAL;
    struct wi_g *gp = wi_enter();
    struct wi_poll_desc *desc;
    ssize_t result = wi_poll_begin(gp, fd, &desc);
    if (result == 0) {
        result = write_all(gp, desc, fd, buffer, size);
        wi_poll_end(gp, desc);
    }
    wi_leave(gp);
    return result;
}

/* ---- Accept ---- */

/* A connection that its peer gave up while it was queued is nothing to bother the caller with. */
static int try_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
    int result;
    do
        result = wi_os_accept(fd, addr, len);
    while (result == -ECONNABORTED);
    return result;
}

int weft_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
    struct wi_g *gp = wi_enter();
    struct wi_poll_desc *desc;
    int result = wi_poll_begin(gp, fd, &desc);
    if (result == 0) {
        TRY_UNTIL_READY(gp, desc, WI_READ, result, try_accept(fd, addr, len));
        wi_poll_end(gp, desc);
    }
    wi_leave(gp);
    return result;
}

/* ---- Deadlines, waiting, closing ---- */

int weft_set_deadline(int fd, int64_t read_deadline, int64_t write_deadline)
{
    struct wi_g *gp = wi_enter();
    int result = wi_poll_set_deadline(gp, fd, read_deadline, write_deadline);
    wi_leave(gp);
    return result;
}

/* The level counts here, so poll(2) is asked; an edge only says when to ask again. */
static int wait_level(struct wi_g *gp, struct wi_poll_desc *desc, int fd, int events,
                      int64_t deadline)
{
    unsigned directions =
        (events & (POLLIN | POLLRDHUP) ? WI_READ : 0u) | (events & POLLOUT ? WI_WRITE : 0u);
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

int weft_wait(int fd, int poll_events, int64_t deadline)
{
    struct wi_g *gp = wi_enter();
    struct wi_poll_desc *desc;
    int result = wi_poll_begin(gp, fd, &desc);
    if (result == 0) {
        if (poll_events == 0 || (poll_events & ~(POLLIN | POLLOUT | POLLRDHUP)))
            result = -EINVAL;
        else
            result = wait_level(gp, desc, fd, poll_events, deadline);
        wi_poll_end(gp, desc);
    }
    wi_leave(gp);
    return result;
}

int weft_close(int fd)
{
    struct wi_g *gp = wi_enter();
    int result = wi_poll_close(gp, fd);
    wi_leave(gp);
    return result;
}
