/* SPDX-License-Identifier: MIT
 *
 * As bench/pingpong.c with two threads, an int, and two semaphores for the channels.
 */
#include <pthread.h>
#include <semaphore.h>

#include "../bench.h"

enum { COUNT = 100000 };

static sem_t ping;
static sem_t pong;
static int value;

static void *echo(void *arg)
{
    for (int i = 0; i < COUNT; i++) {
        sem_wait(&ping);
        value++;
        sem_post(&pong);
    }
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t thread;

    bench_limit_cpus(argc, argv);
    sem_init(&ping, 0, 0);
    sem_init(&pong, 0, 0);
    bench_must(pthread_create(&thread, NULL, echo, NULL), "pthread_create");
    int64_t start = bench_now();
    for (int i = 0; i < COUNT; i++) {
        value++;
        sem_post(&ping);
        sem_wait(&pong);
    }
    bench_report("pingpong", "pthread", (double)(bench_now() - start) / COUNT, "ns");
    pthread_join(thread, NULL);
    return 0;
}
