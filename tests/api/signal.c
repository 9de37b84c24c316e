/* SPDX-License-Identifier: MIT
 *
 * Signals as values: who gets them, how often, and what is left when nobody wants them any more.
 */
#include "harness/test.h"

#include <pthread.h>
#include <sys/wait.h>

static int load(int *value)
{
    return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

static void add(int *value, int n)
{
    __atomic_add_fetch(value, n, __ATOMIC_ACQ_REL);
}

/* To the process, not to this thread: any may get it. */
static void signal_self(int signo)
{
    CHECK_EQ(kill(getpid(), signo), 0);
}

static int next(weft_chan *chan)
{
    int signo = -1;
    CHECK_EQ(weft_chan_recv_until(chan, &signo, weft_after(30 * WEFT_SECOND)), 0);
    return signo;
}

static void check_empty(weft_chan *chan)
{
    CHECK_EQ(weft_chan_recv_until(chan, NULL, WEFT_NOWAIT), -EAGAIN);
}

static void (*action_of(int signo))(int)
{
    struct sigaction action;
    CHECK_EQ(sigaction(signo, NULL, &action), 0);
    return action.sa_handler;
}

/* ---- One channel ---- */

TEST_PROCS(signals_become_values)
{
    weft_chan *chan = weft_signal_chan(SIGUSR1, SIGTERM, SIGRTMIN + 1);
    CHECK(chan != NULL);
    CHECK_EQ(weft_chan_cap(chan), 3);
    int sent[] = {SIGUSR1, SIGTERM, SIGRTMIN + 1, SIGUSR1, SIGUSR1, SIGTERM};
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++) {
        signal_self(sent[i]);
        CHECK_EQ(next(chan), sent[i]);
        CHECK_EQ(raise(sent[i]), 0);
        CHECK_EQ(next(chan), sent[i]);
        check_empty(chan);
    }
    CHECK_EQ(weft_signal_stop(chan), 0);
    CHECK(action_of(SIGUSR1) == SIG_DFL);
    CHECK(action_of(SIGTERM) == SIG_DFL);
    CHECK_EQ(weft_signal_stop(NULL), -EINVAL);
}

/* Each once, however often it came before it was taken; the same list twice is the same list. */
TEST_PROCS(coalesced)
{
    weft_chan *chan = weft_signal_chan(SIGUSR1, SIGUSR2, SIGUSR1, SIGUSR2);
    CHECK_EQ(weft_chan_cap(chan), 2);
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 10; i++) {
            signal_self(SIGUSR2);
            signal_self(SIGUSR1);
        }
        CHECK_SOON(weft_chan_len(chan) == 2);
        weft_sleep(WEFT_MILLISECOND);
        int first = next(chan), second = next(chan);
        CHECK_EQ(first + second, SIGUSR1 + SIGUSR2);
        check_empty(chan);
    }
    CHECK_EQ(weft_signal_stop(chan), 0);
}

TEST_PROCS(in_a_select)
{
    weft_chan *chan = weft_signal_chan(SIGINT);
    weft_chan *other = weft_chan_new(0, 0);
    int signo = 0;
    weft_case cases[] = {{.chan = other}, {.chan = chan, .recv = &signo}};
    CHECK_EQ(weft_select(cases, 2, weft_after(WEFT_MILLISECOND)), -ETIMEDOUT);
    signal_self(SIGINT);
    CHECK_EQ(weft_select(cases, 2, weft_after(30 * WEFT_SECOND)), 1);
    CHECK_EQ(signo, SIGINT);
    CHECK_EQ(weft_signal_stop(chan), 0);
    weft_chan_unref(other);
}

TEST_PROCS(not_to_be_caught)
{
    int bad[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGURG, 32, 33, 65, -1, 1000};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(weft_signal_chan(bad[i]) == NULL);
        CHECK(weft_signal_chan(SIGUSR1, bad[i]) == NULL);
    }
    CHECK(weft_signal_chan(0) == NULL);
    CHECK(action_of(SIGUSR1) == SIG_DFL);
}

TEST(without_a_runtime)
{
    weft_chan *chan = weft_chan_new(sizeof(int), 1);
    CHECK(weft_signal_chan(SIGUSR1) == NULL);
    CHECK(action_of(SIGUSR1) == SIG_DFL);
    CHECK_EQ(weft_signal_stop(chan), -EINVAL);
    weft_chan_unref(chan);
}

/* Long enough for sysmon to have gone to sleep. */
TEST_PROCS(after_a_long_silence)
{
    weft_chan *chan = weft_signal_chan(SIGUSR1);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weft_chan_recv_until(chan, NULL, weft_after(1300 * WEFT_MILLISECOND)), -ETIMEDOUT);
        signal_self(SIGUSR1);
        CHECK_EQ(next(chan), SIGUSR1);
    }
    CHECK_EQ(weft_signal_stop(chan), 0);
}

/* With no timer, no descriptor, and nobody else: still not a deadlock. */
static void *send_later(void *arg)
{
    usleep(300000);
    signal_self(SIGUSR1);
    return arg;
}

static pid_t send_from_child(void)
{
    pid_t parent = getpid(), pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0) {
        usleep(1500000);
        kill(parent, SIGUSR1);
        _exit(0);
    }
    return pid;
}

TEST_PROCS(not_a_deadlock)
{
    weft_chan *chan = weft_signal_chan(SIGUSR1);
    pid_t pid = send_from_child();
    int signo = 0, status;
    CHECK_EQ(weft_chan_recv(chan, &signo), 0);
    CHECK_EQ(signo, SIGUSR1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(weft_signal_stop(chan), 0);
}

/* Once nobody asks for signals it is one again. */
static void stop_and_wait(void)
{
    weft_chan *never = weft_chan_new(0, 0);
    weft_chan *chan = weft_signal_chan(SIGUSR1);
    CHECK_EQ(weft_signal_stop(chan), 0);
    weft_chan_recv(never, NULL);
}

DEATH_TEST(a_deadlock_after_stop, 2, "all goroutines are asleep - deadlock!")
{
    if (TEST_TSAN)
        SKIP("ThreadSanitizer has a thread of its own");
    test_in_runtime(2, stop_and_wait);
}

/* ---- Several ---- */

TEST_PROCS(two_channels)
{
    weft_chan *one = weft_signal_chan(SIGUSR1, SIGUSR2);
    weft_chan *two = weft_signal_chan(SIGUSR2, SIGHUP);
    signal_self(SIGUSR2);
    CHECK_EQ(next(one), SIGUSR2);
    CHECK_EQ(next(two), SIGUSR2);
    signal_self(SIGUSR1);
    CHECK_EQ(next(one), SIGUSR1);
    signal_self(SIGHUP);
    CHECK_EQ(next(two), SIGHUP);
    check_empty(one);
    check_empty(two);

    CHECK_EQ(weft_signal_stop(one), 0);
    CHECK(action_of(SIGUSR1) == SIG_DFL);
    CHECK(action_of(SIGUSR2) != SIG_DFL);
    signal_self(SIGUSR2);
    CHECK_EQ(next(two), SIGUSR2);
    CHECK_EQ(weft_signal_stop(two), 0);
    CHECK(action_of(SIGUSR2) == SIG_DFL);
}

/* A second channel does not get what came before it was there; the first does. */
TEST_PROCS(not_from_before)
{
    for (int i = 0; i < 50; i++) {
        weft_chan *one = weft_signal_chan(SIGUSR1);
        CHECK_EQ(raise(SIGUSR1), 0);
        weft_chan *two = weft_signal_chan(SIGUSR1);
        CHECK_EQ(next(one), SIGUSR1);
        check_empty(two);
        CHECK_EQ(weft_signal_stop(one), 0);
        CHECK_EQ(weft_signal_stop(two), 0);
    }
}

/* ---- What is left afterwards ---- */

static int handled; /* atomic */

static void handle(int signo)
{
    (void)signo;
    add(&handled, 1);
}

TEST_PROCS(actions_come_back)
{
    struct sigaction mine = {.sa_handler = handle};
    CHECK_EQ(sigaction(SIGUSR1, &mine, NULL), 0);
    CHECK(signal(SIGHUP, SIG_IGN) != SIG_ERR);
    __atomic_store_n(&handled, 0, __ATOMIC_RELEASE);
    for (int i = 1; i <= 3; i++) {
        weft_chan *chan = weft_signal_chan(SIGUSR1, SIGHUP);
        signal_self(SIGHUP);
        CHECK_EQ(next(chan), SIGHUP);
        CHECK_EQ(weft_signal_stop(chan), 0);
        CHECK(action_of(SIGUSR1) == handle);
        CHECK(action_of(SIGHUP) == SIG_IGN);
        signal_self(SIGHUP);
        signal_self(SIGUSR1);
        CHECK_SOON(load(&handled) == i);
    }
}

/* What came before the end is received, then the end. */
TEST_PROCS(stop_keeps_what_came)
{
    for (int i = 0; i < 100; i++) {
        weft_chan *chan = weft_signal_chan(SIGUSR1, SIGUSR2);
        weft_chan_ref(chan);
        CHECK_EQ(raise(SIGUSR1), 0);
        CHECK_EQ(raise(SIGUSR2), 0);
        CHECK_EQ(weft_signal_stop(chan), 0);
        int signo = 0, other = 0;
        CHECK_EQ(weft_chan_recv(chan, &signo), 0);
        CHECK_EQ(weft_chan_recv(chan, &other), 0);
        CHECK_EQ(signo + other, SIGUSR1 + SIGUSR2);
        CHECK_EQ(weft_chan_recv(chan, &signo), -EPIPE);
        CHECK_EQ(weft_signal_stop(chan), -EINVAL);
        weft_chan_unref(chan);
    }
}

static void receive_to_the_end(void *arg)
{
    int signo;
    while (weft_chan_recv(arg, &signo) == 0)
        add(&handled, 1);
    weft_chan_unref(arg);
}

TEST_PROCS(stop_wakes_receivers)
{
    weft_chan *chan = weft_signal_chan(SIGUSR1);
    __atomic_store_n(&handled, 0, __ATOMIC_RELEASE);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_go(receive_to_the_end, weft_chan_ref(chan)), 0);
    signal_self(SIGUSR1);
    CHECK_SOON(load(&handled) == 1);
    CHECK_EQ(weft_signal_stop(chan), 0);
    CHECK_SOON(weft_num_goroutine() == 1);
    CHECK_EQ(load(&handled), 1);
}

/* A handler that the kernel had chosen before the stop, and that comes to run only then. */
TEST_PROCS(a_late_handler)
{
    struct sigaction mine = {.sa_handler = handle};
    CHECK_EQ(sigaction(SIGUSR1, &mine, NULL), 0);
    __atomic_store_n(&handled, 0, __ATOMIC_RELEASE);
    weft_chan *chan = weft_signal_chan(SIGUSR1);
    void (*late)(int) = action_of(SIGUSR1);
    CHECK(late != handle);
    CHECK_EQ(weft_signal_stop(chan), 0);
    late(SIGUSR1);
    CHECK_EQ(load(&handled), 1);

    /* Somebody else wants it by then. */
    chan = weft_signal_chan(SIGUSR1);
    late(SIGUSR1);
    CHECK_EQ(next(chan), SIGUSR1);
    CHECK_EQ(weft_signal_stop(chan), 0);
    CHECK_EQ(load(&handled), 1);

    /* A program that brings it back. */
    mine.sa_handler = late;
    CHECK_EQ(sigaction(SIGUSR1, &mine, NULL), 0);
    for (int i = 0; i < 3; i++)
        signal_self(SIGUSR1);
    CHECK_EQ(raise(SIGUSR1), 0);
    CHECK_EQ(load(&handled), 1);
}

/* ---- Storms ---- */

enum { STORM = 1000 };

static int stop_sending; /* atomic */

static void send_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < STORM; i++) {
        signal_self(i & 1 ? SIGUSR1 : SIGUSR2);
        if (i % 16 == 0)
            weft_yield();
    }
}

/* After the last of a storm each has been received once more. */
static void receive_storm(void *arg)
{
    int signo, *last = arg;
    weft_chan *chan = weft_signal_chan(SIGUSR1, SIGUSR2, SIGALRM);
    add(last, 1);
    int counts[2] = {0};
    while ((signo = next(chan)) != SIGALRM) {
        CHECK(signo == SIGUSR1 || signo == SIGUSR2);
        counts[signo == SIGUSR2]++;
    }
    while (weft_chan_recv_until(chan, &signo, WEFT_NOWAIT) == 0)
        counts[signo == SIGUSR2]++;
    CHECK_GE(counts[0], 1);
    CHECK_GE(counts[1], 1);
    CHECK_LE(counts[0], STORM);
    CHECK_LE(counts[1], STORM);
    CHECK_EQ(weft_signal_stop(chan), 0);
    add(last, -1);
}

TEST_PROCS(storm)
{
    if (TEST_TSAN)
        SKIP("ThreadSanitizer keeps a signal with the goroutine whose thread it came to");
    int receivers = 0;
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weft_go(receive_storm, &receivers), 0);
    CHECK_SOON(load(&receivers) == 2);
    test_each(2, send_many);
    signal_self(SIGALRM);
    CHECK_SOON(load(&receivers) == 0);
}

/* Each that is sent once the one before was received is received: none is lost. */
TEST_PROCS(storm_one_by_one)
{
    weft_chan *chan = weft_signal_chan(SIGUSR1);
    for (int i = 0; i < STORM; i++) {
        signal_self(SIGUSR1);
        CHECK_EQ(next(chan), SIGUSR1);
    }
    check_empty(chan);
    CHECK_EQ(weft_signal_stop(chan), 0);
}

static void *send_until_stopped(void *arg)
{
    while (!load(&stop_sending))
        signal_self((int)(intptr_t)arg);
    return NULL;
}

static long join_thread(void *arg)
{
    return pthread_join(*(pthread_t *)arg, NULL);
}

/* Subscriptions come and go while signals rain: each has an effect, the program's handler's or a
 * channel's, and none kills. */
TEST_PROCS(stop_during_delivery)
{
    struct sigaction mine = {.sa_handler = handle};
    CHECK_EQ(sigaction(SIGUSR1, &mine, NULL), 0);
    pthread_t threads[2];
    __atomic_store_n(&stop_sending, 0, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, send_until_stopped, (void *)(intptr_t)SIGUSR1),
                 0);
    for (int i = 0; i < 100; i++) {
        weft_chan *chan = weft_signal_chan(SIGUSR1);
        CHECK_EQ(next(chan), SIGUSR1);
        CHECK_EQ(weft_signal_stop(chan), 0);
        CHECK(action_of(SIGUSR1) == handle);
    }
    __atomic_store_n(&stop_sending, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weft_blocking(join_thread, &threads[i]), 0);
}

static void subscribe_and_stop(void *index)
{
    (void)index;
    for (int i = 0; i < 50; i++) {
        weft_chan *chan = weft_signal_chan(SIGUSR1, SIGUSR2, SIGRTMIN + i % 8);
        CHECK(chan != NULL);
        CHECK_EQ(raise(SIGUSR1), 0);
        CHECK_EQ(next(chan), SIGUSR1);
        CHECK_EQ(weft_signal_stop(chan), 0);
    }
}

TEST_PROCS(many_subscribe_at_once)
{
    test_each(8, subscribe_and_stop);
    CHECK(action_of(SIGUSR1) == SIG_DFL);
}

/* ---- The end of a run ---- */

static weft_chan *kept;

static void wait_for_it(void *arg)
{
    weft_chan_recv(arg, NULL);
    weft_chan_recv(arg, NULL);
}

static void leave_a_channel(void)
{
    kept = weft_signal_chan(SIGUSR1, SIGUSR2);
    CHECK(kept != NULL);
    CHECK_EQ(weft_go(wait_for_it, kept), 0);
    CHECK_EQ(raise(SIGUSR1), 0);
    weft_yield();
}

TEST(end_of_run)
{
    for (int i = 0; i < 100; i++) {
        test_in_runtime(1 + i % 8, leave_a_channel);
        CHECK(action_of(SIGUSR1) == SIG_DFL);
        CHECK(action_of(SIGUSR2) == SIG_DFL);
        CHECK_EQ(weft_signal_stop(kept), -EINVAL);
        int signo, result;
        while ((result = weft_chan_recv(kept, &signo)) == 0)
            CHECK_EQ(signo, SIGUSR1);
        CHECK_EQ(result, -EPIPE);
        weft_chan_unref(kept);
    }
}

static void leave_in_the_rain(void)
{
    kept = weft_signal_chan(SIGUSR1);
    CHECK(kept != NULL);
    CHECK_EQ(next(kept), SIGUSR1);
}

/* Signals from another thread all the time: while a run is on, while it ends, and in between. */
TEST(signals_during_the_end_of_a_run, .timeout = 120)
{
    struct sigaction mine = {.sa_handler = handle};
    CHECK_EQ(sigaction(SIGUSR1, &mine, NULL), 0);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, send_until_stopped, (void *)(intptr_t)SIGUSR1), 0);
    for (int i = 0; i < 100; i++) {
        test_in_runtime(1 + i % 8, leave_in_the_rain);
        CHECK(action_of(SIGUSR1) == handle);
        weft_chan_unref(kept);
    }
    __atomic_store_n(&stop_sending, 1, __ATOMIC_RELEASE);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_GE(load(&handled), 1);
}

/* A thread that waits at a channel whose run ends. */
static void *receive_twice(void *arg)
{
    int signo = 0;
    CHECK_EQ(weft_chan_recv(arg, &signo), 0);
    CHECK_EQ(signo, SIGUSR2);
    CHECK_EQ(weft_chan_recv(arg, &signo), -EPIPE);
    weft_chan_unref(arg);
    return NULL;
}

static pthread_t receiver;

static void leave_a_thread(void)
{
    weft_chan *chan = weft_signal_chan(SIGUSR2);
    CHECK_EQ(pthread_create(&receiver, NULL, receive_twice, chan), 0);
    signal_self(SIGUSR2);
    weft_sleep(WEFT_MILLISECOND);
}

TEST(end_of_run_under_a_thread)
{
    for (int i = 0; i < 20; i++) {
        test_in_runtime(2, leave_a_thread);
        CHECK_EQ(pthread_join(receiver, NULL), 0);
    }
}

/* ---- Foreign threads ---- */

static void *use_in_thread(void *arg)
{
    weft_chan *chan = weft_signal_chan(SIGUSR1);
    CHECK(chan != NULL);
    for (int i = 0; i < 20; i++) {
        signal_self(SIGUSR1);
        CHECK_EQ(next(chan), SIGUSR1);
    }
    CHECK_EQ(weft_signal_stop(chan), 0);
    return arg;
}

TEST_PROCS(from_a_foreign_thread)
{
    pthread_t thread, sender;
    weft_chan *chan = weft_signal_chan(SIGUSR1);
    CHECK_EQ(pthread_create(&sender, NULL, send_later, NULL), 0);
    CHECK_EQ(next(chan), SIGUSR1);
    CHECK_EQ(pthread_create(&thread, NULL, use_in_thread, NULL), 0);
    CHECK_EQ(weft_blocking(join_thread, &thread), 0);
    CHECK_EQ(weft_blocking(join_thread, &sender), 0);
    CHECK_EQ(weft_signal_stop(chan), 0);
}

/* ---- The default action comes back ---- */

static void stop_and_die(void)
{
    weft_chan *chan = weft_signal_chan(SIGTERM);
    signal_self(SIGTERM);
    CHECK_EQ(next(chan), SIGTERM);
    CHECK_EQ(weft_signal_stop(chan), 0);
    signal_self(SIGTERM);
    weft_sleep(10 * WEFT_SECOND);
}

SIGNAL_TEST(kills_after_stop, SIGTERM, "")
{
    test_in_runtime(2, stop_and_die);
}

static void leave_sigterm(void)
{
    kept = weft_signal_chan(SIGTERM);
    weft_chan_unref(kept);
}

SIGNAL_TEST(kills_after_the_run, SIGTERM, "")
{
    test_in_runtime(2, leave_sigterm);
    raise(SIGTERM);
}
