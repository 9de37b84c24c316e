/* SPDX-License-Identifier: MIT
 *
 * Select under random schedules: every value that was sent is received exactly once, in the order
 * of its sender, no wake-up is lost, and losing cases leave no trace, whatever plain operations,
 * closes, deadlines, blocking regions, pinned goroutines and foreign threads race with it.
 */
#include "harness/test.h"

#include <pthread.h>

/* The unit tests include this file and take fewer rounds. */
#ifndef STRESS_SHARE
#define STRESS_SHARE 1
#endif
#define ROUNDS(n) (1 + (n) / STRESS_SHARE / test_scale())

static uint64_t party_random(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

/* Starts a party: as a goroutine, or, every fourth if threads are wanted, as a foreign thread. */
static void start_party(void (*fn)(void *), void *(*thread_fn)(void *), void *arg, int i,
                        bool threads)
{
    if (threads && i % 4 == 0) {
        pthread_t thread;
        CHECK_EQ(pthread_create(&thread, NULL, thread_fn, arg), 0);
        pthread_detach(thread);
    } else {
        CHECK_EQ(weft_go(fn, arg), 0);
    }
}

/* ---- A market: all send and receive on all channels, until these close ---- */

enum { MARKET_CHANS = 4, PARTIES_MAX = 16, EACH_MAX = 2000, MARKET_CASES_MAX = 24 };

struct good {
    uint16_t sender;
    uint16_t chan;
    uint32_t number; /* of the sender's goods on the channel */
};

struct market {
    weft_chan *chans[MARKET_CHANS];
    weft_chan *silent; /* nobody sends */
    weft_chan *deaf;   /* nobody receives */
    weft_waitgroup gone;
    int party_count;
    bool hurried;                                      /* deadlines */
    uint8_t seen[PARTIES_MAX][MARKET_CHANS][EACH_MAX]; /* atomic */
};

struct party {
    struct market *market;
    uint64_t random;
    int id;
    struct good next[MARKET_CHANS];           /* to send; number counts those accepted */
    bool done[MARKET_CHANS];                  /* closed, and drained */
    uint32_t last[PARTIES_MAX][MARKET_CHANS]; /* received: number + 1 */
    uint64_t received;
};

static int64_t market_deadline(struct party *p)
{
    uint64_t r = party_random(&p->random);
    if (!p->market->hurried || r % 2)
        return WEFT_FOREVER;
    switch (r / 2 % 8) {
    case 0:
        return WEFT_NOWAIT;
    case 1:
        return 0;
    default:
        return weft_after((int64_t)(r / 16 % 20) * WEFT_MICROSECOND);
    }
}

static void accept_good(struct party *p, int chan, const struct good *good)
{
    CHECK_LT(good->sender, p->market->party_count);
    CHECK_EQ(good->chan, chan);
    CHECK_LT(good->number, EACH_MAX);
    uint8_t *seen = &p->market->seen[good->sender][chan][good->number];
    CHECK_EQ(__atomic_exchange_n(seen, 1, __ATOMIC_RELAXED), 0);
    CHECK_GE(good->number, p->last[good->sender][chan]);
    p->last[good->sender][chan] = good->number + 1;
    p->received++;
}

/* A channel can be sent to while the sender's numbers last. */
static bool can_offer(const struct party *p, int chan)
{
    return p->next[chan].number < EACH_MAX;
}

static void trade_plainly(struct party *p, int chan)
{
    struct good good = {0};
    int64_t deadline = market_deadline(p);
    /* Without select, to wait for ever on one thing would make all wait. */
    if (deadline == WEFT_FOREVER)
        deadline = weft_after((int64_t)(party_random(&p->random) % 30) * WEFT_MICROSECOND);
    if (party_random(&p->random) % 2 && can_offer(p, chan)) {
        if (weft_chan_send_until(p->market->chans[chan], &p->next[chan], deadline) == 0)
            p->next[chan].number++;
        return;
    }
    int result = weft_chan_recv_until(p->market->chans[chan], &good, deadline);
    if (result == 0)
        accept_good(p, chan, &good);
    p->done[chan] = result == -EPIPE;
}

/* n cases: one on the channel, which will close some time, others on any, often several times the
 * same, and on two where nobody comes. */
static void trade_selecting(struct party *p, int chan, int n)
{
    struct market *market = p->market;
    weft_case cases[MARKET_CASES_MAX];
    struct good goods[MARKET_CASES_MAX] = {{0}};
    int chans[MARKET_CASES_MAX];
    for (int i = 0; i < n; i++) {
        uint64_t r = party_random(&p->random) >> 8;
        chans[i] = i == 0 ? chan : (int)(r % MARKET_CHANS);
        cases[i] = (weft_case){.chan = market->chans[chans[i]], .result = 1};
        if (p->done[chans[i]])
            cases[i].chan = NULL;
        if (r / 64 % 2 && can_offer(p, chans[i]))
            cases[i].send = &p->next[chans[i]];
        else
            cases[i].recv = &goods[i];
        if (i > 0 && r / 256 % 8 == 0)
            cases[i] = (weft_case){.chan = market->silent, .recv = &goods[i], .result = 1};
        else if (i > 0 && r / 256 % 8 == 1)
            cases[i] = (weft_case){.chan = market->deaf, .send = &goods[i], .result = 1};
    }
    int64_t deadline = market_deadline(p);
    int chosen = weft_select(cases, n, deadline);
    if (chosen < 0) {
        CHECK_EQ(chosen, deadline == WEFT_NOWAIT ? -EAGAIN : -ETIMEDOUT);
        CHECK_NE(deadline, WEFT_FOREVER);
    }
    for (int i = 0; i < n; i++) {
        if (i == chosen)
            continue;
        CHECK_EQ(cases[i].result, 1);
        CHECK(goods[i].sender == 0 && goods[i].chan == 0 && goods[i].number == 0);
    }
    if (chosen < 0)
        return;
    chan = chans[chosen];
    CHECK(cases[chosen].chan == market->chans[chan]);
    if (cases[chosen].result == -EPIPE) {
        p->done[chan] = cases[chosen].recv != NULL;
        return;
    }
    CHECK_EQ(cases[chosen].result, 0);
    if (cases[chosen].send)
        p->next[chan].number++;
    else
        accept_good(p, chan, &goods[chosen]);
}

static bool all_done(const struct party *p)
{
    for (int i = 0; i < MARKET_CHANS; i++)
        if (!p->done[i])
            return false;
    return true;
}

static void trade(void *arg)
{
    struct party *p = arg;
    bool pinned = p->id % 5 == 2 && weft_id() != 0;
    if (pinned)
        weft_lock_os_thread();
    while (!all_done(p)) {
        uint64_t r = party_random(&p->random) >> 8;
        int chan = (int)(r % MARKET_CHANS);
        if (p->done[chan])
            continue;
        bool blocking = r / 4194304 % 32 == 0;
        if (blocking)
            weft_blocking_begin();
        if (r / 16 % 4 == 0)
            trade_plainly(p, chan);
        else
            trade_selecting(p, chan, 1 + (int)(r / 64 % (r / 8192 % 8 ? 6 : MARKET_CASES_MAX)));
        if (blocking)
            weft_blocking_end();
        if (r / 65536 % 64 == 0)
            weft_yield();
    }
    if (pinned)
        weft_unlock_os_thread();
    weft_waitgroup_done(&p->market->gone);
}

static void *trade_thread(void *arg)
{
    trade(arg);
    return NULL;
}

static void check_market(struct market *market, struct party *parties)
{
    uint64_t sent = 0, received = 0;
    struct good good = {0};
    for (int i = 0; i < market->party_count; i++) {
        received += parties[i].received;
        for (int j = 0; j < MARKET_CHANS; j++) {
            sent += parties[i].next[j].number;
            for (uint32_t n = 0; n < EACH_MAX; n++)
                CHECK_EQ(market->seen[i][j][n], n < parties[i].next[j].number);
        }
    }
    CHECK_EQ(sent, received);
    /* Those on whom nobody called have left no trace. */
    CHECK_EQ(weft_chan_send_until(market->silent, &good, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_chan_recv_until(market->deaf, &good, WEFT_NOWAIT), -EAGAIN);
}

static void hold_market(bool hurried, bool threads)
{
    static const size_t room[] = {0, 0, 1, 3, 64};
    static struct market market;
    static struct party parties[PARTIES_MAX];
    memset(&market, 0, sizeof market);
    memset(parties, 0, sizeof parties);
    market.hurried = hurried;
    market.party_count = 2 + (int)test_random_below(PARTIES_MAX - 1);
    market.silent = weft_chan_new(sizeof(struct good), 0);
    market.deaf = weft_chan_new(sizeof(struct good), 0);
    for (int i = 0; i < MARKET_CHANS; i++)
        market.chans[i] = weft_chan_new(sizeof(struct good), room[test_random_below(5)]);
    weft_waitgroup_add(&market.gone, market.party_count);
    for (int i = 0; i < market.party_count; i++) {
        struct party *p = &parties[i];
        p->market = &market;
        p->id = i;
        p->random = test_random() | 1;
        for (int j = 0; j < MARKET_CHANS; j++)
            p->next[j] = (struct good){.sender = (uint16_t)i, .chan = (uint16_t)j};
        start_party(trade, trade_thread, p, i, threads);
    }
    for (int i = 0; i < MARKET_CHANS; i++) {
        weft_sleep((int64_t)test_random_below(400) * WEFT_MICROSECOND);
        CHECK_EQ(weft_chan_close(market.chans[i]), 0);
    }
    weft_waitgroup_wait(&market.gone);
    check_market(&market, parties);
    CHECK_SOON(weft_num_goroutine() <= 1);
    for (int i = 0; i < MARKET_CHANS; i++)
        weft_chan_unref(market.chans[i]);
    weft_chan_unref(market.silent);
    weft_chan_unref(market.deaf);
}

TEST_PROCS(conserves)
{
    for (int i = ROUNDS(400); i > 0; i--)
        hold_market(false, false);
}

TEST_PROCS(conserves_with_deadlines)
{
    for (int i = ROUNDS(200); i > 0; i--)
        hold_market(true, false);
}

TEST_PROCS(conserves_with_threads)
{
    for (int i = ROUNDS(100); i > 0; i--)
        hold_market(i % 2, true);
}

/* ---- No wake-up is lost: ten million times somebody meets somebody ---- */

enum { DANCERS = 6, FLOORS = 3 };

struct dance {
    weft_chan *floors[FLOORS];
    weft_waitgroup gone;
    uint64_t target;
    uint64_t steps; /* atomic */
};

struct dancer {
    struct dance *dance;
    int id;
    uint64_t random;
    uint64_t sent;
    uint64_t received;
    uint64_t sum; /* of values sent, less those received */
};

/* All wait for ever, in both directions of one floor or two, always of the first. A lost wake-up
 * would leave one standing, and then all. */
static void dance(void *arg)
{
    struct dancer *d = arg;
    struct dance *all = d->dance;
    for (uint64_t n = 1;; n++) {
        uint64_t value = party_random(&d->random), received = 0;
        weft_chan *other = all->floors[value % FLOORS];
        weft_case cases[] = {{.chan = all->floors[0], .send = &value},
                             {.chan = all->floors[0], .recv = &received},
                             {.chan = other, .send = &value},
                             {.chan = other, .recv = &received}};
        int chosen = weft_select(cases, value / 8 % 4 ? 4 : 2, WEFT_FOREVER);
        if (cases[chosen].result == -EPIPE)
            break;
        CHECK_EQ(cases[chosen].result, 0);
        d->sent += chosen % 2 == 0;
        d->received += chosen % 2;
        d->sum += chosen % 2 ? -received : value;
        if (n % 1024 == 0 && __atomic_add_fetch(&all->steps, 1024, __ATOMIC_RELAXED) >= all->target)
            weft_chan_close(all->floors[0]);
    }
    weft_waitgroup_done(&all->gone);
}

static void *dance_thread(void *arg)
{
    dance(arg);
    return NULL;
}

static void hold_dance(uint64_t target, size_t capacity, bool threads)
{
    static struct dancer dancers[DANCERS];
    static struct dance all;
    uint64_t sent = 0, received = 0, sum = 0, value;
    all = (struct dance){.target = target};
    for (int i = 0; i < FLOORS; i++)
        all.floors[i] = weft_chan_new(sizeof(uint64_t), i ? capacity : 0);
    weft_waitgroup_add(&all.gone, DANCERS);
    for (int i = 0; i < DANCERS; i++) {
        dancers[i] = (struct dancer){.dance = &all, .id = i, .random = test_random() | 1};
        start_party(dance, dance_thread, &dancers[i], i, threads);
    }
    weft_waitgroup_wait(&all.gone);
    for (int i = 0; i < DANCERS; i++) {
        sent += dancers[i].sent;
        received += dancers[i].received;
        sum += dancers[i].sum;
    }
    for (int i = 1; i < FLOORS; i++)
        while (weft_chan_recv_until(all.floors[i], &value, WEFT_NOWAIT) == 0) {
            received++;
            sum -= value;
        }
    CHECK_EQ(sent, received);
    CHECK_EQ(sum, 0);
    CHECK_GE(sent + received, target);
    CHECK_SOON(weft_num_goroutine() <= 1);
    for (int i = 0; i < FLOORS; i++)
        weft_chan_unref(all.floors[i]);
}

TEST_PROCS(ten_million)
{
    int share = STRESS_SHARE > 1 ? 20 : 1; /* much slower with wide windows */
    hold_dance((uint64_t)ROUNDS(8000000 / share), 0, false);
    hold_dance((uint64_t)ROUNDS(2000000 / share), 2, false);
}

TEST_PROCS(with_threads)
{
    hold_dance((uint64_t)ROUNDS(200000), 0, true);
    hold_dance((uint64_t)ROUNDS(100000), 2, true);
}

/* ---- A value and a deadline at the same time ---- */

struct select_duel {
    weft_chan *chans[2];
    weft_chan *turn;
    int64_t deadline;
    int result;
    int value;
};

static void select_in_time(void *arg)
{
    struct select_duel *duel = arg;
    int lost = 0;
    while (weft_chan_recv(duel->turn, NULL) == 0) {
        duel->value = 0;
        weft_case cases[] = {{.chan = duel->chans[1], .send = &lost},
                             {.chan = duel->chans[0], .recv = &duel->value},
                             {.chan = duel->chans[1], .recv = &lost}};
        duel->result = weft_select(cases, 3, duel->deadline);
        CHECK_EQ(weft_chan_send(duel->turn, NULL), 0);
    }
}

/* One sends at the instant the other gives up. Both agree on whether the value was passed. */
TEST_PROCS(select_duels_agree)
{
    struct select_duel duel = {.turn = weft_chan_new(0, 0)};
    int rounds = ROUNDS(20000), met = 0;
    for (int i = 0; i < 2; i++)
        duel.chans[i] = weft_chan_new(sizeof(int), 0);
    CHECK_EQ(weft_go(select_in_time, &duel), 0);
    for (int i = 1; i <= rounds; i++) {
        int64_t around = weft_after(10 * WEFT_MICROSECOND);
        int64_t instant = around + (int64_t)test_random_below(4000);
        duel.deadline = around + (int64_t)test_random_below(4000);
        CHECK_EQ(weft_chan_send(duel.turn, NULL), 0);
        while (weft_now() < instant)
            weft_yield();
        weft_case cases[2] = {{.chan = duel.chans[0], .send = &i}, {.chan = NULL}};
        int chosen = weft_select(cases, 1 + i % 2, WEFT_NOWAIT);
        CHECK_EQ(weft_chan_recv(duel.turn, NULL), 0);
        CHECK_EQ(chosen, duel.result == 1 ? 0 : -EAGAIN);
        CHECK_EQ(duel.result, chosen == 0 ? 1 : -ETIMEDOUT);
        CHECK_EQ(duel.value, chosen == 0 ? i : 0);
        met += chosen == 0;
    }
    printf("%d of %d met\n", met, rounds);
    CHECK_EQ(weft_chan_close(duel.turn), 0);
    CHECK_SOON(weft_num_goroutine() == 1);
    for (int i = 0; i < 2; i++)
        weft_chan_unref(duel.chans[i]);
    weft_chan_unref(duel.turn);
}

/* ---- A value on the move, which is in one channel or the other at every instant ---- */

struct move {
    weft_chan *chans[2];
    weft_chan *begin;
    weft_chan *end;
    int count;
};

/* Puts one value there before it takes one away here. */
static void move_values(void *arg)
{
    struct move *move = arg;
    while (weft_chan_recv(move->begin, NULL) == 0) {
        for (int i = 0; i < move->count; i++) {
            CHECK_EQ(weft_chan_send_until(move->chans[1 - i % 2], &i, WEFT_NOWAIT), 0);
            weft_chan_recv_until(move->chans[i % 2], NULL, WEFT_NOWAIT);
        }
        CHECK_EQ(weft_chan_send(move->end, NULL), 0);
    }
}

static void *move_values_thread(void *arg)
{
    move_values(arg);
    return NULL;
}

/* So a select that does not wait finds it, although at no instant it need be where it looks. */
static void find_on_the_move(int rounds, bool thread)
{
    pthread_t id;
    struct move move = {.begin = weft_chan_new(0, 1), .end = weft_chan_new(0, 1)};
    for (int i = 0; i < 2; i++)
        move.chans[i] = weft_chan_new(sizeof(int), 64);
    if (thread)
        CHECK_EQ(pthread_create(&id, NULL, move_values_thread, &move), 0);
    else
        CHECK_EQ(weft_go(move_values, &move), 0);
    for (int round = 0; round < rounds; round++) {
        move.count = 20 + (int)test_random_below(30);
        CHECK_EQ(weft_chan_send(move.chans[0], &round), 0);
        CHECK_EQ(weft_chan_send(move.begin, NULL), 0);
        int64_t instant = weft_after((int64_t)test_random_below(12) * WEFT_MICROSECOND);
        while (weft_now() < instant && weft_chan_len(move.end) == 0)
            ;
        weft_case cases[2] = {{.chan = move.chans[round % 2]}, {.chan = move.chans[1 - round % 2]}};
        CHECK_GE(weft_select(cases, 2, WEFT_NOWAIT), 0);
        CHECK_EQ(weft_chan_recv(move.end, NULL), 0);
        for (int i = 0; i < 2; i++)
            while (weft_chan_recv_until(move.chans[i], NULL, WEFT_NOWAIT) == 0)
                ;
    }
    CHECK_EQ(weft_chan_close(move.begin), 0);
    if (thread)
        CHECK_EQ(pthread_join(id, NULL), 0);
    else
        CHECK_SOON(weft_num_goroutine() == 1);
    for (int i = 0; i < 2; i++)
        weft_chan_unref(move.chans[i]);
    weft_chan_unref(move.begin);
    weft_chan_unref(move.end);
}

TEST_PROCS(found_on_the_move)
{
    find_on_the_move(ROUNDS(10000), false);
    find_on_the_move(ROUNDS(5000), true);
}

TEST(found_on_the_move_by_a_thread)
{
    find_on_the_move(ROUNDS(5000), true);
}

/* ---- Lifetime: the channels are gone as soon as all their users have returned ---- */

enum { USERS = 5, USED = 3 };

struct user {
    weft_chan *chans[USED];
    uint64_t random;
};

/* Each has references of its own. AddressSanitizer watches. */
static void use_and_leave(void *arg)
{
    struct user *u = arg;
    weft_case cases[USED];
    int value = 1, received;
    for (int i = 0; i < USED; i++) {
        cases[i] = (weft_case){.chan = u->chans[i]};
        if (party_random(&u->random) % 2)
            cases[i].send = &value;
        else
            cases[i].recv = &received;
    }
    int64_t patience = (int64_t)(party_random(&u->random) % 30) * WEFT_MICROSECOND;
    if (patience % 4 == 0)
        weft_select(cases, USED, WEFT_NOWAIT);
    weft_select(cases, USED, weft_after(patience));
    for (int i = 0; i < USED; i++)
        weft_chan_unref(u->chans[i]);
}

static void *use_and_leave_thread(void *arg)
{
    use_and_leave(arg);
    free(arg);
    return NULL;
}

static void free_channels(int rounds, bool threads)
{
    for (int round = 0; round < rounds; round++) {
        weft_chan *chans[USED];
        for (int i = 0; i < USED; i++)
            chans[i] = weft_chan_new(sizeof(int), (size_t)test_random_below(2));
        for (int i = 0; i < USERS; i++) {
            struct user u = {.random = test_random() | 1}, *copy = NULL;
            for (int j = 0; j < USED; j++)
                u.chans[j] = weft_chan_ref(chans[j]);
            if (threads && i == 0) {
                pthread_t thread;
                copy = malloc(sizeof *copy);
                *copy = u;
                CHECK_EQ(pthread_create(&thread, NULL, use_and_leave_thread, copy), 0);
                pthread_detach(thread);
            } else {
                CHECK_EQ(weft_go_copy(use_and_leave, &u, sizeof u), 0);
            }
        }
        for (int i = 0; i < USED; i++)
            weft_chan_unref(chans[i]);
        if (round % 8 == 0)
            weft_sleep((int64_t)test_random_below(100) * WEFT_MICROSECOND);
    }
    CHECK_SOON(weft_num_goroutine() == 1);
}

TEST_PROCS(freed_by_the_last_user)
{
    free_channels(ROUNDS(20000), false);
    free_channels(ROUNDS(500), true);
}
