/* SPDX-License-Identifier: MIT
 *
 * Select: the contract of weft_select, line by line, as far as it needs nobody on the other side.
 * The rest of it is in api/select_wait.c, the choice among ready cases in api/select_choice.c.
 */
#include "api/select_test.h"

static void invalid_arguments(void)
{
    int value = 1;
    weft_chan *chan = weft_chan_new(sizeof value, 1);
    weft_case both = {.chan = chan, .send = &value, .recv = &value, .result = UNTOUCHED};
    weft_case cases[3] = {send_case(chan, &value), send_case(chan, &value), both};

    CHECK_EQ(weft_select(cases, -1, WEFT_NOWAIT), -EINVAL);
    CHECK_EQ(weft_select(cases, INT32_MIN, WEFT_FOREVER), -EINVAL);
    CHECK_EQ(weft_select(cases, WEFT_SELECT_MAX + 1, WEFT_FOREVER), -EINVAL);
    CHECK_EQ(weft_select(cases, INT32_MAX, WEFT_NOWAIT), -EINVAL);
    CHECK_EQ(weft_select(NULL, 1, WEFT_FOREVER), -EINVAL);
    CHECK_EQ(weft_select(NULL, WEFT_SELECT_MAX, WEFT_NOWAIT), -EINVAL);
    CHECK_EQ(weft_select(NULL, -1, WEFT_NOWAIT), -EINVAL);

    /* Both directions in one case, although another case is ready, or the channel is NULL. */
    CHECK_EQ(weft_select(cases, 3, WEFT_FOREVER), -EINVAL);
    cases[2].chan = NULL;
    CHECK_EQ(weft_select(cases, 3, WEFT_FOREVER), -EINVAL);
    check_results(cases, 3, -1, 0);
    CHECK_EQ(weft_chan_len(chan), 0);
    CHECK_EQ(weft_select(cases, 2, WEFT_FOREVER) / 2, 0);
    CHECK_EQ(weft_chan_len(chan), 1);
    weft_chan_unref(chan);
}

/* However there is nothing to wait for, only time ends the wait. */
static void check_only_time(weft_case *cases, int n)
{
    int64_t start = weft_now(), duration = 2 * WEFT_MILLISECOND;
    CHECK_EQ(weft_select(cases, n, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_select(cases, n, 0), -ETIMEDOUT);
    CHECK_EQ(weft_select(cases, n, INT64_MIN + 1), -ETIMEDOUT);
    CHECK_EQ(weft_select(cases, n, start - 1), -ETIMEDOUT);
    CHECK_EQ(weft_select(cases, n, weft_after(duration)), -ETIMEDOUT);
    CHECK_GE(weft_now() - start, duration);
    check_results(cases, n, -1, 0);
}

static void no_channels(void)
{
    int value = 0;
    weft_case cases[40];
    check_only_time(NULL, 0);
    check_only_time(cases, 0);
    for (int i = 0; i < 40; i++)
        cases[i] = i % 3 ? recv_case(NULL, i % 2 ? &value : NULL) : send_case(NULL, &value);
    check_only_time(cases, 1);
    check_only_time(cases, 2);
    check_only_time(cases, 16);
    check_only_time(cases, 17);
    check_only_time(cases, 40);
}

/* An empty, a full, an unbuffered and no channel, each in both directions where that waits. */
static void nothing_is_ready(void)
{
    int value = 5, received = -1;
    weft_chan *empty = weft_chan_new(sizeof(int), 1), *full = weft_chan_new(sizeof(int), 1);
    weft_chan *rendezvous = weft_chan_new(sizeof(int), 0);
    CHECK_EQ(weft_chan_send(full, &value), 0);
    weft_case cases[] = {
        recv_case(empty, &received),   send_case(full, &value), recv_case(rendezvous, &received),
        send_case(rendezvous, &value), recv_case(NULL, NULL),   recv_case(empty, NULL),
        recv_case(rendezvous, NULL)};
    for (int n = 1; n <= COUNT(cases); n++)
        check_only_time(cases, n);
    CHECK_EQ(received, -1);
    CHECK_EQ(weft_chan_len(empty), 0);
    CHECK_EQ(weft_chan_len(full), 1);
    check_deserted(rendezvous);

    /* The waits left nothing behind in the buffered ones either. */
    CHECK_EQ(weft_chan_send(empty, &value), 0);
    CHECK_EQ(weft_chan_len(empty), 1);
    CHECK_EQ(weft_chan_recv(full, &received), 0);
    CHECK_EQ(weft_chan_len(full), 0);
    CHECK_EQ(received, 5);
    weft_chan_unref(empty);
    weft_chan_unref(full);
    weft_chan_unref(rendezvous);
}

/* With every deadline, among cases that are not ready, in each place, a value goes in and out. */
static void one_is_ready(void)
{
    static const int64_t deadlines[] = {WEFT_NOWAIT, 0, 1, WEFT_FOREVER - 1, WEFT_FOREVER};
    for (int i = 0; i < COUNT(elem_sizes); i++) {
        size_t size = elem_sizes[i];
        unsigned char elem[ELEM_MAX], received[ELEM_MAX + GUARD], other[1] = {GUARD_BYTE};
        weft_chan *chan = weft_chan_new(size, 3), *never = weft_chan_new(size, 0);
        for (int place = 0; place < 5; place++) {
            weft_case cases[5] = {recv_case(never, other), recv_case(NULL, other),
                                  recv_case(never, NULL), recv_case(never, other),
                                  recv_case(never, NULL)};
            fill(elem, size, (size_t)place);
            cases[place] = send_case(chan, elem);
            CHECK_EQ(weft_select(cases, 5, deadlines[place]), place);
            check_results(cases, 5, place, 0);
            CHECK_EQ(weft_chan_len(chan), 1);

            memset(received, GUARD_BYTE, sizeof received);
            cases[place] = recv_case(chan, received);
            CHECK_EQ(weft_select(cases, 5, deadlines[place]), place);
            check_results(cases, 5, place, 0);
            check_filled(received, size, (size_t)place);
            CHECK_EQ(other[0], GUARD_BYTE);
            CHECK_EQ(weft_chan_len(chan), 0);
        }
        check_deserted(never);
        weft_chan_unref(chan);
        weft_chan_unref(never);
    }
}

/* Around the ring, in order, mixed with the plain operations. */
static void values_stay_in_order(void)
{
    weft_chan *chan = weft_chan_new(sizeof(int), 5);
    int sent = 0, received = 0, value;
    while (received < 200) {
        weft_case in = send_case(chan, &sent), out = recv_case(chan, &value);
        while (weft_chan_len(chan) < 5) {
            CHECK_EQ(sent % 3 ? weft_select(&in, 1, 0) : weft_chan_send(chan, &sent), 0);
            sent++;
        }
        CHECK_EQ(weft_select(&in, 1, WEFT_NOWAIT), -EAGAIN);
        for (int i = 0; i < 3; i++) {
            CHECK_EQ(received % 2 ? weft_select(&out, 1, 0) : weft_chan_recv(chan, &value), 0);
            CHECK_EQ(value, received++);
        }
    }
    weft_chan_unref(chan);
}

/* A null recv takes a value and drops it. */
static void values_are_dropped(void)
{
    weft_chan *chan = weft_chan_new(sizeof(int), 2), *never = weft_chan_new(sizeof(int), 0);
    int value = -1;
    for (int i = 0; i < 2; i++)
        CHECK_EQ(weft_chan_send(chan, &i), 0);
    weft_case cases[2] = {recv_case(never, &value), recv_case(chan, NULL)};
    CHECK_EQ(weft_select(cases, 2, WEFT_FOREVER), 1);
    check_results(cases, 2, 1, 0);
    CHECK_EQ(value, -1);
    CHECK_EQ(weft_chan_recv(chan, &value), 0);
    CHECK_EQ(value, 1);
    weft_chan_unref(chan);
    weft_chan_unref(never);
}

/* A closed channel is ready in both directions; what is buffered comes out first. */
static void closed_before(void)
{
    int value = 5, received = -1;
    weft_chan *chan = weft_chan_new(sizeof(int), 2), *never = weft_chan_new(sizeof(int), 0);
    CHECK_EQ(weft_chan_send(chan, &value), 0);
    CHECK_EQ(weft_chan_close(chan), 0);
    static const int64_t deadlines[] = {WEFT_NOWAIT, 0, WEFT_FOREVER};
    for (int i = 0; i < COUNT(deadlines); i++) {
        weft_case in[2] = {recv_case(never, &received), send_case(chan, &value)};
        CHECK_EQ(weft_select(in, 2, deadlines[i]), 1);
        check_results(in, 2, 1, -EPIPE);
        CHECK_EQ(weft_chan_len(chan), i == 0);

        weft_case out[2] = {recv_case(chan, &received), recv_case(never, &received)};
        CHECK_EQ(weft_select(out, 2, deadlines[i]), 0);
        check_results(out, 2, 0, i == 0 ? 0 : -EPIPE);
        CHECK_EQ(received, i == 0 ? 5 : -1);
        received = -1;
        out[0] = recv_case(chan, NULL);
        CHECK_EQ(weft_select(out, 2, deadlines[i]), 0);
        check_results(out, 2, 0, -EPIPE);
        CHECK_EQ(weft_select(out, 1, deadlines[i]), 0);
    }
    check_deserted(never);
    weft_chan_unref(chan);
    weft_chan_unref(never);
}

/* The same channel in both directions and several times: with something in it and room for more any
 * can be chosen, but just one is done. */
static void one_channel_in_all_cases(void)
{
    weft_chan *chan = weft_chan_new(sizeof(int), 4);
    int expected = 0, next = 0, seen[4] = {0};
    for (int round = 0; round < 400; round++) {
        int received[2] = {-1, -1};
        size_t length = weft_chan_len(chan);
        weft_case cases[] = {recv_case(chan, &received[0]), send_case(chan, &next),
                             recv_case(chan, &received[1]), send_case(chan, &next)};
        int chosen = weft_select(cases, 4, round % 2 ? WEFT_FOREVER : WEFT_NOWAIT);
        check_results(cases, 4, chosen, 0);
        seen[chosen]++;
        if (chosen % 2 == 0) {
            CHECK_GT(length, 0);
            CHECK_EQ(received[chosen / 2], expected++);
            CHECK_EQ(received[1 - chosen / 2], -1);
            CHECK_EQ(weft_chan_len(chan), length - 1);
        } else {
            CHECK_LT(length, 4);
            next++;
            CHECK_EQ(weft_chan_len(chan), length + 1);
        }
    }
    for (int i = 0; i < 4; i++)
        CHECK_GT(seen[i], 0);
    weft_chan_unref(chan);
}

/* So many cases, most of them on channels of their own, in no order of addresses. */
static void many_cases_of(int n)
{
    weft_case *cases = malloc((size_t)n * sizeof *cases);
    weft_chan **chans = malloc((size_t)n * sizeof(weft_chan *));
    int value = 0;
    for (int i = 0; i < n; i++) {
        chans[i] = i % 10 == 9 ? weft_chan_ref(chans[i - 9]) : weft_chan_new(sizeof(int), 0);
        int other = (int)test_random_below((uint64_t)i + 1);
        weft_chan *chan = chans[i];
        chans[i] = chans[other];
        chans[other] = chan;
    }
    weft_chan *ready = weft_chan_new(sizeof(int), 1);
    for (int i = 0; i < n; i++)
        cases[i] = i % 2 ? send_case(chans[i], &i) : recv_case(chans[i], &value);
    CHECK_EQ(weft_select(cases, n, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_select(cases, n, weft_after(WEFT_MILLISECOND)), -ETIMEDOUT);
    check_results(cases, n, -1, 0);
    for (int i = 0; i < n; i++)
        check_deserted(chans[i]);
    for (int i = 0; i < 5; i++) {
        int place = (int)test_random_below((uint64_t)n);
        weft_case saved = cases[place];
        cases[place] = send_case(ready, &place);
        CHECK_EQ(weft_select(cases, n, WEFT_FOREVER), place);
        check_results(cases, n, place, 0);
        cases[place] = recv_case(ready, &value);
        CHECK_EQ(weft_select(cases, n, WEFT_NOWAIT), place);
        check_results(cases, n, place, 0);
        CHECK_EQ(value, place);
        cases[place] = saved;
    }
    for (int i = 0; i < n; i++)
        weft_chan_unref(chans[i]);
    weft_chan_unref(ready);
    free(chans);
    free(cases);
}

static void many_cases(void)
{
    many_cases_of(15);
    many_cases_of(16);
    many_cases_of(17);
    many_cases_of(100);
    many_cases_of(WEFT_SELECT_MAX);
}

BOTH(invalid_arguments)
BOTH(no_channels)
BOTH(nothing_is_ready)
BOTH(one_is_ready)
BOTH(values_stay_in_order)
BOTH(values_are_dropped)
BOTH(closed_before)
BOTH(one_channel_in_all_cases)
BOTH(many_cases)
