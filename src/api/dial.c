/* SPDX-License-Identifier: MIT
 *
 * Dialling.
 *
 * Most dials are to one address that needs no lookup: they take nothing but the socket. Several
 * addresses are race.c's matter.
 */
#include <errno.h>
#include <netinet/tcp.h>

#include <weft/net.h>
#include <weft/time.h>

#include "api/address.h"
#include "api/attempt.h"
#include "api/backoff.h"
#include "api/dial.h"
#include "api/resolve.h"
#include "os/socket.h"

#define CONNECT_PAUSE_MIN (WEFT_MILLISECOND / 4)
#define CONNECT_PAUSE_MAX (16 * WEFT_MILLISECOND)

static ssize_t await_connection(struct wi_g *gp, struct wi_poll_desc *desc, int fd, void *deadline)
{
    for (;;) {
        uint32_t seen;
        int err = wi_poll_prepare(desc, WI_WRITE, &seen);
        if (err)
            return err;
        err = wi_os_connect_result(fd);
        if (err != -EINPROGRESS)
            return err;
        err = wi_poll_wait(gp, desc, WI_WRITE, seen, *(const int64_t *)deadline);
        if (err && err != -ECANCELED) /* a foreign thread's run has ended */
            return err;
    }
}

static void adopt(int fd, int type)
{
    struct wi_g *gp = wi_enter();
    wi_poll_adopt(gp, fd, type == SOCK_STREAM ? WI_FD_TCP : WI_FD_SOCKET);
    wi_leave(gp);
}

int wi_dial_begin(const struct wi_address *to, int *fd)
{
    *fd = wi_os_socket(to->any.sa_family, to->type);
    if (*fd < 0)
        return *fd;
    adopt(*fd, to->type);
    int err = to->type == SOCK_STREAM ? wi_os_socket_set(*fd, IPPROTO_TCP, TCP_NODELAY, 1) : 0;
    if (err == 0)
        err = wi_os_connect(*fd, &to->any, to->size);
    if (err && err != -EINPROGRESS)
        weft_close(*fd);
    return err;
}

static int dial_inet(const struct wi_address *to, int64_t deadline)
{
    int fd = -1;
    int err = wi_dial_begin(to, &fd);
    if (err == 0)
        return fd;
    if (err != -EINPROGRESS)
        return err;
    err = (int)wi_call(fd, WI_WRITE, await_connection, &deadline);
    if (err == 0)
        return fd;
    weft_close(fd);
    return err;
}

/* When nobody listens on a local port the kernel may choose that very port for our end, and TCP's
 * simultaneous open then connects the socket to itself. It is what a refused connection looks like
 * in one of 28 000 cases. */
static int dial_inet_other(const struct wi_address *to, int64_t deadline)
{
    enum { TRIES = 3 };
    for (int i = 0; i < TRIES; i++) {
        int fd = dial_inet(to, deadline);
        if (fd < 0 || !wi_os_connected_to_itself(fd))
            return fd;
        weft_close(fd);
    }
    return -ECONNREFUSED;
}

/* While a Unix listener's backlog is full the kernel says EAGAIN, and nothing becomes ready when it
 * no longer is. */
static int connect_unix(int fd, const struct wi_address *to, int64_t deadline)
{
    struct wi_backoff backoff = {CONNECT_PAUSE_MIN, CONNECT_PAUSE_MAX};
    for (;;) {
        int err = wi_os_connect(fd, &to->any, to->size);
        if (err != -EAGAIN)
            return err;
        err = wi_back_off(&backoff, deadline);
        if (err)
            return err;
    }
}

static int dial_unix(const struct wi_address *to, int64_t deadline)
{
    int fd = wi_os_socket(AF_UNIX, to->type);
    if (fd < 0)
        return fd;
    int err = connect_unix(fd, to, deadline);
    if (err == 0)
        return fd;
    weft_close(fd);
    return err;
}

int weft_dial(const char *network, const char *address, int64_t deadline)
{
    struct wi_addresses to;
    int count = wi_resolve(network, address, WI_ADDRESS_DIAL, deadline, &to);
    if (count < 0)
        return count;
    int result;
    if (count > 1)
        result = wi_dial_race(to.list, count, deadline);
    else if (to.list->any.sa_family == AF_UNIX)
        result = dial_unix(to.list, deadline);
    else
        result = dial_inet_other(to.list, deadline);
    wi_addresses_free(&to);
    return result;
}
