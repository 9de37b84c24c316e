/* SPDX-License-Identifier: MIT
 *
 * A pipeline: one goroutine makes numbers, several take them from it and square them (fan-out), and
 * send the squares on one channel (fan-in). All belong to a group, and wait for its context beside
 * their channels. So when the consumer has had enough it cancels, and no goroutine is left behind.
 *
 *     make examples && build/default/examples/pipeline [numbers]
 */
#include <stdatomic.h>

#include <weft.h>

#include "tour.h"

enum { WORKERS = 4, FEW = 10 };

struct pipeline {
    weft_group group;
    weft_chan *numbers, *squares;
    long last;
    atomic_int workers;
};

/* Goes on with the case, or with the context's end. The result of what was done. */
static int or_cancelled(struct pipeline *p, weft_case wanted)
{
    weft_ctx *ctx = weft_group_ctx(&p->group);
    weft_case cases[] = {wanted, {.chan = weft_ctx_done(ctx)}};
    return weft_select(cases, 2, WEFT_FOREVER) == 0 ? cases[0].result : weft_ctx_err(ctx);
}

static int give(struct pipeline *p, weft_chan *chan, const long *value)
{
    return or_cancelled(p, (weft_case){.chan = chan, .send = value});
}

static int take(struct pipeline *p, weft_chan *chan, long *value)
{
    return or_cancelled(p, (weft_case){.chan = chan, .recv = value});
}

static int source(void *arg)
{
    struct pipeline *p = arg;
    int result = 0;
    for (long n = 1; n <= p->last && result == 0; n++)
        result = give(p, p->numbers, &n);
    weft_chan_close(p->numbers);
    return result;
}

static int square(void *arg)
{
    struct pipeline *p = arg;
    int result;
    long n;
    while ((result = take(p, p->numbers, &n)) == 0) {
        n *= n;
        if ((result = give(p, p->squares, &n)) < 0)
            break;
    }
    if (atomic_fetch_sub(&p->workers, 1) == 1) /* the last one out */
        weft_chan_close(p->squares);
    return result == -EPIPE ? 0 : result; /* there are no more numbers */
}

/* Sums what comes out, at most so many. The result of the group. */
static int consume(long last, long most, long *taken, unsigned long *sum)
{
    struct pipeline line = {
        .numbers = weft_chan_new(sizeof(long), 0),
        .squares = weft_chan_new(sizeof(long), WORKERS),
        .last = last,
        .workers = WORKERS,
    };
    expect(line.numbers && line.squares ? 0 : -ENOMEM, "weft_chan_new");
    weft_group_init(&line.group, NULL);
    expect(weft_group_go(&line.group, source, &line), "weft_group_go");
    for (int i = 0; i < WORKERS; i++)
        expect(weft_group_go(&line.group, square, &line), "weft_group_go");

    long value;
    *taken = *sum = 0;
    while (*taken < most && weft_chan_recv(line.squares, &value) == 0) {
        *sum += (unsigned long)value;
        ++*taken;
    }
    if (*taken == most)
        weft_ctx_cancel(weft_group_ctx(&line.group), 0);
    int result = weft_group_wait(&line.group); /* for all five: they use line */
    weft_chan_unref(line.numbers);
    weft_chan_unref(line.squares);
    return result;
}

static int main_goroutine(int argc, char **argv)
{
    long last = argument(argc, argv, 1, 1000), taken;
    unsigned long sum, expected = 0;
    for (unsigned long n = 1; n <= (unsigned long)last; n++)
        expected += n * n;
    int result = consume(last, last + 1, &taken, &sum);
    printf("took all %ld squares, sum %lu; the group says %d\n", taken, sum, result);
    check(result == 0 && taken == last, "all came out");
    check(sum == expected, "the sum is that of the squares");

    result = consume(100 * 1000 * 1000, FEW, &taken, &sum);
    printf("took %ld of 100 million and cancelled; the group says '%s', and no goroutine is left\n",
           taken, strerror(-result));
    check(result == -ECANCELED && taken == FEW, "the consumer stopped the pipeline");
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
