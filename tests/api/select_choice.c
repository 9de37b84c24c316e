/* SPDX-License-Identifier: MIT
 *
 * Select: the choice among ready cases is uniform, however the ready ones lie among the others.
 *
 * A chi-squared test of each arrangement. The bound lies so far above what chance gives (less than
 * once in 10^9 runs) that it never fails for nothing; a random start in a fixed order, or a case
 * that is favoured by a tenth, exceeds it many times over.
 */
#include "api/select_test.h"

#include <math.h>

enum { CASES_MAX = 60 };

static int draws_of_each(void)
{
    return 4000 / (TEST_TSAN ? 4 : 1);
}

/* counts[i] for those i for which ready[i]; NULL: all. */
static void check_uniform(const int *counts, const bool *ready, int n, const char *what)
{
    double total = 0, chi_squared = 0, classes = 0;
    for (int i = 0; i < n; i++) {
        if (!ready || ready[i])
            classes++;
        else
            CHECK_EQ(counts[i], 0);
        total += counts[i];
    }
    double expected = total / classes, freedom = classes - 1;
    for (int i = 0; i < n; i++) {
        double off = counts[i] - expected;
        if (!ready || ready[i])
            chi_squared += off * off / expected;
    }
    double bound = freedom + 10 * sqrt(2 * freedom) + 24;
    if (chi_squared > bound)
        FAIL(
            "%s, %d cases: chi-squared is %.1f, more than %.1f; the first were chosen %d, %d times",
            what, n, chi_squared, bound, counts[0], counts[1]);
}

/* Channels in a state that no operation changes: elements without size, and room without end. */
struct fixture {
    weft_chan *ready;  /* to send to, and, once 1000000 values are in it, to receive from */
    weft_chan *closed; /* to receive from: -EPIPE */
    weft_chan *full;
    weft_chan *never;
};

static void fixture_make(struct fixture *f)
{
    f->ready = weft_chan_new(0, SIZE_MAX);
    f->closed = weft_chan_new(0, 1);
    f->full = weft_chan_new(0, 1);
    f->never = weft_chan_new(0, 0);
    for (int i = 0; i < 1000000; i++)
        CHECK_EQ(weft_chan_send(f->ready, NULL), 0);
    CHECK_EQ(weft_chan_send(f->full, NULL), 0);
    CHECK_EQ(weft_chan_close(f->closed), 0);
}

static void fixture_end(struct fixture *f)
{
    weft_chan_unref(f->ready);
    weft_chan_unref(f->closed);
    weft_chan_unref(f->full);
    weft_chan_unref(f->never);
}

static weft_case ready_case(const struct fixture *f)
{
    switch (test_random_below(3)) {
    case 0:
        return send_case(f->ready, f);
    case 1:
        return recv_case(f->ready, NULL);
    default:
        return recv_case(f->closed, NULL);
    }
}

static weft_case other_case(const struct fixture *f)
{
    switch (test_random_below(4)) {
    case 0:
        return send_case(f->full, f);
    case 1:
        return recv_case(f->never, NULL);
    case 2:
        return send_case(f->never, f);
    default:
        return recv_case(NULL, NULL);
    }
}

static void check_choice(const struct fixture *f, const bool *ready, int n, int64_t deadline,
                         const char *what)
{
    weft_case cases[CASES_MAX];
    int counts[CASES_MAX] = {0}, ready_count = 0;
    for (int i = 0; i < n; i++) {
        cases[i] = ready[i] ? ready_case(f) : other_case(f);
        ready_count += ready[i];
    }
    for (int i = draws_of_each() * ready_count; i > 0; i--) {
        int chosen = weft_select(cases, n, deadline);
        CHECK_GE(chosen, 0);
        counts[chosen]++;
    }
    check_uniform(counts, ready, n, what);
}

static void all_ready(void)
{
    static const int sizes[] = {2, 3, 8, 16, 17, 40};
    static const bool all[CASES_MAX] = {[0 ... CASES_MAX - 1] = true};
    struct fixture f;
    fixture_make(&f);
    for (int i = 0; i < COUNT(sizes); i++) {
        check_choice(&f, all, sizes[i], WEFT_NOWAIT, "all ready, without waiting");
        check_choice(&f, all, sizes[i], WEFT_FOREVER, "all ready");
    }
    fixture_end(&f);
}

/* A random start in a fixed order would choose the one behind the gap more often. */
static void some_ready(void)
{
    struct fixture f;
    fixture_make(&f);
    bool ready[CASES_MAX] = {[0] = true, [6] = true, [7] = true};
    check_choice(&f, ready, 8, WEFT_NOWAIT, "0, 6 and 7 ready, without waiting");
    check_choice(&f, ready, 8, WEFT_FOREVER, "0, 6 and 7 ready");
    for (int round = 0; round < 10; round++) {
        int n = 3 + (int)test_random_below(CASES_MAX - 2);
        memset(ready, 0, sizeof ready);
        for (int i = 1 + (int)test_random_below(7); i >= 0; i--)
            ready[test_random_below((uint64_t)n)] = true;
        check_choice(&f, ready, n, WEFT_FOREVER, "some ready");
    }
    fixture_end(&f);
}

/* Values are taken from several channels alike while there are some in each. */
static void buffered_values(void)
{
    enum { CHANS = 5, ROOM = 64 };
    weft_chan *chans[CHANS];
    weft_case cases[CHANS];
    int counts[CHANS] = {0}, value = 0;
    for (int i = 0; i < CHANS; i++) {
        chans[i] = weft_chan_new(sizeof(int), ROOM);
        cases[i] = recv_case(chans[i], &value);
        CHECK_EQ(weft_chan_send(chans[i], &i), 0);
    }
    for (int i = draws_of_each() * CHANS; i > 0; i--) {
        int chosen = weft_select(cases, CHANS, WEFT_FOREVER);
        CHECK_EQ(value, chosen);
        counts[chosen]++;
        CHECK_EQ(weft_chan_send(chans[chosen], &chosen), 0);
    }
    check_uniform(counts, NULL, CHANS, "one value in each");
    for (int i = 0; i < CHANS; i++)
        weft_chan_unref(chans[i]);
}

BOTH(all_ready)
BOTH(some_ready)
BOTH(buffered_values)
