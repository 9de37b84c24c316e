/* SPDX-License-Identifier: MIT
 *
 * The waitgroup, from goroutines and from foreign threads.
 */
#include "harness/test.h"

#include <pthread.h>

TEST(zero_is_done)
{
    weft_waitgroup wg = {0};
    weft_waitgroup_wait(&wg);
    CHECK_EQ(weft_waitgroup_wait_until(&wg, WEFT_NOWAIT), 0);
    CHECK_EQ(weft_waitgroup_wait_until(&wg, 0), 0);
    CHECK_EQ(weft_waitgroup_wait_until(&wg, WEFT_FOREVER), 0);
    weft_waitgroup_add(&wg, 0);
    weft_waitgroup_wait(&wg);
}

static void adds_and_deadlines(void)
{
    weft_waitgroup wg = {0};
    weft_waitgroup_add(&wg, 5);
    weft_waitgroup_add(&wg, -3);
    weft_waitgroup_add(&wg, 0);
    int64_t start = weft_now(), duration = 3 * WEFT_MILLISECOND;
    CHECK_EQ(weft_waitgroup_wait_until(&wg, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_waitgroup_wait_until(&wg, 0), -ETIMEDOUT);
    CHECK_EQ(weft_waitgroup_wait_until(&wg, weft_after(duration)), -ETIMEDOUT);
    CHECK_GE(weft_now() - start, duration);
    weft_waitgroup_done(&wg);
    CHECK_EQ(weft_waitgroup_wait_until(&wg, WEFT_NOWAIT), -EAGAIN);
    weft_waitgroup_done(&wg);
    CHECK_EQ(weft_waitgroup_wait_until(&wg, WEFT_NOWAIT), 0);
    weft_waitgroup_wait(&wg);
    weft_waitgroup_add(&wg, INT32_MAX);
    CHECK_EQ(weft_waitgroup_wait_until(&wg, WEFT_NOWAIT), -EAGAIN);
    weft_waitgroup_add(&wg, -INT32_MAX);
    CHECK_EQ(weft_waitgroup_wait_until(&wg, 0), 0);
}

TEST(adds_and_deadlines_on_a_thread)
{
    adds_and_deadlines();
}

TEST_PROCS(adds_and_deadlines_on_a_goroutine)
{
    adds_and_deadlines();
}

/* ---- Reuse ---- */

struct job {
    weft_waitgroup *wg;
    int *slot; /* not atomic: ThreadSanitizer checks the edges */
    int value;
};

static void run_job(void *arg)
{
    struct job *job = arg;
    *job->slot = job->value;
    weft_waitgroup_done(job->wg);
}

static void *run_job_thread(void *arg)
{
    run_job(arg);
    return NULL;
}

TEST_PROCS(reused)
{
    enum { JOBS = 20, ROUNDS = 300 };
    weft_waitgroup wg = {0};
    int slots[JOBS] = {0};
    struct job jobs[JOBS];
    for (int round = 1; round <= ROUNDS; round++) {
        int count = 1 + round % JOBS;
        weft_waitgroup_add(&wg, count);
        for (int i = 0; i < count; i++) {
            jobs[i] = (struct job){&wg, &slots[i], round};
            CHECK_EQ(weft_go(run_job, &jobs[i]), 0);
        }
        if (round % 3 == 0)
            CHECK_EQ(weft_waitgroup_wait_until(&wg, weft_after(600 * WEFT_SECOND)), 0);
        else
            weft_waitgroup_wait(&wg);
        for (int i = 0; i < count; i++)
            CHECK_EQ(slots[i], round);
    }
}

TEST_PROCS(goroutines_wait_for_threads)
{
    enum { JOBS = 5, ROUNDS = 20 };
    weft_waitgroup wg = {0};
    int slots[JOBS];
    for (int round = 1; round <= ROUNDS; round++) {
        struct job jobs[JOBS];
        pthread_t threads[JOBS];
        for (int i = 0; i < JOBS; i++) {
            weft_waitgroup_add(&wg, 1);
            jobs[i] = (struct job){&wg, &slots[i], round};
            CHECK_EQ(pthread_create(&threads[i], NULL, run_job_thread, &jobs[i]), 0);
        }
        weft_waitgroup_wait(&wg);
        for (int i = 0; i < JOBS; i++) {
            CHECK_EQ(slots[i], round);
            pthread_join(threads[i], NULL);
        }
    }
}

/* ---- Several waiters ---- */

struct barrier {
    weft_waitgroup start;
    weft_waitgroup finished;
    int value;
};

static void wait_for_start(void *arg)
{
    struct barrier *barrier = arg;
    weft_waitgroup_wait(&barrier->start);
    CHECK_EQ(barrier->value, 7);
    weft_waitgroup_done(&barrier->finished);
}

static void *wait_for_start_thread(void *arg)
{
    wait_for_start(arg);
    return NULL;
}

TEST_PROCS(releases_every_waiter)
{
    enum { GOROUTINES = 50, THREADS = 5, ROUNDS = 20 };
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[THREADS];
        struct barrier barrier = {.value = 0};
        weft_waitgroup_add(&barrier.start, 1);
        weft_waitgroup_add(&barrier.finished, GOROUTINES + THREADS);
        for (int i = 0; i < GOROUTINES; i++)
            CHECK_EQ(weft_go(wait_for_start, &barrier), 0);
        for (int i = 0; i < THREADS; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, wait_for_start_thread, &barrier), 0);
        if (round % 2)
            weft_sleep(100 * WEFT_MICROSECOND);
        barrier.value = 7;
        weft_waitgroup_done(&barrier.start);
        weft_waitgroup_wait(&barrier.finished);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
    }
}

/* ---- Lifetime ---- */

static void done_later(void *arg)
{
    weft_waitgroup_done(arg);
}

static void yield_and_done(void *arg)
{
    weft_yield();
    weft_waitgroup_done(arg);
}

/* The waitgroup is gone as soon as the wait returns, while the last done may still be on its way
 * out. AddressSanitizer watches, and the pattern shows a late write otherwise. */
static void wait_and_discard(int round)
{
    enum { JOBS = 3 };
    weft_waitgroup *wg = malloc(sizeof *wg);
    *wg = (weft_waitgroup){0};
    weft_waitgroup_add(wg, JOBS);
    for (int i = 0; i < JOBS; i++)
        CHECK_EQ(weft_go((round + i) % 2 ? done_later : yield_and_done, wg), 0);
    switch (round % 4) {
    case 0:
        weft_waitgroup_wait(wg);
        break;
    case 1: /* finds it done by looking */
        while (weft_waitgroup_wait_until(wg, WEFT_NOWAIT) != 0)
            weft_yield();
        break;
    case 2: /* deadlines that race with the last done */
        while (weft_waitgroup_wait_until(wg, weft_after(2 * WEFT_MICROSECOND)) != 0)
            ;
        break;
    case 3:
        weft_yield();
        weft_waitgroup_wait(wg);
    }
    memset(wg, 0xff, sizeof *wg);
    for (size_t i = 0; i < sizeof *wg; i++)
        CHECK_EQ(((volatile unsigned char *)wg)[i], 0xff);
    free(wg);
}

TEST_PROCS(discarded_after_the_wait)
{
    for (int round = 0; round < 3000; round++)
        wait_and_discard(round);
}

static void on_the_stack(int depth)
{
    weft_waitgroup wg = {0};
    weft_waitgroup_add(&wg, 2);
    CHECK_EQ(weft_go(done_later, &wg), 0);
    CHECK_EQ(weft_go(yield_and_done, &wg), 0);
    if (depth > 0)
        on_the_stack(depth - 1);
    weft_waitgroup_wait(&wg);
}

TEST_PROCS(on_a_stack)
{
    for (int i = 0; i < 1000; i++)
        on_the_stack(i % 4);
}

static void *done_thread(void *arg)
{
    weft_waitgroup_done(arg);
    return NULL;
}

TEST(on_a_threads_stack)
{
    for (int i = 0; i < 300; i++) {
        pthread_t thread;
        weft_waitgroup *wg = calloc(1, sizeof *wg);
        weft_waitgroup_add(wg, 1);
        CHECK_EQ(pthread_create(&thread, NULL, done_thread, wg), 0);
        weft_waitgroup_wait(wg);
        free(wg);
        pthread_join(thread, NULL);
    }
}

/* ---- Broken rules ---- */

DEATH_TEST(negative_counter, 2, "panic: weft_waitgroup_add: the counter of waitgroup 0x")
{
    weft_waitgroup wg = {0};
    weft_waitgroup_add(&wg, 1);
    weft_waitgroup_add(&wg, -2);
}

DEATH_TEST(done_without_add, 2, "panic: weft_waitgroup_done: the counter of waitgroup 0x")
{
    weft_waitgroup wg = {0};
    weft_waitgroup_done(&wg);
}

DEATH_TEST(counter_overflows, 2, "is negative")
{
    weft_waitgroup wg = {0};
    weft_waitgroup_add(&wg, INT32_MAX);
    weft_waitgroup_add(&wg, 1);
}

static weft_waitgroup global;

static void done_too_often(void)
{
    weft_waitgroup_done(&global);
}

DEATH_TEST(done_without_add_on_a_goroutine, 2, "is negative: -1")
{
    test_in_runtime(2, done_too_often);
}

DEATH_TEST(null_add, 2, "panic: weft_waitgroup_add: the waitgroup is NULL")
{
    weft_waitgroup_add(NULL, 1);
}

DEATH_TEST(null_done, 2, "panic: weft_waitgroup_done: the waitgroup is NULL")
{
    weft_waitgroup_done(NULL);
}

DEATH_TEST(null_wait, 2, "panic: weft_waitgroup_wait: the waitgroup is NULL")
{
    weft_waitgroup_wait(NULL);
}

DEATH_TEST(null_wait_until, 2, "panic: weft_waitgroup_wait_until: the waitgroup is NULL")
{
    weft_waitgroup_wait_until(NULL, 0);
}
