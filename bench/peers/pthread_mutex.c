/* SPDX-License-Identifier: MIT
 *
 * As bench/mutex.c with threads.
 */
#include <pthread.h>

#include "../bench.h"

enum { COUNT = 4000000, MOST = 8 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter;
static int share;

static void *locker(void *arg)
{
    for (int i = 0; i < share; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return arg;
}

static void measure(const char *row, int count)
{
    pthread_t threads[MOST];
    share = COUNT / count;
    int64_t start = bench_now();

    for (int i = 0; i < count; i++)
        bench_must(pthread_create(&threads[i], NULL, locker, NULL), "pthread_create");
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    bench_report(row, "pthread", (double)(bench_now() - start) / COUNT, "ns");
}

int main(int argc, char **argv)
{
    bench_limit_cpus(argc, argv);
    measure("mutex-alone", 1);
    measure("mutex-8", MOST);
    return 0;
}
