/* SPDX-License-Identifier: MIT
 *
 * 100 000 goroutines that each sleep once, for 1 to 1000 ms: how late they wake (median and 99th
 * percentile), and the processor time of it all, starting them included.
 */
#include <weft.h>

#include "bench.h"

enum { COUNT = 100000 };

static int64_t *late;
static weft_waitgroup wg;

/* late[i] holds i's duration until it wakes, and then how much longer it took. */
static void sleeper(void *arg)
{
    int64_t *slot = arg;
    int64_t start = bench_now();
    weft_sleep(*slot);
    *slot = bench_now() - start - *slot;
    weft_waitgroup_done(&wg);
}

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;

    late = bench_alloc(COUNT * sizeof(*late));
    int64_t cpu = bench_cpu();
    weft_waitgroup_add(&wg, COUNT);
    for (int i = 0; i < COUNT; i++) {
        late[i] = (i * INT64_C(7919) % 1000 + 1) * WEFT_MILLISECOND;
        bench_must(weft_go(sleeper, &late[i]), "weft_go");
    }
    weft_waitgroup_wait(&wg);
    cpu = bench_cpu() - cpu;
    qsort(late, COUNT, sizeof(*late), bench_compare);
    bench_report("sleepers-p50", "weft", (double)late[COUNT / 2] / 1e6, "ms");
    bench_report("sleepers-p99", "weft", (double)late[COUNT / 100 * 99] / 1e6, "ms");
    bench_report("sleepers-cpu", "weft", (double)cpu / 1e6, "ms");
    return 0;
}

int main(int argc, char **argv)
{
    return weft_run(run, argc, argv);
}
