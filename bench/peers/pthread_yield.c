/* SPDX-License-Identifier: MIT
 *
 * As bench/yield.c with threads on one CPU and sched_yield.
 */
#include <pthread.h>

#include "../bench.h"

enum { COUNT = 200000 };

static void *yielder(void *arg)
{
    for (int i = 0; i < COUNT; i++)
        sched_yield();
    return arg;
}

static void measure(const char *row, int count)
{
    pthread_t threads[2];
    int64_t start = bench_now();

    for (int i = 0; i < count; i++)
        bench_must(pthread_create(&threads[i], NULL, yielder, NULL), "pthread_create");
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    bench_report(row, "pthread", (double)(bench_now() - start) / COUNT / count, "ns");
}

int main(int argc, char **argv)
{
    bench_limit_cpus(argc, argv);
    measure("yield-two", 2);
    measure("yield-one", 1);
    return 0;
}
