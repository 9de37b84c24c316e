/* SPDX-License-Identifier: MIT
 *
 * Queues of waiters, seen from inside, so that a test knows who is parked: FIFO order, what happens
 * at the moment a waiter is served, and what one that gave up leaves behind.
 */
#include "harness/test.h"

#include <pthread.h>

#include "core/park.h"
#include "sync/chan.h"
#include "sync/sudog.h"
#include "unit/queue.h"

/* ---- The queue itself ---- */

TEST(queue_operations)
{
    struct wi_g gs[4] = {{.id = 1}};
    struct wi_sudog sgs[4];
    weft_waitq queue = {0};
    CHECK(wi_waitq_was_empty(&queue));
    CHECK(!wi_waitq_pop(&queue));
    for (int i = 0; i < 4; i++)
        sgs[i] = (struct wi_sudog){.g = &gs[i]};
    wi_waitq_push(&queue, &sgs[1]);
    wi_waitq_push(&queue, &sgs[2]);
    wi_waitq_push_front(&queue, &sgs[0]);
    wi_waitq_push(&queue, &sgs[3]);
    CHECK(!wi_waitq_was_empty(&queue));
    wi_waitq_remove(&queue, &sgs[2]);
    wi_waitq_remove(&queue, &sgs[2]); /* not queued: nothing happens */
    CHECK(wi_waitq_pop(&queue) == &sgs[0]);
    wi_waitq_remove(&queue, &sgs[3]);
    CHECK(wi_waitq_pop(&queue) == &sgs[1]);
    CHECK(!wi_waitq_pop(&queue));
    wi_waitq_push_front(&queue, &sgs[3]);
    CHECK(queue.last == &sgs[3]);
    CHECK(wi_waitq_pop(&queue) == &sgs[3]);
    CHECK(wi_waitq_was_empty(&queue) && !queue.last);
}

TEST(queue_passes_over_the_lost)
{
    struct wi_g gs[3] = {{.id = 1}};
    struct wi_sudog sgs[3];
    weft_waitq queue = {0};
    for (int i = 0; i < 3; i++) {
        sgs[i] = (struct wi_sudog){.g = &gs[i], .ticket = wi_wait_open(&gs[i])};
        wi_waitq_push(&queue, &sgs[i]);
    }
    CHECK(wi_wait_claim(&gs[0], sgs[0].ticket));
    CHECK(!wi_wait_claim(&gs[0], sgs[0].ticket));
    CHECK(wi_wait_claim(&gs[2], sgs[2].ticket));
    CHECK(wi_waitq_pop(&queue) == &sgs[1]);
    CHECK(!sgs[0].queued && sgs[2].queued);
    CHECK(!wi_wait_claim(&gs[1], sgs[1].ticket));
    CHECK(wi_wait_open(&gs[1]) != sgs[1].ticket);
    CHECK(!wi_wait_claim(&gs[1], sgs[1].ticket)); /* an old ticket */
    CHECK(!wi_waitq_pop(&queue));
}

/* ---- Channels ---- */

enum { WAITERS = 9 };

struct waiter {
    weft_chan *chan;
    bool sends;
    int64_t deadline;
    int value;  /* sent, or received */
    int result; /* atomic; 1 while it waits */
};

static void wait_on(void *arg)
{
    struct waiter *w = arg;
    int result = w->sends ? weft_chan_send_until(w->chan, &w->value, w->deadline)
                          : weft_chan_recv_until(w->chan, &w->value, w->deadline);
    wi_sanitize_release(&w->result);
    wi_store_release(&w->result, result);
}

static int result_of(const struct waiter *w)
{
    int result = wi_load_acquire(&w->result);
    wi_sanitize_acquire(&w->result);
    return result;
}

static void *wait_thread(void *arg)
{
    wait_on(arg);
    return NULL;
}

/* Starts waiters one by one, each parked before the next starts; every third is a foreign thread.
 */
static void start_waiters(weft_chan *chan, bool sends, struct waiter *waiters)
{
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = (struct waiter){.chan = chan, .sends = sends, .result = 1};
        waiters[i].value = sends ? i : -1;
        waiters[i].deadline = i % 2 ? WEFT_FOREVER : weft_after(600 * WEFT_SECOND);
        if (i % 3 == 2) {
            pthread_t thread;
            CHECK_EQ(pthread_create(&thread, NULL, wait_thread, &waiters[i]), 0);
            pthread_detach(thread);
        } else {
            CHECK_EQ(weft_go(wait_on, &waiters[i]), 0);
        }
        WAIT_FOR_LENGTH(&chan->lock, sends ? &chan->senders : &chan->receivers, i + 1);
    }
}

TEST_PROCS(senders_are_served_in_order)
{
    for (int capacity = 0; capacity < 3; capacity++) {
        struct waiter waiters[WAITERS];
        weft_chan *chan = weft_chan_new(sizeof(int), (size_t)capacity);
        int value;
        for (int i = 0; i < capacity; i++)
            CHECK_EQ(weft_chan_send(chan, &(int){-i}), 0);
        start_waiters(chan, true, waiters);
        CHECK_EQ(weft_chan_len(chan), capacity);
        for (int i = 0; i < capacity + WAITERS; i++) {
            /* Each of the ways to receive finds the waiting senders. */
            CHECK_EQ(weft_chan_recv_until(chan, &value,
                                          i % 3   ? WEFT_NOWAIT
                                          : i % 2 ? WEFT_FOREVER
                                                  : 0),
                     0);
            CHECK_EQ(value, i < capacity ? -i : i - capacity);
            if (i < WAITERS)
                CHECK_SOON(result_of(&waiters[i]) == 0);
            for (int j = i + 1; j < WAITERS; j++)
                CHECK_EQ(result_of(&waiters[j]), 1);
        }
        CHECK_EQ(weft_chan_len(chan), 0);
        CHECK_EQ(weft_chan_recv_until(chan, &value, WEFT_NOWAIT), -EAGAIN);
        weft_chan_unref(chan);
    }
}

TEST_PROCS(receivers_are_served_in_order)
{
    for (int capacity = 0; capacity < 3; capacity++) {
        struct waiter waiters[WAITERS];
        weft_chan *chan = weft_chan_new(sizeof(int), (size_t)capacity);
        start_waiters(chan, false, waiters);
        for (int i = 0; i < WAITERS; i++) {
            int value = 1000 + i;
            CHECK_EQ(weft_chan_send_until(chan, &value,
                                          i % 3   ? WEFT_NOWAIT
                                          : i % 2 ? WEFT_FOREVER
                                                  : 0),
                     0);
            CHECK_EQ(weft_chan_len(chan), 0); /* straight to the receiver */
            CHECK_SOON(result_of(&waiters[i]) == 0);
            CHECK_EQ(waiters[i].value, value);
            for (int j = i + 1; j < WAITERS; j++)
                CHECK_EQ(result_of(&waiters[j]), 1);
        }
        CHECK_EQ(weft_chan_send_until(chan, &capacity, WEFT_NOWAIT), capacity ? 0 : -EAGAIN);
        weft_chan_unref(chan);
    }
}

TEST_PROCS(close_releases_the_queue)
{
    for (int sends = 0; sends < 2; sends++) {
        struct waiter waiters[WAITERS];
        weft_chan *chan = weft_chan_new(sizeof(int), 0);
        start_waiters(chan, sends, waiters);
        CHECK_EQ(weft_chan_close(chan), 0);
        CHECK_EQ(queue_length(&chan->lock, &chan->senders), 0);
        CHECK_EQ(queue_length(&chan->lock, &chan->receivers), 0);
        for (int i = 0; i < WAITERS; i++) {
            CHECK_SOON(result_of(&waiters[i]) == -EPIPE);
            CHECK_EQ(waiters[i].value, sends ? i : -1);
        }
        weft_chan_unref(chan);
    }
}

/* The one in the middle gives up; the others are served as if it had never come. */
TEST_PROCS(giving_up_leaves_the_queue)
{
    struct waiter first = {.sends = true, .deadline = WEFT_FOREVER, .value = 1, .result = 1};
    struct waiter middle = {.sends = true, .value = 2, .result = 1};
    struct waiter last = {.sends = true, .deadline = WEFT_FOREVER, .value = 3, .result = 1};
    weft_chan *chan = weft_chan_new(sizeof(int), 0);
    int value;
    first.chan = middle.chan = last.chan = chan;
    CHECK_EQ(weft_go(wait_on, &first), 0);
    WAIT_FOR_LENGTH(&chan->lock, &chan->senders, 1);
    middle.deadline = weft_after(100 * WEFT_MILLISECOND);
    CHECK_EQ(weft_go(wait_on, &middle), 0);
    while (queue_length(&chan->lock, &chan->senders) < 2 && wi_load_acquire(&middle.result) == 1)
        weft_yield();
    CHECK_EQ(weft_go(wait_on, &last), 0);
    CHECK_SOON(wi_load_acquire(&middle.result) == -ETIMEDOUT);
    WAIT_FOR_LENGTH(&chan->lock, &chan->senders, 2);
    CHECK_EQ(weft_chan_recv(chan, &value), 0);
    CHECK_EQ(value, 1);
    CHECK_EQ(weft_chan_recv(chan, &value), 0);
    CHECK_EQ(value, 3);
    CHECK_EQ(weft_chan_recv_until(chan, &value, WEFT_NOWAIT), -EAGAIN);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(chan);
}

/* A receiver that drops values is served like any other. */
static void drop_one(void *arg)
{
    CHECK_EQ(weft_chan_recv(arg, NULL), 0);
}

TEST_PROCS(a_dropping_receiver_waits)
{
    weft_chan *chan = weft_chan_new(sizeof(int), 0);
    CHECK_EQ(weft_go(drop_one, chan), 0);
    WAIT_FOR_LENGTH(&chan->lock, &chan->receivers, 1);
    CHECK_EQ(weft_chan_send_until(chan, &(int){1}, WEFT_NOWAIT), 0);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(chan);
}

/* ---- Mutex and waitgroup ---- */

struct locker {
    weft_mutex *mutex;
    weft_chan *order;
    int number;
};

static void lock_and_report(void *arg)
{
    struct locker *locker = arg;
    weft_mutex_lock(locker->mutex);
    CHECK_EQ(weft_chan_send(locker->order, &locker->number), 0);
    weft_mutex_unlock(locker->mutex);
}

TEST_PROCS(mutex_waiters_are_served_in_order)
{
    struct locker lockers[WAITERS];
    weft_mutex mutex = {0};
    weft_chan *order = weft_chan_new(sizeof(int), WAITERS);
    weft_mutex_lock(&mutex);
    for (int i = 0; i < WAITERS; i++) {
        lockers[i] = (struct locker){.mutex = &mutex, .order = order, .number = i};
        CHECK_EQ(weft_go(lock_and_report, &lockers[i]), 0);
        WAIT_FOR_LENGTH(wi_lock_of(&mutex.lock), &mutex.waiters, i + 1);
    }
    CHECK_EQ(weft_mutex_trylock(&mutex), 0);
    weft_mutex_unlock(&mutex);
    for (int i = 0; i < WAITERS; i++) {
        int number;
        CHECK_EQ(weft_chan_recv(order, &number), 0);
        CHECK_EQ(number, i);
    }
    CHECK_SOON(weft_num_goroutine() == 1);
    CHECK_EQ(wi_load_relaxed(&mutex.state), 0);
    weft_chan_unref(order);
}

/* A waiter that has waited for 1 ms gets the mutex from the very next unlock. */
TEST_PROCS(a_starving_waiter_is_next)
{
    weft_mutex mutex = {0};
    weft_chan *order = weft_chan_new(sizeof(int), 1);
    struct locker locker = {.mutex = &mutex, .order = order, .number = 1};
    weft_mutex_lock(&mutex);
    CHECK_EQ(weft_go(lock_and_report, &locker), 0);
    WAIT_FOR_LENGTH(wi_lock_of(&mutex.lock), &mutex.waiters, 1);
    weft_sleep(2 * WEFT_MILLISECOND);
    weft_mutex_unlock(&mutex);
    if (weft_mutex_trylock(&mutex)) {
        CHECK_EQ(weft_chan_len(order), 1);
        weft_mutex_unlock(&mutex);
    }
    CHECK_EQ(weft_chan_recv(order, NULL), 0);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(order);
}

struct group_waiter {
    weft_waitgroup *wg;
    int64_t deadline;
    int result; /* atomic; 1 while it waits */
};

static void wait_for_group(void *arg)
{
    struct group_waiter *w = arg;
    wi_store_release(&w->result, weft_waitgroup_wait_until(w->wg, w->deadline));
}

TEST_PROCS(waitgroup_counts_its_waiters)
{
    weft_waitgroup wg = {0};
    struct wi_lock *inner = wi_lock_of(&wg.lock);
    struct group_waiter waiters[WAITERS];
    weft_waitgroup_add(&wg, 2);
    for (int i = 0; i < WAITERS; i++) {
        int64_t deadline = i % 3 == 0   ? WEFT_FOREVER
                           : i % 3 == 1 ? weft_after(600 * WEFT_SECOND)
                                        : weft_after(20 * WEFT_MILLISECOND);
        waiters[i] = (struct group_waiter){.wg = &wg, .deadline = deadline, .result = 1};
        CHECK_EQ(weft_go(wait_for_group, &waiters[i]), 0);
    }
    for (int i = 2; i < WAITERS; i += 3)
        CHECK_SOON(wi_load_acquire(&waiters[i].result) == -ETIMEDOUT);
    WAIT_FOR_LENGTH(inner, &wg.waiters, WAITERS / 3 * 2);
    CHECK_EQ((uint32_t)wi_load_relaxed(&wg.state), WAITERS / 3 * 2);
    weft_waitgroup_done(&wg);
    weft_yield();
    CHECK_EQ(queue_length(inner, &wg.waiters), WAITERS / 3 * 2);
    weft_waitgroup_done(&wg);
    CHECK_EQ(wi_load_relaxed(&wg.state), 0);
    CHECK_EQ(queue_length(inner, &wg.waiters), 0);
    for (int i = 0; i < WAITERS; i++)
        CHECK_SOON(wi_load_acquire(&waiters[i].result) == (i % 3 == 2 ? -ETIMEDOUT : 0));
    CHECK_SOON(weft_num_goroutine() == 1);
}
