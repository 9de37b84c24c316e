/* SPDX-License-Identifier: MIT
 *
 * Select: waits, and who ends them. Tests that must know who is parked when are in
 * unit/select_waiters.c.
 */
#include "api/select_test.h"

#include <pthread.h>

/* ---- A select somewhere else, as a goroutine or as a foreign thread ---- */

enum { CASES_MAX = 20 };

struct selector {
    weft_case cases[CASES_MAX];
    int n;
    int64_t deadline;
    int chosen;
    weft_waitgroup done;
    pthread_t thread;
    bool foreign;
};

static void run_select(void *arg)
{
    struct selector *s = arg;
    s->chosen = weft_select(s->cases, s->n, s->deadline);
    weft_waitgroup_done(&s->done);
}

static void *run_select_thread(void *arg)
{
    run_select(arg);
    return NULL;
}

/* Foreign threads where there is no runtime, and every third time otherwise. */
static void selector_start(struct selector *s, int turn)
{
    s->foreign = weft_id() == 0 || turn % 3 == 2;
    weft_waitgroup_add(&s->done, 1);
    if (s->foreign)
        CHECK_EQ(pthread_create(&s->thread, NULL, run_select_thread, s), 0);
    else
        CHECK_EQ(weft_go(run_select, s), 0);
}

static void selector_join(struct selector *s)
{
    weft_waitgroup_wait(&s->done);
    if (s->foreign)
        pthread_join(s->thread, NULL);
}

/* Lets a selector come to its wait, mostly; what follows must hold anyway. */
static void let_it_wait(int turn)
{
    for (int i = turn % 4; i > 0; i--)
        weft_yield();
    if (turn % 8 >= 4)
        weft_sleep(200 * WEFT_MICROSECOND);
}

static int64_t forever_or_long(int turn)
{
    return turn % 2 ? WEFT_FOREVER : weft_after(600 * WEFT_SECOND);
}

/* Waits on six channels in both directions, and for each of its cases somebody comes. */
static void somebody_comes(void)
{
    enum { CASES = 12 };
    for (int i = 0; i < COUNT(elem_sizes); i++) {
        size_t size = elem_sizes[i];
        weft_chan *chans[CASES];
        for (int j = 0; j < CASES; j++)
            chans[j] = weft_chan_new(size, 0);
        for (int turn = 0; turn < CASES; turn++) {
            static unsigned char sent[ELEM_MAX], received[CASES][ELEM_MAX + GUARD];
            unsigned char elem[ELEM_MAX + GUARD];
            struct selector s = {.n = CASES, .deadline = forever_or_long(turn / 2)};
            memset(received, GUARD_BYTE, sizeof received);
            memset(elem, GUARD_BYTE, sizeof elem);
            fill(sent, size, (size_t)turn);
            for (int j = 0; j < CASES; j++)
                s.cases[j] = j % 2 ? recv_case(chans[j], received[j]) : send_case(chans[j], sent);
            selector_start(&s, turn);
            let_it_wait(turn);
            if (turn % 2) {
                CHECK_EQ(weft_chan_send(chans[turn], sent), 0);
            } else {
                CHECK_EQ(weft_chan_recv(chans[turn], elem), 0);
                check_filled(elem, size, (size_t)turn);
            }
            selector_join(&s);
            CHECK_EQ(s.chosen, turn);
            check_results(s.cases, CASES, turn, 0);
            for (int j = 0; j < CASES; j++) {
                if (j == turn && turn % 2)
                    check_filled(received[j], size, (size_t)turn);
                else
                    check_filled(received[j], 0, 0);
                check_deserted(chans[j]);
            }
        }
        for (int j = 0; j < CASES; j++)
            weft_chan_unref(chans[j]);
    }
}

/* As before, but a case of a buffered channel becomes ready: room, or a value. */
static void buffers_move(void)
{
    for (int turn = 0; turn < 24; turn++) {
        weft_chan *empty = weft_chan_new(sizeof(int), 3), *full = weft_chan_new(sizeof(int), 2);
        int values[] = {10, 11}, mine = 12, received = -1, value = 20;
        for (int i = 0; i < 2; i++)
            CHECK_EQ(weft_chan_send(full, &values[i]), 0);
        struct selector s = {.n = 3, .deadline = forever_or_long(turn)};
        s.cases[0] = send_case(full, &mine);
        s.cases[1] = recv_case(NULL, NULL);
        s.cases[2] = recv_case(empty, turn % 5 ? &received : NULL);
        selector_start(&s, turn);
        let_it_wait(turn / 3);
        if (turn % 2)
            CHECK_EQ(weft_chan_send(empty, &value), 0);
        else
            CHECK_EQ(weft_chan_recv(full, NULL), 0);
        selector_join(&s);
        CHECK_EQ(s.chosen, turn % 2 ? 2 : 0);
        check_results(s.cases, 3, s.chosen, 0);
        CHECK_EQ(received, turn % 2 && turn % 5 ? 20 : -1);
        CHECK_EQ(weft_chan_len(empty), 0);
        CHECK_EQ(weft_chan_len(full), 2);
        if (turn % 2 == 0) {
            CHECK_EQ(weft_chan_recv(full, &received), 0);
            CHECK_EQ(received, 11);
            CHECK_EQ(weft_chan_recv(full, &received), 0);
            CHECK_EQ(received, 12);
        }
        weft_chan_unref(empty);
        weft_chan_unref(full);
    }
}

/* Closing wakes a receive and a send with -EPIPE, and nothing is written. */
static void closed_while_waiting(void)
{
    for (int turn = 0; turn < 24; turn++) {
        weft_chan *chans[4];
        int value = 1, received[4] = {-1, -1, -1, -1}, closing = turn % 4;
        struct selector s = {.n = 4, .deadline = forever_or_long(turn / 4)};
        for (int i = 0; i < 4; i++) {
            chans[i] = weft_chan_new(sizeof(int), i < 2 ? 1 : 0);
            if (i == 0)
                CHECK_EQ(weft_chan_send(chans[i], &value), 0);
            s.cases[i] = i % 2 ? recv_case(chans[i], &received[i]) : send_case(chans[i], &value);
        }
        selector_start(&s, turn);
        let_it_wait(turn / 3);
        CHECK_EQ(weft_chan_close(chans[closing]), 0);
        selector_join(&s);
        CHECK_EQ(s.chosen, closing);
        check_results(s.cases, 4, closing, -EPIPE);
        CHECK_EQ(weft_chan_len(chans[0]), 1);
        CHECK_EQ(weft_chan_len(chans[1]), 0);
        for (int i = 0; i < 4; i++) {
            CHECK_EQ(received[i], -1);
            if (i >= 2 && i != closing)
                check_deserted(chans[i]);
            weft_chan_unref(chans[i]);
        }
    }
}

/* One channel in all cases, in both directions, when somebody sends, receives or closes. */
static void one_channel_waited_on_often(void)
{
    enum { CASES = 16 };
    for (int turn = 0; turn < 30; turn++) {
        weft_chan *chan = weft_chan_new(sizeof(int), 0);
        int sent[CASES], received[CASES], value = 500, count = 0;
        struct selector s = {.n = CASES, .deadline = forever_or_long(turn)};
        for (int i = 0; i < CASES; i++) {
            sent[i] = i;
            received[i] = -1;
            s.cases[i] = i % 2 ? recv_case(chan, &received[i]) : send_case(chan, &sent[i]);
        }
        selector_start(&s, turn / 3);
        let_it_wait(turn / 3);
        if (turn % 3 == 0)
            CHECK_EQ(weft_chan_send(chan, &value), 0);
        else if (turn % 3 == 1)
            CHECK_EQ(weft_chan_recv(chan, &value), 0);
        else
            CHECK_EQ(weft_chan_close(chan), 0);
        selector_join(&s);
        CHECK(s.chosen >= 0 && s.chosen < CASES);
        check_results(s.cases, CASES, s.chosen, turn % 3 == 2 ? -EPIPE : 0);
        if (turn % 3 < 2)
            CHECK_EQ(s.chosen % 2, turn % 3 == 0);
        if (turn % 3 == 1)
            CHECK_EQ(value, s.chosen);
        for (int i = 0; i < CASES; i++)
            count += received[i] != -1;
        CHECK_EQ(count, turn % 3 == 0);
        if (turn % 3 == 0)
            CHECK_EQ(received[s.chosen], 500);
        if (turn % 3 < 2)
            check_deserted(chan);
        weft_chan_unref(chan);
    }
}

/* Two selects that both would send and receive on one channel do it with each other. */
static void two_selects_meet(void)
{
    weft_chan *chan = weft_chan_new(sizeof(int), 0), *other = weft_chan_new(sizeof(int), 0);
    for (int turn = 0; turn < 40; turn++) {
        struct selector s[2];
        int sent[2] = {100, 101}, received[2] = {-1, -1};
        for (int i = 0; i < 2; i++) {
            s[i] = (struct selector){.n = 3, .deadline = forever_or_long(turn + i)};
            s[i].cases[0] = recv_case(chan, &received[i]);
            s[i].cases[1] = send_case(chan, &sent[i]);
            s[i].cases[2] = recv_case(other, NULL);
            selector_start(&s[i], turn / 8 + i);
            let_it_wait(turn);
        }
        for (int i = 0; i < 2; i++)
            selector_join(&s[i]);
        CHECK_EQ(s[0].chosen + s[1].chosen, 1);
        for (int i = 0; i < 2; i++) {
            check_results(s[i].cases, 3, s[i].chosen, 0);
            CHECK_EQ(received[i], s[i].chosen == 0 ? sent[1 - i] : -1);
        }
        check_deserted(chan);
    }
    check_deserted(other);
    weft_chan_unref(chan);
    weft_chan_unref(other);
}

/* More than fit on the stack wait, too. */
static void twenty_cases_wait(void)
{
    weft_chan *chans[CASES_MAX];
    for (int i = 0; i < CASES_MAX; i++)
        chans[i] = weft_chan_new(sizeof(int), 0);
    for (int turn = 0; turn < CASES_MAX; turn++) {
        int received[CASES_MAX];
        struct selector s = {.n = CASES_MAX, .deadline = forever_or_long(turn)};
        for (int i = 0; i < CASES_MAX; i++) {
            received[i] = -1;
            s.cases[i] = recv_case(chans[i], &received[i]);
        }
        selector_start(&s, turn);
        let_it_wait(turn);
        CHECK_EQ(weft_chan_send(chans[turn], &turn), 0);
        selector_join(&s);
        CHECK_EQ(s.chosen, turn);
        check_results(s.cases, CASES_MAX, turn, 0);
        for (int i = 0; i < CASES_MAX; i++)
            CHECK_EQ(received[i], i == turn ? turn : -1);
    }
    for (int i = 0; i < CASES_MAX; i++) {
        check_deserted(chans[i]);
        weft_chan_unref(chans[i]);
    }
}

/* None is early, none is chosen, and all give up. */
static void deadlines_pass(void)
{
    enum { SELECTORS = 9 };
    static struct selector s[SELECTORS];
    weft_chan *chans[3];
    int value = 1, received = -1;
    int64_t latest = 0;
    memset(s, 0, sizeof s);
    for (int i = 0; i < 3; i++)
        chans[i] = weft_chan_new(sizeof(int), 0);
    for (int i = 0; i < SELECTORS; i++) {
        s[i].n = i % 4;
        s[i].deadline = weft_after((1 + i % 4) * WEFT_MILLISECOND);
        latest = latest < s[i].deadline ? s[i].deadline : latest;
        for (int j = 0; j < s[i].n; j++)
            s[i].cases[j] = recv_case(chans[j], &received);
        selector_start(&s[i], i);
    }
    for (int i = 0; i < SELECTORS; i++) {
        selector_join(&s[i]);
        CHECK_EQ(s[i].chosen, -ETIMEDOUT);
        check_results(s[i].cases, s[i].n, -1, 0);
    }
    CHECK_GE(weft_now(), latest);
    CHECK_EQ(received, -1);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(weft_chan_send_until(chans[i], &value, WEFT_NOWAIT), -EAGAIN);
        weft_chan_unref(chans[i]);
    }
}

BOTH(somebody_comes)
BOTH(buffers_move)
BOTH(closed_while_waiting)
BOTH(one_channel_waited_on_often)
BOTH(two_selects_meet)
BOTH(twenty_cases_wait)
BOTH(deadlines_pass)

/* ---- Polling ---- */

static void send_late(void *chan)
{
    CHECK_EQ(weft_chan_send(chan, NULL), 0);
}

/* One that polls gives way when its slice is over, so that the other comes, even with one slot. */
TEST_PROCS(polling_gives_way)
{
    for (int n = 1; n <= 3; n++) {
        weft_chan *chan = weft_chan_new(0, 0), *never = weft_chan_new(0, 0);
        weft_case cases[3] = {recv_case(chan, NULL), recv_case(never, NULL), recv_case(NULL, NULL)};
        CHECK_EQ(weft_go(send_late, chan), 0);
        while (weft_select(cases, n, WEFT_NOWAIT) == -EAGAIN)
            ;
        check_results(cases, n, 0, 0);
        CHECK_SOON(weft_num_goroutine() == 1);
        weft_chan_unref(chan);
        weft_chan_unref(never);
    }
}

/* ---- Small stacks, and a wait that cannot end ---- */

static weft_chan *small_chans[16];
static int small_done; /* atomic */

static void select_on_a_small_stack(void *arg)
{
    int value;
    (void)arg;
    weft_case cases[16];
    for (int i = 0; i < 16; i++)
        cases[i] = recv_case(small_chans[i], &value);
    for (int i = 0; i < 16; i++) {
        int chosen = weft_select(cases, 16, i % 2 ? WEFT_FOREVER : weft_after(600 * WEFT_SECOND));
        if (chosen != i || value != i)
            weft_panic("case %d, value %d", chosen, value);
    }
    __atomic_add_fetch(&small_done, 1, __ATOMIC_RELEASE);
}

TEST_PROCS(the_smallest_stack)
{
    if (TEST_ASAN || TEST_TSAN)
        SKIP("a sanitizer's frames do not fit");
    weft_attr attr = WEFT_ATTR_INIT;
    attr.stack_size = WEFT_STACK_MIN;
    for (int i = 0; i < 16; i++)
        small_chans[i] = weft_chan_new(sizeof(int), 0);
    CHECK_EQ(weft_go_with(&attr, select_on_a_small_stack, NULL), 0);
    for (int i = 0; i < 16; i++)
        CHECK_EQ(weft_chan_send(small_chans[i], &i), 0);
    CHECK_SOON(__atomic_load_n(&small_done, __ATOMIC_ACQUIRE) == 1);
    for (int i = 0; i < 16; i++)
        weft_chan_unref(small_chans[i]);
}

static void select_for_ever(void)
{
    weft_chan *chan = weft_chan_new(0, 0);
    weft_case cases[2] = {recv_case(chan, NULL), recv_case(NULL, NULL)};
    weft_select(cases, 2, WEFT_FOREVER);
}

static void select_nothing_for_ever(void)
{
    weft_select(NULL, 0, WEFT_FOREVER);
}

#define DEADLOCKS(name, procs)                                                                     \
    DEATH_TEST(name##_##procs, 2, "all goroutines are asleep - deadlock!\ngoroutine 1 \n[select")  \
    {                                                                                              \
        if (TEST_TSAN)                                                                             \
            SKIP("ThreadSanitizer has a thread of its own");                                       \
        test_in_runtime(procs, name);                                                              \
    }

DEADLOCKS(select_for_ever, 1)
DEADLOCKS(select_for_ever, 8)
DEADLOCKS(select_nothing_for_ever, 1)
DEADLOCKS(select_nothing_for_ever, 8)
