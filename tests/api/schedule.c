/* SPDX-License-Identifier: MIT
 *
 * Who runs when and where: every slot gets work, nobody starves, no wake-up is lost.
 */
#include "harness/test.h"

#include <sched.h>
#include <sys/syscall.h>

static int load(int *value)
{
    return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

static void store(int *value, int n)
{
    __atomic_store_n(value, n, __ATOMIC_RELEASE);
}

static void add(int *value, int n)
{
    __atomic_add_fetch(value, n, __ATOMIC_ACQ_REL);
}

static int thread_id(void)
{
    return (int)syscall(SYS_gettid);
}

/* ---- Every slot gets work ---- */

static int arrived; /* atomic */
static int expected;
static int tids[64];

/* Waits for the others without giving way, so that all must run at once. */
static void meet(void *unused)
{
    (void)unused;
    add(&arrived, 1);
    while (load(&arrived) < expected)
        sched_yield();
}

static void note_and_meet(void *index)
{
    tids[test_index(index)] = thread_id();
    meet(NULL);
}

/* They are all queued by one goroutine on one slot: the others have to steal them. */
TEST_PROCS(all_slots_work)
{
    expected = weft_maxprocs(0);
    for (int round = 0; round < 20; round++) {
        arrived = 0;
        test_each(expected, note_and_meet);
        for (int i = 0; i < expected; i++)
            for (int j = 0; j < i; j++)
                CHECK_NE(tids[i], tids[j]);
    }
}

/* The same when the work is started by goroutines that were started, so that it spreads. */
static void meet_in_pairs(void *index)
{
    if (test_index(index) % 2 == 0)
        test_each(1, meet);
    else
        meet(index);
}

TEST_PROCS(all_slots_work_nested)
{
    expected = weft_maxprocs(0);
    for (int round = 0; round < 20; round++) {
        arrived = 0;
        test_each(expected, meet_in_pairs);
    }
}

TEST(steals_are_counted)
{
    weft_stats before, after;
    weft_read_stats(&before);
    expected = 4;
    arrived = 0;
    weft_maxprocs(4);
    test_in_runtime(4, test_all_slots_work);
    weft_read_stats(&after);
    CHECK_GT(after.steals, before.steals);
}

/* ---- No wake-up is lost ---- */

static weft_chan *bell;
static int rung; /* atomic */

static void answer(void *arg)
{
    (void)arg;
    int round;
    while (weft_chan_recv(bell, &round) == 0)
        store(&rung, round);
}

/* The one who rings keeps its slot until another slot has run the one who answers. The pauses let
 * the other threads fall asleep, or be caught on the way. */
TEST_PROCS(ready_wakes_an_idle_slot)
{
    if (weft_maxprocs(0) == 1)
        return;
    bell = weft_chan_new(sizeof(int), 1);
    rung = 0;
    CHECK_EQ(weft_go(answer, NULL), 0);
    for (int round = 1; round <= 1000; round++) {
        CHECK_EQ(weft_chan_send(bell, &round), 0);
        while (load(&rung) != round)
            sched_yield();
        if (round % 4 == 0)
            weft_sleep((int64_t)test_random_below(200) * WEFT_MICROSECOND);
    }
    CHECK_EQ(weft_chan_close(bell), 0);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(bell);
}

static void ring(void *index)
{
    store(&rung, test_index(index));
}

TEST_PROCS(go_wakes_an_idle_slot)
{
    if (weft_maxprocs(0) == 1)
        return;
    for (int round = 1; round <= 1000; round++) {
        CHECK_EQ(weft_go(ring, (void *)(intptr_t)round), 0);
        while (load(&rung) != round)
            sched_yield();
        if (round % 4 == 0)
            weft_sleep((int64_t)test_random_below(200) * WEFT_MICROSECOND);
    }
}

/* ---- Fairness ---- */

static weft_chan *ping, *pong;
static int stop;   /* atomic */
static int rounds; /* atomic */

static void return_ball(void *arg)
{
    (void)arg;
    int ball;
    while (weft_chan_recv(ping, &ball) == 0)
        CHECK_EQ(weft_chan_send(pong, &ball), 0);
}

static void serve_ball(void *arg)
{
    (void)arg;
    for (int ball = 0; !load(&stop); ball++) {
        int back = -1;
        CHECK_EQ(weft_chan_send(ping, &ball), 0);
        CHECK_EQ(weft_chan_recv(pong, &back), 0);
        CHECK_EQ(back, ball);
        add(&rounds, 1);
    }
    CHECK_EQ(weft_chan_close(ping), 0);
}

static void start_pair(size_t capacity)
{
    stop = rounds = 0;
    ping = weft_chan_new(sizeof(int), capacity);
    pong = weft_chan_new(sizeof(int), capacity);
    CHECK_EQ(weft_go(return_ball, NULL), 0);
    CHECK_EQ(weft_go(serve_ball, NULL), 0);
}

static void stop_pair(void)
{
    store(&stop, 1);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(ping);
    weft_chan_unref(pong);
}

/* Each makes the other the next to run; those behind them in the queue must get their turn. */
static void third_gets_its_turn(size_t capacity)
{
    start_pair(capacity);
    while (load(&rounds) == 0)
        weft_yield();
    for (int i = 0; i < 20; i++)
        weft_yield();
    stop_pair();
}

TEST_PROCS(a_pair_does_not_starve_a_third)
{
    third_gets_its_turn(0);
}

TEST_PROCS(a_buffered_pair_does_not_starve_a_third)
{
    third_gets_its_turn(1);
}

TEST_PROCS(a_pair_does_not_starve_sleepers)
{
    start_pair(0);
    for (int i = 0; i < 20; i++)
        weft_sleep(WEFT_MILLISECOND);
    stop_pair();
}

static int turns[10]; /* atomic */

static void take_turns(void *index)
{
    int *mine = &turns[test_index(index)];
    while (!load(&stop)) {
        add(mine, 1);
        weft_yield();
    }
}

/* On one slot, those who yield run in turn: nobody gets far ahead. */
TEST_PROCS(yielders_take_turns)
{
    stop = 0;
    memset(turns, 0, sizeof turns);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(weft_go(take_turns, (void *)(intptr_t)i), 0);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 10; i++) {
            int before = load(&turns[i]);
            CHECK_SOON(load(&turns[i]) > before);
        }
    }
    if (weft_maxprocs(0) == 1)
        for (int i = 1; i < 10; i++)
            CHECK_LT(abs(load(&turns[i]) - load(&turns[0])), 100);
    store(&stop, 1);
    CHECK_SOON(weft_num_goroutine() == 1);
}

static void respawn(void *arg)
{
    (void)arg;
    add(&rounds, 1);
    if (!load(&stop))
        CHECK_EQ(weft_go(respawn, NULL), 0);
}

/* A chain in which each goroutine starts its successor, which runs next. */
TEST_PROCS(a_chain_of_spawns_does_not_starve_others)
{
    stop = rounds = 0;
    CHECK_EQ(weft_go(respawn, NULL), 0);
    while (load(&rounds) == 0)
        weft_yield();
    for (int i = 0; i < 20; i++)
        weft_sleep(WEFT_MILLISECOND);
    store(&stop, 1);
    CHECK_SOON(weft_num_goroutine() == 1);
}

/* One that never parks, but calls weft, gives way when its slice is over. */
TEST_PROCS(a_busy_one_gives_way)
{
    weft_chan *own = weft_chan_new(sizeof(int), 1);
    rung = 0;
    CHECK_EQ(weft_go(ring, (void *)1), 0);
    for (int value = 0; load(&rung) == 0; value++) {
        CHECK_EQ(weft_chan_send(own, &value), 0);
        CHECK_EQ(weft_chan_recv(own, NULL), 0);
    }
    weft_chan_unref(own);
}

/* Foreign submissions go through the global queue, which full local queues must not starve. */
TEST_PROCS(the_global_queue_is_served)
{
    stop = 0;
    memset(turns, 0, sizeof turns);
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(weft_go(take_turns, (void *)(intptr_t)(i % 10)), 0);
    for (int i = 0; i < 10; i++)
        CHECK_SOON(load(&turns[i]) > 10);
    store(&stop, 1);
    CHECK_SOON(weft_num_goroutine() == 1);
}
