/* SPDX-License-Identifier: MIT
 *
 * Select and memory: up to 16 cases take none, and more without any give -ENOMEM and leave nothing
 * behind.
 */
#include "harness/test.h"

#include <pthread.h>

/* atomic */
static int calls;   /* of malloc, while counting */
static int no_more; /* malloc fails */

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    return __atomic_load_n(&no_more, __ATOMIC_ACQUIRE) ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    return __atomic_load_n(&no_more, __ATOMIC_ACQUIRE) ? NULL : __real_calloc(count, size);
}

/* From here on malloc fails, and is counted. */
static void take_memory(void)
{
    __atomic_store_n(&calls, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&no_more, 1, __ATOMIC_RELEASE);
}

/* How often malloc was called. */
static int give_memory_back(void)
{
    __atomic_store_n(&no_more, 0, __ATOMIC_RELEASE);
    return __atomic_load_n(&calls, __ATOMIC_RELAXED);
}

enum { CASES = 40, ROUNDS = 100 };

struct fixture {
    weft_chan *chans[CASES];
    weft_chan *turn;
    weft_case cases[CASES];
    int value;
};

static void fixture_make(struct fixture *f)
{
    f->turn = weft_chan_new(sizeof(int), 0);
    for (int i = 0; i < CASES; i++) {
        f->chans[i] = weft_chan_new(sizeof(int), 0);
        f->cases[i] = (weft_case){.chan = f->chans[i], .recv = &f->value, .result = 1};
    }
}

static void fixture_end(struct fixture *f)
{
    weft_chan_unref(f->turn);
    for (int i = 0; i < CASES; i++)
        weft_chan_unref(f->chans[i]);
}

/* Sends to one of the first 16 channels, as often as it is told which. */
static void serve(void *arg)
{
    struct fixture *f = arg;
    int turn;
    while (weft_chan_recv(f->turn, &turn) == 0)
        CHECK_EQ(weft_chan_send(f->chans[turn], &turn), 0);
}

static void *serve_thread(void *arg)
{
    serve(arg);
    return NULL;
}

/* A select that wanted memory would fail. Where there are several slots, weft may ask for
 * some to start threads, too. */
static void wait_without_memory(struct fixture *f)
{
    take_memory();
    for (int i = 0; i < ROUNDS; i++) {
        int n = 1 + i % 16, turn = i % n;
        CHECK_EQ(weft_select(f->cases, n, WEFT_NOWAIT), -EAGAIN);
        CHECK_EQ(weft_select(f->cases, n, 0), -ETIMEDOUT);
        CHECK_EQ(weft_chan_send(f->turn, &turn), 0);
        CHECK_EQ(weft_select(f->cases, n, i % 2 ? WEFT_FOREVER : weft_after(WEFT_SECOND * 600)),
                 turn);
        CHECK_EQ(f->value, turn);
    }
    int calls_made = give_memory_back();
    if (weft_maxprocs(0) == 1 || weft_id() == 0)
        CHECK_EQ(calls_made, 0);
    CHECK_EQ(weft_chan_close(f->turn), 0);
}

TEST_PROCS(sixteen_cases_take_no_memory)
{
    struct fixture f;
    int turn = 0;
    fixture_make(&f);
    CHECK_EQ(weft_go(serve, &f), 0);
    CHECK_EQ(weft_chan_send(f.turn, &turn), 0); /* It has its stack now. */
    CHECK_EQ(weft_select(f.cases, 1, WEFT_FOREVER), 0);
    wait_without_memory(&f);
    CHECK_SOON(weft_num_goroutine() == 1);
    fixture_end(&f);
}

TEST(sixteen_cases_take_no_memory_on_a_thread)
{
    struct fixture f;
    pthread_t thread;
    fixture_make(&f);
    CHECK_EQ(pthread_create(&thread, NULL, serve_thread, &f), 0);
    wait_without_memory(&f);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    fixture_end(&f);
}

static void seventeen_cases(void)
{
    static const int64_t deadlines[] = {WEFT_FOREVER, 0, WEFT_NOWAIT};
    struct fixture f;
    fixture_make(&f);
    for (int i = 0; i < 3; i++) {
        for (int n = 17; n <= CASES; n++) {
            take_memory();
            int chosen = weft_select(f.cases, n, deadlines[i]);
            CHECK_GT(give_memory_back(), 0);
            CHECK_EQ(chosen, -ENOMEM);
        }
    }
    for (int i = 0; i < CASES; i++) {
        CHECK_EQ(f.cases[i].result, 1);
        CHECK_EQ(weft_chan_send_until(f.chans[i], &i, WEFT_NOWAIT), -EAGAIN);
    }

    /* With memory it waits; and what is ready needs none. */
    CHECK_EQ(weft_select(f.cases, CASES, weft_after(WEFT_MILLISECOND)), -ETIMEDOUT);
    CHECK_EQ(weft_chan_close(f.chans[30]), 0);
    take_memory();
    int chosen = weft_select(f.cases, CASES, WEFT_FOREVER);
    CHECK_EQ(give_memory_back(), 0);
    CHECK_EQ(chosen, 30);
    CHECK_EQ(f.cases[30].result, -EPIPE);
    fixture_end(&f);
}

TEST(seventeen_cases_without_memory_on_a_thread)
{
    seventeen_cases();
}

TEST_PROCS(seventeen_cases_without_memory)
{
    seventeen_cases();
}
