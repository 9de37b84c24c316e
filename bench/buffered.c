/* SPDX-License-Identifier: MIT
 *
 * One goroutine sends ints over a channel of capacity 128, another receives them: ns per item.
 */
#include <weft.h>

#include "bench.h"

enum { COUNT = 5000000, CAPACITY = 128 };

static void produce(void *chan)
{
    for (int i = 0; i < COUNT; i++)
        weft_chan_send(chan, &i);
    weft_chan_close(chan);
}

static int64_t measure(void)
{
    weft_chan *chan = weft_chan_new(sizeof(int), CAPACITY);
    int64_t start = bench_now();
    int value;

    bench_must(weft_go(produce, chan), "weft_go");
    while (!weft_chan_recv(chan, &value))
        continue;
    int64_t took = bench_now() - start;
    weft_chan_unref(chan);
    return took;
}

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    measure();
    bench_report("buffered", "weft", (double)measure() / COUNT, "ns");
    return 0;
}

int main(int argc, char **argv)
{
    return weft_run(run, argc, argv);
}
