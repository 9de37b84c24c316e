/* SPDX-License-Identifier: MIT
 *
 * One goroutine selects over 2 and over 8 channels, each with a sender of its own: ns per value.
 * With unbuffered channels the select waits for most values (select-2, select-8); with a capacity
 * of 128 it finds most of them ready (select-2-ready, select-8-ready), and the figure is a send and
 * a select. select-default: a look at two empty channels that does not wait.
 */
#include <weft.h>

#include "bench.h"

enum { COUNT = 1600000, MOST = 8 };

static weft_chan *chans[MOST];
static weft_waitgroup senders;
static int share;

static void produce(void *chan)
{
    for (int i = 0; i < share; i++)
        weft_chan_send(chan, &i);
    weft_waitgroup_done(&senders);
}

static void receive(int n, int count, int64_t deadline)
{
    for (int i = 0; i < count; i++) {
        weft_case cases[MOST];
        int value;
        for (int j = 0; j < n; j++)
            cases[j] = (weft_case){.chan = chans[j], .recv = &value};
        weft_select(cases, n, deadline);
    }
}

static void make_chans(int n, size_t capacity)
{
    for (int i = 0; i < n; i++)
        chans[i] = weft_chan_new(sizeof(int), capacity);
}

static void free_chans(int n)
{
    for (int i = 0; i < n; i++)
        weft_chan_unref(chans[i]);
}

static int64_t measure(int n, size_t capacity)
{
    share = COUNT / n;
    make_chans(n, capacity);
    int64_t start = bench_now();
    weft_waitgroup_add(&senders, n);
    for (int i = 0; i < n; i++)
        bench_must(weft_go(produce, chans[i]), "weft_go");
    receive(n, COUNT, WEFT_FOREVER);
    int64_t took = bench_now() - start;
    weft_waitgroup_wait(&senders);
    free_chans(n);
    return took;
}

static int64_t measure_default(void)
{
    make_chans(2, 0);
    int64_t start = bench_now();
    receive(2, COUNT, WEFT_NOWAIT);
    int64_t took = bench_now() - start;
    free_chans(2);
    return took;
}

static void report(const char *row, int64_t took)
{
    bench_report(row, "weft", (double)took / COUNT, "ns");
}

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    measure(2, 0);
    report("select-2", measure(2, 0));
    report("select-8", measure(8, 0));
    report("select-2-ready", measure(2, 128));
    report("select-8-ready", measure(8, 128));
    report("select-default", measure_default());
    return 0;
}

int main(int argc, char **argv)
{
    return weft_run(run, argc, argv);
}
