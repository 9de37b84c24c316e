/* SPDX-License-Identifier: MIT
 *
 * Start 100 empty goroutines and join them, over and over: ns each. The memory of one batch serves
 * the next.
 */
#include <weft.h>

#include "bench.h"

enum { BATCH = 100, BATCHES = 20000 };

static void empty(void *wg)
{
    weft_waitgroup_done(wg);
}

static void batches(int count)
{
    for (int i = 0; i < count; i++) {
        weft_waitgroup wg = {0};
        weft_waitgroup_add(&wg, BATCH);
        for (int j = 0; j < BATCH; j++)
            bench_must(weft_go(empty, &wg), "weft_go");
        weft_waitgroup_wait(&wg);
    }
}

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    batches(BATCHES / 10);
    int64_t start = bench_now();
    batches(BATCHES);
    bench_report("batch", "weft", (double)(bench_now() - start) / BATCHES / BATCH, "ns");
    return 0;
}

int main(int argc, char **argv)
{
    return weft_run(run, argc, argv);
}
