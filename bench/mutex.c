/* SPDX-License-Identifier: MIT
 *
 * Lock, add one, unlock: by a single goroutine, and by eight that share the mutex. ns per lock and
 * unlock.
 */
#include <weft.h>

#include "bench.h"

enum { COUNT = 4000000 };

static weft_mutex mutex;
static long counter;
static int share;

static void locker(void *wg)
{
    for (int i = 0; i < share; i++) {
        weft_mutex_lock(&mutex);
        counter++;
        weft_mutex_unlock(&mutex);
    }
    weft_waitgroup_done(wg);
}

static void measure(const char *row, int goroutines)
{
    share = COUNT / goroutines;
    for (int round = 0; round < 2; round++) {
        weft_waitgroup wg = {0};
        int64_t start = bench_now();
        weft_waitgroup_add(&wg, goroutines);
        for (int i = 0; i < goroutines; i++)
            bench_must(weft_go(locker, &wg), "weft_go");
        weft_waitgroup_wait(&wg);
        if (round == 1) /* the first was to warm up */
            bench_report(row, "weft", (double)(bench_now() - start) / COUNT, "ns");
    }
}

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    measure("mutex-alone", 1);
    measure("mutex-8", 8);
    return 0;
}

int main(int argc, char **argv)
{
    return weft_run(run, argc, argv);
}
