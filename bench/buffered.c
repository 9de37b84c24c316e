/* SPDX-License-Identifier: MIT
 *
 * Goroutines send ints over a channel of capacity 128, others receive them: one and one, four and
 * four. ns per item.
 */
#include <weft.h>

#include "bench.h"

enum { COUNT = 4000000, CAPACITY = 128 };

static weft_waitgroup senders;
static weft_waitgroup receivers;
static int share;

static void produce(void *chan)
{
    int count = share;
    for (int i = 0; i < count; i++)
        weft_chan_send(chan, &i);
    weft_waitgroup_done(&senders);
}

static void consume(void *chan)
{
    int value;
    while (!weft_chan_recv(chan, &value))
        continue;
    weft_waitgroup_done(&receivers);
}

static int64_t measure(int pairs)
{
    weft_chan *chan = weft_chan_new(sizeof(int), CAPACITY);
    share = COUNT / pairs;
    int64_t start = bench_now();
    weft_waitgroup_add(&senders, pairs);
    weft_waitgroup_add(&receivers, pairs);
    for (int i = 0; i < pairs; i++) {
        bench_must(weft_go(produce, chan), "weft_go");
        bench_must(weft_go(consume, chan), "weft_go");
    }
    weft_waitgroup_wait(&senders);
    weft_chan_close(chan);
    weft_waitgroup_wait(&receivers);
    int64_t took = bench_now() - start;
    weft_chan_unref(chan);
    return took;
}

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    measure(1);
    bench_report("buffered", "weft", (double)measure(1) / COUNT, "ns");
    bench_report("buffered-4x4", "weft", (double)measure(4) / COUNT, "ns");
    return 0;
}

int main(int argc, char **argv)
{
    return weft_run(run, argc, argv);
}
