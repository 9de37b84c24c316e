/* SPDX-License-Identifier: MIT
 *
 * Descriptors and sockets.
 *
 * Callers park between calls of these functions and may be on another thread afterwards. None may
 * be inlined into them, not even by link-time optimisation: the compiler would then keep the
 * address of one thread's errno for the next call.
 */
#include "os/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "os/linux/retry.h"
#include "os/os.h"

#define NANOSECONDS INT64_C(1000000000)

WI_NOINLINE int wi_os_fd_check(int fd)
{
    return fcntl(fd, F_GETFD) < 0 ? -errno : 0;
}

WI_NOINLINE int wi_os_fd_set_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -errno;
    if (flags & O_NONBLOCK)
        return 0;
    return fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

WI_NOINLINE int wi_os_fd_kind(int fd)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (S_ISSOCK(status.st_mode)) {
        int protocol = 0;
        socklen_t size = sizeof protocol;
        getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size);
        return protocol == IPPROTO_TCP ? WI_FD_TCP : WI_FD_SOCKET;
    }
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode))
        return WI_FD_FILE;
    return WI_FD_OTHER;
}

bool wi_os_fd_close_waits(int fd)
{
    struct linger linger;
    socklen_t size = sizeof linger;
    if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &size) != 0)
        return true;
    return linger.l_onoff && linger.l_linger > 0;
}

WI_NOINLINE int wi_os_fd_close(int fd)
{
    /* Linux has freed the number when it reports EINTR; a second try could hit somebody else's. */
    if (close(fd) == 0 || errno == EINTR)
        return 0;
    return -errno;
}

WI_NOINLINE int wi_os_fd_spare(void)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

void wi_os_fd_spare_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

WI_NOINLINE ssize_t wi_os_fd_read(int fd, void *buffer, size_t size)
{
    return RETRY(read(fd, buffer, size));
}

WI_NOINLINE ssize_t wi_os_fd_write(int fd, const void *buffer, size_t size)
{
    return RETRY(write(fd, buffer, size));
}

WI_NOINLINE ssize_t wi_os_fd_readv(int fd, const struct iovec *parts, int count)
{
    return RETRY(readv(fd, parts, count));
}

WI_NOINLINE ssize_t wi_os_fd_writev(int fd, const struct iovec *parts, int count)
{
    return RETRY(writev(fd, parts, count));
}

/* poll(2) until a deadline; -EINTR is returned. */
static int poll_once(struct pollfd *poll_fd, int64_t deadline)
{
    struct timespec timeout = {0};
    if (deadline > 0 && deadline != INT64_MAX) {
        int64_t left = deadline - wi_os_now();
        if (left > 0)
            timeout =
                (struct timespec){.tv_sec = left / NANOSECONDS, .tv_nsec = left % NANOSECONDS};
    }
    int count = ppoll(poll_fd, 1, deadline == INT64_MAX ? NULL : &timeout, NULL);
    return count < 0 ? -errno : count;
}

WI_NOINLINE int wi_os_fd_poll(int fd, int events, int64_t deadline)
{
    struct pollfd poll_fd = {.fd = fd, .events = (short)events};
    int count;
    do
        count = poll_once(&poll_fd, deadline);
    while (count == -EINTR);
    if (count < 0)
        return count;
    return poll_fd.revents & POLLNVAL ? -EBADF : poll_fd.revents;
}

/* poll(2) calls such a descriptor ready; only epoll tells. */
WI_NOINLINE int wi_os_fd_can_poll(int fd)
{
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        return -errno;
    struct epoll_event event = {.events = EPOLLIN};
    int err = epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
    close(epoll_fd);
    return err;
}

WI_NOINLINE ssize_t wi_os_send(int fd, const void *buffer, size_t size)
{
    return RETRY(send(fd, buffer, size, MSG_NOSIGNAL));
}

WI_NOINLINE ssize_t wi_os_recv(int fd, void *buffer, size_t size)
{
    return RETRY(recv(fd, buffer, size, 0));
}

WI_NOINLINE ssize_t wi_os_recvfrom(int fd, void *buffer, size_t size, int flags,
                                   struct sockaddr *address, socklen_t *address_size)
{
    return RETRY(recvfrom(fd, buffer, size, flags, address, address_size));
}

WI_NOINLINE ssize_t wi_os_sendto(int fd, const void *buffer, size_t size, int flags,
                                 const struct sockaddr *address, socklen_t address_size)
{
    return RETRY(sendto(fd, buffer, size, flags | MSG_NOSIGNAL, address, address_size));
}

WI_NOINLINE ssize_t wi_os_recvmsg(int fd, struct msghdr *message, int flags)
{
    return RETRY(recvmsg(fd, message, flags | MSG_CMSG_CLOEXEC));
}

WI_NOINLINE ssize_t wi_os_sendmsg(int fd, const struct msghdr *message, int flags)
{
    return RETRY(sendmsg(fd, message, flags | MSG_NOSIGNAL));
}

WI_NOINLINE int wi_os_socket(int family, int type)
{
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

WI_NOINLINE int wi_os_socket_set(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value) < 0 ? -errno : 0;
}

WI_NOINLINE int wi_os_socket_name(int fd, struct sockaddr *address, socklen_t *size)
{
    return getsockname(fd, address, size) < 0 ? -errno : 0;
}

WI_NOINLINE int wi_os_bind(int fd, const struct sockaddr *address, socklen_t size)
{
    return bind(fd, address, size) < 0 ? -errno : 0;
}

WI_NOINLINE int wi_os_listen(int fd, int backlog)
{
    return listen(fd, backlog) < 0 ? -errno : 0;
}

WI_NOINLINE int wi_os_listens(int fd)
{
    int listens = 0;
    socklen_t size = sizeof listens;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 ? -errno : listens;
}

WI_NOINLINE int wi_os_accept(int fd, struct sockaddr *address, socklen_t *size)
{
    return RETRY(accept4(fd, address, size, SOCK_NONBLOCK | SOCK_CLOEXEC));
}

WI_NOINLINE int wi_os_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    if (connect(fd, address, size) == 0)
        return 0;
    /* An interrupted connect goes on by itself. */
    return errno == EINTR ? -EINPROGRESS : -errno;
}

WI_NOINLINE int wi_os_connect_result(int fd)
{
    int error;
    socklen_t size = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
        return -errno;
    if (error)
        return -error;
    struct sockaddr_storage peer;
    size = sizeof peer;
    if (getpeername(fd, (struct sockaddr *)&peer, &size) == 0)
        return 0;
    return errno == ENOTCONN ? -EINPROGRESS : -errno;
}

WI_NOINLINE int wi_os_shutdown(int fd, int how)
{
    return shutdown(fd, how) < 0 ? -errno : 0;
}

WI_NOINLINE bool wi_os_connected_to_itself(int fd)
{
    struct sockaddr_storage self = {0}, peer = {0};
    socklen_t self_size = sizeof self, peer_size = sizeof peer;
    return getsockname(fd, (struct sockaddr *)&self, &self_size) == 0 &&
           getpeername(fd, (struct sockaddr *)&peer, &peer_size) == 0 && self_size == peer_size &&
           memcmp(&self, &peer, self_size) == 0;
}

WI_NOINLINE unsigned wi_os_interface(const char *name)
{
    return if_nametoindex(name);
}
