/* SPDX-License-Identifier: MIT
 *
 * The expensive half of an asymmetric fence: membarrier interrupts the processors that run threads
 * of this process and makes them execute a barrier, so that the cheap half, on the frequent path,
 * is a compiler barrier.
 */
#include "os/os.h"
#include "base/compiler.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool membarrier(int command)
{
    return syscall(SYS_membarrier, command, 0, 0) == 0;
}

int wi_os_fence_init(void)
{
    /* Why it fails (too old a kernel, a sandbox) makes no difference to the caller. */
    return membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) ? 0 : -ENOSYS;
}

/* Not inlined: see futex.c. */
WI_NOINLINE void wi_os_fence_all(void)
{
    int saved = errno;
    /* Once registered it fails only for want of memory in the kernel, for a moment. Who calls may
     * not go on without the fence: try the slow kind, which needs no memory, and wait. */
    while (!membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) && !membarrier(MEMBARRIER_CMD_GLOBAL))
        sched_yield();
    errno = saved;
}
