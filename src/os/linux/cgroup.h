/* SPDX-License-Identifier: MIT
 *
 * The CPU quota of the process's cgroups. Private to src/os/linux.
 */
#ifndef WI_OS_LINUX_CGROUP_H
#define WI_OS_LINUX_CGROUP_H

/* The tightest CPU quota, in CPUs rounded up, that cgroup v1 or v2 lays on this process or an
 * ancestor of its cgroup; INT_MAX if there is none. The trees are at proc_root and cgroup_root. */
int wi_os_cgroup_cpus(const char *proc_root, const char *cgroup_root);

#endif
