/* SPDX-License-Identifier: MIT
 *
 * Declared blocking regions: the slot goes to others meanwhile. Nothing is timed: whoever blocks
 * reads from a pipe that is written only after others have made progress on that slot.
 */
#include "harness/test.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>

static int load(int *value)
{
    return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

static int add(int *value, int n)
{
    return __atomic_add_fetch(value, n, __ATOMIC_ACQ_REL);
}

static TEST_OPAQUE int get_errno(void)
{
    return errno;
}

static TEST_OPAQUE void set_errno(int value)
{
    errno = value;
}

struct blocker {
    int pipe[2];
    int finished; /* atomic */
};

static void blocker_open(struct blocker *blocker)
{
    CHECK_EQ(pipe(blocker->pipe), 0);
    blocker->finished = 0;
}

static void blocker_close(struct blocker *blocker)
{
    CHECK_SOON(load(&blocker->finished));
    close(blocker->pipe[0]);
    close(blocker->pipe[1]);
}

static void release(struct blocker *blocker)
{
    CHECK_EQ(write(blocker->pipe[1], "x", 1), 1);
}

static void block(void *arg)
{
    struct blocker *blocker = arg;
    char byte;
    uint64_t id = weft_id();
    weft_blocking_begin();
    set_errno(E2BIG);
    CHECK_EQ(read(blocker->pipe[0], &byte, 1), 1);
    weft_blocking_end();
    CHECK_EQ(get_errno(), E2BIG);
    CHECK_EQ(weft_id(), id);
    add(&blocker->finished, 1);
}

/* At maxprocs 1 this shows that the slot was taken from the one who blocks. */
TEST_PROCS(a_ticker_keeps_time)
{
    struct blocker blocker;
    blocker_open(&blocker);
    CHECK_EQ(weft_go(block, &blocker), 0);
    for (int i = 0; i < 20; i++)
        weft_sleep(WEFT_MILLISECOND);
    CHECK_EQ(load(&blocker.finished), 0);
    release(&blocker);
    blocker_close(&blocker);
}

static void tick(void *arg)
{
    for (int i = 0; i < 20; i++)
        weft_sleep(WEFT_MILLISECOND);
    release(arg);
}

/* The other way round: main blocks, and a goroutine that is asleep, with the slot idle, must wake.
 */
TEST_PROCS(a_sleeper_wakes_beside_a_blocked_main)
{
    struct blocker blocker;
    blocker_open(&blocker);
    CHECK_EQ(weft_go(tick, &blocker), 0);
    block(&blocker);
    blocker_close(&blocker);
}

static void release_at_once(void *arg)
{
    release(arg);
}

/* What is queued on the slot runs elsewhere. */
TEST_PROCS(queued_work_goes_on)
{
    for (int i = 0; i < 100; i++) {
        struct blocker blocker;
        blocker_open(&blocker);
        CHECK_EQ(weft_go(release_at_once, &blocker), 0);
        block(&blocker);
        blocker_close(&blocker);
    }
}

/* A foreign thread makes work while the only slot's holder blocks. */
static void *spawn_release(void *arg)
{
    usleep(20000);
    CHECK_EQ(weft_go(release_at_once, arg), 0);
    return NULL;
}

TEST_PROCS(foreign_work_goes_on)
{
    struct blocker blocker;
    pthread_t thread;
    blocker_open(&blocker);
    CHECK_EQ(pthread_create(&thread, NULL, spawn_release, &blocker), 0);
    block(&blocker);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    blocker_close(&blocker);
}

TEST_PROCS(many_block_at_once)
{
    enum { N = 50 };
    struct blocker blocker;
    blocker_open(&blocker);
    for (int i = 0; i < N; i++)
        CHECK_EQ(weft_go(block, &blocker), 0);
    /* Each holds a thread. */
    CHECK_SOON(weft_num_thread() >= N);
    for (int i = 0; i < 20; i++)
        weft_sleep(WEFT_MILLISECOND);
    CHECK_EQ(load(&blocker.finished), 0);
    for (int i = 0; i < N; i++)
        release(&blocker);
    CHECK_SOON(load(&blocker.finished) == N);
    blocker_close(&blocker);
}

/* ---- Nesting ---- */

static void block_nested(void *arg)
{
    struct blocker *blocker = arg;
    char byte;
    weft_blocking_begin();
    weft_blocking_begin();
    CHECK_EQ(read(blocker->pipe[0], &byte, 1), 1);
    weft_blocking_end();
    CHECK_EQ(read(blocker->pipe[0], &byte, 1), 1); /* still inside the outer one */
    weft_blocking_begin();
    weft_blocking_end();
    CHECK_EQ(read(blocker->pipe[0], &byte, 1), 1);
    weft_blocking_end();
    add(&blocker->finished, 1);
}

TEST_PROCS(regions_nest)
{
    struct blocker blocker;
    blocker_open(&blocker);
    CHECK_EQ(weft_go(block_nested, &blocker), 0);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 5; j++)
            weft_sleep(WEFT_MILLISECOND);
        CHECK_EQ(load(&blocker.finished), 0);
        release(&blocker);
    }
    blocker_close(&blocker);
}

static weft_chan *to, *from;
static weft_mutex mutex;

static void answer(void *arg)
{
    int value;
    while (weft_chan_recv(to, &value) == 0)
        CHECK_EQ(weft_chan_send(from, &value), 0);
    (void)arg;
}

static void count_call(void *arg)
{
    add(arg, 1);
}

static long call_everything(void *arg)
{
    struct blocker *blocker = arg;
    char byte;
    int called = 0;
    uint64_t id = weft_id();
    for (int i = 0; i < 20; i++) {
        int back = -1;
        CHECK_EQ(weft_chan_send(to, &i), 0);
        CHECK_EQ(weft_chan_recv(from, &back), 0);
        CHECK_EQ(back, i);
        weft_mutex_lock(&mutex);
        weft_yield();
        weft_mutex_unlock(&mutex);
        CHECK_EQ(weft_go(count_call, &called), 0);
        CHECK_SOON(load(&called) == i + 1);
        weft_sleep(100 * WEFT_MICROSECOND);
        weft_blocking_begin();
        usleep(50);
        weft_blocking_end();
        usleep(50);
    }
    CHECK_EQ(weft_id(), id);
    /* And it is still a blocking region. */
    CHECK_EQ(read(blocker->pipe[0], &byte, 1), 1);
    return 77;
}

static void block_and_call(void *arg)
{
    struct blocker *blocker = arg;
    CHECK_EQ(weft_blocking(call_everything, blocker), 77);
    add(&blocker->finished, 1);
}

TEST_PROCS(every_call_works_inside)
{
    struct blocker blocker;
    to = weft_chan_new(sizeof(int), 0);
    from = weft_chan_new(sizeof(int), 0);
    CHECK_EQ(weft_go(answer, NULL), 0);
    blocker_open(&blocker);
    CHECK_EQ(weft_go(block_and_call, &blocker), 0);
    for (int i = 0; i < 50; i++)
        weft_sleep(WEFT_MILLISECOND);
    CHECK_EQ(load(&blocker.finished), 0);
    release(&blocker);
    blocker_close(&blocker);
    CHECK_EQ(weft_chan_close(to), 0);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(to);
    weft_chan_unref(from);
}

/* ---- Results, and leaving by other doors ---- */

static long give(void *arg)
{
    return *(long *)arg;
}

TEST_PROCS(results_come_through)
{
    static long values[] = {0, 1, -1, LONG_MAX, LONG_MIN};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        CHECK_EQ(weft_blocking(give, &values[i]), values[i]);
    CHECK_EQ(weft_blocking(NULL, NULL), -EINVAL);
}

static void leave_inside(void *arg)
{
    weft_blocking_begin();
    weft_blocking_begin();
    if (test_index(arg) % 2)
        weft_exit();
}

static void expect_fresh(void *unused)
{
    (void)unused;
    weft_blocking_begin();
    weft_blocking_end();
    weft_yield();
}

/* The next goroutine in that memory is not in a region. */
TEST_PROCS(ending_inside_a_region)
{
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(weft_go(leave_inside, (void *)(intptr_t)i), 0);
        weft_yield();
    }
    CHECK_SOON(weft_num_goroutine() == 1);
    test_each(200, expect_fresh);
}

static void *block_in_thread(void *arg)
{
    block(arg);
    return NULL;
}

TEST_PROCS(foreign_threads_ignore_regions)
{
    struct blocker blocker;
    pthread_t thread;
    blocker_open(&blocker);
    CHECK_EQ(pthread_create(&thread, NULL, block_in_thread, &blocker), 0);
    release(&blocker);
    blocker_close(&blocker);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

/* ---- Short regions, seized or not, in a hurry ---- */

static void many_regions(void *unused)
{
    (void)unused;
    for (int i = 0; i < 300; i++) {
        weft_blocking_begin();
        switch (test_random_below(8)) {
        case 0:
            usleep((useconds_t)test_random_below(100));
            break;
        case 1:
            usleep(1);
            break;
        case 2:
            sched_yield();
            break;
        default:
            break;
        }
        weft_blocking_end();
        if (test_random_below(4) == 0)
            weft_yield();
    }
}

TEST_PROCS(regions_of_all_lengths, .leaks = TEST_LEAKS_MEMORY, .timeout = 120)
{
    test_each(50, many_regions);
}

TEST_PROCS(seizes_are_counted)
{
    weft_stats before, after;
    weft_read_stats(&before);
    struct blocker blocker;
    blocker_open(&blocker);
    CHECK_EQ(weft_go(tick, &blocker), 0);
    block(&blocker);
    blocker_close(&blocker);
    weft_read_stats(&after);
    if (weft_maxprocs(0) == 1)
        CHECK_GT(after.seizes, before.seizes);
}
