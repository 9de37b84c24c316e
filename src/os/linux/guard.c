/* SPDX-License-Identifier: MIT
 *
 * Guard pages: the ladder of rungs, best first.
 *
 *   madvise      markers in the page table. The mapping stays whole; outlives MADV_DONTNEED.
 *   userfaultfd  markers too, see userfaultfd.c. Belongs to a descriptor that is kept open.
 *   mprotect     splits the mapping in three; works everywhere, until vm.max_map_count is reached.
 *   canary       nothing here: the stack code writes a pattern and checks it.
 *
 * Whether a rung works is found out by trying it, not by the kernel's version: sandboxes, emulators
 * and locked memory make the difference as well. The trial lets the kernel write to a guarded page,
 * by a system call with a result to store, and asks for EFAULT; no signal handler is needed for it.
 */
#include "os/os.h"
#include "os/linux/file.h"
#include "os/linux/userfaultfd.h"
#include "base/atomic.h"
#include "base/compiler.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL /* Linux 6.13 */
#define MADV_GUARD_INSTALL 102
#endif

/* The process's userfaultfd, -1 until a range is registered. Atomic; never closed, since the guards
 * would go with it. */
static int process_uffd = -1;

/* 0 or -errno, of the kernel's attempt to write at the address. The raw call, because the vDSO
 * would write from user mode. Not inlined: see futex.c. */
static WI_NOINLINE int kernel_write(void *address)
{
    return syscall(SYS_clock_gettime, CLOCK_MONOTONIC, address) == 0 ? 0 : -errno;
}

/* Not inlined either. */
static WI_NOINLINE int install(enum wi_os_guard rung, int uffd, void *address, size_t size)
{
    switch (rung) {
    case WI_OS_GUARD_MADVISE:
        return madvise(address, size, MADV_GUARD_INSTALL) == 0 ? 0 : -errno;
    case WI_OS_GUARD_USERFAULTFD:
        return wi_os_uffd_protect(uffd, address, size);
    case WI_OS_GUARD_MPROTECT:
        return mprotect(address, size, PROT_NONE) == 0 ? 0 : -errno;
    case WI_OS_GUARD_CANARY:
        return 0;
    case WI_OS_GUARD_RUNGS:
        break;
    }
    return -EINVAL;
}

/* Guards the middle one of three pages: it must refuse, its neighbours must not. */
static bool try_on(enum wi_os_guard rung, int uffd, char *memory, size_t page)
{
    if (rung == WI_OS_GUARD_USERFAULTFD && wi_os_uffd_register(uffd, memory, 3 * page) != 0)
        return false;
    return install(rung, uffd, memory + page, page) == 0 && kernel_write(memory) == 0 &&
           kernel_write(memory + page) == -EFAULT && kernel_write(memory + 2 * page) == 0;
}

static bool try_rung(enum wi_os_guard rung)
{
    if (rung == WI_OS_GUARD_CANARY)
        return true;
    size_t page = wi_os_page_size();
    int uffd = -1;
    if (rung == WI_OS_GUARD_USERFAULTFD) {
        /* One of its own: the process's is opened only if this rung is chosen. */
        uffd = wi_os_uffd_open();
        if (uffd < 0)
            return false;
    }
    char *memory = wi_os_reserve(3 * page, page);
    bool works = memory != NULL && try_on(rung, uffd, memory, page);
    if (memory != NULL)
        wi_os_unreserve(memory, 3 * page);
    if (uffd >= 0)
        close(uffd);
    return works;
}

bool wi_os_guard_works(enum wi_os_guard rung)
{
    enum { UNKNOWN, WORKS, FAILS };
    static unsigned char known[WI_OS_GUARD_RUNGS]; /* atomic */
    if ((unsigned)rung >= WI_OS_GUARD_RUNGS)
        return false;
    unsigned char state = wi_load_relaxed(&known[rung]);
    if (state == UNKNOWN) {
        /* Two threads may try at the same time; they find the same. */
        state = try_rung(rung) ? WORKS : FAILS;
        wi_store_relaxed(&known[rung], state);
    }
    return state == WORKS;
}

/* The process's descriptor, opened by whoever comes first, or -errno. */
static int open_process_uffd(void)
{
    int fd = wi_load_acquire(&process_uffd);
    if (fd >= 0)
        return fd;
    int opened = wi_os_uffd_open();
    if (opened < 0)
        return opened;
    int expected = -1;
    if (wi_cas_acq_rel(&process_uffd, &expected, opened))
        return opened;
    close(opened);
    return expected;
}

int wi_os_guard_register(enum wi_os_guard rung, void *address, size_t size)
{
    if (rung != WI_OS_GUARD_USERFAULTFD)
        return 0;
    int fd = open_process_uffd();
    return fd < 0 ? fd : wi_os_uffd_register(fd, address, size);
}

int wi_os_guard_install(enum wi_os_guard rung, void *address, size_t size)
{
    return install(rung, wi_load_acquire(&process_uffd), address, size);
}

long wi_os_map_limit(void)
{
    enum { KERNEL_DEFAULT = 65530 };
    char text[32];
    if (wi_os_file_read("/proc/sys/vm/max_map_count", text, sizeof text) <= 0)
        return KERNEL_DEFAULT;
    long limit = strtol(text, NULL, 10);
    return limit > 0 ? limit : KERNEL_DEFAULT;
}
