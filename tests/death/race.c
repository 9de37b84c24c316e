/* SPDX-License-Identifier: MIT
 *
 * Planted data races, which a build with SAN=thread must report, at every maxprocs; and the same
 * programs with the synchronisation that the memory model asks for, which must not be reported.
 */
#include "harness/test.h"

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

/* ThreadSanitizer's exit status. */
enum { REPORTED = 66 };

/* Nothing is reported between goroutines that share a thread where all of weft is instrumented. */
static void needs_reports(void)
{
#if !TEST_TSAN || defined(TEST_TSAN_CORE)
    SKIP("needs SAN=thread without CORE");
#endif
}

static int x;
static weft_waitgroup all;
static weft_mutex mutex;
static weft_chan *chan;
static void (*planted)(void);

static int main_fn(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    planted();
    return 0;
}

/* A program that must end by itself, or so it says. */
static void run(int procs, void (*fn)(void))
{
    needs_reports();
    planted = fn;
    setenv("WEFT_MAXPROCS", procs == 1 ? "1" : procs == 2 ? "2" : "8", 1);
    CHECK_EQ(weft_run(main_fn, 0, NULL), 0);
    exit(0);
}

/* RACE: reported at each maxprocs. CLEAN: the twin. */
#define RACE(name_)                                                                                \
    static void name_(void);                                                                       \
    RACE_AT_(name_, 1) RACE_AT_(name_, 2) RACE_AT_(name_, 8) static void name_(void)
#define RACE_AT_(name_, procs_)                                                                    \
    DEATH_TEST(name_##_##procs_, REPORTED, "data race")                                            \
    {                                                                                              \
        run(procs_, name_);                                                                        \
    }
#define CLEAN(name_)                                                                               \
    static void name_(void);                                                                       \
    CLEAN_AT_(name_, 1) CLEAN_AT_(name_, 2) CLEAN_AT_(name_, 8) static void name_(void)
#define CLEAN_AT_(name_, procs_)                                                                   \
    DEATH_TEST(name_##_##procs_, 0, "")                                                            \
    {                                                                                              \
        run(procs_, name_);                                                                        \
    }

/* Some rounds: ThreadSanitizer may miss two accesses at the very same instant. */
static void both(void (*fn)(void *arg))
{
    for (int i = 0; i < 5; i++) {
        weft_waitgroup_add(&all, 2);
        CHECK_EQ(weft_go(fn, NULL), 0);
        CHECK_EQ(weft_go(fn, NULL), 0);
        weft_waitgroup_wait(&all);
    }
}

/* ---- Two goroutines ---- */

static void increment(void *arg)
{
    (void)arg;
    x++;
    weft_waitgroup_done(&all);
}

static void increment_locked(void *arg)
{
    weft_mutex_lock(&mutex);
    increment(arg);
    weft_mutex_unlock(&mutex);
}

RACE(two_goroutines)
{
    both(increment);
}

CLEAN(two_goroutines_with_a_mutex)
{
    both(increment_locked);
}

/* One after the other: the second gets the first one's stack, and its wi_g. */
static void count(void *arg)
{
    (void)arg;
    x++;
}

static void one_after_the_other(void (*wait)(void))
{
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weft_go(count, NULL), 0);
        wait();
    }
}

static void sleep_a_while(void)
{
    weft_sleep(20 * WEFT_MILLISECOND);
}

RACE(one_after_the_other_by_luck)
{
    one_after_the_other(sleep_a_while);
}

static void count_and_tell(void *arg)
{
    count(arg);
    weft_chan_send(chan, NULL);
}

CLEAN(one_after_the_other_by_a_channel)
{
    chan = weft_chan_new(0, 0);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(weft_go(count_and_tell, NULL), 0);
        CHECK_EQ(weft_chan_recv(chan, NULL), 0);
    }
}

/* ---- A goroutine that a descriptor starts ---- */

/* It waits for a writer, or for nothing. */
static void start_by_descriptor(int events, bool race)
{
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    for (int i = 0; i < 5; i++) {
        char byte;
        weft_waitgroup_add(&all, 1);
        if (!race)
            x++;
        CHECK_EQ(weft_go_when(fds[0], events, WEFT_FOREVER, increment, NULL), 0);
        if (race)
            x++;
        CHECK_EQ(weft_write(fds[1], "x", 1), 1);
        weft_waitgroup_wait(&all);
        CHECK_EQ(weft_read(fds[0], &byte, 1), 1);
    }
    CHECK_EQ(weft_close(fds[0]), 0);
    CHECK_EQ(weft_close(fds[1]), 0);
}

RACE(after_go_when)
{
    start_by_descriptor(POLLOUT, true);
}

CLEAN(before_go_when)
{
    start_by_descriptor(POLLOUT, false);
    start_by_descriptor(POLLIN, false);
}

/* ---- A channel that orders nothing ---- */

/* Sends do not order one another, though they lock the same channel one after the other. */
static void send_then_increment(void *arg)
{
    int value = 0;
    weft_chan_send(chan, &value);
    x++;
    (void)arg;
    weft_chan_send(chan, &value);
    weft_waitgroup_done(&all);
}

RACE(behind_a_channel)
{
    chan = weft_chan_new(sizeof(int), 20);
    both(send_then_increment);
}

/* A channel of one as a lock: the receive happens before the next send that fits. */
static void increment_with_token(void *arg)
{
    int value = 0;
    (void)arg;
    for (int i = 0; i < 100; i++) {
        weft_chan_send(chan, &value);
        x++;
        if (i % 10 == 0)
            weft_yield();
        weft_chan_recv(chan, &value);
    }
    weft_waitgroup_done(&all);
}

CLEAN(a_channel_as_a_lock)
{
    chan = weft_chan_new(sizeof(int), 1);
    both(increment_with_token);
}

/* ---- The main goroutine ---- */

static void write_it(void *arg)
{
    x = 1;
    if (arg)
        weft_chan_close(arg);
}

RACE(main_does_not_wait)
{
    CHECK_EQ(weft_go(write_it, NULL), 0);
    sleep_a_while();
    CHECK_EQ(x, 1);
}

CLEAN(main_waits)
{
    chan = weft_chan_new(0, 0);
    CHECK_EQ(weft_go(write_it, chan), 0);
    CHECK_EQ(weft_chan_recv(chan, NULL), -EPIPE);
    CHECK_EQ(x, 1);
}

static void read_it(void *arg)
{
    CHECK_GE(x, 0);
    weft_waitgroup_done(arg);
}

RACE(main_writes_after_go)
{
    weft_waitgroup_add(&all, 1);
    CHECK_EQ(weft_go(read_it, &all), 0);
    x = 1;
    weft_waitgroup_wait(&all);
}

CLEAN(main_writes_before_go)
{
    weft_waitgroup_add(&all, 1);
    x = 1;
    CHECK_EQ(weft_go(read_it, &all), 0);
    weft_waitgroup_wait(&all);
}

/* ---- A foreign thread ---- */

static void *foreign(void *arg)
{
    void (*fn)(void *arg) = *(void (**)(void *))arg;
    fn(NULL);
    return NULL;
}

static void with_a_thread(void (*fn)(void *arg))
{
    pthread_t thread;
    weft_waitgroup_add(&all, 2);
    CHECK_EQ(pthread_create(&thread, NULL, foreign, &fn), 0);
    CHECK_EQ(weft_go(fn, NULL), 0);
    weft_waitgroup_wait(&all);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

RACE(a_goroutine_and_a_thread)
{
    with_a_thread(increment);
}

CLEAN(a_goroutine_and_a_thread_with_a_mutex)
{
    with_a_thread(increment_locked);
}

/* ---- Readers of an rwmutex do not order one another ---- */

static weft_rwmutex rwmutex;

static void increment_read_locked(void *arg)
{
    weft_rwmutex_rdlock(&rwmutex);
    increment(arg);
    weft_rwmutex_rdunlock(&rwmutex);
}

static void increment_write_locked(void *arg)
{
    weft_rwmutex_wrlock(&rwmutex);
    increment(arg);
    weft_rwmutex_wrunlock(&rwmutex);
}

RACE(under_a_read_lock)
{
    both(increment_read_locked);
}

CLEAN(under_a_write_lock)
{
    both(increment_write_locked);
}

/* ---- What a channel copies ---- */

static void send_it(void *arg)
{
    (void)arg;
    weft_chan_send(chan, &x);
}

RACE(a_send_reads)
{
    chan = weft_chan_new(sizeof x, 1);
    CHECK_EQ(weft_go(send_it, NULL), 0);
    sleep_a_while();
    x = 1;
}

/* ---- Timers ---- */

RACE(writes_after_after_func)
{
    weft_timer *timer = weft_after_func(WEFT_MILLISECOND, count, NULL);
    sleep_a_while();
    x = 1;
    weft_timer_free(timer);
}

CLEAN(after_func)
{
    x = 1;
    weft_waitgroup_add(&all, 1);
    weft_timer *timer = weft_after_func(WEFT_MILLISECOND, increment, NULL);
    weft_waitgroup_wait(&all);
    CHECK_EQ(x, 2);
    weft_timer_free(timer);
}

/* ---- The rest of the memory model's edges ---- */

static weft_once once;
static weft_sem sem;
static weft_cond cond;

static void set_x(void *arg)
{
    (void)arg;
    x++;
}

static void do_once(void *arg)
{
    (void)arg;
    weft_once_do(&once, set_x, NULL);
    CHECK_EQ(x, 1);
    weft_waitgroup_done(&all);
}

CLEAN(a_once)
{
    both(do_once);
}

static void increment_with_permit(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_sem_acquire(&sem, 1), 0);
    x++;
    weft_yield();
    x++;
    weft_sem_release(&sem, 1);
    weft_waitgroup_done(&all);
}

CLEAN(a_semaphore)
{
    weft_sem_init(&sem, 1);
    both(increment_with_permit);
}

static void signal_it(void *arg)
{
    (void)arg;
    weft_mutex_lock(&mutex);
    x = 1;
    weft_cond_signal(&cond);
    weft_mutex_unlock(&mutex);
}

CLEAN(a_cond)
{
    weft_mutex_lock(&mutex);
    CHECK_EQ(weft_go(signal_it, NULL), 0);
    while (x == 0)
        weft_cond_wait(&cond, &mutex);
    weft_mutex_unlock(&mutex);
}

static void select_it(void *arg)
{
    weft_case cases[2] = {{.chan = chan, .recv = arg}, {.chan = NULL}};
    CHECK_EQ(weft_select(cases, 2, WEFT_FOREVER), 0);
    x++;
    weft_waitgroup_done(&all);
}

CLEAN(a_select)
{
    int received = 0, value = 7;
    chan = weft_chan_new(sizeof value, 0);
    weft_waitgroup_add(&all, 1);
    CHECK_EQ(weft_go(select_it, &received), 0);
    x = 1;
    CHECK_EQ(weft_chan_send(chan, &value), 0);
    weft_waitgroup_wait(&all);
    CHECK_EQ(received, 7);
    CHECK_EQ(x, 2);
}

/* errno belongs to the goroutine, though its address is the thread's. */
static TEST_OPAQUE void set_errno(int value)
{
    errno = value;
}

static void use_errno(void *arg)
{
    (void)arg;
    set_errno(1);
    weft_yield();
    set_errno(2);
    weft_waitgroup_done(&all);
}

CLEAN(errno_of_each)
{
    both(use_errno);
}
