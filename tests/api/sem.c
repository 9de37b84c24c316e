/* SPDX-License-Identifier: MIT
 *
 * The semaphore, from goroutines and from foreign threads.
 */
#include "harness/test.h"

#include <pthread.h>

TEST(zero_has_none)
{
    weft_sem sem = {0};
    CHECK_EQ(weft_sem_acquire(&sem, 0), 0);
    CHECK_EQ(weft_sem_tryacquire(&sem, 0), 1);
    CHECK_EQ(weft_sem_acquire(&sem, 1), -EINVAL);
    CHECK_EQ(weft_sem_acquire_until(&sem, 1, WEFT_NOWAIT), -EINVAL);
    CHECK_EQ(weft_sem_tryacquire(&sem, 1), 0);
    weft_sem_release(&sem, 0);
}

TEST(arguments)
{
    weft_sem sem;
    weft_sem_init(&sem, 5);
    CHECK_EQ(weft_sem_acquire(NULL, 1), -EINVAL);
    CHECK_EQ(weft_sem_acquire_until(NULL, 1, WEFT_NOWAIT), -EINVAL);
    CHECK_EQ(weft_sem_acquire(&sem, -1), -EINVAL);
    CHECK_EQ(weft_sem_acquire(&sem, INT64_MIN), -EINVAL);
    CHECK_EQ(weft_sem_acquire(&sem, 6), -EINVAL);
    CHECK_EQ(weft_sem_acquire(&sem, INT64_MAX), -EINVAL);
    CHECK_EQ(weft_sem_acquire_until(&sem, -1, 0), -EINVAL);
    CHECK_EQ(weft_sem_acquire_until(&sem, 6, 0), -EINVAL);
    CHECK_EQ(weft_sem_tryacquire(&sem, -1), 0);
    CHECK_EQ(weft_sem_tryacquire(&sem, INT64_MIN), 0);
    CHECK_EQ(weft_sem_tryacquire(&sem, 6), 0);
    CHECK_EQ(weft_sem_tryacquire(&sem, INT64_MAX), 0);
    CHECK_EQ(weft_sem_acquire(&sem, 5), 0);
    CHECK_EQ(weft_sem_acquire(&sem, 6), -EINVAL);
    weft_sem_release(&sem, 5);
    CHECK_EQ(weft_sem_tryacquire(&sem, 5), 1);
}

static void counts_and_deadlines(void)
{
    weft_sem sem;
    weft_sem_init(&sem, 5);
    int64_t start = weft_now(), duration = 3 * WEFT_MILLISECOND;
    CHECK_EQ(weft_sem_acquire(&sem, 3), 0);
    CHECK_EQ(weft_sem_tryacquire(&sem, 3), 0);
    CHECK_EQ(weft_sem_acquire_until(&sem, 3, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_sem_acquire_until(&sem, 3, 0), -ETIMEDOUT);
    CHECK_EQ(weft_sem_acquire_until(&sem, 3, weft_after(duration)), -ETIMEDOUT);
    CHECK_GE(weft_now() - start, duration);
    CHECK_EQ(weft_sem_acquire_until(&sem, 2, WEFT_NOWAIT), 0);
    CHECK_EQ(weft_sem_tryacquire(&sem, 1), 0);
    CHECK_EQ(weft_sem_tryacquire(&sem, 0), 1);
    weft_sem_release(&sem, 1);
    CHECK_EQ(weft_sem_acquire_until(&sem, 1, 0), 0);
    weft_sem_release(&sem, 5);
    CHECK_EQ(weft_sem_acquire_until(&sem, 5, weft_after(duration)), 0);
    weft_sem_release(&sem, 2);
    weft_sem_release(&sem, 3);
    CHECK_EQ(weft_sem_tryacquire(&sem, 5), 1);
}

TEST(counts_and_deadlines_on_a_thread)
{
    counts_and_deadlines();
}

TEST_PROCS(counts_and_deadlines_on_a_goroutine)
{
    counts_and_deadlines();
}

struct taker {
    weft_sem *sem;
    int64_t n;
    int64_t deadline;
    int result; /* atomic; 1 while it waits */
};

static void take(void *arg)
{
    struct taker *taker = arg;
    int result = weft_sem_acquire_until(taker->sem, taker->n, taker->deadline);
    __atomic_store_n(&taker->result, result, __ATOMIC_RELEASE);
}

static void *take_thread(void *arg)
{
    take(arg);
    return NULL;
}

static int result_of(struct taker *taker)
{
    return __atomic_load_n(&taker->result, __ATOMIC_ACQUIRE);
}

/* While somebody waits nobody gets any, not even 0. */
static bool is_waited_for(weft_sem *sem)
{
    return !weft_sem_tryacquire(sem, 0);
}

TEST_PROCS(the_largest_numbers)
{
    weft_sem sem;
    weft_sem_init(&sem, INT64_MAX);
    struct taker all = {&sem, INT64_MAX, WEFT_FOREVER, 1};
    CHECK_EQ(weft_sem_acquire(&sem, INT64_MAX), 0);
    CHECK_EQ(weft_sem_tryacquire(&sem, 1), 0);
    CHECK_EQ(weft_go(take, &all), 0);
    CHECK_SOON(is_waited_for(&sem));
    weft_sem_release(&sem, INT64_MAX - 1);
    CHECK_EQ(weft_sem_tryacquire(&sem, 1), 0);
    weft_sem_release(&sem, 1);
    CHECK_SOON(result_of(&all) == 0);
    weft_sem_release(&sem, INT64_MAX);
    CHECK_EQ(weft_sem_tryacquire(&sem, INT64_MAX), 1);
}

/* ---- Order ---- */

TEST_PROCS(nobody_passes_a_waiter)
{
    weft_sem sem;
    weft_sem_init(&sem, 4);
    struct taker many = {&sem, 4, WEFT_FOREVER, 1};
    CHECK_EQ(weft_sem_acquire(&sem, 1), 0);
    CHECK_EQ(weft_go(take, &many), 0);
    CHECK_SOON(is_waited_for(&sem));
    for (int n = 0; n <= 4; n++) {
        CHECK_EQ(weft_sem_tryacquire(&sem, n), 0);
        CHECK_EQ(weft_sem_acquire_until(&sem, n, WEFT_NOWAIT), -EAGAIN);
        CHECK_EQ(weft_sem_acquire_until(&sem, n, weft_after(WEFT_MILLISECOND)), -ETIMEDOUT);
    }
    CHECK_EQ(result_of(&many), 1);
    weft_sem_release(&sem, 1);
    CHECK_SOON(result_of(&many) == 0);
    CHECK_EQ(weft_sem_tryacquire(&sem, 1), 0);
    CHECK_EQ(weft_sem_tryacquire(&sem, 0), 1);
}

/* Who wants much and gives up lets those behind it have what there is. */
TEST_PROCS(giving_up_lets_in_those_behind)
{
    weft_sem sem;
    weft_sem_init(&sem, 4);
    struct taker head = {&sem, 4, 0, 1};
    struct taker behind[4] = {{&sem, 1, WEFT_FOREVER, 1},
                              {&sem, 0, weft_after(600 * WEFT_SECOND), 1},
                              {&sem, 2, weft_after(600 * WEFT_SECOND), 1},
                              {&sem, 1, WEFT_FOREVER, 1}};
    pthread_t thread;
    CHECK_EQ(weft_sem_acquire(&sem, 1), 0);
    head.deadline = weft_after(50 * WEFT_MILLISECOND);
    CHECK_EQ(weft_go(take, &head), 0);
    CHECK_SOON(is_waited_for(&sem) || result_of(&head) != 1);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(weft_go(take, &behind[i]), 0);
    CHECK_SOON(result_of(&behind[0]) == 0 && result_of(&behind[1]) == 0 &&
               result_of(&behind[2]) == 0);
    CHECK_SOON(result_of(&head) == -ETIMEDOUT);
    CHECK_EQ(pthread_create(&thread, NULL, take_thread, &behind[3]), 0);
    CHECK_SOON(is_waited_for(&sem));
    CHECK_EQ(result_of(&behind[3]), 1);
    weft_sem_release(&sem, 1);
    CHECK_SOON(result_of(&behind[3]) == 0);
    pthread_join(thread, NULL);
    weft_sem_release(&sem, 4);
    CHECK_EQ(weft_sem_tryacquire(&sem, 4), 1);
}

/* ---- Never more than there are ---- */

enum { SIZE = 7, WORKERS = 16 };

struct shared {
    weft_sem sem;
    weft_waitgroup wg;
    int64_t taken; /* atomic */
    long counter;  /* guarded by all permits; not atomic: ThreadSanitizer checks the edges */
    int rounds;
    int yield_every; /* with permits taken, so that others must park */
};

static void acquire_somehow(weft_sem *sem, int64_t n, int round)
{
    switch (round % 4) {
    case 0:
        if (weft_sem_tryacquire(sem, n))
            return;
        break;
    case 1:
        while (weft_sem_acquire_until(sem, n, weft_after(20 * WEFT_MICROSECOND)) != 0)
            ;
        return;
    }
    CHECK_EQ(weft_sem_acquire(sem, n), 0);
}

static void work(void *arg)
{
    struct shared *shared = arg;
    for (int i = 0; i < shared->rounds; i++) {
        int64_t n = i % 9 == 8 ? SIZE : i % 4;
        acquire_somehow(&shared->sem, n, i / 9);
        CHECK_LE(__atomic_add_fetch(&shared->taken, n, __ATOMIC_RELAXED), SIZE);
        if (shared->yield_every && i % shared->yield_every == 0)
            weft_yield();
        if (n == SIZE)
            shared->counter++;
        __atomic_sub_fetch(&shared->taken, n, __ATOMIC_RELAXED);
        weft_sem_release(&shared->sem, n);
    }
    weft_waitgroup_done(&shared->wg);
}

static void *work_thread(void *arg)
{
    work(arg);
    return NULL;
}

static void share_permits(int goroutines, int threads, int rounds, int yield_every)
{
    struct shared shared = {.rounds = rounds, .yield_every = yield_every};
    pthread_t handles[WORKERS];
    weft_sem_init(&shared.sem, SIZE);
    weft_waitgroup_add(&shared.wg, goroutines + threads);
    for (int i = 0; i < goroutines; i++)
        CHECK_EQ(weft_go(work, &shared), 0);
    for (int i = 0; i < threads; i++)
        CHECK_EQ(pthread_create(&handles[i], NULL, work_thread, &shared), 0);
    weft_waitgroup_wait(&shared.wg);
    CHECK_EQ(weft_sem_tryacquire(&shared.sem, SIZE), 1);
    CHECK_EQ(shared.counter, (long)(rounds / 9) * (goroutines + threads));
    CHECK_EQ(shared.sem.state, 0);
    for (int i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
}

TEST_PROCS(shared_by_goroutines)
{
    share_permits(WORKERS, 0, 3600, 0);
    share_permits(WORKERS, 0, 450, 1);
    share_permits(WORKERS, 0, 1800, 7);
}

TEST(shared_by_threads)
{
    share_permits(0, WORKERS, 1800, 0);
    share_permits(0, WORKERS, 180, 1);
}

TEST_PROCS(shared_by_goroutines_and_threads)
{
    share_permits(WORKERS / 2, WORKERS / 2, 900, 0);
    share_permits(WORKERS / 2, WORKERS / 2, 270, 4);
}

/* ---- Lifetime ---- */

static void release_one(void *arg)
{
    weft_sem_release(arg, 1);
}

static void yield_and_release_one(void *arg)
{
    weft_yield();
    weft_sem_release(arg, 1);
}

static void *release_one_thread(void *arg)
{
    weft_sem_release(arg, 1);
    return NULL;
}

/* The semaphore is gone as soon as all permits are back, while the last release may still be on its
 * way out. AddressSanitizer watches, and the pattern shows a late write otherwise. */
static void collect_and_discard(int round)
{
    enum { PERMITS = 3 };
    weft_sem *sem = malloc(sizeof *sem);
    weft_sem_init(sem, PERMITS);
    CHECK_EQ(weft_sem_acquire(sem, PERMITS), 0);
    for (int i = 0; i < PERMITS; i++)
        CHECK_EQ(weft_go((round + i) % 2 ? release_one : yield_and_release_one, sem), 0);
    switch (round % 5) {
    case 0:
        CHECK_EQ(weft_sem_acquire(sem, PERMITS), 0);
        break;
    case 1:
        while (!weft_sem_tryacquire(sem, PERMITS))
            weft_yield();
        break;
    case 2: /* deadlines that race with the last release */
        while (weft_sem_acquire_until(sem, PERMITS, weft_after(2 * WEFT_MICROSECOND)) != 0)
            ;
        break;
    case 3: /* one by one */
        for (int i = 0; i < PERMITS; i++)
            CHECK_EQ(weft_sem_acquire(sem, 1), 0);
        break;
    case 4:
        while (weft_sem_acquire_until(sem, PERMITS, 0) != 0)
            weft_yield();
    }
    memset(sem, 0xff, sizeof *sem);
    for (size_t i = 0; i < sizeof *sem; i++)
        CHECK_EQ(((volatile unsigned char *)sem)[i], 0xff);
    free(sem);
}

TEST_PROCS(discarded_when_all_are_back)
{
    for (int round = 0; round < 3000; round++)
        collect_and_discard(round);
}

static void on_the_stack(int depth)
{
    weft_sem sem;
    weft_sem_init(&sem, 2);
    CHECK_EQ(weft_sem_acquire(&sem, 2), 0);
    CHECK_EQ(weft_go(release_one, &sem), 0);
    CHECK_EQ(weft_go(yield_and_release_one, &sem), 0);
    if (depth > 0)
        on_the_stack(depth - 1);
    CHECK_EQ(weft_sem_acquire(&sem, 2), 0);
}

TEST_PROCS(on_a_stack)
{
    for (int i = 0; i < 1000; i++)
        on_the_stack(i % 4);
}

TEST(on_a_threads_stack)
{
    for (int i = 0; i < 300; i++) {
        pthread_t thread;
        weft_sem *sem = calloc(1, sizeof *sem);
        weft_sem_init(sem, 1);
        CHECK_EQ(weft_sem_acquire(sem, 1), 0);
        CHECK_EQ(pthread_create(&thread, NULL, release_one_thread, sem), 0);
        CHECK_EQ(weft_sem_acquire(sem, 1), 0);
        free(sem);
        pthread_join(thread, NULL);
    }
}
