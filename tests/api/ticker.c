/* SPDX-License-Identifier: MIT
 *
 * Tickers. As in timers.c nothing is early, and nothing is asked to be punctual.
 */
#include "harness/test.h"

#include <pthread.h>

#define HOUR (3600 * WEFT_SECOND)

static weft_ticker *start(int64_t period)
{
    weft_ticker *ticker = weft_ticker_new(period);
    CHECK(ticker != NULL);
    return ticker;
}

static int64_t next(weft_ticker *ticker)
{
    int64_t tick;
    CHECK_EQ(weft_chan_recv(weft_ticker_chan(ticker), &tick), 0);
    CHECK_LE(tick, weft_now());
    return tick;
}

static void check_no_tick(weft_ticker *ticker)
{
    CHECK_EQ(weft_chan_recv_until(weft_ticker_chan(ticker), NULL, WEFT_NOWAIT), -EAGAIN);
}

/* Ticks come at multiples of the period after the start, or later, and no two for the same one. */
TEST_PROCS(ticks)
{
    int64_t periods[] = {WEFT_MILLISECOND, 100 * WEFT_MICROSECOND, 7 * WEFT_MICROSECOND};
    for (int i = 0; i < 3; i++) {
        int64_t before = weft_now();
        weft_ticker *ticker = start(periods[i]);
        CHECK_EQ(weft_chan_cap(weft_ticker_chan(ticker)), 1);
        int64_t last = before;
        for (int n = 1; n <= 50; n++) {
            int64_t tick = next(ticker);
            CHECK_GE(tick, before + n * periods[i]);
            CHECK_GE(tick, last);
            last = tick;
        }
        weft_ticker_free(ticker);
    }
}

/* Who is slow gets one old tick, and then the next one in time: no burst. */
TEST_PROCS(missed_ticks_are_dropped)
{
    int64_t before = weft_now();
    weft_ticker *ticker = start(2 * WEFT_MILLISECOND);
    weft_sleep(50 * WEFT_MILLISECOND);
    CHECK_EQ(weft_chan_len(weft_ticker_chan(ticker)), 1);
    int64_t woken = weft_now();
    CHECK_GE(next(ticker), before + 2 * WEFT_MILLISECOND);
    int64_t second = next(ticker);
    int64_t third = next(ticker);
    CHECK_GE(second, woken - 2 * WEFT_MILLISECOND);
    CHECK_GE(third, second);
    weft_ticker_free(ticker);
}

TEST_PROCS(a_long_period)
{
    int64_t periods[] = {HOUR, INT64_MAX / 2, INT64_MAX};
    for (int i = 0; i < 3; i++) {
        weft_ticker *ticker = start(periods[i]);
        check_no_tick(ticker);
        CHECK_EQ(weft_ticker_reset(ticker, WEFT_MICROSECOND), 0);
        next(ticker);
        CHECK_EQ(weft_ticker_reset(ticker, periods[i]), 0);
        weft_sleep(WEFT_MILLISECOND);
        check_no_tick(ticker);
        weft_ticker_free(ticker);
    }
}

/* The shortest period leaves the others their turn, with one P too. */
static int yields; /* atomic */

static void yield_often(void *index)
{
    (void)index;
    for (int i = 0; i < 2000; i++) {
        weft_yield();
        __atomic_add_fetch(&yields, 1, __ATOMIC_RELAXED);
    }
}

TEST_PROCS(a_short_period)
{
    yields = 0;
    weft_ticker *ticker = start(1);
    weft_ticker *second = start(1);
    test_each(10, yield_often);
    CHECK_EQ(yields, 20000);
    for (int i = 0; i < 1000; i++)
        next(i % 2 ? ticker : second);
    weft_sleep(WEFT_MILLISECOND);
    CHECK_EQ(weft_ticker_stop(second), 0);
    check_no_tick(second);
    weft_ticker_free(ticker);
    weft_ticker_free(second);
}

TEST_PROCS(stop_leaves_no_tick)
{
    for (int i = 0; i < 200; i++) {
        weft_ticker *ticker = start((1 + i % 50) * WEFT_MICROSECOND);
        if (i % 3)
            next(ticker);
        if (i % 2)
            weft_sleep(i * WEFT_MICROSECOND);
        CHECK_EQ(weft_ticker_stop(ticker), 0);
        check_no_tick(ticker);
        CHECK_EQ(weft_ticker_stop(ticker), 0);
        weft_sleep(100 * WEFT_MICROSECOND);
        check_no_tick(ticker);
        weft_ticker_free(ticker);
    }
}

TEST_PROCS(reset_leaves_no_tick)
{
    weft_ticker *ticker = start(WEFT_MICROSECOND);
    for (int i = 0; i < 200; i++) {
        if (i % 2)
            weft_sleep(i * WEFT_MICROSECOND);
        int64_t before = weft_now();
        CHECK_EQ(weft_ticker_reset(ticker, i % 4 ? WEFT_MILLISECOND : HOUR), 0);
        if (i % 4 == 0)
            check_no_tick(ticker);
        else
            CHECK_GE(next(ticker), before + WEFT_MILLISECOND);
        CHECK_EQ(weft_ticker_reset(ticker, WEFT_MICROSECOND), 0);
    }
    weft_ticker_free(ticker);
}

TEST_PROCS(reset_after_stop)
{
    weft_ticker *ticker = start(HOUR);
    CHECK_EQ(weft_ticker_stop(ticker), 0);
    int64_t before = weft_now();
    CHECK_EQ(weft_ticker_reset(ticker, 5 * WEFT_MILLISECOND), 0);
    CHECK_GE(next(ticker), before + 5 * WEFT_MILLISECOND);
    CHECK_GE(next(ticker), before + 10 * WEFT_MILLISECOND);
    weft_ticker_free(ticker);
}

TEST_PROCS(tick_in_a_select)
{
    weft_ticker *ticker = start(WEFT_MILLISECOND);
    weft_chan *never = weft_chan_new(8, 0);
    int64_t tick = 0;
    weft_case cases[] = {{.chan = never, .recv = &tick},
                         {.chan = weft_ticker_chan(ticker), .recv = &tick}};
    for (int i = 0; i < 10; i++) {
        CHECK_EQ(weft_select(cases, 2, WEFT_FOREVER), 1);
        CHECK(tick != 0 && tick <= weft_now());
        tick = 0;
    }
    weft_ticker_free(ticker);
    weft_chan_unref(never);
}

TEST_PROCS(ticker_bad_arguments)
{
    CHECK(weft_ticker_new(0) == NULL);
    CHECK(weft_ticker_new(-1) == NULL);
    CHECK(weft_ticker_new(INT64_MIN) == NULL);
    CHECK(weft_ticker_chan(NULL) == NULL);
    CHECK_EQ(weft_ticker_stop(NULL), -EINVAL);
    CHECK_EQ(weft_ticker_reset(NULL, 1), -EINVAL);
    weft_ticker_free(NULL);
    weft_ticker *ticker = start(WEFT_MILLISECOND);
    CHECK_EQ(weft_ticker_reset(ticker, 0), -EINVAL);
    CHECK_EQ(weft_ticker_reset(ticker, -1), -EINVAL);
    next(ticker);
    weft_ticker_free(ticker);
}

/* The channel may outlive its ticker; what the user does to it does no harm. */
TEST_PROCS(the_channel_is_the_users_too)
{
    weft_ticker *ticker = start(10 * WEFT_MICROSECOND);
    weft_chan *chan = weft_chan_ref(weft_ticker_chan(ticker));
    int64_t tick = 1;
    for (int i = 0; i < 100; i++)
        CHECK_LE(weft_chan_send_until(chan, &tick, WEFT_NOWAIT), 0);
    CHECK_EQ(weft_chan_close(chan), 0);
    weft_sleep(WEFT_MILLISECOND);
    CHECK_EQ(weft_ticker_stop(ticker), 0);
    CHECK_EQ(weft_ticker_reset(ticker, 10 * WEFT_MICROSECOND), 0);
    weft_sleep(WEFT_MILLISECOND);
    weft_ticker_free(ticker);
    CHECK_EQ(weft_chan_recv(chan, &tick), -EPIPE);
    weft_chan_unref(chan);
}

/* ---- Tickers and runs ---- */

static weft_ticker *left, *full, *stopped;

static void leave_tickers(void)
{
    left = start(HOUR);
    full = start(WEFT_MICROSECOND);
    stopped = start(WEFT_MICROSECOND);
    CHECK_SOON(weft_chan_len(weft_ticker_chan(full)) == 1);
    CHECK_EQ(weft_ticker_stop(stopped), 0);
}

static void go_on(void)
{
    weft_sleep(5 * WEFT_MILLISECOND);
    check_no_tick(left);
    check_no_tick(full);
    CHECK_EQ(weft_ticker_reset(left, WEFT_MILLISECOND), 0);
    CHECK_EQ(weft_ticker_reset(stopped, WEFT_MILLISECOND), 0);
    for (int i = 0; i < 10; i++) {
        next(left);
        next(stopped);
    }
}

TEST(tickers_end_with_the_run)
{
    CHECK(weft_ticker_new(HOUR) == NULL);
    test_in_runtime(2, leave_tickers);
    CHECK_EQ(weft_ticker_reset(left, 1), -EPERM);
    CHECK_EQ(weft_ticker_reset(full, 0), -EINVAL);
    int64_t tick;
    CHECK_EQ(weft_chan_recv_until(weft_ticker_chan(full), &tick, WEFT_NOWAIT), 0);
    CHECK_EQ(weft_ticker_stop(full), 0);
    check_no_tick(full);
    test_in_runtime(8, go_on);
    weft_ticker_free(left);
    weft_ticker_free(full);
    weft_ticker_free(stopped);
}

static void *use_in_thread(void *arg)
{
    int64_t before = weft_now();
    weft_ticker *ticker = start(WEFT_MILLISECOND);
    for (int i = 1; i <= 5; i++)
        CHECK_GE(next(ticker), before + i * WEFT_MILLISECOND);
    CHECK_EQ(weft_ticker_stop(ticker), 0);
    check_no_tick(ticker);
    CHECK_EQ(weft_ticker_reset(ticker, WEFT_MICROSECOND), 0);
    next(ticker);
    weft_ticker_free(ticker);
    return arg;
}

TEST_PROCS(foreign_threads_use_tickers)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, use_in_thread, NULL), 0);
    weft_blocking_begin();
    for (int i = 0; i < 4; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    weft_blocking_end();
}

/* ---- Races ---- */

enum { TICKERS = 4 };

static struct shared {
    weft_mutex
        mutex; /* one changes it at a time, so that the others' changes are not seen as its own */
    weft_ticker *ticker;
} shared[TICKERS];

static int ended; /* atomic */

/* Nobody else changes the ticker meanwhile: what comes after a stop is stale. */
static void stop_and_reset(void *index)
{
    (void)index;
    for (int i = 0; i < 1000 / test_scale(); i++) {
        struct shared *s = &shared[test_random_below(TICKERS)];
        weft_mutex_lock(&s->mutex);
        if (test_random_below(2)) {
            CHECK_EQ(weft_ticker_stop(s->ticker), 0);
            for (int n = 0; n < 20; n++) {
                check_no_tick(s->ticker);
                if (n % 4 == 0)
                    weft_yield();
            }
        }
        CHECK_EQ(weft_ticker_reset(s->ticker, 1 + (int64_t)test_random_below(30000)), 0);
        weft_mutex_unlock(&s->mutex);
        weft_sleep((int64_t)test_random_below(50) * WEFT_MICROSECOND);
    }
    __atomic_add_fetch(&ended, 1, __ATOMIC_ACQ_REL);
}

TEST_PROCS(no_stale_tick_under_races)
{
    ended = 0;
    for (int i = 0; i < TICKERS; i++)
        shared[i].ticker = start(WEFT_MICROSECOND);
    test_each(6, stop_and_reset);
    CHECK_EQ(ended, 6);
    for (int i = 0; i < TICKERS; i++)
        weft_ticker_free(shared[i].ticker);
}

static void come_and_go(void *index)
{
    (void)index;
    for (int i = 0; i < 500; i++) {
        weft_ticker *ticker = start(1 + (int64_t)test_random_below(20000));
        weft_chan *chan = weft_chan_ref(weft_ticker_chan(ticker));
        if (test_random_below(2))
            CHECK_EQ(weft_chan_recv(chan, NULL), 0);
        if (test_random_below(2))
            weft_sleep((int64_t)test_random_below(20) * WEFT_MICROSECOND);
        weft_ticker_free(ticker);
        CHECK_EQ(weft_chan_recv_until(chan, NULL, WEFT_NOWAIT), -EAGAIN);
        weft_chan_unref(chan);
    }
}

TEST_PROCS(tickers_come_and_go)
{
    test_each(8, come_and_go);
}
