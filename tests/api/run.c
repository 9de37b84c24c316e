/* SPDX-License-Identifier: MIT
 *
 * The runtime starts, ends and starts again, and leaves behind nothing but what it must.
 */
#include "harness/test.h"

#include <pthread.h>
#include <time.h>

static int count; /* atomic */

static int load(int *value)
{
    return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

static void add(int *value, int n)
{
    __atomic_add_fetch(value, n, __ATOMIC_ACQ_REL);
}

static int check_arguments(int argc, char **argv)
{
    CHECK_EQ(argc, 2);
    CHECK_STR(argv[0], "one");
    CHECK_STR(argv[1], "two");
    CHECK_GT(weft_id(), 0);
    return -1234;
}

TEST(arguments_and_status)
{
    char *argv[] = {(char[]){"one"}, (char[]){"two"}, NULL};
    CHECK_EQ(weft_run(check_arguments, 2, argv), -1234);
    CHECK_EQ(weft_id(), 0);
    CHECK_EQ(weft_run(NULL, 0, NULL), -EINVAL);
}

static void work(void *arg)
{
    (void)arg;
    weft_yield();
    weft_sleep(WEFT_MICROSECOND * (int64_t)test_random_below(2000));
    weft_yield();
    add(&count, 1);
}

static void some_work(void)
{
    test_each(100, work);
}

TEST(twenty_times)
{
    for (int i = 0; i < 20; i++)
        test_in_runtime(1 + i % 8, some_work);
    CHECK_EQ(count, 2000);
    CHECK_EQ(weft_num_goroutine(), 0);
}

static void nothing(void)
{
}

TEST(five_hundred_empty_runs)
{
    for (int i = 0; i < 500; i++)
        test_in_runtime(1 + i % 4, nothing);
}

/* ---- A second run beside the first ---- */

static int main_again(int argc, char **argv)
{
    (void)argv;
    return argc;
}

static void *run_beside(void *arg)
{
    CHECK_EQ(weft_run(main_again, 0, NULL), -EBUSY);
    __atomic_store_n((int *)arg, 1, __ATOMIC_RELEASE);
    return NULL;
}

TEST_PROCS(only_one_at_a_time)
{
    int finished = 0;
    pthread_t thread;
    CHECK_EQ(weft_run(main_again, 0, NULL), -EBUSY);
    CHECK_EQ(pthread_create(&thread, NULL, run_beside, &finished), 0);
    CHECK_SOON(load(&finished));
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* ---- Goroutines that are left behind ---- */

static weft_chan *never;
static int woken;   /* atomic */
static int entered; /* atomic */

static void wait_forever(void *arg)
{
    (void)arg;
    add(&entered, 1);
    weft_chan_recv(never, NULL);
    add(&woken, 1);
}

static void sleep_long(void *arg)
{
    (void)arg;
    add(&entered, 1);
    weft_sleep(3600 * WEFT_SECOND);
    add(&woken, 1);
}

static void sleep_shortly(void *arg)
{
    (void)arg;
    add(&entered, 1);
    weft_sleep(20 * WEFT_MILLISECOND);
    add(&woken, 1);
}

static void yield_for_ever(void *arg)
{
    (void)arg;
    add(&entered, 1);
    for (;;)
        weft_yield();
}

static void leave_behind(void (*fn)(void *), int n)
{
    entered = woken = 0;
    for (int i = 0; i < n; i++)
        CHECK_EQ(weft_go(fn, NULL), 0);
    CHECK_SOON(load(&entered) == n);
}

static void leave_parked(void)
{
    never = weft_chan_new(0, 0);
    leave_behind(wait_forever, 1000);
}

static void leave_sleeping(void)
{
    leave_behind(sleep_long, 1000);
}

static void leave_waking(void)
{
    leave_behind(sleep_shortly, 1000);
}

static void leave_yielding(void)
{
    leave_behind(yield_for_ever, 10);
}

/* Longer than any of the sleeps above that end. */
static void look_around(void)
{
    CHECK_EQ(weft_num_goroutine(), 1);
    weft_sleep(40 * WEFT_MILLISECOND);
    CHECK_EQ(weft_num_goroutine(), 1);
    test_each(1000, work);
    CHECK_EQ(load(&woken), 0);
}

static void leave_and_look(void (*body)(void))
{
    for (int procs = 1; procs <= 8; procs *= 2) {
        test_in_runtime(procs, body);
        CHECK_EQ(weft_num_goroutine(), 0);
        test_in_runtime(procs, look_around);
    }
}

TEST(parked_ones_are_discarded, .leaks = TEST_LEAKS_MEMORY)
{
    leave_and_look(leave_parked);
}

TEST(sleeping_ones_are_discarded)
{
    leave_and_look(leave_sleeping);
}

/* Some of them wake before the run ends; none may in the next one. */
TEST(waking_ones_are_discarded)
{
    for (int i = 0; i < 10; i++) {
        test_in_runtime(1 + i, leave_waking);
        int seen = load(&woken);
        struct timespec pause = {.tv_nsec = 30000000};
        nanosleep(&pause, NULL);
        CHECK_EQ(load(&woken), seen);
        woken = 0;
        test_in_runtime(1 + i, look_around);
    }
}

TEST(yielding_ones_are_discarded)
{
    leave_and_look(leave_yielding);
}

static void never_run(void *arg)
{
    (void)arg;
    add(&woken, 1);
}

static void leave_queued(void)
{
    char bytes[500] = "";
    for (int i = 0; i < 5000; i++) {
        CHECK_EQ(weft_go(never_run, NULL), 0);
        CHECK_EQ(weft_go_copy(never_run, bytes, sizeof bytes), 0);
    }
}

/* Some may have run before main returned, and one for each slot may have been in user code then; none
 * starts afterwards. */
TEST(queued_ones_are_discarded)
{
    for (int procs = 1; procs <= 8; procs *= 2) {
        test_in_runtime(procs, leave_queued);
        struct timespec pause = {.tv_nsec = 30000000};
        nanosleep(&pause, NULL);
        woken = 0;
        test_in_runtime(procs, look_around);
    }
}

/* Long enough for all to be in it before the first comes out of it, under an emulator too. */
static void block_thread(long milliseconds)
{
    milliseconds *= test_scale();
    nanosleep(&(struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000}, NULL);
}

static void block(void *arg)
{
    (void)arg;
    weft_blocking_begin();
    add(&entered, 1);
    block_thread(200);
    weft_blocking_end();
    add(&woken, 1);
}

static void leave_blocking(void)
{
    leave_behind(block, 20);
}

/* Their threads end once the calls return; the harness waits for that. */
TEST(blocked_ones_are_discarded)
{
    leave_and_look(leave_blocking);
    block_thread(300);
    CHECK_EQ(load(&woken), 0);
}

static void block_deep(void *arg)
{
    weft_lock_os_thread();
    weft_blocking_begin();
    block(arg);
    weft_blocking_end();
    add(&woken, 1);
}

static void leave_blocking_pinned(void)
{
    leave_behind(block_deep, 20);
}

TEST(pinned_blocked_ones_are_discarded)
{
    leave_and_look(leave_blocking_pinned);
}

static int stop; /* atomic */

static void spin(void *arg)
{
    (void)arg;
    add(&entered, 1);
    while (!load(&stop))
        continue;
    weft_yield();
    add(&woken, 1);
}

static void leave_spinning(void)
{
    leave_behind(spin, 3);
}

/* They go on while no runtime is there, or another one, and vanish when they call it. */
TEST(running_ones_are_discarded)
{
    test_in_runtime(4, leave_spinning);
    CHECK_EQ(weft_num_goroutine(), 0);
    test_in_runtime(2, look_around);
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    test_in_runtime(2, look_around);
    CHECK_EQ(load(&woken), 0);
}

static void pin(void *arg)
{
    weft_lock_os_thread();
    wait_forever(arg);
}

static void leave_pinned(void)
{
    never = weft_chan_new(0, 0);
    leave_behind(pin, 20);
}

TEST(pinned_ones_are_discarded, .leaks = TEST_LEAKS_MEMORY)
{
    leave_and_look(leave_pinned);
}

/* Threads that weft did not start go on spawning while runs come and go. */
static int spawner_stop; /* atomic */
static int spawned;      /* atomic */

static void *spawn_steadily(void *arg)
{
    while (!load(&spawner_stop)) {
        int result = weft_go(never_run, NULL);
        CHECK(result == 0 || result == -EPERM);
        add(&spawned, result == 0);
        if (TEST_TSAN)
            usleep(100); /* a fiber takes longer than its spawn: they would pile up */
    }
    return arg;
}

static void short_run(void)
{
    weft_sleep(WEFT_MICROSECOND * (int64_t)test_random_below(3000));
}

TEST(spawning_while_runs_come_and_go)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, spawn_steadily, NULL), 0);
    for (int i = 0; i < 100; i++)
        test_in_runtime(1 + i % 4, short_run);
    __atomic_store_n(&spawner_stop, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(weft_num_goroutine(), 0);
    CHECK_GT(load(&spawned), 0);
}
