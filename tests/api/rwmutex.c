/* SPDX-License-Identifier: MIT
 *
 * The rwmutex, from goroutines and from foreign threads.
 */
#include "harness/test.h"

#include <pthread.h>

static void check_all_tries(weft_rwmutex *rw, int reading, int writing)
{
    CHECK_EQ(weft_rwmutex_tryrdlock(rw), reading);
    if (reading)
        weft_rwmutex_rdunlock(rw);
    CHECK_EQ(weft_rwmutex_trywrlock(rw), writing);
    if (writing)
        weft_rwmutex_wrunlock(rw);
}

TEST(zero_is_unlocked)
{
    weft_rwmutex rw = {0};
    for (int i = 0; i < 3; i++) {
        check_all_tries(&rw, 1, 1);
        weft_rwmutex_wrlock(&rw);
        check_all_tries(&rw, 0, 0);
        weft_rwmutex_wrunlock(&rw);
        weft_rwmutex_rdlock(&rw);
        check_all_tries(&rw, 1, 0);
        weft_rwmutex_rdlock(&rw);
        weft_rwmutex_rdunlock(&rw);
        check_all_tries(&rw, 1, 0);
        weft_rwmutex_rdunlock(&rw);
    }
}

/* ---- Exclusion ---- */

enum { WORKERS = 16 };

struct shared {
    weft_rwmutex rw;
    weft_waitgroup wg;
    long first, second; /* not atomic: ThreadSanitizer checks the edges */
    int readers;        /* atomic: inside now */
    int writers;        /* atomic: inside now */
    int rounds;
    int write_every;
    int yield_every; /* inside, so that others must park */
};

static void read_pair(struct shared *shared, bool give_way)
{
    if (!give_way || !weft_rwmutex_tryrdlock(&shared->rw))
        weft_rwmutex_rdlock(&shared->rw);
    __atomic_add_fetch(&shared->readers, 1, __ATOMIC_RELAXED);
    CHECK_EQ(__atomic_load_n(&shared->writers, __ATOMIC_RELAXED), 0);
    long first = shared->first;
    if (give_way)
        weft_yield();
    CHECK_EQ(shared->second, first);
    __atomic_sub_fetch(&shared->readers, 1, __ATOMIC_RELAXED);
    weft_rwmutex_rdunlock(&shared->rw);
}

static void write_pair(struct shared *shared, bool give_way)
{
    if (!give_way || !weft_rwmutex_trywrlock(&shared->rw))
        weft_rwmutex_wrlock(&shared->rw);
    CHECK_EQ(__atomic_add_fetch(&shared->writers, 1, __ATOMIC_RELAXED), 1);
    CHECK_EQ(__atomic_load_n(&shared->readers, __ATOMIC_RELAXED), 0);
    shared->first++;
    if (give_way)
        weft_yield();
    shared->second++;
    __atomic_sub_fetch(&shared->writers, 1, __ATOMIC_RELAXED);
    weft_rwmutex_wrunlock(&shared->rw);
}

static void work(void *arg)
{
    struct shared *shared = arg;
    for (int i = 0; i < shared->rounds; i++) {
        bool give_way = shared->yield_every && i % shared->yield_every == 0;
        if (i % shared->write_every == 0)
            write_pair(shared, give_way);
        else
            read_pair(shared, give_way);
    }
    weft_waitgroup_done(&shared->wg);
}

static void *work_thread(void *arg)
{
    work(arg);
    return NULL;
}

static void exclude(int goroutines, int threads, int rounds, int write_every, int yield_every)
{
    struct shared shared = {
        .rounds = rounds, .write_every = write_every, .yield_every = yield_every};
    pthread_t handles[WORKERS];
    weft_waitgroup_add(&shared.wg, goroutines + threads);
    for (int i = 0; i < goroutines; i++)
        CHECK_EQ(weft_go(work, &shared), 0);
    for (int i = 0; i < threads; i++)
        CHECK_EQ(pthread_create(&handles[i], NULL, work_thread, &shared), 0);
    weft_waitgroup_wait(&shared.wg);
    long writes = (long)(rounds + write_every - 1) / write_every * (goroutines + threads);
    weft_rwmutex_rdlock(&shared.rw);
    CHECK_EQ(shared.first, writes);
    CHECK_EQ(shared.second, writes);
    weft_rwmutex_rdunlock(&shared.rw);
    CHECK_EQ(shared.rw.state, 0);
    for (int i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
}

TEST_PROCS(excludes_goroutines)
{
    exclude(WORKERS, 0, 5000, 5, 0);
    exclude(WORKERS, 0, 500, 4, 1);
    exclude(WORKERS, 0, 2000, 2, 7);
    exclude(WORKERS, 0, 2000, 50, 3);
}

TEST(excludes_threads)
{
    exclude(0, WORKERS, 3000, 5, 0);
    exclude(0, WORKERS, 200, 3, 1);
}

TEST_PROCS(excludes_goroutines_and_threads)
{
    exclude(WORKERS / 2, WORKERS / 2, 1000, 4, 0);
    exclude(WORKERS / 2, WORKERS / 2, 300, 3, 4);
}

/* ---- Readers share ---- */

struct meeting {
    weft_rwmutex rw;
    weft_waitgroup inside; /* nobody leaves before all have come */
    weft_waitgroup ended;
};

static void meet(void *arg)
{
    struct meeting *meeting = arg;
    weft_rwmutex_rdlock(&meeting->rw);
    weft_waitgroup_done(&meeting->inside);
    weft_waitgroup_wait(&meeting->inside);
    weft_rwmutex_rdunlock(&meeting->rw);
    weft_waitgroup_done(&meeting->ended);
}

static void *meet_thread(void *arg)
{
    meet(arg);
    return NULL;
}

/* Once they find it free, once they are let in by a writer's unlock. */
TEST_PROCS(readers_meet_inside)
{
    enum { READERS = 20, THREADS = 3 };
    for (int round = 0; round < 20; round++) {
        struct meeting meeting = {.rw = {0}};
        pthread_t threads[THREADS];
        weft_waitgroup_add(&meeting.inside, READERS + THREADS);
        weft_waitgroup_add(&meeting.ended, READERS + THREADS);
        if (round % 2)
            weft_rwmutex_wrlock(&meeting.rw);
        for (int i = 0; i < READERS; i++)
            CHECK_EQ(weft_go(meet, &meeting), 0);
        for (int i = 0; i < THREADS; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, meet_thread, &meeting), 0);
        if (round % 2) {
            weft_sleep(200 * WEFT_MICROSECOND);
            weft_rwmutex_wrunlock(&meeting.rw);
        }
        weft_waitgroup_wait(&meeting.ended);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        CHECK_EQ(meeting.rw.state, 0);
    }
}

/* ---- Anyone may unlock ---- */

static void wrunlock_it(void *arg)
{
    weft_rwmutex_wrunlock(arg);
}

static void rdunlock_it(void *arg)
{
    weft_rwmutex_rdunlock(arg);
}

TEST_PROCS(unlocked_by_another)
{
    weft_rwmutex rw = {0};
    for (int i = 0; i < 100; i++) {
        weft_rwmutex_wrlock(&rw);
        CHECK_EQ(weft_go(wrunlock_it, &rw), 0);
        weft_rwmutex_rdlock(&rw);
        CHECK_EQ(weft_go(rdunlock_it, &rw), 0);
    }
    weft_rwmutex_wrlock(&rw);
    weft_rwmutex_wrunlock(&rw);
}

/* ---- Starvation ---- */

static int got_it; /* atomic */

static void write_once(void *arg)
{
    weft_rwmutex_wrlock(arg);
    __atomic_store_n(&got_it, 1, __ATOMIC_RELEASE);
    weft_rwmutex_wrunlock(arg);
}

static bool keeps_readers_out(weft_rwmutex *rw)
{
    if (!weft_rwmutex_tryrdlock(rw))
        return true;
    weft_rwmutex_rdunlock(rw);
    return false;
}

TEST_PROCS(a_waiting_writer_keeps_readers_out)
{
    weft_rwmutex rw = {0};
    weft_rwmutex_rdlock(&rw);
    CHECK_EQ(weft_go(write_once, &rw), 0);
    CHECK_SOON(keeps_readers_out(&rw));
    CHECK_EQ(__atomic_load_n(&got_it, __ATOMIC_ACQUIRE), 0);
    weft_rwmutex_rdunlock(&rw);
    weft_rwmutex_rdlock(&rw);
    CHECK_EQ(__atomic_load_n(&got_it, __ATOMIC_ACQUIRE), 1);
    weft_rwmutex_rdunlock(&rw);
}

struct greedy {
    weft_rwmutex rw;
    weft_waitgroup wg;
    int stop; /* atomic */
    bool writes;
};

/* Holds the rwmutex nearly all the time, also while others run; several of these never leave it
 * free. */
static void relock(void *arg)
{
    struct greedy *greedy = arg;
    for (int i = 0; !__atomic_load_n(&greedy->stop, __ATOMIC_ACQUIRE); i++) {
        if (greedy->writes)
            weft_rwmutex_wrlock(&greedy->rw);
        else
            weft_rwmutex_rdlock(&greedy->rw);
        int64_t until = weft_now() + 30 * WEFT_MICROSECOND;
        while (weft_now() < until)
            ;
        weft_yield();
        if (greedy->writes)
            weft_rwmutex_wrunlock(&greedy->rw);
        else
            weft_rwmutex_rdunlock(&greedy->rw);
    }
    weft_waitgroup_done(&greedy->wg);
}

static void *relock_thread(void *arg)
{
    relock(arg);
    return NULL;
}

static void get_in_often(bool they_write, int threads)
{
    enum { STREAM = 4 };
    struct greedy greedy = {.writes = they_write};
    pthread_t handles[STREAM];
    weft_waitgroup_add(&greedy.wg, STREAM);
    for (int i = 0; i < STREAM; i++) {
        if (i < threads)
            CHECK_EQ(pthread_create(&handles[i], NULL, relock_thread, &greedy), 0);
        else
            CHECK_EQ(weft_go(relock, &greedy), 0);
    }
    for (int i = 0; i < 20; i++) {
        if (they_write) {
            weft_rwmutex_rdlock(&greedy.rw);
            weft_rwmutex_rdunlock(&greedy.rw);
        } else {
            weft_rwmutex_wrlock(&greedy.rw);
            weft_rwmutex_wrunlock(&greedy.rw);
        }
        weft_sleep(WEFT_MILLISECOND);
    }
    __atomic_store_n(&greedy.stop, 1, __ATOMIC_RELEASE);
    weft_waitgroup_wait(&greedy.wg);
    for (int i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
}

TEST_PROCS(a_writer_does_not_starve)
{
    get_in_often(false, 0);
    get_in_often(false, 2);
}

TEST_PROCS(a_reader_does_not_starve)
{
    get_in_often(true, 0);
    get_in_often(true, 2);
}

TEST(threads_do_not_starve)
{
    get_in_often(false, 4);
    get_in_often(true, 4);
}

/* ---- Lifetime ---- */

struct object {
    weft_rwmutex rw;
    int refs; /* guarded by rw */
};

/* Whoever drops the last reference frees the rwmutex, perhaps before the one who unlocked it last
 * has returned. AddressSanitizer watches. */
static void drop(struct object *object, bool reads, bool give_way)
{
    if (reads) {
        weft_rwmutex_rdlock(&object->rw);
        if (give_way)
            weft_yield(); /* the others queue */
        CHECK_GT(object->refs, 0);
        weft_rwmutex_rdunlock(&object->rw);
    }
    weft_rwmutex_wrlock(&object->rw);
    if (give_way)
        weft_yield();
    bool last = --object->refs == 0;
    weft_rwmutex_wrunlock(&object->rw);
    if (last) {
        memset(object, 0xff, sizeof *object);
        free(object);
    }
}

static void drop_after_reading(void *arg)
{
    drop(arg, true, false);
}

static void drop_at_once(void *arg)
{
    drop(arg, false, false);
}

static void drop_after_reading_slowly(void *arg)
{
    drop(arg, true, true);
}

static void drop_slowly(void *arg)
{
    drop(arg, false, true);
}

static void (*const droppers[])(void *) = {drop_after_reading, drop_at_once,
                                           drop_after_reading_slowly, drop_slowly};

static void *drop_thread(void *arg)
{
    drop_after_reading(arg);
    return NULL;
}

static void *drop_slowly_thread(void *arg)
{
    drop_slowly(arg);
    return NULL;
}

TEST_PROCS(freed_after_the_last_unlock)
{
    for (int i = 0; i < 2000; i++) {
        int users = 2 + i % 4;
        struct object *object = calloc(1, sizeof *object);
        object->refs = users;
        for (int j = 0; j < users; j++)
            CHECK_EQ(weft_go(droppers[test_random_below(4)], object), 0);
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
            CHECK_EQ(pthread_create(&threads[j], NULL,
                                    test_random_below(2) ? drop_thread : drop_slowly_thread,
                                    object),
                     0);
        for (int j = 0; j < USERS; j++)
            pthread_join(threads[j], NULL);
    }
}

/* Read locks that others hold and give back as the last thing they do with it: once a writer gets
 * in, it is gone. */
static void give_back(void *arg)
{
    weft_rwmutex_rdunlock(arg);
}

static void yield_and_give_back(void *arg)
{
    weft_yield();
    weft_rwmutex_rdunlock(arg);
}

static void *give_back_thread(void *arg)
{
    weft_rwmutex_rdunlock(arg);
    return NULL;
}

static void get_past_readers(weft_rwmutex *rw, bool tries)
{
    if (tries) {
        while (!weft_rwmutex_trywrlock(rw))
            weft_yield();
    } else {
        weft_rwmutex_wrlock(rw);
    }
    memset(rw, 0xff, sizeof *rw);
    for (size_t i = 0; i < sizeof *rw; i++)
        CHECK_EQ(((volatile unsigned char *)rw)[i], 0xff);
    free(rw);
}

TEST_PROCS(discarded_after_the_last_reader)
{
    enum { READERS = 3 };
    for (int round = 0; round < 3000; round++) {
        weft_rwmutex *rw = calloc(1, sizeof *rw);
        for (int i = 0; i < READERS; i++) {
            weft_rwmutex_rdlock(rw);
            CHECK_EQ(weft_go((round + i) % 2 ? give_back : yield_and_give_back, rw), 0);
        }
        get_past_readers(rw, round % 3 == 0);
    }
}

TEST(discarded_after_the_last_reading_thread)
{
    for (int round = 0; round < 300; round++) {
        pthread_t thread;
        weft_rwmutex *rw = calloc(1, sizeof *rw);
        weft_rwmutex_rdlock(rw);
        CHECK_EQ(pthread_create(&thread, NULL, give_back_thread, rw), 0);
        get_past_readers(rw, round % 3 == 0);
        pthread_join(thread, NULL);
    }
}
