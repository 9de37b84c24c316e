/* SPDX-License-Identifier: MIT
 *
 * As bench/parked.c with threads, and 10 000 of them: near 32 000 the kernel runs out of mappings.
 * What the kernel itself keeps for a thread (a stack of 16 KiB, above all) is not in the figure.
 */
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "../bench.h"

enum { COUNT = 10000 };

static sem_t arrived;
static sem_t gate;

static void *wait_at_gate(void *arg)
{
    sem_post(&arrived);
    sem_wait(&gate);
    return arg;
}

int main(int argc, char **argv)
{
    bench_limit_cpus(argc, argv);
    sem_init(&arrived, 0, 0);
    sem_init(&gate, 0, 0);
    double before = bench_memory();
    int64_t start = bench_now();
    for (int i = 0; i < COUNT; i++) {
        pthread_t thread;
        bench_must(pthread_create(&thread, NULL, wait_at_gate, NULL), "pthread_create");
    }
    for (int i = 0; i < COUNT; i++)
        sem_wait(&arrived);
    int64_t end = bench_now();
    bench_report("parked-memory", "pthread", (bench_memory() - before) / COUNT, "B");
    bench_report("parked-time", "pthread", (double)(end - start) / 1e3 / COUNT, "us");
    _exit(0);
}
