/* SPDX-License-Identifier: MIT
 *
 * Selects in the queues of channels, seen from inside, so that a test knows who is parked: the
 * order among waiters, what a select leaves behind in channels that it did not choose, and the
 * choice among parked partners.
 */
#include "harness/test.h"

#include <math.h>
#include <pthread.h>

#include "core/park.h"
#include "sync/chan.h"
#include "sync/sudog.h"

static int queue_length(weft_chan *chan, const weft_waitq *queue)
{
    int length = 0;
    struct wi_g *gp = wi_enter();
    wi_lock(&chan->lock);
    const struct wi_sudog *last = NULL;
    for (const struct wi_sudog *sg = queue->first; sg; last = sg, sg = sg->next) {
        CHECK(sg->queued);
        CHECK(sg->prev == last);
        length++;
    }
    CHECK(queue->last == last);
    wi_unlock(&chan->lock);
    wi_leave(gp);
    return length;
}

static int senders(weft_chan *chan)
{
    return queue_length(chan, &chan->senders);
}

static int receivers(weft_chan *chan)
{
    return queue_length(chan, &chan->receivers);
}

/* Somebody who waits on the channel, alone or among others, in one of these ways. */
enum { PLAIN, PLAIN_UNTIL, SELECT, SELECT_UNTIL, SELECT_BEHIND_OTHERS, WAYS };

struct waiter {
    weft_chan *chan;
    weft_chan *other; /* nobody ever comes there */
    bool sends;
    int way;
    int value;  /* sent, or received */
    int result; /* atomic; 1 while it waits */
};

static int wait_selecting(struct waiter *w)
{
    int place = w->way == SELECT_BEHIND_OTHERS ? 18 : 0;
    int n = place + 2;
    int64_t deadline = w->way == SELECT ? WEFT_FOREVER : weft_after(600 * WEFT_SECOND);
    weft_case cases[20] = {{0}};
    for (int i = 0; i < n; i++)
        cases[i] = (weft_case){.chan = i % 3 ? w->other : NULL, .result = 1};
    cases[place].chan = w->chan;
    if (w->sends)
        cases[place].send = &w->value;
    else
        cases[place].recv = &w->value;
    CHECK_EQ(weft_select(cases, n, deadline), place);
    CHECK_EQ(cases[place + 1].result, 1);
    return cases[place].result;
}

static int wait_plainly(struct waiter *w)
{
    int64_t deadline = w->way == PLAIN ? WEFT_FOREVER : weft_after(600 * WEFT_SECOND);
    return w->sends ? weft_chan_send_until(w->chan, &w->value, deadline)
                    : weft_chan_recv_until(w->chan, &w->value, deadline);
}

static void wait_on(void *arg)
{
    struct waiter *w = arg;
    int result = w->way >= SELECT ? wait_selecting(w) : wait_plainly(w);
    wi_store_release(&w->result, result);
}

static void *wait_thread(void *arg)
{
    wait_on(arg);
    return NULL;
}

static void start_waiter(struct waiter *w, bool foreign)
{
    if (foreign) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, wait_thread, w), 0);
        pthread_detach(thread);
    } else {
        CHECK_EQ(weft_go(wait_on, w), 0);
    }
}

enum { WAITERS = 20 };

/* Starts waiters of all ways one by one, each parked before the next starts; some are foreign. */
static void start_waiters(weft_chan *chan, weft_chan *other, bool sends, struct waiter *waiters)
{
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = (struct waiter){chan, other, sends, (i * 3) % WAYS, sends ? i : -1, 1};
        start_waiter(&waiters[i], i % 4 == 3);
        CHECK_SOON((sends ? senders(chan) : receivers(chan)) == i + 1);
    }
}

/* Whoever came first is served first, whether it selects or not, and whatever way it is served. */
static void check_order(bool sends)
{
    struct waiter waiters[WAITERS];
    weft_chan *chan = weft_chan_new(sizeof(int), 0), *other = weft_chan_new(sizeof(int), 0);
    start_waiters(chan, other, sends, waiters);
    for (int i = 0; i < WAITERS; i++) {
        int value = sends ? -1 : 100 + i;
        weft_case partner = {.chan = chan};
        if (sends)
            partner.recv = &value;
        else
            partner.send = &value;
        weft_case cases[2] = {{.chan = NULL}, partner};
        CHECK_EQ(weft_select(cases, 2, i % 2 ? WEFT_NOWAIT : WEFT_FOREVER), 1);
        CHECK_EQ(cases[1].result, 0);
        CHECK_SOON(wi_load_acquire(&waiters[i].result) == 0);
        CHECK_EQ(sends ? value : waiters[i].value, sends ? i : 100 + i);
        for (int j = i + 1; j < WAITERS; j++)
            CHECK_EQ(wi_load_acquire(&waiters[j].result), 1);
    }
    CHECK_SOON(weft_num_goroutine() == 1);
    CHECK_EQ(senders(chan) + receivers(chan), 0);
    CHECK_EQ(senders(other) + receivers(other), 0);
    weft_chan_unref(chan);
    weft_chan_unref(other);
}

TEST_PROCS(served_in_order)
{
    check_order(false);
    check_order(true);
}

TEST_PROCS(close_releases_all)
{
    for (int sends = 0; sends < 2; sends++) {
        struct waiter waiters[WAITERS];
        weft_chan *chan = weft_chan_new(sizeof(int), 0), *other = weft_chan_new(sizeof(int), 0);
        start_waiters(chan, other, sends, waiters);
        CHECK_EQ(weft_chan_close(chan), 0);
        CHECK_EQ(senders(chan) + receivers(chan), 0);
        for (int i = 0; i < WAITERS; i++) {
            CHECK_SOON(wi_load_acquire(&waiters[i].result) == -EPIPE);
            CHECK_EQ(waiters[i].value, sends ? i : -1);
        }
        CHECK_EQ(senders(other) + receivers(other), 0);
        weft_chan_unref(chan);
        weft_chan_unref(other);
    }
}

/* ---- What is left in the others ---- */

struct selector {
    weft_case cases[24];
    int n;
    int64_t deadline;
    int chosen; /* atomic; 1000 while it waits */
};

static void run_select(void *arg)
{
    struct selector *s = arg;
    wi_store_release(&s->chosen, weft_select(s->cases, s->n, s->deadline));
}

/* A case stands once in its channel's queue for each time it is listed, and then no more: after a
 * value, a close, and a deadline. */
TEST_PROCS(losers_are_taken_out)
{
    enum { VALUE, CLOSE, DEADLINE, ENDS };
    for (int round = 0; round < 6 * ENDS; round++) {
        int end = round % ENDS, n = round / ENDS % 2 ? 4 : 24, value = 7;
        struct selector s = {.n = n, .deadline = WEFT_FOREVER, .chosen = 1000};
        weft_chan *chans[4], *full = weft_chan_new(sizeof(int), 1);
        CHECK_EQ(weft_chan_send(full, &value), 0);
        for (int i = 0; i < 4; i++)
            chans[i] = weft_chan_new(sizeof(int), 0);
        for (int i = 0; i < n; i++)
            s.cases[i].chan = i == 1 ? full : chans[i % 4];
        for (int i = 1; i < n; i += 2)
            s.cases[i].send = &value;
        if (end == DEADLINE)
            s.deadline = weft_after(30 * WEFT_MILLISECOND);
        CHECK_EQ(weft_go(run_select, &s), 0);
        if (end != DEADLINE) {
            CHECK_SOON(senders(full) == 1);
            for (int i = 0; i < 4; i++) {
                CHECK_EQ(receivers(chans[i]), i % 2 ? 0 : n / 4);
                CHECK_EQ(senders(chans[i]), i % 2 ? n / 4 - (i == 1) : 0);
            }
        }
        if (end == VALUE)
            CHECK_EQ(weft_chan_send_until(chans[2], &value, WEFT_NOWAIT), 0);
        else if (end == CLOSE)
            CHECK_EQ(weft_chan_close(chans[2]), 0);
        CHECK_SOON(wi_load_acquire(&s.chosen) != 1000);
        if (end == DEADLINE)
            CHECK_EQ(s.chosen, -ETIMEDOUT);
        else
            CHECK_EQ(s.chosen, 2);
        CHECK_EQ(senders(full), 0);
        for (int i = 0; i < 4; i++) {
            CHECK_EQ(senders(chans[i]) + receivers(chans[i]), 0);
            weft_chan_unref(chans[i]);
        }
        CHECK_SOON(weft_num_goroutine() == 1);
        weft_chan_unref(full);
    }
}

/* ---- Waiters whose wait is over, and who have not left yet ---- */

/* Puts one into a queue: as if its select had been won elsewhere. */
static void add_stale(weft_chan *chan, weft_waitq *queue, struct wi_g *other, struct wi_sudog *sg)
{
    *sg = (struct wi_sudog){.g = other, .ticket = wi_wait_open(other)};
    CHECK(wi_wait_claim(other, sg->ticket));
    struct wi_g *gp = wi_enter();
    wi_lock(&chan->lock);
    wi_waitq_push(queue, sg);
    wi_unlock(&chan->lock);
    wi_leave(gp);
}

/* They make a channel look ready that is not; a select finds out, and does not try for ever. */
TEST_PROCS(stale_waiters_are_passed_over)
{
    weft_chan *a = weft_chan_new(sizeof(int), 0), *b = weft_chan_new(sizeof(int), 0);
    weft_chan *ready = weft_chan_new(sizeof(int), 1);
    int value = 1, received = -1;
    for (int round = 0; round < 5; round++) {
        struct wi_g others[6] = {{.id = 1}};
        struct wi_sudog sgs[6];
        for (int i = 0; i < 6; i++) {
            weft_chan *chan = i % 2 ? a : b;
            add_stale(chan, i % 2 ? &a->receivers : &b->senders, &others[i], &sgs[i]);
        }
        weft_case cases[3] = {{.chan = a, .send = &value},
                              {.chan = b, .recv = &received},
                              {.chan = ready, .send = &value}};
        if (round == 0)
            CHECK_EQ(weft_select(cases, 1, WEFT_NOWAIT), -EAGAIN);
        else if (round == 1)
            CHECK_EQ(weft_select(cases, 2, WEFT_NOWAIT), -EAGAIN);
        else if (round == 2)
            CHECK_EQ(weft_select(cases, 2, weft_after(WEFT_MILLISECOND)), -ETIMEDOUT);
        else
            CHECK_EQ(weft_select(cases, 3, WEFT_FOREVER), 2);
        if (round >= 3)
            CHECK_EQ(weft_chan_recv(ready, NULL), 0);
        while (weft_chan_send_until(a, &value, WEFT_NOWAIT) != -EAGAIN ||
               weft_chan_recv_until(b, &received, WEFT_NOWAIT) != -EAGAIN)
            FAIL("a stale waiter was served");
        CHECK_EQ(receivers(a) + senders(b), 0);
        CHECK_EQ(received, -1);
    }
    weft_chan_unref(a);
    weft_chan_unref(b);
    weft_chan_unref(ready);
}

/* ---- The choice among parked partners ---- */

enum { PARTNERS = 5 };

struct partner {
    weft_chan *chan;
    int number;
};

static void send_for_ever(void *arg)
{
    struct partner *p = arg;
    while (weft_chan_send(p->chan, &p->number) == 0)
        ;
}

/* Whose senders are all parked, each in its channel, is chosen uniformly; here are three of five.
 * The bound is that of api/select_choice.c. */
TEST_PROCS(parked_senders_are_chosen_uniformly)
{
    struct partner partners[PARTNERS];
    weft_case cases[PARTNERS];
    int value = -1, rounds = 3000 / (TEST_TSAN ? 4 : 1);
    double counts[PARTNERS] = {0}, chi_squared = 0;
    for (int i = 0; i < PARTNERS; i++) {
        partners[i] = (struct partner){weft_chan_new(sizeof(int), 0), i};
        cases[i] = (weft_case){.chan = partners[i].chan, .recv = &value};
        if (i == 0 || i >= 3)
            CHECK_EQ(weft_go(send_for_ever, &partners[i]), 0);
    }
    for (int round = 0; round < rounds; round++) {
        while (senders(partners[0].chan) + senders(partners[3].chan) + senders(partners[4].chan) <
               3)
            weft_yield();
        int chosen = weft_select(cases, PARTNERS, WEFT_FOREVER);
        CHECK_EQ(chosen, value);
        counts[chosen]++;
    }
    for (int i = 0; i < PARTNERS; i++) {
        double expected = i == 0 || i >= 3 ? rounds / 3.0 : 0;
        if (expected > 0)
            chi_squared += (counts[i] - expected) * (counts[i] - expected) / expected;
        CHECK_EQ(counts[i] > 0, expected > 0);
        CHECK_EQ(weft_chan_close(partners[i].chan), 0);
    }
    if (chi_squared > 2 + 10 * sqrt(2 * 2.0) + 24)
        FAIL("chi-squared is %.1f: %.0f, %.0f and %.0f times", chi_squared, counts[0], counts[3],
             counts[4]);
    CHECK_SOON(weft_num_goroutine() == 1);
    for (int i = 0; i < PARTNERS; i++)
        weft_chan_unref(partners[i].chan);
}
