/* SPDX-License-Identifier: MIT
 *
 * Start the runtime, run a main goroutine that does nothing, and shut down: us for the first time
 * in the process, and the median of later times.
 *
 * weft alone: the other runtimes start with their process and end with it (scenario "process").
 */
#include <weft.h>

#include "bench.h"

enum { ROUNDS = 200 };

static int nothing(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

static int64_t start_and_stop(void)
{
    int64_t start = bench_now();
    bench_must(weft_run(nothing, 0, NULL), "weft_run");
    return bench_now() - start;
}

int main(void)
{
    int64_t again[ROUNDS];

    bench_report("startup-first", "weft", (double)start_and_stop() / 1e3, "us");
    for (int i = 0; i < ROUNDS; i++)
        again[i] = start_and_stop();
    qsort(again, ROUNDS, sizeof(again[0]), bench_compare);
    bench_report("startup-again", "weft", (double)again[ROUNDS / 2] / 1e3, "us");
    return 0;
}
