/* SPDX-License-Identifier: MIT
 *
 * Write-protection by userfaultfd.
 *
 * Three features make it a guard. USER_MODE_ONLY lets an unprivileged process have the descriptor;
 * SIGBUS makes a hit a signal (and EFAULT in the kernel) where it would be a message that a thread
 * of ours had to read; WP_UNPOPULATED lets a page be protected that has no memory (Linux 6.4).
 * Reading the page is not caught, but what overflows a stack writes.
 *
 * The mark on an empty page is lost when the page is discarded (MADV_DONTNEED), and a forked child
 * has none.
 */
#include "os/linux/userfaultfd.h"
#include "base/compiler.h"

#include <errno.h>

#if defined(__has_include)
#if __has_include(<linux/userfaultfd.h>)
#define HAVE_USERFAULTFD 1
#endif
#endif

#ifdef HAVE_USERFAULTFD

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Bits and a call that older headers lack; older kernels refuse them. */
#define FEATURE_PAGEFAULT_FLAG_WP (UINT64_C(1) << 0)
#define FEATURE_SIGBUS            (UINT64_C(1) << 7)
#define FEATURE_WP_UNPOPULATED    (UINT64_C(1) << 13)

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

#ifndef UFFDIO_WRITEPROTECT
struct uffdio_writeprotect {
    struct uffdio_range range;
    __u64 mode;
};
#define UFFDIO_WRITEPROTECT_MODE_WP ((__u64)1 << 0)
#define UFFDIO_WRITEPROTECT         _IOWR(UFFDIO, 0x06, struct uffdio_writeprotect)
#endif

/* Not inlined: see futex.c. */
static WI_NOINLINE int control(int fd, unsigned long request, void *argument)
{
    int result;
    /* EAGAIN: the mappings were just changing. */
    do
        result = ioctl(fd, request, argument);
    while (result != 0 && (errno == EAGAIN || errno == EINTR));
    return result == 0 ? 0 : -errno;
}

WI_NOINLINE int wi_os_uffd_open(void)
{
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    if (fd < 0)
        return -errno;
    struct uffdio_api api = {
        .api = UFFD_API,
        .features = FEATURE_PAGEFAULT_FLAG_WP | FEATURE_SIGBUS | FEATURE_WP_UNPOPULATED,
    };
    int error = control(fd, UFFDIO_API, &api);
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

int wi_os_uffd_register(int fd, void *address, size_t size)
{
    struct uffdio_register range = {
        .range = {.start = (uintptr_t)address, .len = size},
        .mode = UFFDIO_REGISTER_MODE_WP,
    };
    return control(fd, UFFDIO_REGISTER, &range);
}

int wi_os_uffd_protect(int fd, void *address, size_t size)
{
    struct uffdio_writeprotect range = {
        .range = {.start = (uintptr_t)address, .len = size},
        .mode = UFFDIO_WRITEPROTECT_MODE_WP,
    };
    return control(fd, UFFDIO_WRITEPROTECT, &range);
}

#else

int wi_os_uffd_open(void)
{
    return -ENOSYS;
}

int wi_os_uffd_register(int fd, void *address, size_t size)
{
    (void)fd, (void)address, (void)size;
    return -ENOSYS;
}

int wi_os_uffd_protect(int fd, void *address, size_t size)
{
    (void)fd, (void)address, (void)size;
    return -ENOSYS;
}

#endif
