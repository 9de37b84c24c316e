/* SPDX-License-Identifier: MIT
 *
 * A ring of goroutines, each of which hands what it gets from the one before to the one behind.
 */
#include "harness/test.h"

struct link {
    weft_chan *from;
    weft_chan *to;
    int laps;
};

static void pass_on(void *arg)
{
    struct link *link = arg;
    for (int lap = 0; lap < link->laps; lap++) {
        int token = 0;
        CHECK_EQ(weft_chan_recv(link->from, &token), 0);
        token++;
        CHECK_EQ(weft_chan_send(link->to, &token), 0);
    }
    weft_chan_unref(link->from);
    weft_chan_unref(link->to);
}

static void run_ring(int n, int laps, size_t capacity)
{
    weft_chan *first = weft_chan_new(sizeof(int), capacity), *from = first;
    for (int i = 1; i < n; i++) {
        struct link link = {weft_chan_ref(from), weft_chan_new(sizeof(int), capacity), laps};
        CHECK(link.to != NULL);
        CHECK_EQ(weft_go_copy(pass_on, &link, sizeof link), 0);
        if (i > 1)
            weft_chan_unref(from);
        from = weft_chan_ref(link.to);
    }
    for (int lap = 0; lap < laps; lap++) {
        int token = 1;
        CHECK_EQ(weft_chan_send(first, &token), 0);
        CHECK_EQ(weft_chan_recv(from, &token), 0);
        CHECK_EQ(token, n);
    }
    weft_chan_unref(first);
    weft_chan_unref(from);
    CHECK_SOON(weft_num_goroutine() == 1);
}

TEST_PROCS(a_small_ring)
{
    run_ring(10, 2000, 0);
    run_ring(100, 100, 1);
}

TEST_PROCS(hundred_thousand, .leaks = TEST_LEAKS_MEMORY, .timeout = 180)
{
    run_ring(test_many(100000), 3, 0);
}

/* All at once: as many tokens as goroutines. */
static weft_chan *chans[1000];

static void pass_many(void *index)
{
    int n = test_index(index), token = n;
    CHECK_EQ(weft_chan_send(chans[n], &token), 0);
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(weft_chan_recv(chans[n], &token), 0);
        CHECK_EQ(weft_chan_send(chans[(n + 1) % 1000], &token), 0);
    }
}

TEST_PROCS(every_link_is_busy, .timeout = 120, .leaks = TEST_LEAKS_MEMORY)
{
    int64_t sum = 0;
    for (int i = 0; i < 1000; i++)
        chans[i] = weft_chan_new(sizeof(int), 1000);
    test_each(1000, pass_many);
    for (int i = 0; i < 1000; i++) {
        for (int token; weft_chan_len(chans[i]) > 0; sum += token)
            CHECK_EQ(weft_chan_recv(chans[i], &token), 0);
        weft_chan_unref(chans[i]);
    }
    CHECK_EQ(sum, 999 * 1000 / 2);
}
