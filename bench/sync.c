/* SPDX-License-Identifier: MIT
 *
 * The sync types beside the mutex, ns each: rwmutex-read, eight goroutines lock and unlock for
 * reading; rwmutex-mixed, one time in a hundred for writing; once, one that is done; sem, acquire
 * and release one permit of plenty, by eight; cond, two goroutines hand a turn to and fro, a round
 * trip.
 */
#include <weft.h>

#include "bench.h"

enum { COUNT = 2000000, GOROUTINES = 8 };

static weft_rwmutex rwmutex;
static weft_once once;
static weft_sem sem;
static weft_mutex mutex;
static weft_cond cond;
static int turn;
static long counter;

static void reader(void *wg)
{
    for (int i = 0; i < COUNT / GOROUTINES; i++) {
        weft_rwmutex_rdlock(&rwmutex);
        weft_rwmutex_rdunlock(&rwmutex);
    }
    weft_waitgroup_done(wg);
}

static void reader_and_writer(void *wg)
{
    for (int i = 0; i < COUNT / GOROUTINES; i++) {
        if (i % 100 == 0) {
            weft_rwmutex_wrlock(&rwmutex);
            counter++;
            weft_rwmutex_wrunlock(&rwmutex);
        } else {
            weft_rwmutex_rdlock(&rwmutex);
            weft_rwmutex_rdunlock(&rwmutex);
        }
    }
    weft_waitgroup_done(wg);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void once_caller(void *wg)
{
    for (int i = 0; i < COUNT; i++)
        weft_once_do(&once, nothing, NULL);
    weft_waitgroup_done(wg);
}

static void sem_user(void *wg)
{
    for (int i = 0; i < COUNT / GOROUTINES; i++) {
        weft_sem_acquire(&sem, 1);
        weft_sem_release(&sem, 1);
    }
    weft_waitgroup_done(wg);
}

static void take_turns(int mine, int count)
{
    weft_mutex_lock(&mutex);
    for (int i = 0; i < count; i++) {
        while (turn != mine)
            weft_cond_wait(&cond, &mutex);
        turn = !mine;
        weft_cond_signal(&cond);
    }
    weft_mutex_unlock(&mutex);
}

static void second(void *wg)
{
    take_turns(1, COUNT / 4);
    weft_waitgroup_done(wg);
}

static void first(void *wg)
{
    take_turns(0, COUNT / 4);
    weft_waitgroup_done(wg);
}

static void measure(const char *row, int count, int n, void (*a)(void *wg), void (*b)(void *wg))
{
    for (int round = 0; round < 2; round++) {
        weft_waitgroup wg = {0};
        int64_t start = bench_now();
        weft_waitgroup_add(&wg, n);
        for (int i = 0; i < n; i++)
            bench_must(weft_go(i % 2 ? b : a, &wg), "weft_go");
        weft_waitgroup_wait(&wg);
        if (round == 1) /* the first was to warm up */
            bench_report(row, "weft", (double)(bench_now() - start) / count, "ns");
    }
}

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    weft_sem_init(&sem, 100);
    measure("rwmutex-read", COUNT, GOROUTINES, reader, reader);
    measure("rwmutex-mixed", COUNT, GOROUTINES, reader_and_writer, reader_and_writer);
    measure("once", COUNT, 1, once_caller, NULL);
    measure("sem", COUNT, GOROUTINES, sem_user, sem_user);
    measure("cond", COUNT / 4, 2, first, second);
    return 0;
}

int main(int argc, char **argv)
{
    return weft_run(run, argc, argv);
}
