/* SPDX-License-Identifier: MIT
 *
 * 1 000 000 goroutines parked on a channel: bytes each, pages and page tables together as the kernel
 * counts them, and us each from the first start until the last is parked. For a million, us each are
 * the seconds that it takes.
 */
#include <weft.h>

#include "bench.h"

enum { COUNT = 1000000 };

static weft_chan *gate;

static void wait_at_gate(void *wg)
{
    weft_waitgroup_done(wg);
    weft_chan_recv(gate, NULL);
}

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    weft_waitgroup wg = {0};

    gate = weft_chan_new(0, 0);
    double before = bench_memory();
    int64_t start = bench_now();
    weft_waitgroup_add(&wg, COUNT);
    for (int i = 0; i < COUNT; i++)
        bench_must(weft_go(wait_at_gate, &wg), "weft_go");
    weft_waitgroup_wait(&wg);
    int64_t end = bench_now();
    bench_report("parked-memory", "weft", (bench_memory() - before) / COUNT, "B");
    bench_report("parked-time", "weft", (double)(end - start) / 1e3 / COUNT, "us");
    return 0;
}

int main(int argc, char **argv)
{
    return weft_run(run, argc, argv);
}
