/* SPDX-License-Identifier: MIT
 *
 * As bench/batch.c with threads.
 */
#include <pthread.h>

#include "../bench.h"

enum { BATCH = 100, BATCHES = 100 };

static void *empty(void *arg)
{
    return arg;
}

static void batches(int count)
{
    for (int i = 0; i < count; i++) {
        pthread_t threads[BATCH];
        for (int j = 0; j < BATCH; j++)
            bench_must(pthread_create(&threads[j], NULL, empty, NULL), "pthread_create");
        for (int j = 0; j < BATCH; j++)
            pthread_join(threads[j], NULL);
    }
}

int main(int argc, char **argv)
{
    bench_limit_cpus(argc, argv);
    batches(BATCHES / 10);
    int64_t start = bench_now();
    batches(BATCHES);
    bench_report("batch", "pthread", (double)(bench_now() - start) / BATCHES / BATCH, "ns");
    return 0;
}
