/* SPDX-License-Identifier: MIT
 *
 * Other programs: how they start, what descriptors they have, how they end. Of the programs only
 * the shell, cat and sleep are used.
 */
#include "harness/test.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { I = WEFT_INHERIT, P = WEFT_PIPE, N = WEFT_NULL };

/* A command of the shell. */
static weft_process start_shell(const char *script, int in, int out, int err)
{
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char *)(uintptr_t)script, NULL};
    weft_command command = WEFT_COMMAND_INIT;
    weft_process process;
    command.path = "sh";
    command.argv = argv;
    command.fds[0] = in;
    command.fds[1] = out;
    command.fds[2] = err;
    CHECK_EQ(weft_process_start(&command, &process), 0);
    CHECK_GT(process.pid, 0);
    return process;
}

static int start_path(const char *path, const char *dir)
{
    char *argv[] = {(char *)(uintptr_t)path, NULL};
    weft_command command = WEFT_COMMAND_INIT;
    weft_process process = {.pid = -7, .pidfd = -8, .fds = {-9, -9, -9}};
    command.path = path;
    command.argv = argv;
    command.dir = dir;
    command.fds[0] = command.fds[1] = command.fds[2] = P;
    int result = weft_process_start(&command, &process);
    if (result == 0) {
        CHECK_EQ(weft_process_kill(&process, SIGKILL), 0);
        CHECK_EQ(weft_process_wait(&process, NULL, WEFT_FOREVER), 0);
    } else {
        CHECK_EQ(process.pid, -7);
        CHECK_EQ(process.pidfd, -8);
        CHECK_EQ(process.fds[2], -9);
    }
    return result;
}

static int wait_for(weft_process *process)
{
    int status = -1;
    CHECK_EQ(weft_process_wait(process, &status, weft_after(60 * WEFT_SECOND)), 0);
    CHECK_EQ(process->pid, -1);
    CHECK_EQ(process->pidfd, -1);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(process->fds[i], -1);
    return status;
}

/* All of it, as a string. */
static const char *read_all(int fd)
{
    static char text[4096];
    ssize_t size = weft_read_full(fd, text, sizeof text - 1);
    CHECK_GE(size, 0);
    text[size] = '\0';
    return text;
}

/* What a command of the shell prints. */
static const char *shell(const char *script)
{
    weft_process process = start_shell(script, N, P, I);
    const char *text = read_all(process.fds[1]);
    CHECK_EQ(wait_for(&process), 0);
    return text;
}

/* ---- Ends ---- */

TEST_PROCS(exit_status)
{
    for (int i = 0; i < 256; i += 51) {
        char script[16];
        snprintf(script, sizeof script, "exit %d", i);
        weft_process process = start_shell(script, I, I, I);
        int status = wait_for(&process);
        CHECK(WIFEXITED(status));
        CHECK_EQ(WEXITSTATUS(status), i);
        CHECK_EQ(weft_process_wait(&process, &status, WEFT_FOREVER), -ECHILD);
        CHECK_EQ(weft_process_kill(&process, SIGKILL), -ESRCH);
    }
}

TEST_PROCS(signal_status)
{
    weft_process process = start_shell("kill -TERM $$; sleep 60", I, I, I);
    int status = wait_for(&process);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGTERM);
    CHECK(!WCOREDUMP(status));

    struct rlimit none = {0};
    CHECK_EQ(setrlimit(RLIMIT_CORE, &none), 0);
    process = start_shell("kill -QUIT $$; sleep 60", I, I, I);
    status = wait_for(&process);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGQUIT);
}

TEST_PROCS(kill_it)
{
    int status;
    weft_process process = start_shell("exec sleep 600", I, I, I);
    CHECK_EQ(weft_process_wait(&process, &status, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_process_wait(&process, &status, weft_after(20 * WEFT_MILLISECOND)), -ETIMEDOUT);
    CHECK_EQ(weft_process_wait(&process, &status, weft_now()), -ETIMEDOUT);
    CHECK_EQ(weft_process_kill(&process, 0), 0);
    CHECK_EQ(weft_process_kill(&process, 1000), -EINVAL);
    CHECK_EQ(weft_process_kill(&process, SIGKILL), 0);
    if (process.pidfd >= 0)
        CHECK_EQ(weft_wait(process.pidfd, POLLIN, WEFT_FOREVER), POLLIN);
    CHECK_SOON(weft_process_kill(&process, SIGTERM) == -ESRCH); /* a zombie has ended, too */
    CHECK_EQ(weft_process_wait(&process, &status, weft_now()), 0);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGKILL);
}

static void kill_soon(void *arg)
{
    weft_sleep(10 * WEFT_MILLISECOND);
    CHECK_EQ(weft_process_kill(arg, SIGTERM), 0);
}

TEST_PROCS(killed_while_waited_for)
{
    weft_process process = start_shell("exec sleep 600", I, I, I);
    CHECK_EQ(weft_go(kill_soon, &process), 0);
    int status;
    CHECK_EQ(weft_process_wait(&process, &status, WEFT_FOREVER), 0);
    CHECK_EQ(WTERMSIG(status), SIGTERM);
}

/* Killers that go on while the child is removed, and others are started. */
static int stop_killing; /* atomic */

static void kill_always(void *arg)
{
    while (!__atomic_load_n(&stop_killing, __ATOMIC_ACQUIRE)) {
        int result = weft_process_kill(arg, SIGKILL);
        CHECK(result == 0 || result == -ESRCH);
        weft_yield();
    }
}

static weft_process victim;

TEST_PROCS(kill_and_wait_race)
{
    for (int i = 0; i < 20; i++) {
        __atomic_store_n(&stop_killing, 0, __ATOMIC_RELEASE);
        victim = start_shell("exec sleep 600", N, N, N);
        for (int j = 0; j < 2; j++)
            CHECK_EQ(weft_go(kill_always, &victim), 0);
        int status;
        CHECK_EQ(weft_process_wait(&victim, &status, WEFT_FOREVER), 0);
        CHECK_EQ(WTERMSIG(status), SIGKILL);
        weft_process next = start_shell("exit 7", N, N, N);
        CHECK_EQ(wait_for(&next), 7 << 8);
        __atomic_store_n(&stop_killing, 1, __ATOMIC_RELEASE);
        CHECK_SOON(weft_num_goroutine() == 1);
    }
}

/* ---- What it starts with ---- */

TEST_PROCS(cannot_be_started)
{
    CHECK_EQ(start_path("no-such-program-anywhere", NULL), -ENOENT);
    CHECK_EQ(start_path("/no/such/program", NULL), -ENOENT);
    CHECK_EQ(start_path("", NULL), -ENOENT);
    CHECK_EQ(start_path("/dev/null", NULL), -EACCES);
    CHECK_EQ(start_path("cat", "/no/such/directory"), -ENOENT);
    CHECK_EQ(start_path("cat", "/dev/null"), -ENOTDIR);
    CHECK_EQ(start_path("cat", "/"), 0);
    CHECK_EQ(start_path("./cat", "/bin"), 0); /* seen from there */
    CHECK_EQ(start_path("./cat", "/dev"), -ENOENT);
}

TEST(invalid)
{
    char *argv[] = {(char[]){"cat"}, NULL};
    weft_command command = WEFT_COMMAND_INIT;
    weft_process process;
    CHECK_EQ(weft_process_start(NULL, &process), -EINVAL);
    CHECK_EQ(weft_process_start(&command, &process), -EINVAL);
    command.path = "cat";
    CHECK_EQ(weft_process_start(&command, &process), -EINVAL);
    command.argv = argv + 1;
    CHECK_EQ(weft_process_start(&command, &process), -EINVAL);
    command.argv = argv;
    CHECK_EQ(weft_process_start(&command, NULL), -EINVAL);
    command.fds[1] = -4;
    CHECK_EQ(weft_process_start(&command, &process), -EINVAL);
    command.fds[0] = P;
    command.fds[1] = 12345;
    CHECK_EQ(weft_process_start(&command, &process), -EBADF);
    CHECK_EQ(weft_process_wait(NULL, NULL, WEFT_FOREVER), -EINVAL);
    CHECK_EQ(weft_process_kill(NULL, SIGTERM), -EINVAL);
    process = (weft_process){0};
    CHECK_EQ(weft_process_wait(&process, NULL, WEFT_FOREVER), -ECHILD);
    CHECK_EQ(weft_process_kill(&process, SIGTERM), -ESRCH);
}

TEST_PROCS(directory_and_environment)
{
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"pwd; echo \"$COLOUR\"; echo \"$0\""},
                    (char[]){"zero"}, NULL};
    char *envp[] = {(char[]){"COLOUR=blue"}, NULL};
    weft_command command = WEFT_COMMAND_INIT;
    weft_process process;
    command.path = "sh";
    command.argv = argv;
    command.dir = "/dev";
    command.envp = envp;
    command.fds[1] = P;
    CHECK_EQ(weft_process_start(&command, &process), 0);
    CHECK_STR(read_all(process.fds[1]), "/dev\nblue\nzero\n");
    CHECK_EQ(wait_for(&process), 0);

    CHECK_EQ(setenv("COLOUR", "red", 1), 0);
    CHECK_STR(shell("echo $COLOUR"), "red\n");
}

/* Ignored and blocked signals stay with the caller. */
TEST_PROCS(signals_are_default)
{
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    CHECK(signal(SIGUSR1, SIG_IGN) == SIG_DFL);
    CHECK(signal(SIGPIPE, SIG_IGN) == SIG_DFL);
    weft_lock_os_thread();
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, &old), 0);
    /* glibc lets the signals of its own, 32 and 33, be ignored. */
    CHECK_STR(shell("while read name value; do case $name$value in "
                    "SigBlk:0000000000000000 | SigIgn:0000000[01][08]0000000) echo ok;; esac; "
                    "done < /proc/self/status"),
              "ok\nok\n");
    weft_process process = start_shell("kill -USR1 $$; exit 3", I, I, I);
    CHECK_EQ(wait_for(&process), SIGUSR1);
    CHECK_EQ(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
    weft_unlock_os_thread();
}

/* ---- Descriptors ---- */

/* None of those that are closed on exec, the runtime's and the other ends of the pipes included. */
TEST_PROCS(no_other_descriptors)
{
    char script[512], want[32];
    int pipe_fds[2], count = 0;
    CHECK_EQ(pipe2(pipe_fds, O_CLOEXEC), 0);
    CHECK_EQ(fcntl(pipe_fds[1], F_SETFD, 0), 0);
    for (int fd = 3; fd < 64; fd++) {
        int flags = fcntl(fd, F_GETFD);
        if (flags >= 0 && !(flags & FD_CLOEXEC))
            count++;
    }
    snprintf(script, sizeof script,
             "n=0; i=3; while [ $i -lt 64 ]; do [ -e /proc/self/fd/$i ] && n=$((n + 1)); "
             "i=$((i + 1)); done; echo $n; [ -e /proc/self/fd/%d ] && echo shared",
             pipe_fds[1]);
    weft_process process = start_shell(script, P, P, P);
    snprintf(want, sizeof want, "%d\nshared\n", count);
    CHECK_STR(read_all(process.fds[1]), want);
    CHECK_EQ(wait_for(&process), 0);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

TEST_PROCS(inherited)
{
    int ends[2];
    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    int saved = fcntl(1, F_DUPFD_CLOEXEC, 3);
    /* Even if closed on exec. */
    fflush(stdout);
    CHECK_EQ(dup3(ends[1], 1, O_CLOEXEC), 1);
    weft_process process = start_shell("echo hello", I, I, I);
    CHECK_EQ(wait_for(&process), 0);
    CHECK_EQ(dup2(saved, 1), 1);
    close(saved);
    close(ends[1]);
    CHECK_STR(read_all(ends[0]), "hello\n");
    CHECK_EQ(weft_close(ends[0]), 0);
}

TEST_PROCS(null)
{
    weft_process process = start_shell("cat && echo out && echo err >&2", N, N, N);
    CHECK_EQ(wait_for(&process), 0);
    CHECK_STR(shell("cat; echo end"), "end\n");
}

TEST_PROCS(one_for_both)
{
    int ends[2];
    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    weft_process process = start_shell("echo out; echo err >&2; echo out", N, ends[1], ends[1]);
    CHECK_EQ(weft_close(ends[1]), 0);
    CHECK_STR(read_all(ends[0]), "out\nerr\nout\n");
    CHECK_EQ(wait_for(&process), 0);
    CHECK_EQ(weft_close(ends[0]), 0);
}

/* Every assignment of our own 0, 1 and 2 to the child's, here three pipes: what the child writes on
 * number i comes out of the one that was given for i. */
static void check_permutation(int first, int second, int third)
{
    int given[3] = {first, second, third}, ends[3][2], saved[3];
    fflush(stdout);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(pipe2(ends[i], O_CLOEXEC), 0);
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 3);
        CHECK_EQ(dup2(ends[i][1], i), i);
        close(ends[i][1]);
    }
    weft_process process =
        start_shell("echo 0 >&0; echo 1 >&1; echo 2 >&2", given[0], given[1], given[2]);
    int status = wait_for(&process);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(dup2(saved[i], i), i);
        close(saved[i]);
    }
    CHECK_EQ(status, 0);
    for (int i = 0; i < 3; i++) {
        char want[8] = "";
        for (int j = 0; j < 3; j++)
            if (given[j] == i)
                snprintf(want + strlen(want), sizeof want - strlen(want), "%d\n", j);
        CHECK_STR(read_all(ends[i][0]), want);
        CHECK_EQ(weft_close(ends[i][0]), 0);
    }
}

TEST_PROCS(own_ones_in_another_order)
{
    for (int i = 0; i < 27; i++)
        check_permutation(i / 9, i / 3 % 3, i % 3);
}

/* Our own 0, 1 and 2 are closed, so that everything made gets these numbers. */
TEST_PROCS(low_numbers)
{
    int saved[3];
    fflush(stdout);
    for (int i = 0; i < 3; i++) {
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 3);
        close(i);
    }
    weft_process process =
        start_shell("read line; echo \"<$line>\" >&2; echo end; exit 5", P, P, P);
    ssize_t sent = weft_write_all(process.fds[0], "hello\n", 6);
    char out[8], err[8];
    ssize_t out_size = weft_read_full(process.fds[1], out, sizeof out);
    ssize_t err_size = weft_read_full(process.fds[2], err, sizeof err);
    int status = -1;
    int result = weft_process_wait(&process, &status, WEFT_FOREVER);
    weft_process without =
        start_shell("test ! -e /proc/self/fd/0 -a ! -e /proc/self/fd/2", I, P, I);
    int second = -1;
    int second_result = weft_process_wait(&without, &second, WEFT_FOREVER);
    for (int i = 0; i < 3; i++) {
        dup2(saved[i], i);
        close(saved[i]);
    }
    CHECK_EQ(sent, 6);
    CHECK(out_size == 4 && memcmp(out, "end\n", 4) == 0);
    CHECK(err_size == 8 && memcmp(err, "<hello>\n", 8) == 0);
    CHECK_EQ(result, 0);
    CHECK_EQ(status, 5 << 8);
    CHECK_EQ(second_result, 0);
    CHECK_EQ(second, 0);
}

/* The child's ends of pipes block although ours do not. */
TEST_PROCS(blocking_for_the_child)
{
    weft_process process = start_shell("grep flags /proc/self/fdinfo/0 /proc/self/fdinfo/1 | "
                                       "grep -c '0.4...$'; read line; echo $line",
                                       P, P, I);
    weft_sleep(WEFT_MILLISECOND);
    CHECK_EQ(weft_write_all(process.fds[0], "x\n", 2), 2);
    CHECK_STR(read_all(process.fds[1]), "0\nx\n");
    CHECK_EQ(wait_for(&process), 0);
}

/* ---- Through cat and back ---- */

enum { MIB = 1 << 20 };

static weft_waitgroup feeding;

static void feed(void *arg)
{
    weft_process *process = arg;
    static unsigned char bytes[MIB];
    for (int i = 0; i < MIB; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 251);
    CHECK_EQ(weft_write_all(process->fds[0], bytes, sizeof bytes), MIB);
    CHECK_EQ(weft_close(process->fds[0]), 0);
    process->fds[0] = -1;
    weft_waitgroup_done(&feeding);
}

TEST_PROCS(a_mebibyte_both_ways)
{
    static unsigned char bytes[MIB + 1];
    weft_process process = start_shell("exec cat", P, P, I);
    weft_waitgroup_add(&feeding, 1);
    CHECK_EQ(weft_go(feed, &process), 0);
    CHECK_EQ(weft_read_full(process.fds[1], bytes, sizeof bytes), MIB);
    for (int i = 0; i < MIB; i++)
        CHECK_EQ(bytes[i], (unsigned char)(i * 7 + i / 251));
    weft_waitgroup_wait(&feeding);
    CHECK_EQ(wait_for(&process), 0);
}

/* ---- Many at once ---- */

enum { CHILDREN = 200 };

static weft_sem starts; /* a few at a time, as each takes a thread for a moment */
static int waiting;     /* atomic */

static void run_child(void *index)
{
    char script[64];
    int i = test_index(index);
    snprintf(script, sizeof script, "read line; exit $((line + %d))", i % 100);
    CHECK_EQ(weft_sem_acquire(&starts, 1), 0);
    weft_process process = start_shell(script, P, N, I);
    weft_sem_release(&starts, 1);
    int in = process.fds[0];
    __atomic_add_fetch(&waiting, 1, __ATOMIC_ACQ_REL);
    CHECK_SOON(__atomic_load_n(&waiting, __ATOMIC_ACQUIRE) == CHILDREN);
    if (i == 0) {
        /* All of them run now, and are waited for. */
        CHECK_LE(weft_num_thread(), 40);
    }
    CHECK_EQ(weft_write_all(in, "1\n", 2), 2);
    CHECK_EQ(wait_for(&process), (i % 100 + 1) << 8);
}

TEST_PROCS(two_hundred_children, .timeout = 120)
{
    weft_sem_init(&starts, 4);
    __atomic_store_n(&waiting, 0, __ATOMIC_RELEASE);
    test_each(CHILDREN, run_child);
}

/* ---- Foreign threads, with and without a runtime ---- */

static void *use_in_thread(void *arg)
{
    weft_process process = start_shell("read line; exit 9", P, P, P);
    int status = 0;
    CHECK_EQ(weft_process_wait(&process, &status, weft_after(5 * WEFT_MILLISECOND)), -ETIMEDOUT);
    CHECK_EQ(weft_write_all(process.fds[0], "\n", 1), 1);
    CHECK_EQ(weft_process_wait(&process, &status, WEFT_FOREVER), 0);
    CHECK_EQ(status, 9 << 8);
    return arg;
}

static long join_thread(void *arg)
{
    return pthread_join(*(pthread_t *)arg, NULL);
}

TEST_PROCS(from_a_foreign_thread)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, use_in_thread, NULL), 0);
    CHECK_EQ(weft_blocking(join_thread, &thread), 0);
}

TEST(without_a_runtime)
{
    use_in_thread(NULL);
}

/* Nor with a descriptor for what it takes then to wait for one. */
TEST(without_descriptors)
{
    struct rlimit limit, none;
    weft_process process = start_shell("read line; exit 6", P, I, I);
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 3, .rlim_max = limit.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    CHECK_EQ(weft_process_wait(&process, NULL, weft_after(5 * WEFT_MILLISECOND)), -ETIMEDOUT);
    CHECK_EQ(weft_process_wait(&process, NULL, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_write_all(process.fds[0], "\n", 1), 1);
    CHECK_EQ(wait_for(&process), 6 << 8);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* A thread goes on waiting when the run ends. */
static pthread_t waiter;
static weft_process waited_for;

static void *wait_in_thread(void *arg)
{
    CHECK_EQ(wait_for(&waited_for), 3 << 8);
    return arg;
}

static void leave_a_thread(void)
{
    waited_for = start_shell("read line; exit 3", P, I, I);
    CHECK_EQ(pthread_create(&waiter, NULL, wait_in_thread, NULL), 0);
    weft_stats stats;
    CHECK_SOON((weft_read_stats(&stats), stats.net_waiters == 1));
}

TEST(end_of_run_under_a_thread)
{
    for (int i = 0; i < 5; i++) {
        test_in_runtime(2, leave_a_thread);
        CHECK_EQ(weft_write_all(waited_for.fds[0], "\n", 1), 1);
        CHECK_EQ(pthread_join(waiter, NULL), 0);
    }
}

/* ---- With SIGCHLD ---- */

TEST_PROCS(beside_a_channel_of_sigchld)
{
    if (TEST_TSAN)
        SKIP("ThreadSanitizer keeps a signal with the goroutine whose thread it came to");
    weft_chan *ended = weft_signal_chan(SIGCHLD);
    CHECK(ended != NULL);
    for (int i = 0; i < 5; i++) {
        weft_process process = start_shell("exit 4", I, I, I);
        int signo = 0;
        CHECK_EQ(weft_chan_recv_until(ended, &signo, weft_after(30 * WEFT_SECOND)), 0);
        CHECK_EQ(signo, SIGCHLD);
        CHECK_EQ(wait_for(&process), 4 << 8);
    }
    CHECK_EQ(weft_signal_stop(ended), 0);
}

/* Ignored, the kernel keeps no status. */
TEST_PROCS(sigchld_ignored)
{
    CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    weft_process process = start_shell("exit 4", I, I, I);
    if (process.pidfd >= 0)
        CHECK_GT(weft_wait(process.pidfd, POLLIN, WEFT_FOREVER), 0);
    CHECK_SOON(weft_process_wait(&process, NULL, weft_after(WEFT_SECOND)) == -ECHILD);
    CHECK_EQ(weft_process_kill(&process, SIGTERM), -ESRCH);
    if (process.pidfd >= 0)
        CHECK_EQ(weft_close(process.pidfd), 0);
}
