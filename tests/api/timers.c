/* SPDX-License-Identifier: MIT
 *
 * The clock, sleeping, and timers. Nothing here asks how late something is, only that it is never
 * early.
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

TEST(clock_and_deadlines)
{
    int64_t now = weft_now();
    CHECK_GT(now, 0);
    CHECK_GE(weft_now(), now);
    CHECK_GE(weft_after(WEFT_SECOND), now + WEFT_SECOND);
    CHECK_LE(weft_after(-1), weft_now() - 1);
    CHECK_EQ(weft_after(WEFT_FOREVER), WEFT_FOREVER);
    CHECK_EQ(weft_after(WEFT_FOREVER - 1), WEFT_FOREVER);
    CHECK_LT(weft_after(INT64_MIN), now);
    CHECK(weft_after(INT64_MIN) != WEFT_NOWAIT || now < 0);
}

/* ---- Sleeping ---- */

static int woken; /* atomic */

static void sleep_a_while(void *index)
{
    int64_t duration = (int64_t)test_random_below(50) * WEFT_MILLISECOND + test_index(index);
    int64_t start = weft_now();
    CHECK_EQ(weft_sleep(duration), 0);
    CHECK_GE(weft_now(), start + duration);
    int64_t deadline = weft_after(duration / 2);
    CHECK_EQ(weft_sleep_until(deadline), 0);
    CHECK_GE(weft_now(), deadline);
    add(&woken, 1);
}

TEST_PROCS(sleep_is_never_short)
{
    woken = 0;
    test_each(500, sleep_a_while);
    CHECK_EQ(woken, 500);
}

TEST_PROCS(sleep_without_need)
{
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(weft_sleep(0), 0);
        CHECK_EQ(weft_sleep(-1), 0);
        CHECK_EQ(weft_sleep(INT64_MIN), 0);
        CHECK_EQ(weft_sleep_until(0), 0);
        CHECK_EQ(weft_sleep_until(weft_now()), 0);
        CHECK_EQ(weft_sleep_until(WEFT_NOWAIT), 0);
    }
}

static void sleep_long(void *arg)
{
    (void)arg;
    add(&woken, 1);
    weft_sleep(3600 * WEFT_SECOND);
    FAIL("an hour has passed");
}

static void sleep_for_ever(void *arg)
{
    (void)arg;
    add(&woken, 1);
    weft_sleep(WEFT_FOREVER);
    FAIL("for ever has passed");
}

TEST_PROCS(sleepers_hold_no_threads, .leaks = TEST_LEAKS_MEMORY, .timeout = 120)
{
    int n = test_many(100000);
    woken = 0;
    for (int i = 0; i < n; i++)
        CHECK_EQ(weft_go(i % 2 ? sleep_long : sleep_for_ever, NULL), 0);
    CHECK_SOON(load(&woken) == n);
    CHECK_LE(weft_num_thread(), 2 + TEST_TSAN + 2 * weft_maxprocs(0));
    CHECK_EQ(weft_num_goroutine(), n + 1);
}

static void sleep_shortly(void *index)
{
    int64_t deadline = weft_after((test_index(index) * 7919 % 300) * WEFT_MILLISECOND);
    CHECK_EQ(weft_sleep_until(deadline), 0);
    CHECK_GE(weft_now(), deadline);
    add(&woken, 1);
}

TEST_PROCS(many_sleepers_wake, .leaks = TEST_LEAKS_MEMORY, .timeout = 120)
{
    int n = test_many(100000);
    woken = 0;
    test_each(n, sleep_shortly);
    CHECK_EQ(woken, n);
}

static int order[5];

static void note_order(void *index)
{
    weft_sleep((1 + (test_index(index) * 3) % 5) * 100 * WEFT_MILLISECOND);
    order[add(&woken, 1) - 1] = (test_index(index) * 3) % 5;
}

/* A machine that stands still for 100 ms makes several due at once, and then order does not matter;
 * it will not do that five times in a row. */
TEST_PROCS(sleepers_wake_in_order)
{
    for (int attempt = 0; attempt < 5; attempt++) {
        woken = 0;
        test_each(5, note_order);
        int wrong = 0;
        for (int i = 0; i < 5; i++)
            wrong += order[i] != i;
        if (!wrong)
            return;
    }
    FAIL("sleepers woke out of order five times");
}

/* A timer that is set later, for earlier, interrupts a wait for a later one. */
TEST_PROCS(an_earlier_timer_is_noticed)
{
    woken = 0;
    for (int i = 0; i < 100; i++)
        CHECK_EQ(weft_go(sleep_long, NULL), 0);
    CHECK_SOON(load(&woken) == 100);
    for (int i = 0; i < 20; i++) {
        woken = 0;
        test_each(5, sleep_a_while);
    }
}

static void *sleep_in_thread(void *arg)
{
    int64_t start = weft_now();
    CHECK_EQ(weft_sleep(20 * WEFT_MILLISECOND), 0);
    CHECK_GE(weft_now(), start + 20 * WEFT_MILLISECOND);
    CHECK_EQ(weft_sleep_until(start), 0);
    return arg;
}

TEST_PROCS(foreign_threads_sleep)
{
    pthread_t threads[10];
    for (int i = 0; i < 10; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, sleep_in_thread, NULL), 0);
    weft_blocking_begin();
    for (int i = 0; i < 10; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    weft_blocking_end();
}

/* ---- Calls at a time ---- */

static int calls; /* atomic */
static uint64_t caller;
static int64_t due; /* atomic */

static void note_call(void *arg)
{
    CHECK(arg == &calls);
    CHECK_GE(weft_now(), __atomic_load_n(&due, __ATOMIC_ACQUIRE));
    caller = weft_id();
    weft_yield(); /* It is a goroutine like any other. */
    weft_sleep(WEFT_MICROSECOND);
    add(&calls, 1);
}

static weft_timer *call_after(int64_t duration)
{
    calls = 0;
    __atomic_store_n(&due, weft_after(duration), __ATOMIC_RELEASE);
    weft_timer *timer = weft_after_func(duration, note_call, &calls);
    CHECK(timer != NULL);
    return timer;
}

TEST_PROCS(after_func_calls_once)
{
    static const int64_t durations[] = {20 * WEFT_MILLISECOND, WEFT_MICROSECOND, 0, -1, INT64_MIN};
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        weft_timer *timer = call_after(durations[i]);
        CHECK_SOON(load(&calls) == 1);
        CHECK(caller != 0 && caller != weft_id());
        weft_sleep(5 * WEFT_MILLISECOND);
        CHECK_EQ(load(&calls), 1);
        CHECK_EQ(weft_timer_stop(timer), 0);
        weft_timer_free(timer);
    }
}

TEST_PROCS(stop_prevents_the_call)
{
    weft_timer *timer = call_after(30 * WEFT_MILLISECOND);
    CHECK_EQ(weft_timer_stop(timer), 1);
    CHECK_EQ(weft_timer_stop(timer), 0);
    weft_sleep(60 * WEFT_MILLISECOND);
    CHECK_EQ(load(&calls), 0);
    weft_timer_free(timer);
}

TEST_PROCS(reset_moves_the_call)
{
    weft_timer *timer = call_after(3600 * WEFT_SECOND);
    __atomic_store_n(&due, weft_after(20 * WEFT_MILLISECOND), __ATOMIC_RELEASE);
    CHECK_EQ(weft_timer_reset(timer, 20 * WEFT_MILLISECOND), 1);
    CHECK_SOON(load(&calls) == 1);
    /* One that has gone off is set anew. */
    CHECK_EQ(weft_timer_reset(timer, WEFT_MILLISECOND), 0);
    CHECK_SOON(load(&calls) == 2);
    /* And one that was stopped. */
    CHECK_EQ(weft_timer_reset(timer, 3600 * WEFT_SECOND), 0);
    CHECK_EQ(weft_timer_stop(timer), 1);
    CHECK_EQ(weft_timer_reset(timer, 0), 0);
    CHECK_SOON(load(&calls) == 3);
    weft_timer_free(timer);
}

TEST_PROCS(a_later_reset_delays_the_call)
{
    weft_timer *timer = call_after(30 * WEFT_MILLISECOND);
    for (int i = 0; i < 10; i++) {
        __atomic_store_n(&due, weft_after(40 * WEFT_MILLISECOND), __ATOMIC_RELEASE);
        if (weft_timer_reset(timer, 40 * WEFT_MILLISECOND) == 0)
            break; /* This machine is so slow that it has gone off. */
        weft_sleep(10 * WEFT_MILLISECOND);
    }
    CHECK_SOON(load(&calls) > 0);
    weft_timer_stop(timer);
    weft_timer_free(timer);
}

TEST_PROCS(free_prevents_the_call)
{
    for (int i = 0; i < 100; i++)
        weft_timer_free(call_after(20 * WEFT_MILLISECOND));
    weft_sleep(40 * WEFT_MILLISECOND);
    CHECK_EQ(load(&calls), 0);
}

TEST_PROCS(timers_bad_arguments)
{
    CHECK(weft_after_func(0, NULL, NULL) == NULL);
    CHECK_EQ(weft_timer_stop(NULL), -EINVAL);
    CHECK_EQ(weft_timer_reset(NULL, 0), -EINVAL);
    weft_timer_free(NULL);
    weft_timer *timer = call_after(WEFT_FOREVER);
    CHECK_EQ(weft_timer_stop(timer), 1);
    weft_timer_free(timer);
}

static weft_timer *left, *fired, *stopped;

static void leave_timers(void)
{
    fired = call_after(0);
    CHECK_SOON(load(&calls) == 1);
    left = call_after(50 * WEFT_MILLISECOND);
    stopped = call_after(3600 * WEFT_SECOND);
    CHECK_EQ(weft_timer_stop(stopped), 1);
}

static void wait_and_see(void)
{
    weft_sleep(100 * WEFT_MILLISECOND);
    CHECK_EQ(load(&calls), 0);
    __atomic_store_n(&due, 0, __ATOMIC_RELEASE);
    CHECK_EQ(weft_timer_reset(left, WEFT_MILLISECOND), 0);
    CHECK_SOON(load(&calls) == 1);
}

/* "The timer ends with the runtime; the object must be freed." */
TEST(timers_end_with_the_run)
{
    test_in_runtime(2, leave_timers);
    CHECK_EQ(weft_timer_reset(left, 0), -EPERM);
    CHECK_EQ(weft_timer_stop(left), 0);
    CHECK_EQ(weft_timer_stop(fired), 0);
    weft_timer_free(fired);
    weft_timer_free(stopped);
    calls = 0;
    test_in_runtime(2, wait_and_see);
    weft_timer_free(left);
}

static void *use_timer(void *arg)
{
    weft_timer *timer = call_after(3600 * WEFT_SECOND);
    CHECK_EQ(weft_timer_reset(timer, 3600 * WEFT_SECOND), 1);
    CHECK_EQ(weft_timer_stop(timer), 1);
    __atomic_store_n(&due, weft_after(WEFT_MILLISECOND), __ATOMIC_RELEASE);
    CHECK_EQ(weft_timer_reset(timer, WEFT_MILLISECOND), 0);
    CHECK_SOON(load(&calls) == 1);
    weft_timer_free(timer);
    return arg;
}

TEST_PROCS(foreign_threads_use_timers)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, use_timer, NULL), 0);
    weft_blocking_begin();
    CHECK_EQ(pthread_join(thread, NULL), 0);
    weft_blocking_end();
}

/* ---- Races: what stop and reset say adds up with the calls that are made ---- */

enum { TIMERS = 8, HANDS = 8 };

static struct {
    weft_timer *timer;
    int set;       /* atomic: how often it was set */
    int prevented; /* atomic: how often a call was stopped or replaced */
    int made;      /* atomic */
} raced[TIMERS];

static void raced_call(void *index)
{
    add(&raced[test_index(index)].made, 1);
}

static void race(void *unused)
{
    (void)unused;
    for (int i = 0; i < 2000; i++) {
        int n = (int)test_random_below(TIMERS);
        int result;
        switch (test_random_below(4)) {
        case 0:
            result = weft_timer_stop(raced[n].timer);
            CHECK(result == 0 || result == 1);
            add(&raced[n].prevented, result);
            break;
        case 1:
            weft_sleep((int64_t)test_random_below(50) * WEFT_MICROSECOND);
            break;
        default:
            result = weft_timer_reset(raced[n].timer,
                                      (int64_t)test_random_below(100) * WEFT_MICROSECOND);
            CHECK(result == 0 || result == 1);
            add(&raced[n].prevented, result);
            add(&raced[n].set, 1);
        }
    }
}

TEST_PROCS(stop_and_reset_add_up)
{
    memset(raced, 0, sizeof raced);
    for (int i = 0; i < TIMERS; i++) {
        raced[i].set = 1;
        raced[i].timer = weft_after_func(0, raced_call, (void *)(intptr_t)i);
        CHECK(raced[i].timer != NULL);
    }
    test_each(HANDS, race);
    for (int i = 0; i < TIMERS; i++) {
        add(&raced[i].prevented, weft_timer_stop(raced[i].timer));
        CHECK_SOON(load(&raced[i].made) == raced[i].set - raced[i].prevented);
        weft_timer_free(raced[i].timer);
    }
    weft_sleep(5 * WEFT_MILLISECOND);
    for (int i = 0; i < TIMERS; i++)
        CHECK_EQ(load(&raced[i].made), raced[i].set - raced[i].prevented);
}

static void make_and_free(void *unused)
{
    (void)unused;
    for (int i = 0; i < 500; i++) {
        weft_timer *timer =
            weft_after_func((int64_t)test_random_below(100) * WEFT_MICROSECOND, raced_call, NULL);
        CHECK(timer != NULL);
        if (test_random_below(2))
            weft_sleep((int64_t)test_random_below(100) * WEFT_MICROSECOND);
        weft_timer_free(timer);
    }
}

TEST_PROCS(free_at_any_time)
{
    test_each(HANDS, make_and_free);
    CHECK_SOON(weft_num_goroutine() == 1);
}
