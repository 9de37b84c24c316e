/* SPDX-License-Identifier: MIT
 *
 * Reading and setting the runtime's counts.
 */
#include "harness/test.h"

#include <dirent.h>
#include <sched.h>

static int load(int *value)
{
    return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

static void store(int *value, int n)
{
    __atomic_store_n(value, n, __ATOMIC_RELEASE);
}

static int add(int *value, int n)
{
    return __atomic_add_fetch(value, n, __ATOMIC_ACQ_REL);
}

static weft_chan *gate;
static int entered; /* atomic */

static void wait_at_gate(void *arg)
{
    (void)arg;
    add(&entered, 1);
    CHECK_EQ(weft_chan_recv(gate, NULL), -EPIPE);
}

TEST_PROCS(goroutines)
{
    CHECK_EQ(weft_num_goroutine(), 1);
    gate = weft_chan_new(0, 0);
    entered = 0;
    for (int i = 1; i <= 100; i++) {
        CHECK_EQ(weft_go(wait_at_gate, NULL), 0);
        CHECK_EQ(weft_num_goroutine(), 1 + i);
    }
    CHECK_SOON(load(&entered) == 100);
    CHECK_EQ(weft_num_goroutine(), 101);
    CHECK_EQ(weft_chan_close(gate), 0);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(gate);
}

static int kernel_threads(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/task");
    CHECK(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

TEST_PROCS(threads)
{
    CHECK_SOON(weft_num_thread() == kernel_threads());
    CHECK_GE(weft_num_thread(), 2); /* The monitor and the M that runs this. */
}

/* Parked goroutines hold no thread. */
TEST_PROCS(parked_goroutines_hold_no_threads, .leaks = TEST_LEAKS_MEMORY)
{
    int n = test_many(10000);
    gate = weft_chan_new(0, 0);
    entered = 0;
    for (int i = 0; i < n; i++)
        CHECK_EQ(weft_go(wait_at_gate, NULL), 0);
    CHECK_SOON(load(&entered) == n);
    CHECK_LE(weft_num_thread(), 2 + TEST_TSAN + 2 * weft_maxprocs(0));
    CHECK_EQ(weft_chan_close(gate), 0);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(gate);
}

TEST(cpus)
{
    cpu_set_t set;
    CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    CHECK_GE(weft_num_cpu(), 1);
    CHECK_LE(weft_num_cpu(), CPU_COUNT(&set));
    if (!getenv("WEFT_MAXPROCS"))
        CHECK_EQ(weft_maxprocs(0), weft_num_cpu());
}

static void check_default(void)
{
    CHECK_EQ(weft_maxprocs(0), 1);
    CHECK_EQ(weft_num_cpu(), 1);
}

TEST(affinity_is_the_default)
{
    cpu_set_t set, one;
    CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &set))
            CPU_SET(cpu, &one);
    CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    unsetenv("WEFT_MAXPROCS");
    test_in_runtime(0, check_default);
}

/* A thousand slots are made, and kept. */
TEST_PROCS(maxprocs_reads_and_sets, .leaks = TEST_LEAKS_MEMORY)
{
    int before = weft_maxprocs(0);
    CHECK_EQ(weft_maxprocs(-5), before);
    CHECK_EQ(weft_maxprocs(4), before);
    CHECK_EQ(weft_maxprocs(0), 4);
    CHECK_EQ(weft_maxprocs(1), 4);
    CHECK_EQ(weft_maxprocs(WEFT_MAXPROCS_LIMIT + 5), 1);
    CHECK_EQ(weft_maxprocs(before), WEFT_MAXPROCS_LIMIT);
    CHECK_EQ(weft_maxprocs(0), before);
}

static void nothing(void)
{
}

TEST(maxprocs_outlives_a_run)
{
    weft_maxprocs(3);
    test_in_runtime(3, nothing);
    CHECK_EQ(weft_maxprocs(0), 3);
    weft_maxprocs(5);
    CHECK_EQ(weft_maxprocs(0), 5);
    test_in_runtime(0, nothing);
    CHECK_EQ(weft_maxprocs(0), 5);
}

/* ---- maxprocs under load ---- */

enum { OCCUPIERS = 20 };

static int stop;            /* atomic */
static int running;         /* atomic */
static int most;            /* atomic */
static int laps[OCCUPIERS]; /* atomic */

/* Between the two adds it makes no call to weft, and so holds a slot. */
static void occupy(void *index)
{
    while (!load(&stop)) {
        int now = add(&running, 1);
        int seen = load(&most);
        if (now > seen)
            store(&most, now);
        for (int i = 0; i < 500; i++)
            __asm__ volatile("" ::: "memory");
        add(&running, -1);
        weft_yield();
        add(&laps[test_index(index)], 1);
    }
}

/* A goroutine that lost its slot in the middle of user code goes on until it next calls weft, and
 * may count one lap before. Returns when all have got a slot since. */
static void await_laps(void)
{
    int before[OCCUPIERS];
    for (int i = 0; i < OCCUPIERS; i++)
        before[i] = load(&laps[i]);
    for (int i = 0; i < OCCUPIERS; i++)
        while (load(&laps[i]) - before[i] < 2)
            weft_yield();
}

TEST_PROCS(maxprocs_bounds_who_runs, .timeout = 120)
{
    stop = running = 0;
    for (int i = 0; i < OCCUPIERS; i++)
        CHECK_EQ(weft_go(occupy, (void *)(intptr_t)i), 0);
    for (int round = 0; round < 10; round++) {
        int procs = 1 + (int)test_random_below(8);
        weft_maxprocs(procs);
        await_laps();
        CHECK_LE(load(&running), procs - 1); /* This goroutine has a slot too. */
        store(&most, 0);
        await_laps();
        CHECK_LE(load(&most), procs);
    }
    store(&stop, 1);
    CHECK_SOON(weft_num_goroutine() == 1);
}

static int work_done; /* atomic */

static void varied_work(void *index)
{
    weft_chan *chan = weft_chan_new(sizeof(int), (size_t)test_index(index) % 3);
    CHECK(chan != NULL);
    for (int i = 0; i < 50; i++) {
        int sent = i;
        switch (test_random_below(4)) {
        case 0:
            weft_sleep((int64_t)test_random_below(500) * WEFT_MICROSECOND);
            break;
        case 1:
            weft_blocking_begin();
            usleep(100);
            weft_blocking_end();
            break;
        case 2:
            if (weft_chan_cap(chan) > weft_chan_len(chan))
                CHECK_EQ(weft_chan_send(chan, &sent), 0);
            else if (weft_chan_len(chan) > 0)
                CHECK_EQ(weft_chan_recv(chan, &sent), 0);
            break;
        default:
            weft_yield();
        }
    }
    weft_chan_unref(chan);
    add(&work_done, 1);
}

static void change_steadily(void *arg)
{
    (void)arg;
    while (!load(&stop)) {
        weft_maxprocs(1 + (int)test_random_below(16));
        weft_sleep((int64_t)test_random_below(1000) * WEFT_MICROSECOND);
    }
}

/* Several goroutines change it at once, up and down. */
TEST_PROCS(maxprocs_changes_under_load, .timeout = 120, .leaks = TEST_LEAKS_MEMORY)
{
    stop = work_done = 0;
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_go(change_steadily, NULL), 0);
    for (int round = 0; round < 5; round++)
        test_each(100, varied_work);
    CHECK_EQ(work_done, 500);
    store(&stop, 1);
    CHECK_SOON(weft_num_goroutine() == 1);
}

/* ---- Limits ---- */

static void quit(void *arg)
{
    (void)arg;
}

TEST_PROCS(max_goroutines)
{
    CHECK_EQ(weft_set_max_goroutines(0), INT32_MAX);
    CHECK_EQ(weft_set_max_goroutines(100), INT32_MAX);
    CHECK_EQ(weft_set_max_goroutines(-1), 100);
    gate = weft_chan_new(0, 0);
    for (int i = 1; i < 100; i++)
        CHECK_EQ(weft_go(wait_at_gate, NULL), 0);
    CHECK_EQ(weft_go(wait_at_gate, NULL), -EAGAIN);
    CHECK_EQ(weft_go_copy(wait_at_gate, &stop, sizeof stop), -EAGAIN);
    CHECK_EQ(weft_go_with(NULL, wait_at_gate, NULL), -EAGAIN);
    CHECK_EQ(weft_num_goroutine(), 100);
    CHECK_EQ(weft_chan_close(gate), 0);
    CHECK_SOON(weft_num_goroutine() == 1);
    for (int i = 0; i < 1000; i++) {
        while (weft_go(quit, NULL) != 0)
            weft_yield();
    }
    CHECK_SOON(weft_num_goroutine() == 1);
    CHECK_EQ(weft_set_max_goroutines(INT32_MAX), 100);
    weft_chan_unref(gate);
}

TEST(max_threads_reads_and_sets)
{
    CHECK_EQ(weft_set_max_threads(0), 10000);
    CHECK_EQ(weft_set_max_threads(500), 10000);
    CHECK_EQ(weft_set_max_threads(-1), 500);
    test_in_runtime(2, nothing);
}

static void block(void *arg)
{
    (void)arg;
    weft_blocking_begin();
    sleep(1000);
    weft_blocking_end();
}

static void block_many(void)
{
    for (int i = 0; i < 20; i++)
        CHECK_EQ(weft_go(block, NULL), 0);
    for (;;)
        weft_sleep(WEFT_MILLISECOND);
}

DEATH_TEST(too_many_threads, 2, "fatal error: \nthread")
{
    weft_set_max_threads(10);
    test_in_runtime(2, block_many);
}

/* ---- Statistics ---- */

TEST_PROCS(statistics)
{
    weft_stats before, after;
    weft_read_stats(NULL);
    weft_read_stats(&before);
    CHECK_EQ(before.maxprocs, weft_maxprocs(0));
    CHECK_EQ(before.goroutines, 1);
    CHECK_EQ(before.net_waiters, 0);
    CHECK_LT(before.idle_procs, before.maxprocs);
    CHECK_GE(before.threads, 2);
    CHECK(strcmp(before.stack_guard, "madvise") == 0 ||
          strcmp(before.stack_guard, "userfaultfd") == 0 ||
          strcmp(before.stack_guard, "mprotect") == 0 || strcmp(before.stack_guard, "canary") == 0);

    gate = weft_chan_new(0, 0);
    entered = 0;
    for (int i = 0; i < 50; i++)
        CHECK_EQ(weft_go(wait_at_gate, NULL), 0);
    CHECK_SOON(load(&entered) == 50);
    weft_read_stats(&after);
    CHECK_GE(after.spawned, before.spawned + 50);
    CHECK_GE(after.switches, before.switches + 50);
    CHECK_EQ(after.goroutines, 51);
    CHECK_GE(after.stacks, 50); /* main's is of another size */
    CHECK_EQ(weft_chan_close(gate), 0);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_read_stats(&after);
    CHECK_GE(after.stacks_cached, 40); /* "The caches' share is approximate." */
    CHECK_LE(after.stacks_cached, after.stacks);
    weft_chan_unref(gate);
}

static void sleep_long(void *arg)
{
    (void)arg;
    weft_sleep(3600 * WEFT_SECOND);
}

static int timers(void)
{
    weft_stats stats;
    weft_read_stats(&stats);
    return (int)stats.timers;
}

TEST_PROCS(statistics_of_timers)
{
    for (int i = 0; i < 50; i++)
        CHECK_EQ(weft_go(sleep_long, NULL), 0);
    CHECK_SOON(timers() == 50); /* CHECK_SOON itself sleeps, but not while it looks. */
    weft_timer *timer = weft_after_func(3600 * WEFT_SECOND, quit, NULL);
    CHECK_EQ(timers(), 51);
    CHECK_EQ(weft_timer_stop(timer), 1);
    CHECK_EQ(timers(), 50);
    weft_timer_free(timer);
}
