/* SPDX-License-Identifier: MIT
 *
 * Channels under random schedules: every value that was sent is received exactly once, in the order
 * of its sender, whatever deadlines, closes and foreign threads race with it.
 */
#include "harness/test.h"

#include <pthread.h>

/* The unit tests include this file and take fewer rounds. */
#ifndef STRESS_SHARE
#define STRESS_SHARE 1
#endif

/* How often, for what takes n rounds by itself. */
static int share(int n)
{
    return 1 + n / STRESS_SHARE / test_scale();
}

enum { SENDERS_MAX = 32, RECEIVERS_MAX = 32 };

/* How the parties wait. */
enum style {
    PATIENT, /* forever */
    HURRIED, /* deadlines of a few microseconds, passed ones, NOWAIT; tries again */
    EITHER,  /* by chance */
};

struct plan {
    weft_chan *chan;
    weft_waitgroup senders;
    weft_waitgroup receivers;
    enum style style;
    int sender_count;
    int receiver_count;
    uint32_t per_sender;
    bool close_early; /* while senders still send */
};

struct value {
    uint32_t sender;
    uint32_t number;
};

struct sender {
    struct plan *plan;
    uint64_t random;
    uint32_t id;
    uint32_t sent; /* how many the channel accepted */
};

struct receiver {
    struct plan *plan;
    uint64_t random;
    uint64_t received;
    uint32_t last[SENDERS_MAX]; /* number + 1 of the last value of each sender */
    uint8_t *seen;              /* sender * per_sender + number; atomic, shared */
};

static uint64_t next_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

static int64_t some_deadline(enum style style, uint64_t *random)
{
    uint64_t r = next_random(random);
    if (style == PATIENT || (style == EITHER && r % 2))
        return WEFT_FOREVER;
    switch (r / 2 % 8) {
    case 0:
        return WEFT_NOWAIT;
    case 1:
        return weft_now() - 1;
    default:
        return weft_after((int64_t)(r / 16 % 20) * WEFT_MICROSECOND);
    }
}

static bool again(int result, int64_t deadline, uint64_t *random)
{
    if (result != -ETIMEDOUT && result != -EAGAIN)
        return false;
    CHECK_EQ(result, deadline == WEFT_NOWAIT ? -EAGAIN : -ETIMEDOUT);
    CHECK_NE(deadline, WEFT_FOREVER);
    if (next_random(random) % 2)
        weft_yield();
    return true;
}

static void send_all(void *arg)
{
    struct sender *sender = arg;
    struct plan *plan = sender->plan;
    for (uint32_t i = 0; i < plan->per_sender; i++) {
        struct value value = {sender->id, i};
        int64_t deadline;
        int result;
        do {
            deadline = some_deadline(plan->style, &sender->random);
            result = weft_chan_send_until(plan->chan, &value, deadline);
        } while (again(result, deadline, &sender->random));
        if (result == -EPIPE) {
            CHECK(plan->close_early);
            break;
        }
        CHECK_EQ(result, 0);
        sender->sent++;
        if (next_random(&sender->random) % 64 == 0)
            weft_yield();
    }
    weft_waitgroup_done(&plan->senders);
}

static void recv_all(void *arg)
{
    struct receiver *receiver = arg;
    struct plan *plan = receiver->plan;
    for (;;) {
        struct value value = {UINT32_MAX, UINT32_MAX};
        int64_t deadline = some_deadline(plan->style, &receiver->random);
        int result = weft_chan_recv_until(plan->chan, &value, deadline);
        if (again(result, deadline, &receiver->random)) {
            CHECK(value.sender == UINT32_MAX && value.number == UINT32_MAX);
            continue;
        }
        if (result == -EPIPE)
            break;
        CHECK_EQ(result, 0);
        CHECK_LT(value.sender, plan->sender_count);
        CHECK_LT(value.number, plan->per_sender);
        uint8_t *seen = &receiver->seen[value.sender * plan->per_sender + value.number];
        CHECK_EQ(__atomic_exchange_n(seen, 1, __ATOMIC_RELAXED), 0);
        CHECK_GE(value.number, receiver->last[value.sender]);
        receiver->last[value.sender] = value.number + 1;
        receiver->received++;
    }
    weft_waitgroup_done(&plan->receivers);
}

static void *send_all_thread(void *arg)
{
    send_all(arg);
    return NULL;
}

static void *recv_all_thread(void *arg)
{
    recv_all(arg);
    return NULL;
}

/* Starts a party: as a goroutine, or, every fourth if threads are wanted, as a foreign thread. */
static void start(void (*fn)(void *), void *(*thread_fn)(void *), void *arg, int i, bool threads)
{
    if (threads && i % 4 == 0) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, thread_fn, arg), 0);
        pthread_detach(thread);
    } else {
        CHECK_EQ(weft_go(fn, arg), 0);
    }
}

static void run_plan(struct plan *plan, size_t capacity, bool threads)
{
    static struct sender senders[SENDERS_MAX];
    static struct receiver receivers[RECEIVERS_MAX];
    uint8_t *seen = calloc((size_t)plan->sender_count, plan->per_sender);
    memset(senders, 0, sizeof senders);
    memset(receivers, 0, sizeof receivers);
    plan->chan = weft_chan_new(sizeof(struct value), capacity);
    weft_waitgroup_add(&plan->senders, plan->sender_count);
    weft_waitgroup_add(&plan->receivers, plan->receiver_count);
    for (int i = 0; i < plan->receiver_count; i++) {
        receivers[i].plan = plan;
        receivers[i].random = test_random() | 1;
        receivers[i].seen = seen;
        start(recv_all, recv_all_thread, &receivers[i], i, threads);
    }
    for (int i = 0; i < plan->sender_count; i++) {
        senders[i].plan = plan;
        senders[i].random = test_random() | 1;
        senders[i].id = (uint32_t)i;
        start(send_all, send_all_thread, &senders[i], i, threads);
    }
    if (plan->close_early) {
        weft_sleep((int64_t)test_random_below(500) * WEFT_MICROSECOND);
        CHECK_EQ(weft_chan_close(plan->chan), 0);
    }
    weft_waitgroup_wait(&plan->senders);
    CHECK_EQ(weft_chan_close(plan->chan), plan->close_early ? -EPIPE : 0);
    weft_waitgroup_wait(&plan->receivers);

    uint64_t sent = 0, received = 0;
    for (int i = 0; i < plan->sender_count; i++) {
        sent += senders[i].sent;
        /* Exactly the accepted ones arrived. */
        for (uint32_t n = 0; n < plan->per_sender; n++)
            CHECK_EQ(seen[(uint32_t)i * plan->per_sender + n], n < senders[i].sent);
    }
    for (int i = 0; i < plan->receiver_count; i++)
        received += receivers[i].received;
    CHECK_EQ(sent, received);
    if (!plan->close_early)
        CHECK_EQ(sent, (uint64_t)plan->per_sender * (uint64_t)plan->sender_count);
    CHECK_EQ(weft_chan_len(plan->chan), 0);
    weft_chan_unref(plan->chan);
    free(seen);
}

static void conserve(enum style style, bool close_early, bool threads, int rounds)
{
    static const size_t ring_sizes[] = {0, 1, 2, 7, 128};
    for (int i = 0; i < share(rounds); i++) {
        struct plan plan = {.style = style,
                            .close_early = close_early,
                            .sender_count = 1 + (int)test_random_below(SENDERS_MAX),
                            .receiver_count = 1 + (int)test_random_below(RECEIVERS_MAX),
                            .per_sender = 20 + (uint32_t)test_random_below(threads ? 100 : 400)};
        run_plan(&plan, ring_sizes[test_random_below(5)], threads);
    }
}

TEST_PROCS(conserves)
{
    conserve(PATIENT, false, false, 600);
}

TEST_PROCS(conserves_with_deadlines)
{
    conserve(HURRIED, false, false, 150);
    conserve(EITHER, false, false, 150);
}

TEST_PROCS(conserves_with_close)
{
    conserve(PATIENT, true, false, 500);
    conserve(EITHER, true, false, 200);
}

TEST_PROCS(conserves_with_threads)
{
    conserve(PATIENT, false, true, 60);
    conserve(EITHER, false, true, 50);
    conserve(EITHER, true, true, 60);
}

/* ---- A value and a deadline at the same time ---- */

struct duel {
    weft_chan *chan;
    weft_chan *turn;
    int64_t deadline;
    int result;
    int value;
};

static void recv_in_time(void *arg)
{
    struct duel *duel = arg;
    while (weft_chan_recv(duel->turn, NULL) == 0) {
        duel->value = 0;
        duel->result = weft_chan_recv_until(duel->chan, &duel->value, duel->deadline);
        CHECK_EQ(weft_chan_send(duel->turn, NULL), 0);
    }
}

/* One tries to send at the instant the other gives up. Both agree on whether the value was passed.
 */
TEST_PROCS(duels_agree)
{
    int rounds = share(30000);
    struct duel duel = {.chan = weft_chan_new(sizeof(int), 0), .turn = weft_chan_new(0, 0)};
    int met = 0;
    CHECK_EQ(weft_go(recv_in_time, &duel), 0);
    for (int i = 1; i <= rounds; i++) {
        int64_t around = weft_after(5 * WEFT_MICROSECOND);
        duel.deadline = around + (int64_t)test_random_below(4000);
        CHECK_EQ(weft_chan_send(duel.turn, NULL), 0);
        int result = weft_chan_send_until(duel.chan, &i, around + (int64_t)test_random_below(4000));
        CHECK_EQ(weft_chan_recv(duel.turn, NULL), 0);
        CHECK_EQ(result, duel.result);
        CHECK(result == 0 || result == -ETIMEDOUT);
        CHECK_EQ(duel.value, result == 0 ? i : 0);
        met += result == 0;
    }
    printf("%d of %d met\n", met, rounds);
    weft_chan_close(duel.turn);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(duel.chan);
    weft_chan_unref(duel.turn);
}

/* ---- NOWAIT on both sides only: nothing parks, and still everything arrives ---- */

struct polled {
    weft_chan *chan;
    int count;
};

static void poll_send(void *arg)
{
    struct polled *polled = arg;
    for (int i = 0; i < polled->count; i++)
        while (weft_chan_send_until(polled->chan, &i, WEFT_NOWAIT) == -EAGAIN)
            weft_yield();
    weft_chan_close(polled->chan);
}

TEST_PROCS(polling_both_sides)
{
    struct polled polled = {.chan = weft_chan_new(sizeof(int), 100), .count = share(20000)};
    int value, result, expected = 0;
    CHECK_EQ(weft_go(poll_send, &polled), 0);
    while ((result = weft_chan_recv_until(polled.chan, &value, WEFT_NOWAIT)) != -EPIPE) {
        if (result == 0)
            CHECK_EQ(value, expected++);
        else
            weft_yield();
    }
    CHECK_EQ(expected, polled.count);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_chan_unref(polled.chan);
}

/* ---- Many pairs at once: a ring of goroutines passes tokens ---- */

struct link {
    weft_chan *in;
    weft_chan *out;
};

static void pass_on(void *arg)
{
    struct link *link = arg;
    uint64_t token;
    while (weft_chan_recv(link->in, &token) == 0) {
        token++;
        if (weft_chan_send(link->out, &token) != 0)
            break;
    }
    weft_chan_close(link->out);
}

TEST_PROCS(ring_of_goroutines)
{
    enum { LINKS = 200, TOKENS = 10 };
    int laps = share(1000);
    static struct link links[LINKS];
    weft_chan *chans[LINKS + 1];
    for (int i = 0; i <= LINKS; i++)
        chans[i] = weft_chan_new(sizeof(uint64_t), (size_t)(i % 3));
    for (int i = 0; i < LINKS; i++) {
        links[i] = (struct link){chans[i], chans[i + 1]};
        CHECK_EQ(weft_go(pass_on, &links[i]), 0);
    }
    for (uint64_t i = 0, token; i < TOKENS; i++) {
        token = 0;
        CHECK_EQ(weft_chan_send(chans[0], &token), 0);
    }
    for (int i = 0; i < TOKENS * laps; i++) {
        uint64_t token;
        CHECK_EQ(weft_chan_recv(chans[LINKS], &token), 0);
        CHECK_EQ(token % LINKS, 0);
        if (i < TOKENS * (laps - 1))
            CHECK_EQ(weft_chan_send(chans[0], &token), 0);
        else
            CHECK_GE(token, (uint64_t)LINKS);
    }
    weft_chan_close(chans[0]);
    CHECK_EQ(weft_chan_recv(chans[LINKS], NULL), -EPIPE);
    CHECK_SOON(weft_num_goroutine() == 1);
    for (int i = 0; i <= LINKS; i++)
        weft_chan_unref(chans[i]);
}
