/* SPDX-License-Identifier: MIT
 *
 * Two goroutines send an int to and fro over two unbuffered channels: ns per round trip, which is
 * two sends, two receives and two switches.
 */
#include <weft.h>

#include "bench.h"

enum { COUNT = 1000000 };

static weft_chan *ping;
static weft_chan *pong;

static void echo(void *arg)
{
    (void)arg;
    int value;
    while (!weft_chan_recv(ping, &value))
        weft_chan_send(pong, &value);
}

static void round_trips(int count)
{
    for (int i = 0; i < count; i++) {
        int value = i;
        weft_chan_send(ping, &value);
        weft_chan_recv(pong, &value);
    }
}

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    ping = weft_chan_new(sizeof(int), 0);
    pong = weft_chan_new(sizeof(int), 0);
    bench_must(weft_go(echo, NULL), "weft_go");
    round_trips(COUNT / 10);
    int64_t start = bench_now();
    round_trips(COUNT);
    bench_report("pingpong", "weft", (double)(bench_now() - start) / COUNT, "ns");
    return 0;
}

int main(int argc, char **argv)
{
    return weft_run(run, argc, argv);
}
