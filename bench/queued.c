/* SPDX-License-Identifier: MIT
 *
 * 1 000 000 goroutines started by one that does not yield: bytes each as the kernel counts them.
 *
 * The spawner never yields, but a slice ends after some milliseconds all the same, and goroutines
 * that ran meanwhile give their memory to later ones. So the divisor is the most that were queued
 * at one time.
 */
#include <weft.h>

#include "bench.h"

enum { COUNT = 1000000 };

static int ran; /* at maxprocs 1: no two goroutines write it at once */

static void empty(void *arg)
{
    (void)arg;
    __atomic_store_n(&ran, ran + 1, __ATOMIC_RELAXED);
}

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    double before = bench_memory();
    int most = 0;

    for (int i = 1; i <= COUNT; i++) {
        bench_must(weft_go(empty, NULL), "weft_go");
        int queued = i - __atomic_load_n(&ran, __ATOMIC_RELAXED);
        most = queued > most ? queued : most;
    }
    bench_report("queued-memory", "weft", (bench_memory() - before) / most, "B");
    return 0;
}

int main(int argc, char **argv)
{
    return weft_run(run, argc, argv);
}
