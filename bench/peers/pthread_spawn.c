/* SPDX-License-Identifier: MIT
 *
 * As bench/spawn.c with threads, and 10 000 of them: the kernel does not hold a million.
 */
#include <pthread.h>

#include "../bench.h"

enum { COUNT = 10000 };

static pthread_t threads[COUNT];

static void *empty(void *arg)
{
    return arg;
}

static int64_t spawn_and_join(void)
{
    int64_t start = bench_now();
    for (int i = 0; i < COUNT; i++)
        bench_must(pthread_create(&threads[i], NULL, empty, NULL), "pthread_create");
    for (int i = 0; i < COUNT; i++)
        pthread_join(threads[i], NULL);
    return bench_now() - start;
}

int main(int argc, char **argv)
{
    bench_limit_cpus(argc, argv);
    bench_report("spawn-cold", "pthread", (double)spawn_and_join() / COUNT, "ns");
    bench_report("spawn-warm", "pthread", (double)spawn_and_join() / COUNT, "ns");
    return 0;
}
