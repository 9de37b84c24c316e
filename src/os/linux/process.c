/* SPDX-License-Identifier: MIT
 *
 * Children. Nothing here is inlined: see socket.c.
 *
 * posix_spawn and not fork: it runs no code of ours in the child, copies no page tables, and works
 * while other threads hold what locks they like.
 */
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "os/linux/retry.h"

#ifndef SYS_pidfd_send_signal /* Linux 5.1; one number on every architecture */
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open /* Linux 5.3 */
#define SYS_pidfd_open 434
#endif
#define ID_PIDFD ((idtype_t)3) /* P_PIDFD, Linux 5.4 */

extern char **environ;

/* ---- Descriptors ---- */

WI_NOINLINE int wi_os_pipe(int fds[2])
{
    return pipe2(fds, O_CLOEXEC) < 0 ? -errno : 0;
}

WI_NOINLINE int wi_os_open_null(void)
{
    return RETRY(open("/dev/null", O_RDWR | O_CLOEXEC));
}

WI_NOINLINE int wi_os_dup_high(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return copy < 0 ? -errno : copy;
}

/* ---- Starting ---- */

/* A dup2 onto the same number takes the close-on-exec mark away. */
static int add_actions(posix_spawn_file_actions_t *actions, const struct wi_os_spawn *spawn)
{
    int error = 0;
    for (int i = 0; i < 3 && !error; i++)
        if (spawn->fds[i] >= 0)
            error = posix_spawn_file_actions_adddup2(actions, spawn->fds[i], i);
    if (!error && spawn->dir)
        error = posix_spawn_file_actions_addchdir_np(actions, spawn->dir);
    return error;
}

static void set_signals(posix_spawnattr_t *attributes)
{
    sigset_t set;
    sigfillset(&set);
    posix_spawnattr_setsigdefault(attributes, &set);
    sigemptyset(&set);
    posix_spawnattr_setsigmask(attributes, &set);
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

/* These functions return their error, and errno means nothing. */
pid_t wi_os_spawn(const struct wi_os_spawn *spawn)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    pid_t pid = -1;
    int error = posix_spawn_file_actions_init(&actions);
    if (error)
        return -error;
    error = posix_spawnattr_init(&attributes);
    if (!error) {
        set_signals(&attributes);
        error = add_actions(&actions, spawn);
        if (!error)
            error = posix_spawnp(&pid, spawn->path, &actions, &attributes, spawn->argv,
                                 spawn->envp ? spawn->envp : environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return error ? -error : pid;
}

/* ---- Waiting and killing ---- */

WI_NOINLINE int wi_os_pidfd(pid_t pid)
{
    long fd = syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : (int)fd;
}

/* As waitpid(2) gives it. */
static int status_of(const siginfo_t *info)
{
    int code = info->si_status & 0xff;
    if (info->si_code == CLD_EXITED)
        return code << 8;
    return info->si_code == CLD_DUMPED ? code | 0x80 : code;
}

static WI_NOINLINE int look(idtype_t type, id_t id, int options, siginfo_t *info)
{
    *info = (siginfo_t){0};
    return RETRY(waitid(type, id, info, WEXITED | WNOHANG | options));
}

int wi_os_child_ended(pid_t pid, int pidfd, bool remove, int *status)
{
    siginfo_t info;
    int options = remove ? 0 : WNOWAIT;
    int result = -EINVAL;
    if (pidfd >= 0)
        result = look(ID_PIDFD, (id_t)pidfd, options, &info);
    if (result == -EINVAL) /* no pidfd, or a kernel that does not wait for one */
        result = look(P_PID, (id_t)pid, options, &info);
    if (result < 0)
        return result;
    if (info.si_pid == 0)
        return 0;
    *status = status_of(&info);
    return 1;
}

WI_NOINLINE int wi_os_child_kill(pid_t pid, int pidfd, int signo)
{
    long result =
        pidfd >= 0 ? syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0) : kill(pid, signo);
    return result < 0 ? -errno : 0;
}
