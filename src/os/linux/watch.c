/* SPDX-License-Identifier: MIT
 *
 * Sets of descriptors: an epoll instance each, level-triggered.
 */
#include "os/watch.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>

#include "base/compiler.h"

enum { BATCH = 16 };

WI_NOINLINE int wi_os_watch_open(void)
{
    int set = epoll_create1(EPOLL_CLOEXEC);
    return set < 0 ? -errno : set;
}

WI_NOINLINE int wi_os_watch(int set, int fd, int events)
{
    struct epoll_event event = {.data.fd = fd};
    if (events & POLLIN)
        event.events |= EPOLLIN;
    if (events & POLLOUT)
        event.events |= EPOLLOUT;
    if (events == 0) {
        if (epoll_ctl(set, EPOLL_CTL_DEL, fd, &event) == 0 || errno == ENOENT)
            return 0;
        return -errno;
    }
    if (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    return epoll_ctl(set, EPOLL_CTL_MOD, fd, &event) == 0 ? 0 : -errno;
}

WI_NOINLINE int wi_os_watch_ready(int set, struct wi_os_watched *ready, int capacity)
{
    struct epoll_event events[BATCH];
    int count = epoll_wait(set, events, capacity < BATCH ? capacity : BATCH, 0);
    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        unsigned seen = events[i].events;
        unsigned broken = seen & (EPOLLERR | EPOLLHUP);
        ready[i].fd = events[i].data.fd;
        ready[i].events =
            (seen & EPOLLIN || broken ? POLLIN : 0) | (seen & EPOLLOUT || broken ? POLLOUT : 0);
    }
    return count;
}
