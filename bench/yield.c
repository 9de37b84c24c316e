/* SPDX-License-Identifier: MIT
 *
 * Yield: two goroutines that hand the processor to each other (ns per switch), and a goroutine that
 * yields with nobody to yield to.
 */
#include <weft.h>

#include "bench.h"

enum { COUNT = 5000000 };

static void yielder(void *wg)
{
    for (int i = 0; i < COUNT; i++)
        weft_yield();
    weft_waitgroup_done(wg);
}

static void measure(const char *row, int goroutines)
{
    for (int round = 0; round < 2; round++) {
        weft_waitgroup wg = {0};
        int64_t start = bench_now();
        weft_waitgroup_add(&wg, goroutines);
        for (int i = 0; i < goroutines; i++)
            bench_must(weft_go(yielder, &wg), "weft_go");
        weft_waitgroup_wait(&wg);
        if (round == 1) /* the first was to warm up */
            bench_report(row, "weft", (double)(bench_now() - start) / COUNT / goroutines, "ns");
    }
}

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    measure("yield-two", 2);
    measure("yield-one", 1);
    return 0;
}

int main(int argc, char **argv)
{
    return weft_run(run, argc, argv);
}
