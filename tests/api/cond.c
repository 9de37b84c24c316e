/* SPDX-License-Identifier: MIT
 *
 * The condition variable, from goroutines and from foreign threads.
 */
#include "harness/test.h"

#include <pthread.h>

static void signals_for_nobody(void)
{
    weft_cond cond = {0};
    weft_mutex mutex = {0};
    weft_cond_signal(&cond);
    weft_cond_broadcast(&cond);
    weft_mutex_lock(&mutex);
    weft_cond_signal(&cond);
    weft_cond_broadcast(&cond);
    /* A signal is not kept for later. */
    CHECK_EQ(weft_cond_wait_until(&cond, &mutex, weft_after(WEFT_MILLISECOND)), -ETIMEDOUT);
    weft_mutex_unlock(&mutex);
}

static void deadlines(void)
{
    weft_cond cond = {0};
    weft_mutex mutex = {0};
    int64_t start = weft_now(), duration = 3 * WEFT_MILLISECOND;
    weft_mutex_lock(&mutex);
    CHECK_EQ(weft_cond_wait_until(&cond, &mutex, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_mutex_trylock(&mutex), 0);
    CHECK_EQ(weft_cond_wait_until(&cond, &mutex, 0), -ETIMEDOUT);
    CHECK_EQ(weft_mutex_trylock(&mutex), 0);
    CHECK_EQ(weft_cond_wait_until(&cond, &mutex, weft_after(duration)), -ETIMEDOUT);
    CHECK_GE(weft_now() - start, duration);
    CHECK_EQ(weft_mutex_trylock(&mutex), 0);
    weft_mutex_unlock(&mutex);
    CHECK(!cond.waiters.first);
    CHECK_EQ(mutex.state, 0);
}

TEST(deadlines_on_a_thread)
{
    signals_for_nobody();
    deadlines();
}

TEST_PROCS(deadlines_on_a_goroutine)
{
    signals_for_nobody();
    deadlines();
}

/* ---- Exactly those that are signalled wake ---- */

enum { GUESTS = 12 };

struct room {
    weft_mutex mutex;
    weft_cond cond;
    int waiting; /* guarded by mutex: have come to wait */
    int woken;   /* guarded by mutex */
};

/* Without a loop: nobody is woken for nothing. */
static void wait_in(struct room *room, bool deadline)
{
    weft_mutex_lock(&room->mutex);
    room->waiting++;
    if (deadline)
        CHECK_EQ(weft_cond_wait_until(&room->cond, &room->mutex, weft_after(600 * WEFT_SECOND)), 0);
    else
        weft_cond_wait(&room->cond, &room->mutex);
    CHECK_EQ(weft_mutex_trylock(&room->mutex), 0);
    room->woken++;
    weft_mutex_unlock(&room->mutex);
}

static void wait_without_bound(void *arg)
{
    wait_in(arg, false);
}

static void wait_with_deadline(void *arg)
{
    wait_in(arg, true);
}

static void *wait_thread(void *arg)
{
    wait_in(arg, true);
    return NULL;
}

static int look(struct room *room, const int *number)
{
    weft_mutex_lock(&room->mutex);
    int result = *number;
    weft_mutex_unlock(&room->mutex);
    return result;
}

/* They have queued before they gave up the mutex under which waiting is counted. */
static void fill(struct room *room, pthread_t *thread)
{
    CHECK_EQ(pthread_create(thread, NULL, wait_thread, room), 0);
    for (int i = 1; i < GUESTS; i++)
        CHECK_EQ(weft_go(i % 2 ? wait_with_deadline : wait_without_bound, room), 0);
    CHECK_SOON(look(room, &room->waiting) == GUESTS);
    CHECK_EQ(look(room, &room->woken), 0);
}

TEST_PROCS(a_signal_wakes_one)
{
    struct room room = {.waiting = 0};
    pthread_t thread;
    fill(&room, &thread);
    for (int i = 1; i <= GUESTS; i++) {
        if (i % 2)
            weft_mutex_lock(&room.mutex);
        weft_cond_signal(&room.cond);
        if (i % 2)
            weft_mutex_unlock(&room.mutex);
        CHECK_SOON(look(&room, &room.woken) == i);
        weft_sleep(WEFT_MILLISECOND);
        CHECK_EQ(look(&room, &room.woken), i);
    }
    pthread_join(thread, NULL);
    CHECK(!room.cond.waiters.first);
}

TEST_PROCS(a_broadcast_wakes_all)
{
    for (int round = 0; round < 10; round++) {
        struct room room = {.waiting = 0};
        pthread_t thread;
        fill(&room, &thread);
        if (round % 2)
            weft_mutex_lock(&room.mutex);
        weft_cond_broadcast(&room.cond);
        if (round % 2) {
            CHECK_EQ(room.woken, 0);
            weft_mutex_unlock(&room.mutex);
        }
        CHECK_SOON(look(&room, &room.woken) == GUESTS);
        pthread_join(thread, NULL);
        CHECK(!room.cond.waiters.first);
    }
}

static void *signal_thread(void *arg)
{
    weft_cond_signal(arg);
    return NULL;
}

TEST_PROCS(signalled_by_a_thread)
{
    for (int i = 0; i < 50; i++) {
        struct room room = {.waiting = 0};
        pthread_t thread;
        CHECK_EQ(weft_go(wait_without_bound, &room), 0);
        CHECK_SOON(look(&room, &room.waiting) == 1);
        CHECK_EQ(pthread_create(&thread, NULL, signal_thread, &room.cond), 0);
        CHECK_SOON(look(&room, &room.woken) == 1);
        pthread_join(thread, NULL);
    }
}

/* ---- The mutex is given up meanwhile, and waited for after ---- */

static void wait_past_the_deadline(void *arg)
{
    struct room *room = arg;
    weft_mutex_lock(&room->mutex);
    room->waiting++;
    CHECK_EQ(weft_cond_wait_until(&room->cond, &room->mutex, weft_after(WEFT_MILLISECOND)),
             -ETIMEDOUT);
    room->woken++;
    weft_mutex_unlock(&room->mutex);
}

TEST_PROCS(time_up_while_the_mutex_is_held)
{
    for (int i = 0; i < 20; i++) {
        struct room room = {.waiting = 0};
        CHECK_EQ(weft_go(wait_past_the_deadline, &room), 0);
        CHECK_SOON(look(&room, &room.waiting) == 1);
        weft_mutex_lock(&room.mutex);
        int woken = room.woken;
        weft_sleep(3 * WEFT_MILLISECOND);
        CHECK_EQ(room.woken, woken);
        weft_mutex_unlock(&room.mutex);
        CHECK_SOON(look(&room, &room.woken) == 1);
        CHECK(!room.cond.waiters.first);
    }
}

/* ---- A bounded buffer ---- */

enum { PRODUCERS = 6, CONSUMERS = 6, CAPACITY = 3 };

struct buffer {
    weft_mutex mutex;
    weft_cond not_full;
    weft_cond not_empty;
    weft_waitgroup wg;
    int values[CAPACITY]; /* guarded by mutex, as all below */
    int count;
    long long sum;
    int each;
};

static void produce(void *arg)
{
    struct buffer *buffer = arg;
    for (int i = 1; i <= buffer->each; i++) {
        weft_mutex_lock(&buffer->mutex);
        while (buffer->count == CAPACITY)
            weft_cond_wait(&buffer->not_full, &buffer->mutex);
        buffer->values[buffer->count++] = i;
        if (i % 2)
            weft_cond_signal(&buffer->not_empty);
        weft_mutex_unlock(&buffer->mutex);
        if (i % 2 == 0)
            weft_cond_signal(&buffer->not_empty);
    }
    weft_waitgroup_done(&buffer->wg);
}

static void consume(void *arg)
{
    struct buffer *buffer = arg;
    for (int i = 1; i <= buffer->each; i++) {
        weft_mutex_lock(&buffer->mutex);
        while (buffer->count == 0)
            weft_cond_wait_until(&buffer->not_empty, &buffer->mutex,
                                 i % 3 ? WEFT_FOREVER : weft_after(600 * WEFT_SECOND));
        buffer->sum += buffer->values[--buffer->count];
        weft_cond_signal(&buffer->not_full);
        weft_mutex_unlock(&buffer->mutex);
    }
    weft_waitgroup_done(&buffer->wg);
}

static void *produce_thread(void *arg)
{
    produce(arg);
    return NULL;
}

static void *consume_thread(void *arg)
{
    consume(arg);
    return NULL;
}

static void run_buffer(int threads, int each)
{
    struct buffer buffer = {.each = each};
    pthread_t handles[PRODUCERS + CONSUMERS];
    weft_waitgroup_add(&buffer.wg, PRODUCERS + CONSUMERS);
    for (int i = 0; i < PRODUCERS + CONSUMERS; i++) {
        if (i < threads)
            CHECK_EQ(
                pthread_create(&handles[i], NULL, i % 2 ? produce_thread : consume_thread, &buffer),
                0);
        else
            CHECK_EQ(weft_go(i % 2 ? produce : consume, &buffer), 0);
    }
    weft_waitgroup_wait(&buffer.wg);
    for (int i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
    CHECK_EQ(buffer.count, 0);
    CHECK_EQ(buffer.sum, (long long)each * (each + 1) / 2 * PRODUCERS);
}

TEST_PROCS(a_bounded_buffer)
{
    run_buffer(0, 3000);
    run_buffer(5, 500);
}

TEST(a_bounded_buffer_of_threads)
{
    run_buffer(PRODUCERS + CONSUMERS, 500);
}

/* ---- Lifetime ---- */

struct letter {
    weft_mutex mutex;
    weft_cond cond;
    bool expected; /* guarded by mutex */
};

/* The waiter frees the cond it was signalled by. The pattern shows a late write. */
static void await_letter(void *arg)
{
    struct letter *letter = arg;
    weft_mutex_lock(&letter->mutex);
    letter->expected = true;
    weft_cond_wait(&letter->cond, &letter->mutex);
    weft_mutex_unlock(&letter->mutex);
    memset(letter, 0xff, sizeof *letter);
    weft_yield();
    for (size_t i = 0; i < sizeof *letter; i++)
        CHECK_EQ(((volatile unsigned char *)letter)[i], 0xff);
    free(letter);
}

static void *await_letter_thread(void *arg)
{
    await_letter(arg);
    return NULL;
}

static void send_letter(struct letter *letter, int round)
{
    bool expected = false;
    while (!expected) {
        weft_mutex_lock(&letter->mutex);
        expected = letter->expected;
        if (expected && round % 3 == 0) {
            weft_cond_signal(&letter->cond);
            weft_mutex_unlock(&letter->mutex);
            return;
        }
        weft_mutex_unlock(&letter->mutex);
        if (!expected)
            weft_yield();
    }
    if (round % 3 == 1)
        weft_cond_signal(&letter->cond);
    else
        weft_cond_broadcast(&letter->cond);
}

TEST_PROCS(freed_by_the_one_that_is_woken)
{
    for (int round = 0; round < 3000; round++) {
        struct letter *letter = calloc(1, sizeof *letter);
        CHECK_EQ(weft_go(await_letter, letter), 0);
        send_letter(letter, round);
    }
    CHECK_SOON(weft_num_goroutine() == 1);
}

TEST_PROCS(freed_by_a_thread_that_is_woken)
{
    for (int round = 0; round < 200; round++) {
        pthread_t thread;
        struct letter *letter = calloc(1, sizeof *letter);
        CHECK_EQ(pthread_create(&thread, NULL, await_letter_thread, letter), 0);
        send_letter(letter, round);
        pthread_join(thread, NULL);
    }
}
