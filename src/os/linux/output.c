/* SPDX-License-Identifier: MIT
 *
 * The last words of a process, and its end. Usable in a signal handler at any point.
 */
#include "os/os.h"
#include "base/compiler.h"

#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A descriptor somebody made non-blocking may be full. A report is worth some patience, but a
 * reader that is stuck must not keep a failed process alive. */
#define MILLISECOND INT64_C(1000000)
#define PATIENCE    (1000 * MILLISECOND)

static bool wait_writable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    int64_t deadline = wi_os_now() + PATIENCE;
    int ready;
    do {
        int64_t left = deadline - wi_os_now();
        if (left <= 0)
            return false;
        ready = poll(&poll_fd, 1, (int)(left / MILLISECOND) + 1);
    } while (ready < 0 && errno == EINTR);
    return ready == 1 && (poll_fd.revents & POLLOUT) != 0;
}

/* Not inlined: see futex.c. */
WI_NOINLINE void wi_os_write(int fd, const char *text, size_t size)
{
    int saved = errno;
    while (size > 0) {
        ssize_t count = write(fd, text, size);
        if (count >= 0) {
            text += count;
            size -= (size_t)count;
        } else if (errno != EINTR && !(errno == EAGAIN && wait_writable(fd))) {
            break;
        }
    }
    errno = saved;
}

_Noreturn void wi_os_exit(int status)
{
    /* Not _exit, which ThreadSanitizer replaces by one that may change the status. */
    for (;;)
        syscall(SYS_exit_group, status);
}
