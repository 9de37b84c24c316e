/* SPDX-License-Identifier: MIT
 *
 * Start 1 000 000 empty goroutines in one loop, then join them: ns each. The first round meets memory
 * that was never touched and is reported as spawn-cold; the median of the later ones is spawn-warm.
 * The spawner's slice ends now and then, and what is queued runs: fewer than a million wait at once.
 */
#include <weft.h>

#include "bench.h"

enum { COUNT = 1000000, ROUNDS = 7 };

static void empty(void *wg)
{
    weft_waitgroup_done(wg);
}

static int64_t spawn_and_join(void)
{
    weft_waitgroup wg = {0};
    int64_t start = bench_now();

    weft_waitgroup_add(&wg, COUNT);
    for (int i = 0; i < COUNT; i++)
        bench_must(weft_go(empty, &wg), "weft_go");
    weft_waitgroup_wait(&wg);
    return bench_now() - start;
}

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    int64_t warm[ROUNDS];

    bench_report("spawn-cold", "weft", (double)spawn_and_join() / COUNT, "ns");
    for (int i = 0; i < ROUNDS; i++)
        warm[i] = spawn_and_join();
    qsort(warm, ROUNDS, sizeof(warm[0]), bench_compare);
    bench_report("spawn-warm", "weft", (double)warm[ROUNDS / 2] / COUNT, "ns");
    return 0;
}

int main(int argc, char **argv)
{
    return weft_run(run, argc, argv);
}
