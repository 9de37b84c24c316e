/* SPDX-License-Identifier: MIT
 *
 * Threads that weft did not start use everything that says "any thread".
 */
#include "harness/test.h"

#include <pthread.h>

enum { THREADS = 4, ITEMS = 500 };

static int load(int *value)
{
    return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

static int add(int *value, int n)
{
    return __atomic_add_fetch(value, n, __ATOMIC_ACQ_REL);
}

static pthread_t threads[THREADS];

static void start_threads(void *(*fn)(void *))
{
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, fn, (void *)(intptr_t)i), 0);
}

static void join_threads(void)
{
    weft_blocking_begin();
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    weft_blocking_end();
}

static int count; /* atomic */

static void count_up(void *arg)
{
    (void)arg;
    CHECK_GT(weft_id(), 0);
    weft_yield();
    add(&count, 1);
}

static void *spawn(void *arg)
{
    int value = 5;
    CHECK_EQ(weft_id(), 0);
    for (int i = 0; i < ITEMS; i++) {
        CHECK_EQ(weft_go(count_up, NULL), 0);
        CHECK_EQ(weft_go_copy(count_up, &value, sizeof value), 0);
        CHECK_EQ(weft_go_with(NULL, count_up, NULL), 0);
        weft_yield();
    }
    CHECK_GT(weft_num_goroutine(), 0);
    return arg;
}

TEST_PROCS(spawning, .leaks = TEST_LEAKS_MEMORY)
{
    count = 0;
    start_threads(spawn);
    join_threads();
    CHECK_SOON(load(&count) == 3 * THREADS * ITEMS);
    CHECK_SOON(weft_num_goroutine() == 1);
}

/* While every slot is asleep: the thread must wake one. */
static void *spawn_seldom(void *arg)
{
    for (int i = 0; i < 30; i++) {
        int before = load(&count);
        CHECK_EQ(weft_go(count_up, NULL), 0);
        for (int tries = 0; load(&count) == before; tries++) {
            CHECK_LT(tries, 10000 * test_scale());
            usleep(1000);
        }
        usleep((useconds_t)test_random_below(3000));
    }
    return arg;
}

TEST_PROCS(spawning_wakes_sleepers)
{
    pthread_t thread;
    weft_chan *never = weft_chan_new(0, 0);
    count = 0;
    CHECK_EQ(pthread_create(&thread, NULL, spawn_seldom, NULL), 0);
    /* Not in a blocking region: parked. */
    while (load(&count) < 30)
        CHECK_EQ(weft_chan_recv_until(never, NULL, weft_after(500 * WEFT_MILLISECOND)), -ETIMEDOUT);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    weft_chan_unref(never);
}

/* ---- Channels between threads and goroutines, every pairing ---- */

static weft_chan *chan;
static int64_t sum; /* atomic */

static void send_items(void)
{
    for (int i = 1; i <= ITEMS; i++)
        CHECK_EQ(weft_chan_send(chan, &i), 0);
}

static void receive_items(void)
{
    for (int value; weft_chan_recv(chan, &value) == 0;)
        __atomic_add_fetch(&sum, value, __ATOMIC_RELAXED);
    add(&count, 1);
}

static void *send_in_thread(void *arg)
{
    send_items();
    return arg;
}

static void *receive_in_thread(void *arg)
{
    receive_items();
    return arg;
}

static void send_in_goroutine(void *arg)
{
    (void)arg;
    send_items();
    add(&count, 1);
}

static void receive_in_goroutine(void *arg)
{
    (void)arg;
    receive_items();
}

static void open_channel(size_t capacity)
{
    chan = weft_chan_new(sizeof(int), capacity);
    CHECK(chan != NULL);
    sum = count = 0;
}

static void check_sum(int senders)
{
    CHECK_EQ(sum, (int64_t)senders * ITEMS * (ITEMS + 1) / 2);
    weft_chan_unref(chan);
}

static void threads_to_goroutines(size_t capacity)
{
    open_channel(capacity);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(weft_go(receive_in_goroutine, NULL), 0);
    start_threads(send_in_thread);
    join_threads();
    CHECK_EQ(weft_chan_close(chan), 0);
    CHECK_SOON(load(&count) == THREADS);
    check_sum(THREADS);
}

static void goroutines_to_threads(size_t capacity)
{
    open_channel(capacity);
    start_threads(receive_in_thread);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(weft_go(send_in_goroutine, NULL), 0);
    CHECK_SOON(load(&count) == THREADS);
    CHECK_EQ(weft_chan_close(chan), 0);
    join_threads();
    check_sum(THREADS);
}

TEST_PROCS(rendezvous_with_goroutines)
{
    threads_to_goroutines(0);
    goroutines_to_threads(0);
}

TEST_PROCS(buffered_with_goroutines)
{
    threads_to_goroutines(7);
    goroutines_to_threads(7);
}

static void *send_or_receive(void *index)
{
    if (test_index(index) % 2)
        receive_items();
    else
        send_items();
    if (add(&count, test_index(index) % 2 ? 0 : 100) == 100 * THREADS / 2)
        CHECK_EQ(weft_chan_close(chan), 0);
    return NULL;
}

/* Without any runtime at all. */
TEST(threads_among_themselves)
{
    for (size_t capacity = 0; capacity < 4; capacity++) {
        open_channel(capacity);
        start_threads(send_or_receive);
        join_threads();
        check_sum(THREADS / 2);
    }
}

static weft_mutex mutex;
static weft_waitgroup group;
static int guarded;

static void use_mutex(void)
{
    for (int i = 0; i < ITEMS; i++) {
        weft_mutex_lock(&mutex);
        int seen = guarded;
        if (i % 50 == 0)
            weft_yield();
        guarded = seen + 1;
        weft_mutex_unlock(&mutex);
    }
    weft_waitgroup_done(&group);
}

static void *use_mutex_in_thread(void *arg)
{
    use_mutex();
    weft_waitgroup_wait(&group);
    return arg;
}

static void use_mutex_in_goroutine(void *arg)
{
    (void)arg;
    use_mutex();
}

TEST_PROCS(mutex_and_waitgroup)
{
    guarded = 0;
    weft_waitgroup_add(&group, 2 * THREADS);
    start_threads(use_mutex_in_thread);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(weft_go(use_mutex_in_goroutine, NULL), 0);
    weft_waitgroup_wait(&group);
    CHECK_EQ(guarded, 2 * THREADS * ITEMS);
    join_threads();
}

static void *time_out(void *arg)
{
    int value = 7;
    weft_chan *mine = weft_chan_new(sizeof(int), 0);
    int64_t deadline = weft_after(10 * WEFT_MILLISECOND);
    CHECK_EQ(weft_chan_recv_until(mine, &value, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_chan_recv_until(mine, &value, deadline), -ETIMEDOUT);
    CHECK_GE(weft_now(), deadline);
    CHECK_EQ(value, 7);
    CHECK_EQ(weft_chan_send_until(mine, &value, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_chan_send_until(mine, &value, weft_after(WEFT_MILLISECOND)), -ETIMEDOUT);
    weft_chan_unref(mine);
    return arg;
}

TEST_PROCS(deadlines)
{
    start_threads(time_out);
    join_threads();
}

/* ---- A thread waits across the end of a run, and is served by the next ---- */

static void *receive_one(void *arg)
{
    int value = 0;
    CHECK_EQ(weft_chan_recv(chan, &value), 0);
    CHECK_EQ(value, 99);
    return arg;
}

static void short_run(void)
{
    weft_sleep(10 * WEFT_MILLISECOND);
}

static void send_99(void)
{
    int value = 99;
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(weft_chan_send(chan, &value), 0);
}

TEST(waiting_from_run_to_run)
{
    open_channel(0);
    start_threads(receive_one);
    test_in_runtime(2, short_run);
    test_in_runtime(2, send_99);
    join_threads();
    weft_chan_unref(chan);
}

/* A runtime whose goroutines all wait for threads is not deadlocked. */
static void *send_late(void *arg)
{
    int value = 99;
    usleep(300000);
    if (test_index(arg) == 0)
        CHECK_EQ(weft_chan_send(chan, &value), 0);
    return NULL;
}

TEST_PROCS(waiting_for_a_thread_is_no_deadlock)
{
    int value = 0;
    open_channel(0);
    start_threads(send_late);
    CHECK_EQ(weft_chan_recv(chan, &value), 0);
    CHECK_EQ(value, 99);
    join_threads();
    weft_chan_unref(chan);
}

static void *change_counts(void *arg)
{
    weft_stats stats;
    for (int i = 0; i < 50; i++) {
        weft_maxprocs(1 + (int)test_random_below(8));
        weft_read_stats(&stats);
        CHECK_GE(stats.goroutines, 1);
        usleep(200);
    }
    return arg;
}

TEST_PROCS(changing_maxprocs)
{
    start_threads(change_counts);
    for (int i = 0; i < 200; i++)
        test_each(20, count_up);
    join_threads();
}
