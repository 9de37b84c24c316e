/* SPDX-License-Identifier: MIT
 *
 * fork while a runtime runs: the parent goes on, and the child may exec and _exit; weft ends it as
 * soon as it needs the runtime. Children of other kinds, and of other times, are not concerned.
 */
#include "harness/test.h"

#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>

static const char message[] =
    "fatal error: weft was called in a forked child: only exec and _exit may follow a fork while a "
    "runtime runs\n";

static weft_chan *chan;
static weft_mutex mutex;

/* Runs call in a forked child whose standard error is a pipe. Its status; what it said is in text.
 */
static int fork_and_call(void (*call)(void), char *text, size_t size)
{
    int fds[2], status;
    CHECK_EQ(pipe(fds), 0);
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        call();
        _exit(0);
    }
    close(fds[1]);
    size_t length = 0;
    ssize_t count;
    while (length < size - 1 && (count = read(fds[0], text + length, size - 1 - length)) > 0)
        length += (size_t)count;
    text[length] = '\0';
    close(fds[0]);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

static void check_fatal(void (*call)(void))
{
    char text[512];
    int status = fork_and_call(call, text, sizeof text);
    CHECK_STR(text, message);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 2);
}

static void check_harmless(void (*call)(void))
{
    char text[512];
    int status = fork_and_call(call, text, sizeof text);
    if (strstr(text, "error") || status != 0)
        FAIL("status %#x: %s", (unsigned)status, text);
}

/* ---- What needs the runtime ---- */

static void do_nothing(void *arg)
{
    (void)arg;
}

static void call_go(void)
{
    weft_go(do_nothing, NULL);
}

static void call_yield(void)
{
    weft_yield();
}

static void call_sleep(void)
{
    weft_sleep(1);
}

static void call_recv(void)
{
    weft_chan_recv(chan, NULL);
}

static void call_read(void)
{
    char byte;
    weft_read(STDIN_FILENO, &byte, 1);
}

static void call_close(void)
{
    weft_close(STDIN_FILENO);
}

static void call_lock(void)
{
    weft_mutex_lock(&mutex); /* the parent's */
}

static void call_after_func(void)
{
    weft_after_func(1, do_nothing, NULL);
}

static void call_signal_chan(void)
{
    weft_signal_chan(SIGUSR1);
}

static void call_process_start(void)
{
    char *argv[] = {(char[]){"true"}, NULL};
    weft_command command = WEFT_COMMAND_INIT;
    weft_process process;
    command.path = argv[0];
    command.argv = argv;
    weft_process_start(&command, &process);
}

static int main_again(int argc, char **argv)
{
    (void)argv;
    return argc;
}

static void call_run(void)
{
    weft_run(main_again, 0, NULL);
}

static void (*const fatal_calls[])(void) = {
    call_go,   call_yield,      call_sleep,       call_recv,          call_read, call_close,
    call_lock, call_after_func, call_signal_chan, call_process_start, call_run,
};

static void check_all(void)
{
    for (size_t i = 0; i < sizeof fatal_calls / sizeof fatal_calls[0]; i++)
        check_fatal(fatal_calls[i]);
}

static void prepare(void)
{
    chan = weft_chan_new(0, 0);
    weft_mutex_lock(&mutex);
}

static void clean_up(void)
{
    weft_mutex_unlock(&mutex);
    weft_chan_unref(chan);
}

static void check_all_in_goroutine(void *arg)
{
    (void)arg;
    check_all();
}

/* The parent is none the worse for it. */
static void still_works(void)
{
    for (int i = 0; i < 5; i++)
        weft_sleep(WEFT_MILLISECOND);
    test_each(20, do_nothing);
}

TEST_PROCS(forked_by_goroutines)
{
    prepare();
    check_all();
    test_each(3, check_all_in_goroutine);
    still_works();
    clean_up();
}

TEST_PROCS(forked_by_a_pinned_goroutine)
{
    prepare();
    weft_lock_os_thread();
    check_all();
    weft_unlock_os_thread();
    clean_up();
}

static void *check_all_in_thread(void *arg)
{
    check_all();
    return arg;
}

static long join_thread(void *arg)
{
    return pthread_join(*(pthread_t *)arg, NULL);
}

TEST_PROCS(forked_by_a_foreign_thread)
{
    pthread_t thread;
    prepare();
    CHECK_EQ(pthread_create(&thread, NULL, check_all_in_thread, NULL), 0);
    CHECK_EQ(weft_blocking(join_thread, &thread), 0);
    still_works();
    clean_up();
}

/* ---- In a blocking region: its slot may be anybody's by then ---- */

static int others; /* atomic: how often others ran */

static void run_beside(void *arg)
{
    (void)arg;
    __atomic_add_fetch(&others, 1, __ATOMIC_ACQ_REL);
}

static void end_region(void)
{
    weft_blocking_end();
}

static void begin_region(void)
{
    weft_blocking_begin();
}

TEST_PROCS(forked_in_a_blocking_region)
{
    prepare();
    CHECK_EQ(weft_go(run_beside, NULL), 0);
    weft_blocking_begin();
    check_fatal(end_region);
    check_fatal(call_go);
    check_harmless(begin_region);
    while (__atomic_load_n(&others, __ATOMIC_ACQUIRE) == 0)
        usleep(1000);
    check_fatal(end_region);
    check_fatal(call_go);
    weft_blocking_end();
    still_works();
    clean_up();
}

/* ---- The way out of the goroutine ---- */

static void fork_and_return(void *arg)
{
    int *status = arg;
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
        close(STDERR_FILENO);
        return;
    }
    CHECK_EQ(waitpid(pid, status, 0), pid);
}

static weft_waitgroup returned;

static void fork_and_done(void *arg)
{
    fork_and_return(arg);
    weft_waitgroup_done(&returned);
}

TEST_PROCS(a_child_returns_from_its_goroutine)
{
    int status = 0;
    weft_waitgroup_add(&returned, 1);
    CHECK_EQ(weft_go(fork_and_done, &status), 0);
    weft_waitgroup_wait(&returned);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 2);
}

/* ---- What does not need the runtime ---- */

static uint64_t parent_id;

static void call_harmless(void)
{
    int64_t now = weft_now();
    if (weft_after(1) <= now || weft_id() != parent_id)
        _exit(3);
}

static void exec_true(void)
{
    execl("/bin/sh", "sh", "-c", "exit 0", (char *)NULL);
    _exit(4);
}

TEST_PROCS(harmless_calls)
{
    parent_id = weft_id();
    CHECK_GT(parent_id, 0);
    check_harmless(call_harmless);
    check_harmless(exec_true);
}

/* ---- Children that are made without fork ---- */

static void make_children(void *arg)
{
    (void)arg;
    char line[32] = "";
    CHECK_EQ(system("exit 3"), 3 << 8);
    FILE *pipe = popen("echo hello", "r");
    CHECK(pipe != NULL);
    CHECK(fgets(line, sizeof line, pipe) != NULL);
    CHECK_STR(line, "hello\n");
    CHECK_EQ(pclose(pipe), 0);
    weft_yield();
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    pid_t pid = vfork();
#pragma GCC diagnostic pop
    CHECK_GE(pid, 0);
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", "exit 5", (char *)NULL);
        _exit(4);
    }
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 5 << 8);
    weft_yield();
}

TEST_PROCS(system_popen_and_vfork)
{
    test_each(4, make_children);
}

/* ---- While no runtime runs ---- */

static void run_in_child(void)
{
    test_in_runtime(2, still_works);
    test_in_runtime(2, still_works);
}

TEST(forked_between_runs)
{
    check_harmless(run_in_child);
    for (int i = 0; i < 3; i++) {
        test_in_runtime(2, still_works);
        check_harmless(run_in_child);
    }
}

/* A run that was begun in a child has the same guard. */
static void guarded_run(void)
{
    prepare();
    check_all();
    clean_up();
}

static void guard_in_child(void)
{
    test_in_runtime(2, guarded_run);
}

TEST(a_child_with_a_run_forks)
{
    test_in_runtime(2, still_works);
    check_harmless(guard_in_child);
}
