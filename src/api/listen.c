/* SPDX-License-Identifier: MIT
 *
 * Listening sockets, and accepting from them.
 */
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>

#include <weft/net.h>

#include "api/address.h"
#include "api/attempt.h"
#include "api/resolve.h"
#include "core/park.h"
#include "os/socket.h"

/* How often accept looks whether there are descriptors again, and what it sleeps at least. */
#define ACCEPT_PAUSE (10 * WEFT_MILLISECOND)
#define ACCEPT_SLEEP WEFT_MILLISECOND

/* ---- Listen ---- */

/* Who else may have the address. SO_REUSEPORT shares it with sockets that say so too. But UDP, when
 * it chooses a port, takes one that others share for a free one; so where it is to choose, sharing
 * is allowed only afterwards. TCP knows better, and wants to be told before. */
enum sharing { ALONE, SHARED, SHARED_LATER };

static int set_listen_options(int fd, const struct wi_address *at, enum sharing sharing)
{
    if (at->any.sa_family == AF_UNIX)
        return 0;
    int err = 0;
    if (at->type == SOCK_STREAM)
        err = wi_os_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (err == 0 && at->type == SOCK_STREAM) /* for the connections, which inherit it */
        err = wi_os_socket_set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (err == 0 && at->any.sa_family == AF_INET6)
        err = wi_os_socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, at->v6_only);
    if (err == 0 && sharing == SHARED)
        err = wi_os_socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    return err;
}

static int open_at(const struct wi_address *at, int backlog, enum sharing sharing)
{
    int fd = wi_os_socket(at->any.sa_family, at->type);
    if (fd < 0)
        return fd;
    int err = set_listen_options(fd, at, sharing);
    if (err == 0)
        err = wi_os_bind(fd, &at->any, at->size);
    if (err == 0 && sharing == SHARED_LATER)
        err = wi_os_socket_set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    if (err == 0 && at->type != SOCK_DGRAM)
        err = wi_os_listen(fd, backlog > 0 ? backlog : INT_MAX);
    if (err == 0)
        return fd;
    wi_os_fd_close(fd);
    return err;
}

/* At the first of the addresses that this machine has; one that is taken is an error. *at is which
 * it was. */
static int open_first_of(const struct wi_address *all, int count, int backlog, enum sharing sharing,
                         struct wi_address *at)
{
    int result = -EADDRNOTAVAIL;
    for (int i = 0; i < count; i++) {
        *at = all[i];
        result = open_at(at, backlog, sharing);
        if (result != -EAFNOSUPPORT && result != -EADDRNOTAVAIL)
            break;
    }
    return result;
}

int weft_listen(const char *network, const char *address, int backlog)
{
    struct wi_addresses all;
    struct wi_address at;
    int count = wi_resolve(network, address, WI_ADDRESS_LISTEN, WEFT_FOREVER, &all);
    if (count < 0)
        return count;
    int result = open_first_of(all.list, count, backlog, ALONE, &at);
    wi_addresses_free(&all);
    return result;
}

/* ---- Groups ---- */

/* Where all the others are opened, *at, is where the first one is. */
static int open_first(const struct wi_addresses *all, int count, int backlog, struct wi_address *at)
{
    bool chosen_by_kernel = wi_address_port(all->list) == 0 && all->list->type == SOCK_DGRAM;
    int fd = open_first_of(all->list, count, backlog, chosen_by_kernel ? SHARED_LATER : SHARED, at);
    if (fd < 0)
        return fd;
    int err = wi_os_socket_name(fd, &at->any, &at->size);
    if (err == 0)
        return fd;
    wi_os_fd_close(fd);
    return err;
}

static int open_group(const struct wi_addresses *all, int addresses, int backlog, int *fds,
                      int count)
{
    struct wi_address at;
    for (int i = 0; i < count; i++) {
        int result =
            i == 0 ? open_first(all, addresses, backlog, &at) : open_at(&at, backlog, SHARED);
        if (result < 0) {
            while (i > 0) {
                wi_os_fd_close(fds[--i]);
                fds[i] = -1; /* the number is somebody else's by now */
            }
            return result;
        }
        fds[i] = result;
    }
    return 0;
}

int weft_listen_group(const char *network, const char *address, int backlog, int *fds, int count)
{
    struct wi_addresses all;
    int result = wi_resolve(network, address, WI_ADDRESS_LISTEN, WEFT_FOREVER, &all);
    if (result < 0)
        return result;
    if (count < 1 || !fds || all.list->any.sa_family == AF_UNIX)
        result = -EINVAL;
    else
        result = open_group(&all, result, backlog, fds, count);
    wi_addresses_free(&all);
    return result;
}

/* ---- Accept ---- */

/* A connection that its peer gave up while it was queued is nothing to bother the caller with. */
static int try_accept(struct wi_g *gp, struct wi_poll_desc *desc, int fd, struct sockaddr *addr,
                      socklen_t *len)
{
    int result;
    do
        result = wi_os_accept(fd, addr, len);
    while (result == -ECONNABORTED);
    if (result >= 0)
        wi_poll_adopt(gp, result, wi_poll_kind(desc));
    return result;
}

static bool out_of_descriptors(int result)
{
    return result == -EMFILE || result == -ENFILE;
}

/* Nothing becomes ready when there are descriptors again, and new connections are no reason to look
 * sooner; nor are old ones, for which a wait without a run ends at once. Waits nevertheless, for
 * the deadline and for close. 0, or why not to wait any longer. */
static int pause_accepting(struct wi_g *gp, struct wi_poll_desc *desc)
{
    int64_t until = weft_after(ACCEPT_PAUSE);
    for (;;) {
        uint32_t seen;
        int err = wi_poll_prepare(desc, WI_READ, &seen);
        if (err || weft_now() >= until)
            return err;
        err = wi_poll_wait(gp, desc, WI_READ, seen, until);
        if (err && err != -ETIMEDOUT)
            return err;
        if (err == 0)
            wi_sleep_until(gp, weft_after(ACCEPT_SLEEP));
    }
}

/* One that is still out of descriptors after a pause refuses a connection. */
static int accept_next(struct wi_g *gp, struct wi_poll_desc *desc, int fd, struct sockaddr *addr,
                       socklen_t *len)
{
    for (bool again = false;; again = true) {
        int result;
        TRY_UNTIL_READY(gp, desc, WI_READ, result, try_accept(gp, desc, fd, addr, len));
        if (!out_of_descriptors(result))
            return result;
        if (again)
            wi_netpoll_refuse(fd);
        result = pause_accepting(gp, desc);
        if (result)
            return result;
    }
}

struct peer {
    struct sockaddr *addr;
    socklen_t *len;
};

static ssize_t accept_from(struct wi_g *gp, struct wi_poll_desc *desc, int fd, void *args)
{
    const struct peer *peer = args;
    return accept_next(gp, desc, fd, peer->addr, peer->len);
}

int weft_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
    return (int)wi_call(fd, WI_READ, accept_from, &(struct peer){addr, len});
}
