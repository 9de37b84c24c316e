/* SPDX-License-Identifier: MIT
 *
 * Messages: what sockets receive and send with an address, flags or control data.
 *
 * Readiness does not say everything about sending. A Unix datagram socket that sends to an address,
 * not being connected to it, gets EAGAIN while the receiver's queue is full. But it counts as
 * writable all the while: no event comes when there is room again, and one comes from every attempt
 * that fails, as that gives back the memory it took for the datagram. Who waited for events would
 * try again and again; so such a send sleeps between its attempts. Rejected: connecting the socket
 * for as long, which everybody who uses it would notice.
 */
#include <weft/net.h>

#include <limits.h>

#include "api/attempt.h"
#include "os/os.h"
#include "os/socket.h"

#define PAUSE_MIN (WEFT_MILLISECOND / 4)
#define PAUSE_MAX (4 * WEFT_MILLISECOND) /* by which a close or a deadline may come late */

/* ---- The frame ---- */

struct message {
    ssize_t (*attempt)(int fd, const struct message *message);
    int flags;
    const struct sockaddr *to; /* where a send goes to, or NULL; the kernel looks at it first */
    socklen_t to_size;
    union {
        struct {
            void *buffer;
            size_t size;
            struct sockaddr *from;
            socklen_t *from_size;
        } receive;
        struct {
            const void *buffer;
            size_t size;
        } send;
        struct msghdr *header;
    };
};

/* MSG_DONTWAIT is a deadline. */
static int64_t patience(const struct message *message)
{
    return message->flags & MSG_DONTWAIT ? WEFT_NOWAIT : WEFT_FOREVER;
}

/* Who will not wait cannot wait for its turn. */
static unsigned turn(int flags, unsigned direction)
{
    return flags & MSG_DONTWAIT ? 0 : direction;
}

static ssize_t receive(struct wi_g *gp, struct wi_poll_desc *desc, int fd, void *args)
{
    const struct message *message = args;
    ssize_t result;
    TRY_UNTIL(gp, desc, WI_READ, patience(message), result, message->attempt(fd, message));
    return result;
}

/* The wait says whether there may be one, and its end that it came to nothing. 0: try again. */
static int pause_sending(struct wi_g *gp, struct wi_poll_desc *desc, uint32_t seen, int64_t until)
{
    int err = wi_poll_wait(gp, desc, WI_WRITE, seen, until);
    if (err == 0)
        wi_sleep_until(gp, until);
    return err == -ETIMEDOUT ? 0 : err; /* whose deadline it was shows at the next attempt */
}

static bool goes_to_unix(const struct message *message)
{
    return message->to && message->to_size >= sizeof message->to->sa_family &&
           message->to->sa_family == AF_UNIX;
}

static ssize_t send_unconnected(struct wi_g *gp, struct wi_poll_desc *desc, int fd,
                                const struct message *message)
{
    int64_t pause = PAUSE_MIN;
    for (;;) {
        uint32_t seen;
        ssize_t result = wi_poll_prepare(desc, WI_WRITE, &seen);
        if (result == 0)
            result = message->attempt(fd, message);
        if (result != -EAGAIN)
            return result;
        result = pause_sending(gp, desc, seen, wi_os_now() + pause);
        if (result != 0)
            return result;
        if (pause < PAUSE_MAX)
            pause *= 2;
    }
}

static ssize_t send_message(struct wi_g *gp, struct wi_poll_desc *desc, int fd, void *args)
{
    const struct message *message = args;
    ssize_t result;
    TRY_UNTIL(gp, desc, WI_WRITE, goes_to_unix(message) ? WEFT_NOWAIT : patience(message), result,
              message->attempt(fd, message));
    if (result == -EAGAIN && patience(message) != WEFT_NOWAIT && goes_to_unix(message))
        result = send_unconnected(gp, desc, fd, message);
    return result;
}

/* ---- The calls ---- */

static ssize_t try_recvfrom(int fd, const struct message *message)
{
    return wi_os_recvfrom(fd, message->receive.buffer, message->receive.size, message->flags,
                          message->receive.from, message->receive.from_size);
}

ssize_t weft_recvfrom(int fd, void *buffer, size_t size, int flags, struct sockaddr *addr,
                      socklen_t *len)
{
    if (size > SSIZE_MAX)
        return -EINVAL;
    struct message message = {
        .attempt = try_recvfrom, .flags = flags, .receive = {buffer, size, addr, len}};
    return wi_call(fd, turn(flags, WI_READ), receive, &message);
}

static ssize_t try_sendto(int fd, const struct message *message)
{
    return wi_os_sendto(fd, message->send.buffer, message->send.size, message->flags, message->to,
                        message->to_size);
}

ssize_t weft_sendto(int fd, const void *buffer, size_t size, int flags, const struct sockaddr *addr,
                    socklen_t len)
{
    if (size > SSIZE_MAX)
        return -EINVAL;
    struct message message = {
        .attempt = try_sendto, .flags = flags, .to = addr, .to_size = len, .send = {buffer, size}};
    return wi_call(fd, turn(flags, WI_WRITE), send_message, &message);
}

static ssize_t try_recvmsg(int fd, const struct message *message)
{
    return wi_os_recvmsg(fd, message->header, message->flags);
}

ssize_t weft_recvmsg(int fd, struct msghdr *header, int flags)
{
    if (header && header->msg_iovlen > IOV_MAX)
        return -EINVAL;
    struct message message = {.attempt = try_recvmsg, .flags = flags, .header = header};
    return wi_call(fd, turn(flags, WI_READ), receive, &message);
}

static ssize_t try_sendmsg(int fd, const struct message *message)
{
    return wi_os_sendmsg(fd, message->header, message->flags);
}

ssize_t weft_sendmsg(int fd, const struct msghdr *header, int flags)
{
    if (header && header->msg_iovlen > IOV_MAX)
        return -EINVAL;
    struct message message = {.attempt = try_sendmsg,
                              .flags = flags,
                              .to = header ? header->msg_name : NULL,
                              .to_size = header ? header->msg_namelen : 0,
                              .header = (struct msghdr *)header};
    return wi_call(fd, turn(flags, WI_WRITE), send_message, &message);
}
