/* SPDX-License-Identifier: MIT
 *
 * Once, from goroutines and from foreign threads.
 */
#include "harness/test.h"

#include <pthread.h>

struct task {
    weft_once once;
    weft_waitgroup wg;
    int calls;
    int value; /* not atomic: ThreadSanitizer checks the edges */
    int seen;  /* atomic: callers that have returned */
    bool exits;
};

static void fulfil(void *arg)
{
    struct task *task = arg;
    task->calls++;
    weft_yield();
    weft_sleep(200 * WEFT_MICROSECOND);
    CHECK_EQ(__atomic_load_n(&task->seen, __ATOMIC_RELAXED), 0);
    task->value = 42;
    if (task->exits)
        weft_exit();
}

static void never(void *arg)
{
    (void)arg;
    FAIL("called a second time");
}

static void check_once(void)
{
    struct task task = {.value = 0};
    weft_once_do(&task.once, fulfil, &task);
    CHECK_EQ(task.value, 42);
    for (int i = 0; i < 3; i++)
        weft_once_do(&task.once, i % 2 ? never : fulfil, &task);
    CHECK_EQ(task.calls, 1);
}

TEST(once_on_a_thread)
{
    check_once();
}

TEST_PROCS(once_on_a_goroutine)
{
    check_once();
}

/* ---- Many callers ---- */

static void demand(void *arg)
{
    struct task *task = arg;
    weft_once_do(&task->once, fulfil, task);
    __atomic_add_fetch(&task->seen, 1, __ATOMIC_RELAXED);
    CHECK_EQ(task->value, 42);
    weft_waitgroup_done(&task->wg);
}

static void *demand_thread(void *arg)
{
    demand(arg);
    return NULL;
}

TEST_PROCS(all_wait_for_the_first)
{
    enum { CALLERS = 20, THREADS = 4 };
    for (int round = 0; round < 50; round++) {
        struct task task = {.value = 0};
        pthread_t threads[THREADS];
        weft_waitgroup_add(&task.wg, CALLERS + THREADS);
        for (int i = 0; i < CALLERS; i++)
            CHECK_EQ(weft_go(demand, &task), 0);
        for (int i = 0; i < THREADS; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, demand_thread, &task), 0);
        weft_waitgroup_wait(&task.wg);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        CHECK_EQ(task.calls, 1);
        CHECK_EQ(task.seen, CALLERS + THREADS);
    }
}

/* ---- weft_exit in fn ---- */

static void exit_in_once(void *arg)
{
    struct task *task = arg;
    weft_once_do(&task->once, fulfil, task);
    FAIL("came back");
}

TEST_PROCS(an_exit_ends_it)
{
    enum { CALLERS = 10, THREADS = 2 };
    for (int round = 0; round < 50; round++) {
        struct task task = {.exits = true};
        pthread_t threads[THREADS];
        weft_waitgroup_add(&task.wg, CALLERS + THREADS);
        CHECK_EQ(weft_go(exit_in_once, &task), 0);
        while (__atomic_load_n(&task.once.state, __ATOMIC_RELAXED) == 0)
            weft_yield();
        for (int i = 0; i < CALLERS; i++)
            CHECK_EQ(weft_go(demand, &task), 0);
        for (int i = 0; i < THREADS; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, demand_thread, &task), 0);
        weft_waitgroup_wait(&task.wg);
        weft_once_do(&task.once, never, NULL);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        CHECK_EQ(task.calls, 1);
    }
}

struct nest {
    weft_once onces[3];
    int depth;
};

static void go_deeper(void *arg)
{
    struct nest *nest = arg;
    if (nest->depth == 3)
        weft_exit();
    weft_once_do(&nest->onces[nest->depth++], go_deeper, nest);
    FAIL("came back");
}

TEST_PROCS(an_exit_ends_all_that_are_nested)
{
    struct nest nest = {.depth = 0};
    CHECK_EQ(weft_go(go_deeper, &nest), 0);
    CHECK_SOON(weft_num_goroutine() == 1);
    for (int i = 0; i < 3; i++)
        weft_once_do(&nest.onces[i], never, NULL);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static void exit_later(void *arg)
{
    weft_once *once = calloc(1, sizeof *once);
    weft_once_do(once, do_nothing, arg);
    weft_once_do(&(weft_once){0}, do_nothing, arg);
    memset(once, 0xff, sizeof *once);
    free(once);
    weft_exit();
}

/* A once that is over, and gone, has nothing to do with a later exit. */
TEST_PROCS(an_exit_after_it)
{
    for (int i = 0; i < 100; i++)
        CHECK_EQ(weft_go(exit_later, NULL), 0);
    CHECK_SOON(weft_num_goroutine() == 1);
}

/* ---- Lifetime ---- */

static void do_it(void *arg)
{
    weft_once_do(arg, do_nothing, NULL);
}

static void yield_a_little(void *arg)
{
    (void)arg;
    weft_yield();
}

static void do_it_slowly(void *arg)
{
    weft_once_do(arg, yield_a_little, NULL);
}

/* Gone when a caller has found it done, while the one who called fn is still in its call. The other
 * must have begun, as the once is gone for one who comes later. */
TEST_PROCS(freed_when_found_done)
{
    for (int round = 0; round < 3000; round++) {
        weft_once *once = calloc(1, sizeof *once);
        CHECK_EQ(weft_go(round % 2 ? do_it : do_it_slowly, once), 0);
        while (__atomic_load_n(&once->state, __ATOMIC_RELAXED) == 0)
            weft_yield();
        weft_once_do(once, never, NULL);
        memset(once, 0xff, sizeof *once);
        for (size_t i = 0; i < sizeof *once; i++)
            CHECK_EQ(((volatile unsigned char *)once)[i], 0xff);
        free(once);
    }
    CHECK_SOON(weft_num_goroutine() == 1);
}

static void *do_it_thread(void *arg)
{
    do_it_slowly(arg);
    return NULL;
}

TEST(freed_when_found_done_by_a_thread)
{
    for (int round = 0; round < 300; round++) {
        pthread_t thread;
        weft_once *once = calloc(1, sizeof *once);
        CHECK_EQ(pthread_create(&thread, NULL, do_it_thread, once), 0);
        while (__atomic_load_n(&once->state, __ATOMIC_RELAXED) == 0)
            weft_yield();
        weft_once_do(once, never, NULL);
        memset(once, 0xff, sizeof *once);
        free(once);
        pthread_join(thread, NULL);
    }
}

/* ---- The end of a run ---- */

static int in_fn; /* atomic */
static int go_on; /* atomic */

static void stay_in_fn(void *arg)
{
    (void)arg;
    __atomic_store_n(&in_fn, 1, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&go_on, __ATOMIC_ACQUIRE))
        continue;
    weft_yield(); /* the run has ended: never returns */
    FAIL("a discarded goroutine goes on");
}

static void call_and_stay(void *arg)
{
    weft_once_do(arg, stay_in_fn, NULL);
}

static weft_once left_running;

static void end_during_fn(void)
{
    CHECK_EQ(weft_go(call_and_stay, &left_running), 0);
    CHECK_SOON(__atomic_load_n(&in_fn, __ATOMIC_ACQUIRE));
}

static void return_or_exit(void *index)
{
    if (test_index(index) % 2)
        weft_yield();
}

static void reuse_stacks(void)
{
    test_each(200, return_or_exit);
}

/* What the fn's goroutine has left to be done is not found by the next one on the same stack. */
TEST(a_run_ends_during_fn)
{
    int threads = weft_num_thread();
    test_in_runtime(2, end_during_fn);
    __atomic_store_n(&go_on, 1, __ATOMIC_RELEASE);
    for (int tries = 0; weft_num_thread() > threads && tries < 10000 * test_scale(); tries++)
        usleep(1000);
    CHECK_EQ(weft_num_thread(), threads);
    test_in_runtime(1, reuse_stacks);
}
