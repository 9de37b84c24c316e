/* SPDX-License-Identifier: MIT
 *
 * The condition variable under random schedules: as many wake-ups as signals, none lost and none
 * made up, and memory that is gone at once.
 */
#include "harness/test.h"

#include <pthread.h>

#include "stress/stress.h"

/* ---- Tokens: one signal each, taken by waiters with and without deadlines ---- */

enum { TAKERS = 12, GIVERS = 6 };

struct purse {
    weft_mutex mutex;
    weft_cond cond;
    weft_waitgroup wg;
    int tokens;    /* guarded by mutex, as all below */
    long taken;    /* in all */
    int per_taker; /* constant */
    int every;     /* constant: one in so many is announced to all */
    long timeouts;
};

struct party {
    struct purse *purse;
    uint64_t random;
};

static int64_t some_deadline(uint64_t r)
{
    return r % 4 == 0   ? WEFT_NOWAIT
           : r % 4 == 1 ? weft_after((int64_t)(r / 4 % 50) * WEFT_MICROSECOND)
                        : WEFT_FOREVER;
}

static void take_token(struct purse *purse, uint64_t *random)
{
    weft_mutex_lock(&purse->mutex);
    while (purse->tokens == 0) {
        int64_t deadline = some_deadline(next_random(random));
        int result = weft_cond_wait_until(&purse->cond, &purse->mutex, deadline);
        if (result == 0)
            continue;
        CHECK_NE(deadline, WEFT_FOREVER);
        CHECK_EQ(result, deadline == WEFT_NOWAIT ? -EAGAIN : -ETIMEDOUT);
        purse->timeouts++;
        if (deadline == WEFT_NOWAIT) {
            weft_mutex_unlock(&purse->mutex);
            weft_yield();
            weft_mutex_lock(&purse->mutex);
        }
    }
    purse->tokens--;
    purse->taken++;
    weft_mutex_unlock(&purse->mutex);
}

static void give_token(struct purse *purse, uint64_t r)
{
    weft_mutex_lock(&purse->mutex);
    purse->tokens++;
    bool inside = r % 2;
    if (inside)
        weft_cond_signal(&purse->cond);
    weft_mutex_unlock(&purse->mutex);
    if (!inside && r / 2 % (uint64_t)purse->every == 0)
        weft_cond_broadcast(&purse->cond);
    else if (!inside)
        weft_cond_signal(&purse->cond);
    if (r / 64 % 16 == 0)
        weft_yield();
}

static void take_tokens(void *arg)
{
    struct party *party = arg;
    for (int i = 0; i < party->purse->per_taker; i++)
        take_token(party->purse, &party->random);
    weft_waitgroup_done(&party->purse->wg);
}

static void give_tokens(void *arg)
{
    struct party *party = arg;
    for (int i = 0; i < party->purse->per_taker * (TAKERS / GIVERS); i++)
        give_token(party->purse, next_random(&party->random));
    weft_waitgroup_done(&party->purse->wg);
}

static void *take_tokens_thread(void *arg)
{
    take_tokens(arg);
    return NULL;
}

static void *give_tokens_thread(void *arg)
{
    give_tokens(arg);
    return NULL;
}

static void run_purse(int threads, int per_taker)
{
    struct purse purse = {.per_taker = per_taker, .every = 16};
    struct party parties[TAKERS + GIVERS];
    pthread_t handles[TAKERS + GIVERS];
    weft_waitgroup_add(&purse.wg, TAKERS + GIVERS);
    for (int i = 0; i < TAKERS + GIVERS; i++) {
        bool takes = i % 3 != 0;
        parties[i] = (struct party){&purse, test_random() | 1};
        if (i < threads)
            CHECK_EQ(pthread_create(&handles[i], NULL,
                                    takes ? take_tokens_thread : give_tokens_thread, &parties[i]),
                     0);
        else
            CHECK_EQ(weft_go(takes ? take_tokens : give_tokens, &parties[i]), 0);
    }
    weft_waitgroup_wait(&purse.wg);
    for (int i = 0; i < threads; i++)
        pthread_join(handles[i], NULL);
    CHECK_EQ(purse.tokens, 0);
    CHECK_EQ(purse.taken, (long)per_taker * TAKERS);
    CHECK_EQ(purse.mutex.state, 0);
    CHECK(!purse.cond.waiters.first);
}

TEST_PROCS(purse)
{
    run_purse(0, share(30000));
}

TEST_PROCS(purse_with_threads)
{
    run_purse(8, share(8000));
}

TEST(purse_of_threads)
{
    run_purse(TAKERS + GIVERS, share(8000));
}

/* ---- Ping-pong without loops: a wake-up too many or too few shows at once ---- */

struct table {
    weft_mutex mutex;
    weft_cond sides[2];
    int turn; /* guarded by mutex */
    int rounds;
};

/* The first to come is sure to queue before the other can signal, as the other needs the mutex. */
static void play(struct table *table, int side)
{
    weft_mutex_lock(&table->mutex);
    for (int i = 0; i < table->rounds; i++) {
        if (table->turn != side)
            weft_cond_wait(&table->sides[side], &table->mutex);
        CHECK_EQ(table->turn, side);
        table->turn = !side;
        weft_cond_signal(&table->sides[!side]);
    }
    weft_mutex_unlock(&table->mutex);
}

static void play_white(void *arg)
{
    play(arg, 1);
}

static void *play_thread(void *arg)
{
    play(arg, 1);
    return NULL;
}

TEST_PROCS(players)
{
    struct table table = {.rounds = share(200000)};
    CHECK_EQ(weft_go(play_white, &table), 0);
    play(&table, 0);
    CHECK_SOON(weft_num_goroutine() == 1);

    pthread_t thread;
    table.rounds = share(10000);
    CHECK_EQ(pthread_create(&thread, NULL, play_thread, &table), 0);
    play(&table, 0);
    pthread_join(thread, NULL);
}

/* ---- The waiter frees what it was woken by ---- */

struct parcel {
    weft_mutex *mutex;
    weft_cond *cond;
    uint64_t random;
    bool expected;  /* guarded by mutex */
    bool delivered; /* guarded by mutex */
};

/* With a deadline it may be woken for nothing, but then it must not free: the sender is on its way
 * to the cond until it has delivered. */
static void await_parcel(void *arg)
{
    struct parcel *parcel = arg;
    weft_mutex *mutex = parcel->mutex;
    weft_mutex_lock(mutex);
    parcel->expected = true;
    while (!parcel->delivered) {
        uint64_t r = next_random(&parcel->random);
        if (r % 2)
            weft_cond_wait(parcel->cond, mutex);
        else
            weft_cond_wait_until(parcel->cond, mutex,
                                 weft_after((int64_t)(r / 2 % 20) * WEFT_MICROSECOND));
    }
    weft_mutex_unlock(mutex);
    memset(mutex, 0xff, sizeof *mutex);
    memset(parcel->cond, 0xff, sizeof *parcel->cond);
    free(mutex);
    free(parcel->cond);
    free(parcel);
}

static void *await_parcel_thread(void *arg)
{
    await_parcel(arg);
    return NULL;
}

static void deliver(struct parcel *parcel)
{
    weft_mutex *mutex = parcel->mutex;
    for (bool delivered = false; !delivered;) {
        weft_mutex_lock(mutex);
        if (parcel->expected) {
            delivered = parcel->delivered = true;
            if (parcel->random % 2)
                weft_cond_signal(parcel->cond);
            else
                weft_cond_broadcast(parcel->cond);
        }
        weft_mutex_unlock(mutex);
        if (!delivered)
            weft_yield();
    }
}

TEST_PROCS(parcels)
{
    int rounds = share(10000);
    for (int round = 0; round < rounds; round++) {
        pthread_t thread;
        struct parcel *parcel = calloc(1, sizeof *parcel);
        parcel->mutex = calloc(1, sizeof *parcel->mutex);
        parcel->cond = calloc(1, sizeof *parcel->cond);
        parcel->random = test_random() | 1;
        if (round % 16 == 0) {
            CHECK_EQ(pthread_create(&thread, NULL, await_parcel_thread, parcel), 0);
            pthread_detach(thread);
        } else {
            CHECK_EQ(weft_go(await_parcel, parcel), 0);
        }
        deliver(parcel);
    }
    CHECK_SOON(weft_num_goroutine() == 1);
}
