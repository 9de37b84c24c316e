/* SPDX-License-Identifier: MIT
 *
 * As bench/buffered.c with two threads and the usual bounded queue: a ring, a mutex, two
 * conditions.
 */
#include <pthread.h>
#include <stdbool.h>

#include "../bench.h"

enum { COUNT = 2000000, CAPACITY = 128 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t not_empty = PTHREAD_COND_INITIALIZER;
static pthread_cond_t not_full = PTHREAD_COND_INITIALIZER;
static int ring[CAPACITY];
static unsigned head;
static unsigned tail;
static bool closed;

static void send(int value)
{
    pthread_mutex_lock(&mutex);
    while (tail - head == CAPACITY)
        pthread_cond_wait(&not_full, &mutex);
    ring[tail++ % CAPACITY] = value;
    pthread_cond_signal(&not_empty);
    pthread_mutex_unlock(&mutex);
}

static bool receive(int *value)
{
    pthread_mutex_lock(&mutex);
    while (tail == head && !closed)
        pthread_cond_wait(&not_empty, &mutex);
    bool received = tail != head;
    if (received) {
        *value = ring[head++ % CAPACITY];
        pthread_cond_signal(&not_full);
    }
    pthread_mutex_unlock(&mutex);
    return received;
}

static void *produce(void *arg)
{
    for (int i = 0; i < COUNT; i++)
        send(i);
    pthread_mutex_lock(&mutex);
    closed = true;
    pthread_cond_broadcast(&not_empty);
    pthread_mutex_unlock(&mutex);
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    int value;

    bench_limit_cpus(argc, argv);
    int64_t start = bench_now();
    bench_must(pthread_create(&thread, NULL, produce, NULL), "pthread_create");
    while (receive(&value))
        continue;
    bench_report("buffered", "pthread", (double)(bench_now() - start) / COUNT, "ns");
    pthread_join(thread, NULL);
    return 0;
}
