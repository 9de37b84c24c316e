/* SPDX-License-Identifier: MIT
 *
 * Tour, step 1: what it costs to start a goroutine and wait for its end, beside an OS thread.
 *
 *     make examples && build/default/examples/spawn [goroutines]
 */
#include <pthread.h>

#include <weft.h>

#include "tour.h"

static long most;          /* goroutines to start */
static double thread_each; /* nanoseconds */

static void row(const char *what, long count, int64_t time, double each)
{
    printf("  %-30s %10s %8.1f ms %10s ns\n", what, grouped((double)count), (double)time / 1e6,
           grouped(each));
}

static void goroutine(void *arg)
{
    weft_waitgroup_done(arg);
}

/* Starts all of them, then waits for all of them. Returns nanoseconds each. */
static double goroutines(long count)
{
    weft_waitgroup all = {0};
    int64_t start = weft_now();
    weft_waitgroup_add(&all, (int)count);
    for (long i = 0; i < count; i++)
        expect(weft_go(goroutine, &all), "weft_go");
    weft_waitgroup_wait(&all);
    int64_t time = weft_now() - start;
    double each = (double)time / (double)count;
    row("weft_go, weft_waitgroup_wait", count, time, each);
    return each;
}

static void *thread(void *arg)
{
    return arg;
}

/* One after another, as many as end within a second. */
static void threads(void)
{
    long count = 0;
    int64_t start = weft_now(), time;
    progress("  threads, for one second ...");
    do {
        pthread_t id;
        expect(-pthread_create(&id, NULL, thread, NULL), "pthread_create");
        pthread_join(id, NULL);
        count++;
        time = weft_now() - start;
    } while (time < WEFT_SECOND);
    progress("%s", "");
    thread_each = (double)time / (double)count;
    row("pthread_create, pthread_join", count, time, thread_each);
}

static int main_goroutine(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    weft_stats before, after;
    weft_read_stats(&before);
    goroutines(most >= 10 ? most / 10 : 1);
    double each = goroutines(most);
    weft_read_stats(&after);
    printf("\n  One thread costs as much as %s goroutines. (The threads: one after another;\n"
           "  the goroutines: all at once, at maxprocs %d. One that has not run yet has no\n"
           "  stack, so many take little memory.)\n",
           grouped(thread_each / each), after.maxprocs);
    check(after.spawned - before.spawned >= (uint64_t)most, "weft counted %s goroutines",
          grouped((double)(after.spawned - before.spawned)));
    check(each < thread_each, "a goroutine is cheaper than a thread");
    return tour_status;
}

int main(int argc, char **argv)
{
    most = argument(argc, argv, 1, 1000 * 1000);
    printf("Start many, wait until all have ended.\n\n"
           "  %-30s %10s %11s %13s\n",
           "", "how many", "in all", "each");
    threads();
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
