/* SPDX-License-Identifier: MIT
 *
 * Channels: two sides that wait for each other, as goroutines and as foreign threads. What depends
 * on who is parked when is in unit/waiters.c.
 */
#include "harness/test.h"

#include <pthread.h>

enum { ELEM_MAX = 1000 };

static const size_t elem_sizes[] = {0, 1, 3, 4, 8, 16, 1000};
static const size_t capacities[] = {0, 1, 2, 128};

#define EACH(i, array) (size_t i = 0; i < sizeof(array) / sizeof((array)[0]); i++)

struct pair {
    weft_chan *chan;
    weft_chan *done;
    size_t size;
    int count;
};

static void fill(unsigned char *elem, size_t size, int n)
{
    for (size_t i = 0; i < size; i++)
        elem[i] = (unsigned char)(n + (int)i);
}

static void produce(void *arg)
{
    struct pair *pair = arg;
    unsigned char elem[ELEM_MAX];
    for (int i = 0; i < pair->count; i++) {
        fill(elem, pair->size, i);
        CHECK_EQ(weft_chan_send(pair->chan, elem), 0);
    }
    CHECK_EQ(weft_chan_close(pair->chan), 0);
    CHECK_EQ(weft_chan_send(pair->done, NULL), 0);
}

static void consume(struct pair *pair)
{
    unsigned char elem[ELEM_MAX], expected[ELEM_MAX];
    int result, count = 0;
    while ((result = weft_chan_recv(pair->chan, elem)) == 0) {
        fill(expected, pair->size, count++);
        CHECK(memcmp(elem, expected, pair->size) == 0);
    }
    CHECK_EQ(result, -EPIPE);
    CHECK_EQ(count, pair->count);
    CHECK_EQ(weft_chan_recv(pair->done, NULL), 0);
}

static void *produce_thread(void *arg)
{
    produce(arg);
    return NULL;
}

enum sides { GOROUTINE_TO_GOROUTINE, THREAD_TO_GOROUTINE };

static void in_order(enum sides sides, int count)
{
    for
        EACH(i, elem_sizes)
        {
        for
            EACH(j, capacities)
            {
                pthread_t thread;
                struct pair pair = {.chan = weft_chan_new(elem_sizes[i], capacities[j]),
                                    .done = weft_chan_new(0, 0),
                                    .size = elem_sizes[i],
                                    .count = count};
                if (sides == GOROUTINE_TO_GOROUTINE)
                    CHECK_EQ(weft_go(produce, &pair), 0);
                else
                    CHECK_EQ(pthread_create(&thread, NULL, produce_thread, &pair), 0);
                consume(&pair);
                if (sides == THREAD_TO_GOROUTINE)
                    pthread_join(thread, NULL);
                weft_chan_unref(pair.chan);
                weft_chan_unref(pair.done);
            }
        }
}

TEST_PROCS(goroutine_to_goroutine)
{
    in_order(GOROUTINE_TO_GOROUTINE, 300);
}

TEST_PROCS(thread_to_goroutine)
{
    in_order(THREAD_TO_GOROUTINE, 300);
}

/* No runtime: both sides are foreign threads. */
TEST(thread_to_thread)
{
    in_order(THREAD_TO_GOROUTINE, 300);
}

/* ---- Ping-pong, also with the main side foreign and the other a goroutine ---- */

struct pong {
    weft_chan *ping;
    weft_chan *pong;
};

static void answer(void *arg)
{
    struct pong *p = arg;
    int value;
    while (weft_chan_recv(p->ping, &value) == 0) {
        value++;
        CHECK_EQ(weft_chan_send(p->pong, &value), 0);
    }
    weft_chan_close(p->pong);
}

static void ask(struct pong *p, int rounds)
{
    int value = 0;
    for (int i = 0; i < rounds; i++) {
        int sent = value;
        CHECK_EQ(weft_chan_send(p->ping, &value), 0);
        CHECK_EQ(weft_chan_recv(p->pong, &value), 0);
        CHECK_EQ(value, sent + 1);
    }
    weft_chan_close(p->ping);
    CHECK_EQ(weft_chan_recv(p->pong, &value), -EPIPE);
}

static void *ask_thread(void *arg)
{
    ask(arg, 2000);
    return NULL;
}

static void pong_init(struct pong *p)
{
    p->ping = weft_chan_new(sizeof(int), 0);
    p->pong = weft_chan_new(sizeof(int), 0);
}

static void pong_end(struct pong *p)
{
    weft_chan_unref(p->ping);
    weft_chan_unref(p->pong);
}

TEST_PROCS(ping_pong)
{
    struct pong p;
    pong_init(&p);
    CHECK_EQ(weft_go(answer, &p), 0);
    ask(&p, 20000);
    pong_end(&p);
}

TEST_PROCS(ping_pong_with_a_thread)
{
    struct pong p;
    pthread_t thread;
    pong_init(&p);
    CHECK_EQ(pthread_create(&thread, NULL, ask_thread, &p), 0);
    answer(&p);
    pthread_join(thread, NULL);
    pong_end(&p);
}

/* ---- Waits that end ---- */

struct waiter {
    weft_chan *chan;
    weft_waitgroup *wg;
    bool sends;
    int64_t deadline;
    int result;
    int value;
};

static void wait_on(void *arg)
{
    struct waiter *w = arg;
    if (w->sends)
        w->result = weft_chan_send_until(w->chan, &w->value, w->deadline);
    else
        w->result = weft_chan_recv_until(w->chan, &w->value, w->deadline);
    weft_waitgroup_done(w->wg);
}

static void *wait_thread(void *arg)
{
    wait_on(arg);
    return NULL;
}

enum { WAITERS = 24 };

/* Every waiter, with and without a deadline, goroutine or thread, gets -EPIPE, and nothing is
 * copied. */
static void close_wakes(bool sends, bool goroutines)
{
    struct waiter waiters[WAITERS];
    pthread_t threads[WAITERS];
    weft_waitgroup wg = {0};
    weft_chan *chan = weft_chan_new(sizeof(int), sends ? 2 : 0);
    for (int i = 0; sends && i < 2; i++)
        CHECK_EQ(weft_chan_send(chan, &i), 0);
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] =
            (struct waiter){.chan = chan,
                            .wg = &wg,
                            .sends = sends,
                            .deadline = i % 2 ? WEFT_FOREVER : weft_after(600 * WEFT_SECOND),
                            .result = 1,
                            .value = 100 + i};
        weft_waitgroup_add(&wg, 1);
        if (goroutines && i % 3)
            CHECK_EQ(weft_go(wait_on, &waiters[i]), 0);
        else
            CHECK_EQ(pthread_create(&threads[i], NULL, wait_thread, &waiters[i]), 0);
    }
    weft_sleep(5 * WEFT_MILLISECOND);
    CHECK_EQ(weft_chan_close(chan), 0);
    weft_waitgroup_wait(&wg);
    for (int i = 0; i < WAITERS; i++) {
        CHECK_EQ(waiters[i].result, -EPIPE);
        CHECK_EQ(waiters[i].value, 100 + i);
        if (!goroutines || i % 3 == 0)
            pthread_join(threads[i], NULL);
    }
    for (int i = 0, value; sends && i < 2; i++) {
        CHECK_EQ(weft_chan_recv(chan, &value), 0);
        CHECK_EQ(value, i);
    }
    CHECK_EQ(weft_chan_recv(chan, NULL), -EPIPE);
    weft_chan_unref(chan);
}

TEST_PROCS(close_wakes_receivers)
{
    close_wakes(false, true);
}

TEST_PROCS(close_wakes_senders)
{
    close_wakes(true, true);
}

TEST(close_wakes_threads)
{
    close_wakes(false, false);
    close_wakes(true, false);
}

/* Of many waiters with short deadlines all time out, never early, and a late partner finds nobody.
 */
TEST_PROCS(deadlines_pass)
{
    struct waiter waiters[WAITERS];
    weft_waitgroup wg = {0};
    weft_chan *chan = weft_chan_new(sizeof(int), 0);
    int64_t latest = 0;
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = (struct waiter){.chan = chan,
                                     .wg = &wg,
                                     .deadline = weft_after((1 + i % 7) * WEFT_MILLISECOND),
                                     .result = 1,
                                     .value = -1};
        if (latest < waiters[i].deadline)
            latest = waiters[i].deadline;
        weft_waitgroup_add(&wg, 1);
        CHECK_EQ(weft_go(wait_on, &waiters[i]), 0);
    }
    weft_waitgroup_wait(&wg);
    CHECK_GE(weft_now(), latest);
    for (int i = 0; i < WAITERS; i++) {
        CHECK_EQ(waiters[i].result, -ETIMEDOUT);
        CHECK_EQ(waiters[i].value, -1);
    }
    CHECK_EQ(weft_chan_send_until(chan, &latest, WEFT_NOWAIT), -EAGAIN);
    weft_chan_unref(chan);
}

/* A deadline that is met in time does not fire into a later wait of the same goroutine. */
TEST_PROCS(a_met_deadline_is_gone)
{
    enum { ROUNDS = 200 };
    struct pong p;
    int value = 0;
    pong_init(&p);
    CHECK_EQ(weft_go(answer, &p), 0);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQ(weft_chan_send(p.ping, &value), 0);
        int result = weft_chan_recv_until(p.pong, &value, weft_after(100 * WEFT_MICROSECOND));
        if (result == -ETIMEDOUT)
            CHECK_EQ(weft_chan_recv(p.pong, &value), 0);
        else
            CHECK_EQ(result, 0);
        CHECK_EQ(value, i + 1);
    }
    weft_sleep(WEFT_MILLISECOND);
    weft_chan_close(p.ping);
    CHECK_EQ(weft_chan_recv(p.pong, NULL), -EPIPE);
    pong_end(&p);
}

/* ---- Lifetime ---- */

/* The receiver of the only value owns the channel and frees it at once, while the sender may still
 * be on its way out of the call. AddressSanitizer watches. */
static void send_one(void *arg)
{
    weft_chan *chan = arg;
    CHECK_EQ(weft_chan_send(chan, &chan), 0);
}

static void close_one(void *arg)
{
    CHECK_EQ(weft_chan_close(arg), 0);
}

static void receive_and_free(void)
{
    for (int i = 0; i < 2000; i++) {
        weft_chan *received, *chan = weft_chan_new(sizeof chan, i % 2);
        CHECK_EQ(weft_go(send_one, chan), 0);
        if (i % 4 < 2)
            weft_yield();
        CHECK_EQ(weft_chan_recv(chan, &received), 0);
        CHECK(received == chan);
        weft_chan_unref(chan);
    }
}

static void *receive_and_free_thread(void *arg)
{
    receive_and_free();
    weft_waitgroup_done(arg);
    return NULL;
}

TEST_PROCS(freed_by_the_receiver)
{
    receive_and_free();
}

TEST_PROCS(freed_by_a_receiving_thread)
{
    pthread_t thread;
    weft_waitgroup wg = {0};
    weft_waitgroup_add(&wg, 1);
    CHECK_EQ(pthread_create(&thread, NULL, receive_and_free_thread, &wg), 0);
    weft_waitgroup_wait(&wg);
    pthread_join(thread, NULL);
}

TEST_PROCS(freed_after_close)
{
    for (int i = 0; i < 2000; i++) {
        weft_chan *chan = weft_chan_new(0, 1);
        CHECK_EQ(weft_go(close_one, chan), 0);
        if (i % 2)
            CHECK_EQ(weft_chan_recv(chan, NULL), -EPIPE);
        else
            while (weft_chan_recv_until(chan, NULL, WEFT_NOWAIT) != -EPIPE)
                weft_yield();
        weft_chan_unref(chan);
    }
}

static void use_and_unref(void *arg)
{
    weft_chan *chan = arg;
    int value;
    CHECK_EQ(weft_chan_send(chan, &(int){1}), 0);
    CHECK_EQ(weft_chan_recv(chan, &value), 0);
    CHECK_EQ(value, 1);
    weft_chan_unref(chan);
}

/* The last of many users frees. */
TEST_PROCS(freed_by_the_last)
{
    enum { USERS = 50, ROUNDS = 40 };
    for (int round = 0; round < ROUNDS; round++) {
        weft_chan *chan = weft_chan_new(sizeof(int), USERS);
        for (int i = 0; i < USERS; i++)
            CHECK_EQ(weft_go(use_and_unref, weft_chan_ref(chan)), 0);
        weft_chan_unref(chan);
    }
    CHECK_SOON(weft_num_goroutine() == 1);
}
