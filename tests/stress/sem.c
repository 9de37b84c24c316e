/* SPDX-License-Identifier: MIT
 *
 * The semaphore under random schedules: permits are conserved, no wake-up is lost, and memory that
 * is gone at once.
 */
#include "harness/test.h"

#include <pthread.h>

#include "stress/stress.h"

/* ---- A car park: spaces of random size, with and without patience ---- */

enum { SPACES = 9, DRIVERS_MAX = 24 };

struct car_park {
    weft_sem sem;
    weft_waitgroup wg;
    int64_t taken; /* atomic */
    long timeouts; /* atomic */
    long alone;    /* guarded by all permits */
    long expected; /* atomic: what alone must be */
    int rounds;
};

struct driver {
    struct car_park *park;
    uint64_t random;
};

static bool enter(struct car_park *park, int64_t n, uint64_t r)
{
    int64_t deadline = weft_after((int64_t)(r / 8 % 40) * WEFT_MICROSECOND);
    int result;
    switch (r % 8) {
    case 0:
        return weft_sem_tryacquire(&park->sem, n);
    case 1:
        result = weft_sem_acquire_until(&park->sem, n, WEFT_NOWAIT);
        CHECK(result == 0 || result == -EAGAIN);
        return result == 0;
    case 2:
    case 3:
    case 4:
        result = weft_sem_acquire_until(&park->sem, n, deadline);
        CHECK(result == 0 || result == -ETIMEDOUT);
        return result == 0;
    default:
        CHECK_EQ(weft_sem_acquire(&park->sem, n), 0);
        return true;
    }
}

static void stay(struct car_park *park, int64_t n, uint64_t r)
{
    CHECK_LE(__atomic_add_fetch(&park->taken, n, __ATOMIC_RELAXED), SPACES);
    if (n == SPACES) {
        park->alone++;
        __atomic_add_fetch(&park->expected, 1, __ATOMIC_RELAXED);
    }
    if (r % 8 == 0)
        weft_yield();
    else if (r % 64 == 1)
        weft_sleep(WEFT_MICROSECOND);
    __atomic_sub_fetch(&park->taken, n, __ATOMIC_RELAXED);
}

static void drive(void *arg)
{
    struct driver *driver = arg;
    struct car_park *park = driver->park;
    for (int i = 0; i < park->rounds; i++) {
        uint64_t r = next_random(&driver->random);
        int64_t n = r % 16 == 0 ? SPACES : (int64_t)(r / 16 % 5);
        if (!enter(park, n, r / 256)) {
            __atomic_add_fetch(&park->timeouts, 1, __ATOMIC_RELAXED);
            continue;
        }
        stay(park, n, r / 65536);
        int64_t part = n > 1 && r / 1048576 % 2 ? n / 2 : 0;
        weft_sem_release(&park->sem, n - part);
        if (part)
            weft_sem_release(&park->sem, part);
    }
    weft_waitgroup_done(&park->wg);
}

static void *drive_thread(void *arg)
{
    drive(arg);
    return NULL;
}

static void run_car_park(int threads, int rounds)
{
    struct car_park park = {.rounds = rounds};
    struct driver drivers[DRIVERS_MAX];
    pthread_t handles[DRIVERS_MAX];
    weft_sem_init(&park.sem, SPACES);
    weft_waitgroup_add(&park.wg, DRIVERS_MAX);
    for (int i = 0; i < DRIVERS_MAX; i++) {
        drivers[i] = (struct driver){&park, test_random() | 1};
        if (i < threads)
            CHECK_EQ(pthread_create(&handles[i], NULL, drive_thread, &drivers[i]), 0);
        else
            CHECK_EQ(weft_go(drive, &drivers[i]), 0);
    }
    weft_waitgroup_wait(&park.wg);
    for (int i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
    CHECK_EQ(park.sem.state, SPACES << 1);
    CHECK(!park.sem.waiters.first);
    CHECK_EQ(park.taken, 0);
    CHECK_EQ(park.alone, park.expected);
}

TEST_PROCS(car_park)
{
    run_car_park(0, share(40000));
}

TEST_PROCS(car_park_with_threads)
{
    run_car_park(DRIVERS_MAX / 2, share(8000));
}

TEST(car_park_of_threads)
{
    run_car_park(DRIVERS_MAX, share(8000));
}

/* ---- Semaphores that live no longer than one acquire ---- */

struct branch {
    weft_sem *parent;
    uint64_t random;
    int depth;
};

static long twigs; /* atomic */

static void collect(weft_sem *sem, int64_t n, uint64_t r)
{
    int64_t step = 1 + (int64_t)(r / 8 % 30000);
    switch (r % 8) {
    case 0:
    case 1:
    case 2:
        CHECK_EQ(weft_sem_acquire(sem, n), 0);
        return;
    case 3:
        while (!weft_sem_tryacquire(sem, n))
            weft_yield();
        return;
    case 4:
        for (int64_t i = 0; i < n; i++)
            CHECK_EQ(weft_sem_acquire(sem, 1), 0);
        return;
    default:
        while (weft_sem_acquire_until(sem, n, weft_after(step)) != 0)
            ;
    }
}

/* Waits for its children by taking back what they release, on a semaphore that is freed at once. */
static void grow_branch(void *arg)
{
    enum { CHILDREN = 3 };
    struct branch *branch = arg;
    if (branch->depth == 0) {
        __atomic_add_fetch(&twigs, 1, __ATOMIC_RELAXED);
        if (next_random(&branch->random) % 4 == 0)
            weft_yield();
    } else {
        weft_sem *sem = malloc(sizeof *sem);
        weft_sem_init(sem, CHILDREN);
        CHECK_EQ(weft_sem_tryacquire(sem, CHILDREN), 1);
        for (int i = 0; i < CHILDREN; i++) {
            struct branch child = {sem, next_random(&branch->random) | 1, branch->depth - 1};
            CHECK_EQ(weft_go_copy(grow_branch, &child, sizeof child), 0);
        }
        collect(sem, CHILDREN, next_random(&branch->random));
        memset(sem, 0xff, sizeof *sem);
        free(sem);
    }
    weft_sem_release(branch->parent, 1);
}

static void *grow_thread(void *arg)
{
    grow_branch(arg);
    free(arg);
    return NULL;
}

TEST_PROCS(tree_of_semaphores)
{
    enum { DEPTH = 6, TWIGS = 729 };
    int rounds = 1 + share(60) / test_scale();
    for (int round = 0; round < rounds; round++) {
        weft_sem sem;
        struct branch root = {&sem, test_random() | 1, DEPTH};
        weft_sem_init(&sem, 1);
        CHECK_EQ(weft_sem_acquire(&sem, 1), 0);
        CHECK_EQ(weft_go_copy(grow_branch, &root, sizeof root), 0);
        CHECK_EQ(weft_sem_acquire(&sem, 1), 0);
    }
    CHECK_EQ(twigs, TWIGS * rounds);
}

/* The releasers are threads, detached: they are still on their way out when the stack is gone. */
TEST_PROCS(on_a_stack_with_threads)
{
    int rounds = share(1000);
    for (int round = 0; round < rounds; round++) {
        weft_sem sem;
        weft_sem_init(&sem, 2);
        CHECK_EQ(weft_sem_acquire(&sem, 2), 0);
        for (int i = 0; i < 2; i++) {
            pthread_t thread;
            struct branch *branch = malloc(sizeof *branch);
            *branch = (struct branch){&sem, test_random() | 1, 0};
            CHECK_EQ(pthread_create(&thread, NULL, grow_thread, branch), 0);
            pthread_detach(thread);
        }
        collect(&sem, 2, test_random());
        memset(&sem, 0xff, sizeof sem);
    }
}

/* ---- A deadline that races with the release, and the memory is gone ---- */

static void *release_some(void *arg)
{
    struct branch *branch = arg;
    uint64_t r = branch->random;
    for (volatile uint64_t i = 0; i < r / 8 % 2048; i++)
        ;
    weft_sem_release(branch->parent, 1);
    return NULL;
}

static void release_goroutine(void *arg)
{
    release_some(arg);
}

static void race_with_deadline(bool by_thread, uint64_t r)
{
    pthread_t thread;
    weft_sem *sem = malloc(sizeof *sem);
    struct branch branch = {sem, r, 0};
    weft_sem_init(sem, 1);
    CHECK_EQ(weft_sem_acquire(sem, 1), 0);
    if (by_thread)
        CHECK_EQ(pthread_create(&thread, NULL, release_some, &branch), 0);
    else
        CHECK_EQ(weft_go_copy(release_goroutine, &branch, sizeof branch), 0);
    while (weft_sem_acquire_until(sem, 1, weft_after((int64_t)(r % 8) * WEFT_MICROSECOND)) != 0)
        ;
    memset(sem, 0xff, sizeof *sem);
    for (int i = 0; i < 100; i++)
        for (size_t j = 0; j < sizeof *sem; j++)
            CHECK_EQ(((volatile unsigned char *)sem)[j], 0xff);
    free(sem);
    if (by_thread)
        pthread_join(thread, NULL);
}

TEST_PROCS(deadlines_race_with_the_release)
{
    int rounds = share(20000);
    for (int round = 0; round < rounds; round++)
        race_with_deadline(round % 16 == 0, test_random());
}

TEST(deadlines_of_threads_race_with_the_release)
{
    int rounds = share(20000);
    for (int round = 0; round < rounds; round++)
        race_with_deadline(true, test_random());
}
