/* SPDX-License-Identifier: MIT
 *
 * Children that cannot be started, with nothing left over; and kernels without pidfds, or with half
 * of them.
 */
#include "harness/test.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* The next calls of each kind fail so, as often as that, after letting some through. */
struct fault {
    int error;
    int count;
    int after;
};

static struct fault pipes, dups, opens, spawns, pidfds, waits;
static bool no_pidfds;      /* before Linux 5.3 */
static bool no_pidfd_waits; /* Linux 5.3 */

static bool fails(struct fault *fault)
{
    if (fault->count == 0)
        return false;
    if (fault->after > 0) {
        fault->after--;
        return false;
    }
    fault->count--;
    errno = fault->error;
    return true;
}

int __real_pipe2(int fds[2], int flags);
int __wrap_pipe2(int fds[2], int flags);

int __wrap_pipe2(int fds[2], int flags)
{
    return fails(&pipes) ? -1 : __real_pipe2(fds, flags);
}

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);

int __wrap_fcntl(int fd, int command, ...)
{
    va_list list;
    va_start(list, command);
    long argument = va_arg(list, long);
    va_end(list);
    if (command == F_DUPFD_CLOEXEC && fails(&dups))
        return -1;
    return __real_fcntl(fd, command, argument);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    int mode = va_arg(list, int);
    va_end(list);
    if (strcmp(path, "/dev/null") == 0 && fails(&opens))
        return -1;
    return __real_open(path, flags, mode);
}

int __real_posix_spawnp(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const argv[],
                        char *const envp[]);
int __wrap_posix_spawnp(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const argv[],
                        char *const envp[]);

int __wrap_posix_spawnp(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
    return fails(&spawns) ? errno : __real_posix_spawnp(pid, path, actions, attributes, argv, envp);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

/* Callers give fewer arguments than six. */
__attribute__((no_sanitize("address"))) long __wrap_syscall(long number, ...)
{
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_pidfd_open && no_pidfds) {
        errno = ENOSYS;
        return -1;
    }
    if (number == SYS_pidfd_open && fails(&pidfds))
        return -1;
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int __real_waitid(idtype_t type, id_t id, siginfo_t *info, int options);
int __wrap_waitid(idtype_t type, id_t id, siginfo_t *info, int options);

int __wrap_waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
    if (no_pidfd_waits && type != P_PID) {
        errno = EINVAL;
        return -1;
    }
    return fails(&waits) ? -1 : __real_waitid(type, id, info, options);
}

/* ---- Starting ---- */

static int start_with(weft_process *process, const char *script, int in, int out, int err)
{
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)(uintptr_t)script, NULL};
    weft_command command = WEFT_COMMAND_INIT;
    command.path = "sh";
    command.argv = argv;
    command.fds[0] = in;
    command.fds[1] = out;
    command.fds[2] = err;
    return weft_process_start(&command, process);
}

static void check_start_fails(int result, int in, int out, int err)
{
    weft_process process = {.pid = -5};
    CHECK_EQ(start_with(&process, "exit 0", in, out, err), result);
    CHECK_EQ(process.pid, -5);
    CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1); /* no child at all */
    CHECK_EQ(pipes.count + dups.count + opens.count + spawns.count, 0);
}

/* The harness looks for descriptors that are left. */
TEST_PROCS(cannot_start)
{
    for (int after = 0; after < 3; after++) {
        pipes = (struct fault){EMFILE, 1, after};
        check_start_fails(-EMFILE, WEFT_PIPE, WEFT_PIPE, WEFT_PIPE);
    }
    opens = (struct fault){ENFILE, 1, 1};
    check_start_fails(-ENFILE, WEFT_NULL, WEFT_PIPE, WEFT_NULL);
    dups = (struct fault){EMFILE, 1, 1};
    check_start_fails(-EMFILE, WEFT_PIPE, 2, 1);
    spawns = (struct fault){EAGAIN, 1, 0};
    check_start_fails(-EAGAIN, WEFT_PIPE, 1, WEFT_NULL);
    spawns = (struct fault){ENOMEM, 1, 0};
    check_start_fails(-ENOMEM, 2, WEFT_PIPE, 1);
}

/* What is made for the child has the low numbers, and cannot be moved. */
TEST_PROCS(cannot_move)
{
    fflush(stdout);
    int saved = __real_fcntl(0, F_DUPFD_CLOEXEC, 3L);
    close(0);
    dups = (struct fault){EMFILE, 1, 0};
    weft_process process;
    int result = start_with(&process, "exit 0", WEFT_PIPE, WEFT_PIPE, WEFT_PIPE);
    int count = dups.count;
    dups = (struct fault){EMFILE, 1, 0};
    int second = start_with(&process, "exit 0", WEFT_NULL, WEFT_NULL, WEFT_NULL);
    bool is_free = __real_fcntl(0, F_GETFD, 0L) < 0;
    dup2(saved, 0);
    close(saved);
    CHECK_EQ(result, -EMFILE);
    CHECK_EQ(count, 0);
    CHECK_EQ(second, -EMFILE);
    CHECK(is_free);
}

/* ---- Without pidfds ---- */

static void use_a_child(bool with_pidfd)
{
    weft_process process;
    int status = -1;
    CHECK_EQ(start_with(&process, "read line; exit 3", WEFT_PIPE, WEFT_NULL, WEFT_INHERIT), 0);
    CHECK_EQ(process.pidfd >= 0, with_pidfd);
    CHECK_EQ(weft_process_wait(&process, &status, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_process_wait(&process, &status, weft_after(10 * WEFT_MILLISECOND)), -ETIMEDOUT);
    CHECK_EQ(weft_process_kill(&process, 0), 0);
    CHECK_EQ(weft_write(process.fds[0], "\n", 1), 1);
    CHECK_EQ(weft_process_wait(&process, &status, weft_after(30 * WEFT_SECOND)), 0);
    CHECK_EQ(status, 3 << 8);
    CHECK_EQ(weft_process_wait(&process, &status, WEFT_FOREVER), -ECHILD);
    CHECK_EQ(weft_process_kill(&process, SIGKILL), -ESRCH);

    pidfds.count = with_pidfd ? 0 : 1;
    CHECK_EQ(start_with(&process, "exec sleep 600", WEFT_NULL, WEFT_NULL, WEFT_NULL), 0);
    CHECK_EQ(weft_process_kill(&process, SIGTERM), 0);
    CHECK_EQ(weft_process_wait(&process, &status, WEFT_FOREVER), 0);
    CHECK_EQ(status, SIGTERM);
}

TEST_PROCS(no_pidfd)
{
    int errors[] = {ENOSYS, EPERM, EMFILE};
    for (int i = 0; i < 3; i++) {
        pidfds = (struct fault){errors[i], 1, 0};
        use_a_child(false);
    }
}

TEST_PROCS(pidfd_that_waitid_does_not_know)
{
    no_pidfd_waits = true;
    use_a_child(true);
    no_pidfd_waits = false;
}

TEST_PROCS(interrupted)
{
    waits = (struct fault){EINTR, 3, 0};
    use_a_child(true);
    CHECK_EQ(waits.count, 0);
}

/* Others go on while the child is looked for. */
static void sleep_a_little(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10; i++)
        weft_sleep(WEFT_MILLISECOND);
}

static void wait_for_one(void *index)
{
    weft_process process;
    int status;
    (void)index;
    CHECK_EQ(start_with(&process, "read line; exit 3", WEFT_PIPE, WEFT_NULL, WEFT_NULL), 0);
    CHECK_EQ(process.pidfd, -1);
    test_each(1, sleep_a_little);
    CHECK_LE(weft_num_thread(), 20);
    CHECK_EQ(weft_write(process.fds[0], "\n", 1), 1);
    CHECK_EQ(weft_process_wait(&process, &status, WEFT_FOREVER), 0);
    CHECK_EQ(status, 3 << 8);
}

TEST_PROCS(many_without_pidfds)
{
    no_pidfds = true;
    test_each(20, wait_for_one);
}
