/* SPDX-License-Identifier: MIT
 *
 * The mutex, from goroutines and from foreign threads.
 */
#include "harness/test.h"

#include <pthread.h>

TEST(zero_is_unlocked)
{
    weft_mutex mutex = {0};
    for (int i = 0; i < 3; i++) {
        weft_mutex_lock(&mutex);
        CHECK_EQ(weft_mutex_trylock(&mutex), 0);
        weft_mutex_unlock(&mutex);
        CHECK_EQ(weft_mutex_trylock(&mutex), 1);
        CHECK_EQ(weft_mutex_trylock(&mutex), 0);
        weft_mutex_unlock(&mutex);
    }
}

/* ---- Mutual exclusion ---- */

enum { WORKERS = 16 };

struct shared {
    weft_mutex mutex;
    weft_waitgroup wg;
    long counter; /* not atomic: ThreadSanitizer checks the edges */
    bool inside;
    int rounds;
    int yield_every; /* inside the critical section, so that others must park */
};

static void work(void *arg)
{
    struct shared *shared = arg;
    for (int i = 0; i < shared->rounds; i++) {
        int tries = i % 5 == 4 ? 3 : 0;
        while (tries > 0 && !weft_mutex_trylock(&shared->mutex)) {
            tries--;
            weft_yield();
        }
        if (tries == 0)
            weft_mutex_lock(&shared->mutex);
        CHECK(!shared->inside);
        shared->inside = true;
        long counter = shared->counter;
        if (shared->yield_every && i % shared->yield_every == 0)
            weft_yield();
        shared->counter = counter + 1;
        shared->inside = false;
        weft_mutex_unlock(&shared->mutex);
    }
    weft_waitgroup_done(&shared->wg);
}

static void *work_thread(void *arg)
{
    work(arg);
    return NULL;
}

static void exclude(int goroutines, int threads, int rounds, int yield_every)
{
    struct shared shared = {.rounds = rounds, .yield_every = yield_every};
    pthread_t handles[WORKERS];
    weft_waitgroup_add(&shared.wg, goroutines + threads);
    for (int i = 0; i < goroutines; i++)
        CHECK_EQ(weft_go(work, &shared), 0);
    for (int i = 0; i < threads; i++)
        CHECK_EQ(pthread_create(&handles[i], NULL, work_thread, &shared), 0);
    weft_waitgroup_wait(&shared.wg);
    weft_mutex_lock(&shared.mutex);
    CHECK_EQ(shared.counter, (long)rounds * (goroutines + threads));
    weft_mutex_unlock(&shared.mutex);
    CHECK_EQ(shared.mutex.state, 0);
    for (int i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
}

TEST_PROCS(excludes_goroutines)
{
    exclude(WORKERS, 0, 5000, 0);
    exclude(WORKERS, 0, 500, 1);
    exclude(WORKERS, 0, 2000, 7);
}

TEST(excludes_threads)
{
    exclude(0, WORKERS, 3000, 0);
    exclude(0, WORKERS, 200, 1);
}

TEST_PROCS(excludes_goroutines_and_threads)
{
    exclude(WORKERS / 2, WORKERS / 2, 1000, 0);
    exclude(WORKERS / 2, WORKERS / 2, 300, 3);
}

/* ---- Anyone may unlock ---- */

static void unlock_it(void *arg)
{
    weft_mutex_unlock(arg);
}

TEST_PROCS(unlocked_by_another)
{
    weft_mutex mutex = {0};
    for (int i = 0; i < 100; i++) {
        weft_mutex_lock(&mutex);
        CHECK_EQ(weft_go(unlock_it, &mutex), 0);
    }
    weft_mutex_lock(&mutex);
    weft_mutex_unlock(&mutex);
}

/* ---- Starvation ---- */

struct greedy {
    weft_mutex mutex;
    int stop; /* atomic */
    long rounds;
};

/* Holds the mutex nearly all the time, also while others run, and locks it again as soon as it has
 * unlocked it. */
static void relock(void *arg)
{
    struct greedy *greedy = arg;
    while (!__atomic_load_n(&greedy->stop, __ATOMIC_ACQUIRE)) {
        weft_mutex_lock(&greedy->mutex);
        int64_t until = weft_now() + 50 * WEFT_MICROSECOND;
        while (weft_now() < until)
            ;
        if (greedy->rounds++ % 4 == 0)
            weft_yield();
        weft_mutex_unlock(&greedy->mutex);
    }
}

static void *relock_thread(void *arg)
{
    relock(arg);
    return NULL;
}

static void get_it_often(struct greedy *greedy)
{
    for (int i = 0; i < 20; i++) {
        weft_mutex_lock(&greedy->mutex);
        weft_mutex_unlock(&greedy->mutex);
        weft_sleep(WEFT_MILLISECOND);
    }
    __atomic_store_n(&greedy->stop, 1, __ATOMIC_RELEASE);
}

TEST_PROCS(a_waiter_does_not_starve)
{
    static struct greedy greedy;
    CHECK_EQ(weft_go(relock, &greedy), 0);
    get_it_often(&greedy);
    CHECK_SOON(weft_num_goroutine() == 1);
    CHECK_GT(greedy.rounds, 0);
}

TEST_PROCS(a_goroutine_does_not_starve_beside_a_thread)
{
    static struct greedy greedy;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, relock_thread, &greedy), 0);
    get_it_often(&greedy);
    pthread_join(thread, NULL);
}

TEST(a_thread_does_not_starve)
{
    static struct greedy greedy;
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, relock_thread, &greedy), 0);
    get_it_often(&greedy);
    pthread_join(thread, NULL);
}

/* ---- Lifetime ---- */

struct object {
    weft_mutex mutex;
    int refs;
};

/* The idiom that glibc bug 13690 is about: whoever drops the last reference frees the mutex,
 * perhaps before the one who unlocked it last has returned. AddressSanitizer watches. */
static void drop(void *arg)
{
    struct object *object = arg;
    weft_mutex_lock(&object->mutex);
    bool last = --object->refs == 0;
    weft_mutex_unlock(&object->mutex);
    if (last) {
        memset(object, 0xff, sizeof *object);
        free(object);
    }
}

static void drop_after_yield(void *arg)
{
    struct object *object = arg;
    weft_mutex_lock(&object->mutex);
    weft_yield(); /* the others queue */
    weft_mutex_unlock(&object->mutex);
    drop(arg);
}

static void *drop_thread(void *arg)
{
    drop(arg);
    return NULL;
}

TEST_PROCS(freed_after_the_last_unlock)
{
    for (int i = 0; i < 2000; i++) {
        int users = 2 + i % 4;
        struct object *object = calloc(1, sizeof *object);
        object->refs = users;
        for (int j = 0; j < users; j++)
            CHECK_EQ(weft_go(i % 2 ? drop : drop_after_yield, object), 0);
        if (i % 16 == 0)
            CHECK_SOON(weft_num_goroutine() == 1);
    }
    CHECK_SOON(weft_num_goroutine() == 1);
}

TEST(freed_after_the_last_unlock_by_threads)
{
    enum { USERS = 3 };
    for (int i = 0; i < 300; i++) {
        pthread_t threads[USERS];
        struct object *object = calloc(1, sizeof *object);
        object->refs = USERS;
        for (int j = 0; j < USERS; j++)
            CHECK_EQ(pthread_create(&threads[j], NULL, drop_thread, object), 0);
        for (int j = 0; j < USERS; j++)
            pthread_join(threads[j], NULL);
    }
}

/* ---- Broken rules ---- */

DEATH_TEST(unlock_of_unlocked, 2, "panic: weft_mutex_unlock: mutex 0x")
{
    weft_mutex mutex = {0};
    weft_mutex_lock(&mutex);
    weft_mutex_unlock(&mutex);
    weft_mutex_unlock(&mutex);
}

static weft_mutex at_a_fixed_address;

static void unlock_twice(void)
{
    weft_mutex_unlock(&at_a_fixed_address);
}

DEATH_TEST(unlock_of_unlocked_on_a_goroutine, 2, "is not locked")
{
    test_in_runtime(2, unlock_twice);
}

DEATH_TEST(null_lock, 2, "panic: weft_mutex_lock: the mutex is NULL")
{
    weft_mutex_lock(NULL);
}

DEATH_TEST(null_trylock, 2, "panic: weft_mutex_trylock: the mutex is NULL")
{
    weft_mutex_trylock(NULL);
}

DEATH_TEST(null_unlock, 2, "panic: weft_mutex_unlock: the mutex is NULL")
{
    weft_mutex_unlock(NULL);
}
