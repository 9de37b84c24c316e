/* SPDX-License-Identifier: MIT
 *
 * How many CPUs the process may use: its affinity, bounded by the quota of its cgroups.
 */
#include "os/os.h"
#include "os/linux/cgroup.h"

#include <sys/syscall.h>
#include <unistd.h>

/* As many as a kernel can be configured for (NR_CPUS). The raw system call takes a mask of any size
 * that is large enough, so there is no need to grow one. */
enum { CPUS_MAX = 8192 };

static int affinity_count(void)
{
    unsigned long mask[CPUS_MAX / 8 / sizeof(unsigned long)];
    long size = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
    if (size <= 0)
        return (int)sysconf(_SC_NPROCESSORS_ONLN);
    int count = 0;
    for (size_t i = 0; i < (size_t)size / sizeof mask[0]; i++)
        count += __builtin_popcountl(mask[i]);
    return count;
}

int wi_os_cpu_count_in(const char *proc_root, const char *cgroup_root, int affinity)
{
    int quota = wi_os_cgroup_cpus(proc_root, cgroup_root);
    int count = affinity < quota ? affinity : quota;
    return count > 1 ? count : 1;
}

int wi_os_cpu_count(void)
{
    return wi_os_cpu_count_in("/proc", "/sys/fs/cgroup", affinity_count());
}
