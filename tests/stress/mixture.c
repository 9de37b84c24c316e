/* SPDX-License-Identifier: MIT
 *
 * Everything at once, at random: goroutines that spawn, yield, sleep, block, pin, exit early and talk,
 * while foreign threads spawn and talk too, and the number of slots changes.
 */
#include "harness/test.h"

#include <pthread.h>

static int load(int *value)
{
    return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

static int add(int *value, int n)
{
    return __atomic_add_fetch(value, n, __ATOMIC_ACQ_REL);
}

enum { BUDGET = 20000 };

static int budget;  /* atomic: goroutines that may still be started */
static int started; /* atomic */
static int ended;   /* atomic */
static weft_chan *chan;
static weft_mutex mutex;
static int guarded, guarded_check;

static void live(void *arg);

static void spawn(void)
{
    if (add(&budget, -1) < 0)
        return;
    char bytes[600] = "";
    weft_attr attr = WEFT_ATTR_INIT;
    attr.stack_size = (size_t)32768 << test_random_below(4);
    add(&started, 1);
    switch (test_random_below(3)) {
    case 0:
        CHECK_EQ(weft_go(live, NULL), 0);
        break;
    case 1:
        CHECK_EQ(weft_go_copy(live, bytes, 1 + (size_t)test_random_below(sizeof bytes)), 0);
        break;
    default:
        CHECK_EQ(weft_go_with(&attr, live, NULL), 0);
    }
}

static void talk(void)
{
    int value = 1, result;
    int64_t deadline = weft_after((int64_t)test_random_below(200) * WEFT_MICROSECOND);
    if (test_random_below(2))
        result = weft_chan_send_until(chan, &value, deadline);
    else
        result = weft_chan_recv_until(chan, &value, deadline);
    CHECK(result == 0 || result == -ETIMEDOUT);
}

static void count_under_lock(void)
{
    weft_mutex_lock(&mutex);
    guarded++;
    if (test_random_below(8) == 0)
        weft_yield();
    guarded_check++;
    CHECK_EQ(guarded, guarded_check);
    weft_mutex_unlock(&mutex);
}

static void do_something(void)
{
    switch (test_random_below(12)) {
    case 0:
        weft_blocking_begin();
        usleep((useconds_t)test_random_below(50));
        weft_blocking_end();
        break;
    case 1:
        weft_lock_os_thread();
        weft_yield();
        weft_unlock_os_thread();
        break;
    case 2:
    case 3:
        weft_sleep((int64_t)test_random_below(100) * WEFT_MICROSECOND);
        break;
    case 4:
    case 5:
        talk();
        break;
    case 6:
        count_under_lock();
        break;
    case 7:
        weft_blocking_begin();
        talk();
        weft_blocking_end();
        break;
    default:
        weft_yield();
    }
}

static void live(void *arg)
{
    (void)arg;
    int steps = (int)test_random_below(10);
    for (int i = 0; i < steps; i++)
        do_something();
    spawn();
    if (test_random_below(2))
        spawn();
    add(&ended, 1);
    switch (test_random_below(20)) {
    case 0:
        weft_lock_os_thread(); /* Takes its thread along. */
        break;
    case 1:
        weft_blocking_begin();
        weft_exit();
    case 2:
        weft_exit();
    default:
        break;
    }
}

static int stop; /* atomic */

static void *live_outside(void *arg)
{
    while (!load(&stop)) {
        spawn();
        talk();
        if (test_random_below(4) == 0)
            count_under_lock();
        if (test_random_below(10) == 0)
            weft_maxprocs(1 + (int)test_random_below(8));
        usleep((useconds_t)test_random_below(300));
    }
    return arg;
}

TEST_PROCS(mixture, .timeout = 300, .leaks = TEST_LEAKS_MEMORY)
{
    pthread_t threads[2];
    chan = weft_chan_new(sizeof(int), 2);
    stop = started = ended = 0;
    budget = TEST_TSAN ? BUDGET / 10 : TEST_ASAN ? BUDGET / 4 : BUDGET;
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, live_outside, NULL), 0);
    for (int i = 0; i < 50; i++)
        spawn();
    /* The foreign threads see to it that it cannot die out. */
    while (load(&budget) > 0)
        weft_sleep(WEFT_MILLISECOND);
    __atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
    weft_blocking_begin();
    for (int i = 0; i < 2; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    weft_blocking_end();
    CHECK_SOON(weft_num_goroutine() == 1);
    CHECK_EQ(load(&started), load(&ended));
    weft_chan_unref(chan);
}
