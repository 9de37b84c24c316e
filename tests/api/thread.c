/* SPDX-License-Identifier: MIT
 *
 * Goroutines and threads: pinning, and migration without it.
 */
#include "harness/test.h"

#include <sys/syscall.h>

static int load(int *value)
{
    return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

static int add(int *value, int n)
{
    return __atomic_add_fetch(value, n, __ATOMIC_ACQ_REL);
}

static void store(int *value, int n)
{
    __atomic_store_n(value, n, __ATOMIC_RELEASE);
}

static int thread_id(void)
{
    return (int)syscall(SYS_gettid);
}

static bool thread_exists(int tid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d", tid);
    return access(path, F_OK) == 0;
}

/* ---- Something for the others to do, that moves goroutines about ---- */

static int stop; /* atomic */

static void stir(void *arg)
{
    while (!load(&stop)) {
        switch (test_random_below(4)) {
        case 0:
            weft_sleep((int64_t)test_random_below(100) * WEFT_MICROSECOND);
            break;
        case 1:
            weft_blocking_begin();
            usleep(20);
            weft_blocking_end();
            break;
        default:
            weft_yield();
        }
    }
    (void)arg;
}

static void start_stirring(void)
{
    stop = 0;
    for (int i = 0; i < 20; i++)
        CHECK_EQ(weft_go(stir, NULL), 0);
}

static void stop_stirring(void)
{
    store(&stop, 1);
    CHECK_SOON(weft_num_goroutine() == 1);
}

/* Parks in one of the ways there are. */
static void park_somehow(weft_chan *tick)
{
    switch (test_random_below(5)) {
    case 0:
        weft_sleep((int64_t)test_random_below(200) * WEFT_MICROSECOND);
        break;
    case 1:
        weft_blocking_begin();
        usleep(100);
        weft_blocking_end();
        break;
    case 2:
        CHECK_EQ(weft_chan_recv(tick, NULL), 0);
        break;
    default:
        weft_yield();
    }
}

static void send_ticks(void *arg)
{
    while (weft_chan_send(arg, NULL) == 0)
        weft_yield();
    weft_chan_unref(arg);
}

static weft_chan *start_ticks(void)
{
    weft_chan *tick = weft_chan_new(0, 0);
    CHECK(tick != NULL);
    CHECK_EQ(weft_go(send_ticks, weft_chan_ref(tick)), 0);
    return tick;
}

static void stop_ticks(weft_chan *tick)
{
    CHECK_EQ(weft_chan_close(tick), 0);
    weft_chan_unref(tick);
}

/* ---- Pinned ---- */

static void stay(void *unused)
{
    (void)unused;
    weft_chan *tick = start_ticks();
    weft_lock_os_thread();
    int tid = thread_id();
    for (int i = 0; i < 200; i++) {
        park_somehow(tick);
        CHECK_EQ(thread_id(), tid);
    }
    weft_unlock_os_thread();
    stop_ticks(tick);
}

TEST_PROCS(a_pinned_one_stays)
{
    start_stirring();
    test_each(1, stay);
    stop_stirring();
}

TEST_PROCS(many_pinned_ones_stay)
{
    start_stirring();
    test_each(20, stay);
    stop_stirring();
}

TEST_PROCS(a_pinned_main_stays)
{
    start_stirring();
    stay(NULL);
    stop_stirring();
}

static int owner; /* atomic: the thread that is pinned */

static void keep_off(void *unused)
{
    (void)unused;
    for (int i = 0; i < 200; i++) {
        int tid = load(&owner);
        /* Read before and after, since the pin may come or go in between. */
        if (tid && thread_id() == tid)
            CHECK_NE(load(&owner), tid);
        weft_yield();
    }
}

static void own(void *unused)
{
    (void)unused;
    for (int i = 0; i < 50; i++) {
        weft_lock_os_thread();
        store(&owner, thread_id());
        weft_sleep(50 * WEFT_MICROSECOND);
        weft_yield();
        store(&owner, 0);
        weft_unlock_os_thread();
        weft_yield();
    }
}

static void own_or_keep_off(void *index)
{
    if (test_index(index) == 0)
        own(NULL);
    else
        keep_off(NULL);
}

TEST_PROCS(nothing_else_runs_there)
{
    owner = 0;
    test_each(10, own_or_keep_off);
}

static void note_thread(void *arg)
{
    store(arg, thread_id());
}

TEST_PROCS(children_are_not_pinned)
{
    weft_lock_os_thread();
    for (int i = 0; i < 50; i++) {
        int child = 0;
        CHECK_EQ(weft_go(note_thread, &child), 0);
        CHECK_SOON(load(&child) != 0);
        CHECK_NE(load(&child), thread_id());
    }
    weft_unlock_os_thread();
}

/* ---- Counting ---- */

static bool moves(int attempts)
{
    int tid = thread_id();
    for (int i = 0; i < attempts && thread_id() == tid; i++) {
        weft_blocking_begin();
        usleep(200);
        weft_blocking_end();
        weft_yield();
    }
    return thread_id() != tid;
}

TEST_PROCS(pins_are_counted)
{
    start_stirring();
    weft_lock_os_thread();
    weft_lock_os_thread();
    weft_lock_os_thread();
    CHECK(!moves(100));
    weft_unlock_os_thread();
    CHECK(!moves(100));
    weft_unlock_os_thread();
    CHECK(!moves(100));
    weft_unlock_os_thread();
    CHECK(moves(10000));
    stop_stirring();
}

TEST_PROCS(an_unpinned_one_moves)
{
    start_stirring();
    for (int i = 0; i < 20; i++)
        CHECK(moves(10000));
    stop_stirring();
}

/* Yields and sleeps alone move it too, where there is more than one slot. */
TEST_PROCS(an_unpinned_one_moves_without_blocking)
{
    if (weft_maxprocs(0) == 1)
        return;
    start_stirring();
    int tid = thread_id();
    for (int i = 0; thread_id() == tid; i++) {
        CHECK_LT(i, 100000);
        weft_sleep(WEFT_MICROSECOND);
    }
    stop_stirring();
}

/* ---- The end of a pinned one ---- */

static int ended_thread; /* atomic */

static void end_pinned(void *index)
{
    weft_lock_os_thread();
    if (test_index(index) % 2)
        weft_lock_os_thread();
    weft_sleep(WEFT_MICROSECOND);
    store(&ended_thread, thread_id());
    if (test_index(index) % 4 > 1)
        weft_exit();
}

TEST_PROCS(ending_pinned_ends_the_thread)
{
    for (int i = 0; i < 20; i++) {
        store(&ended_thread, 0);
        CHECK_EQ(weft_go(end_pinned, (void *)(intptr_t)i), 0);
        CHECK_SOON(load(&ended_thread) != 0);
        CHECK_SOON(!thread_exists(load(&ended_thread)));
    }
}

static void end_pinned_together(void *index)
{
    weft_lock_os_thread();
    if (test_index(index) % 3 == 0)
        weft_yield();
}

/* weft keeps the memory of its Ms. */
TEST_PROCS(threads_do_not_pile_up, .leaks = TEST_LEAKS_MEMORY)
{
    test_each(200, end_pinned_together);
    CHECK_SOON(weft_num_thread() <= 2 + TEST_TSAN + 2 * weft_maxprocs(0));
}

static void end_unpinned(void *arg)
{
    weft_lock_os_thread();
    weft_yield();
    weft_unlock_os_thread();
    store(arg, thread_id());
}

/* Its memory is used again, without the pin. */
TEST_PROCS(no_pin_is_inherited)
{
    for (int i = 0; i < 100; i++) {
        int tid = 0;
        CHECK_EQ(weft_go(end_pinned, (void *)(intptr_t)i), 0);
        CHECK_EQ(weft_go(end_unpinned, &tid), 0);
        CHECK_SOON(load(&tid) != 0);
    }
    CHECK_SOON(weft_num_goroutine() == 1);
    start_stirring();
    CHECK(moves(10000));
    stop_stirring();
}

/* Two pinned goroutines hand over to each other: each time one thread must wake the other. */
static weft_chan *there, *back;
static int laps;

static void return_it(void *unused)
{
    (void)unused;
    int value;
    weft_lock_os_thread();
    int tid = thread_id();
    while (weft_chan_recv(there, &value) == 0) {
        CHECK_EQ(weft_chan_send(back, &value), 0);
        CHECK_EQ(thread_id(), tid);
    }
    add(&laps, 1);
}

TEST_PROCS(pinned_ones_hand_over)
{
    there = weft_chan_new(sizeof(int), 0);
    back = weft_chan_new(sizeof(int), 0);
    laps = 0;
    CHECK_EQ(weft_go(return_it, NULL), 0);
    weft_lock_os_thread();
    for (int i = 0; i < 2000; i++) {
        int value = -1;
        CHECK_EQ(weft_chan_send(there, &i), 0);
        CHECK_EQ(weft_chan_recv(back, &value), 0);
        CHECK_EQ(value, i);
    }
    weft_unlock_os_thread();
    CHECK_EQ(weft_chan_close(there), 0);
    CHECK_SOON(load(&laps) == 1);
    weft_chan_unref(there);
    weft_chan_unref(back);
}
