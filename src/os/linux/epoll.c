/* SPDX-License-Identifier: MIT
 *
 * Readiness of descriptors, by epoll.
 *
 * Descriptors are watched edge-triggered in both directions at once, so that one system call in a
 * descriptor's life is enough. The eventfd that ends a wait is level-triggered and is drained only
 * by calls that wait: a poll that does not wait, which any M may do at any time, must not take the
 * wake that was meant for the M that sleeps. The eventfd's tag is odd, which no descriptor's is.
 *
 * What reads errno is not inlined: see futex.c.
 */
#include "os/os.h"
#include "base/atomic.h"
#include "base/compiler.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_epoll_pwait2 /* Linux 5.11; one number on every architecture */
#define SYS_epoll_pwait2 441
#endif

#define NANOSECONDS INT64_C(1000000000)
#define MILLISECOND INT64_C(1000000)

/* Events taken from the kernel at a time; they pass through the stack. */
enum { BATCH = 128 };

#define WAKE_TAG UINT64_C(1)

WI_NOINLINE int wi_os_poller_open(struct wi_os_poller *poller)
{
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        return -errno;
    int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0) {
        int error = -errno;
        close(epoll_fd);
        return error;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = WAKE_TAG};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, wake_fd, &event) != 0) {
        int error = -errno;
        close(wake_fd);
        close(epoll_fd);
        return error;
    }
    *poller = (struct wi_os_poller){.epoll_fd = epoll_fd, .wake_fd = wake_fd};
    return 0;
}

void wi_os_poller_close(struct wi_os_poller *poller)
{
    close(poller->epoll_fd);
    close(poller->wake_fd);
}

WI_NOINLINE int wi_os_poller_add(struct wi_os_poller *poller, int fd, void *tag)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET,
                                .data.ptr = tag};
    return epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

WI_NOINLINE int wi_os_poller_remove(struct wi_os_poller *poller, int fd)
{
    /* Kernels before 2.6.9 wanted an event here; now it is ignored. */
    return epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, fd, NULL) == 0 ? 0 : -errno;
}

static int64_t time_left(int64_t deadline)
{
    if (deadline <= 0)
        return 0;
    int64_t left = deadline - wi_os_now();
    return left > 0 ? left : 0;
}

/* epoll_wait, with the next best clock: whole milliseconds, rounded up, since a wait that ends
 * early would be repeated until the deadline. */
static WI_NOINLINE int wait_milliseconds(int epoll_fd, struct epoll_event *events, int capacity,
                                         int64_t deadline)
{
    int timeout = -1;
    if (deadline != INT64_MAX) {
        int64_t left = time_left(deadline);
        int64_t rounded = left / MILLISECOND + (left % MILLISECOND != 0);
        timeout = rounded < INT_MAX ? (int)rounded : INT_MAX;
    }
    int count = epoll_wait(epoll_fd, events, capacity, timeout);
    return count < 0 ? -errno : count;
}

static WI_NOINLINE int wait_nanoseconds(int epoll_fd, struct epoll_event *events, int capacity,
                                        int64_t deadline)
{
    int64_t left = deadline == INT64_MAX ? 0 : time_left(deadline);
    struct timespec timeout = {.tv_sec = left / NANOSECONDS, .tv_nsec = left % NANOSECONDS};
    long count = syscall(SYS_epoll_pwait2, epoll_fd, events, capacity,
                         deadline == INT64_MAX ? NULL : &timeout, NULL, (size_t)0);
    return count < 0 ? -errno : (int)count;
}

static int wait_events(int epoll_fd, struct epoll_event *events, int capacity, int64_t deadline)
{
    static bool no_pwait2; /* atomic, only ever set */
    /* Where there is no time to pass the older call does [to find nothing: 155 ns, pwait2 267]. */
    if (deadline <= 0 || deadline == INT64_MAX)
        return wait_milliseconds(epoll_fd, events, capacity, deadline);
    if (!wi_load_relaxed(&no_pwait2)) {
        int count = wait_nanoseconds(epoll_fd, events, capacity, deadline);
        /* Sandboxes older than the call refuse it with EPERM. */
        if (count != -ENOSYS && count != -EPERM)
            return count;
        wi_store_relaxed(&no_pwait2, true);
    }
    return wait_milliseconds(epoll_fd, events, capacity, deadline);
}

static void drain(int wake_fd)
{
    uint64_t wakes;
    /* An error can only be EAGAIN: another waiter drained it first. */
    ssize_t count = read(wake_fd, &wakes, sizeof wakes);
    (void)count;
}

int wi_os_poller_wait(struct wi_os_poller *poller, struct wi_os_event *events, int capacity,
                      int64_t deadline, bool *woken)
{
    struct epoll_event batch[BATCH];
    *woken = false;
    int found = wait_events(poller->epoll_fd, batch, capacity < BATCH ? capacity : BATCH, deadline);
    if (found < 0)
        return found == -EINTR ? 0 : found;
    int count = 0;
    for (int i = 0; i < found; i++) {
        uint32_t bits = batch[i].events;
        if (batch[i].data.u64 != WAKE_TAG) {
            events[count++] = (struct wi_os_event){
                .tag = batch[i].data.ptr,
                .readable = (bits & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0,
                .writable = (bits & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0,
                .special = (bits & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0,
            };
        } else if (deadline != 0) {
            drain(poller->wake_fd);
            *woken = true;
        }
    }
    return count;
}

void wi_os_poller_wake(struct wi_os_poller *poller)
{
    uint64_t one = 1;
    /* An error can only be EAGAIN: the counter is full of wakes that nobody took yet. */
    ssize_t count = write(poller->wake_fd, &one, sizeof one);
    (void)count;
}
