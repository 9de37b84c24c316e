/* SPDX-License-Identifier: MIT
 *
 * 1000 goroutines send to one receiver over an unbuffered channel: ns per value.
 */
#include <weft.h>

#include "bench.h"

enum { SENDERS = 1000, EACH = 2000, COUNT = SENDERS * EACH };

static weft_chan *chan;
static weft_waitgroup senders;

static void produce(void *arg)
{
    (void)arg;
    for (int i = 0; i < EACH; i++)
        weft_chan_send(chan, &i);
    weft_waitgroup_done(&senders);
}

static int64_t measure(void)
{
    int value;
    chan = weft_chan_new(sizeof(int), 0);
    int64_t start = bench_now();
    weft_waitgroup_add(&senders, SENDERS);
    for (int i = 0; i < SENDERS; i++)
        bench_must(weft_go(produce, NULL), "weft_go");
    for (int i = 0; i < COUNT; i++)
        weft_chan_recv(chan, &value);
    int64_t took = bench_now() - start;
    weft_waitgroup_wait(&senders);
    weft_chan_unref(chan);
    return took;
}

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    measure();
    bench_report("fanin", "weft", (double)measure() / COUNT, "ns");
    return 0;
}

int main(int argc, char **argv)
{
    return weft_run(run, argc, argv);
}
