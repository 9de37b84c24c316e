/* SPDX-License-Identifier: MIT
 *
 * Timers that foreign threads set and stop just as the run ends, at moments that are held open
 * here.
 */
#include "harness/test.h"

#include <pthread.h>

static void
    *held_thread; /* atomic: whose next wi_timer_add waits; pthread_t is a pointer or a number */
static int at_gate, open_gate; /* atomic */
static weft_timer *timer;
static int calls; /* atomic */

static int load(int *value)
{
    return __atomic_load_n(value, __ATOMIC_ACQUIRE);
}

static void store(int *value, int to)
{
    __atomic_store_n(value, to, __ATOMIC_RELEASE);
}

static void count(void *arg)
{
    (void)arg;
    __atomic_add_fetch(&calls, 1, __ATOMIC_ACQ_REL);
}

/* ---- The windows ---- */

void __real_wi_timer_add(void *core_timer);
void __wrap_wi_timer_add(void *core_timer);

void __wrap_wi_timer_add(void *core_timer)
{
    void *self = (void *)(uintptr_t)pthread_self();
    if (__atomic_load_n(&held_thread, __ATOMIC_ACQUIRE) == self) {
        store(&at_gate, 1);
        while (!load(&open_gate))
            usleep(1000);
    }
    __real_wi_timer_add(core_timer);
}

/* The timers have been forgotten by then, and the next run is far away. */
static void (*before_threads_end)(void);

void __real_wi_m_end_all(void);
void __wrap_wi_m_end_all(void);

void __wrap_wi_m_end_all(void)
{
    if (before_threads_end)
        before_threads_end();
    __real_wi_m_end_all();
}

/* ---- Set too late ---- */

static void *set_late(void *arg)
{
    __atomic_store_n(&held_thread, (void *)(uintptr_t)pthread_self(), __ATOMIC_RELEASE);
    timer = weft_after_func(WEFT_MILLISECOND, count, NULL);
    CHECK(timer != NULL);
    return arg;
}

static pthread_t late;

static void start_late_thread(void)
{
    CHECK_EQ(pthread_create(&late, NULL, set_late, NULL), 0);
    CHECK_SOON(load(&at_gate));
}

static void wait_a_while(void)
{
    weft_sleep(20 * WEFT_MILLISECOND);
    CHECK_EQ(load(&calls), 0);
    CHECK_EQ(weft_timer_reset(timer, WEFT_MILLISECOND), 0);
    CHECK_SOON(load(&calls) == 1);
}

TEST(a_timer_set_after_the_run)
{
    test_in_runtime(2, start_late_thread);
    store(&open_gate, 1);
    CHECK_EQ(pthread_join(late, NULL), 0);
    __atomic_store_n(&held_thread, NULL, __ATOMIC_RELEASE);
    test_in_runtime(2, wait_a_while);
    weft_timer_free(timer);
}

/* ---- Stopped while the run ends ---- */

static weft_timer *timers[3];
static weft_ticker *ticker;
static weft_ctx *ctx;

static void leave_timers(void)
{
    for (int i = 0; i < 3; i++)
        timers[i] = weft_after_func(3600 * WEFT_SECOND, count, NULL);
    ticker = weft_ticker_new(3600 * WEFT_SECOND);
    ctx = weft_ctx_with_deadline(weft_ctx_background(), weft_after(3600 * WEFT_SECOND));
    CHECK(timers[2] && ticker && ctx);
}

static void drop_timers(void)
{
    before_threads_end = NULL;
    CHECK_EQ(weft_timer_stop(timers[0]), 0);
    CHECK_EQ(weft_timer_reset(timers[1], 1), -EPERM);
    for (int i = 0; i < 3; i++)
        weft_timer_free(timers[i]);
    weft_ticker_free(ticker);
    weft_ctx_unref(ctx);
    memset(timers, 0, sizeof timers); /* LeakSanitizer would find the memory still in use */
    ticker = NULL;
    ctx = NULL;
}

/* The harness would miss the memory. */
TEST(timers_freed_as_the_run_ends)
{
    before_threads_end = drop_timers;
    test_in_runtime(2, leave_timers);
}
