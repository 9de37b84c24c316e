/* SPDX-License-Identifier: MIT
 *
 * Files on disk. Nothing here is inlined: see socket.c.
 */
#include "os/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/sendfile.h>
#include <time.h>
#include <unistd.h>

#include "base/compiler.h"
#include "os/linux/retry.h"

/* With O_NONBLOCK a FIFO does not wait. It has a second meaning: a file that another process has a
 * lease on (fcntl(2), F_SETLEASE) is refused with EAGAIN rather than waited for. */
WI_NOINLINE int wi_os_open(const char *path, int flags, mode_t mode)
{
    int fd = RETRY(open(path, flags | O_CLOEXEC | O_NONBLOCK, mode));
    if (fd == -EAGAIN && !(flags & O_NONBLOCK))
        fd = RETRY(open(path, flags | O_CLOEXEC, mode));
    return fd;
}

WI_NOINLINE ssize_t wi_os_pread(int fd, void *buffer, size_t size, off_t offset)
{
    return RETRY(pread(fd, buffer, size, offset));
}

WI_NOINLINE ssize_t wi_os_pwrite(int fd, const void *buffer, size_t size, off_t offset)
{
    return RETRY(pwrite(fd, buffer, size, offset));
}

WI_NOINLINE int wi_os_fsync(int fd)
{
    return RETRY(fsync(fd));
}

WI_NOINLINE ssize_t wi_os_sendfile(int out_fd, int in_fd, off_t *offset, size_t size)
{
    return RETRY(sendfile(out_fd, in_fd, offset, size));
}

/* sendfile has no MSG_NOSIGNAL. The signal is raised on this thread, where it is blocked meanwhile
 * and then taken back, unless the program keeps one pending itself. A call that has sent a part
 * before says so and not EPIPE; the signal is raised nevertheless. */
WI_NOINLINE ssize_t wi_os_sendfile_socket(int out_fd, int in_fd, off_t *offset, size_t size)
{
    static const struct timespec at_once = {0};
    sigset_t pipe, before, pending;
    bool was_pending = false;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    if (sigismember(&before, SIGPIPE) == 1 && sigpending(&pending) == 0)
        was_pending = sigismember(&pending, SIGPIPE) == 1;
    ssize_t result = wi_os_sendfile(out_fd, in_fd, offset, size);
    if (result != (ssize_t)size && !was_pending)
        sigtimedwait(&pipe, NULL, &at_once);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}
