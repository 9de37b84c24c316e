/* SPDX-License-Identifier: MIT
 *
 * Tour, step 3: what a parked goroutine takes in memory, beside a parked OS thread.
 *
 *     make examples && build/default/examples/memory [goroutines [threads]]
 */
#include <pthread.h>

#include <weft.h>

#include "tour.h"

static double thread_each; /* bytes */

static void row(const char *what, long count, double memory, double each)
{
    printf("  %-34s %9s %7.1f MiB %8s bytes\n", what, grouped((double)count),
           memory / (1024 * 1024), grouped(each));
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t arrived;

static void *parked_thread(void *arg)
{
    pthread_barrier_wait(&arrived);
    pthread_mutex_lock(&gate); /* main holds it */
    pthread_mutex_unlock(&gate);
    return arg;
}

/* Bytes of the stacks that threads have inside the kernel, of all processes. */
static double kernel_stacks(void)
{
    double kib = 0;
    char line[256];
    FILE *file = fopen("/proc/meminfo", "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        sscanf(line, "KernelStack: %lf", &kib);
    if (file != NULL)
        fclose(file);
    return 1024 * kib;
}

static void threads(long count)
{
    pthread_t *ids = calloc((size_t)count, sizeof *ids);
    if (ids == NULL)
        expect(-ENOMEM, "calloc");
    pthread_barrier_init(&arrived, NULL, (unsigned)count + 1);
    pthread_mutex_lock(&gate);
    double before = process_memory(), kernel_before = kernel_stacks();
    for (long i = 0; i < count; i++)
        expect(-pthread_create(&ids[i], NULL, parked_thread, NULL), "pthread_create");
    pthread_barrier_wait(&arrived);
    double memory = process_memory() - before;
    thread_each = memory / (double)count;
    row("threads, parked on a mutex", count, memory, thread_each);
    double kernel = kernel_stacks() - kernel_before;
    if (kernel > 0)
        row("  and in the kernel, their stacks", count, kernel, kernel / (double)count);
    pthread_mutex_unlock(&gate);
    for (long i = 0; i < count; i++)
        pthread_join(ids[i], NULL);
    free(ids);
}

static weft_chan *never;
static weft_waitgroup started, ended;

static void parked_goroutine(void *arg)
{
    (void)arg;
    weft_waitgroup_done(&started);
    weft_chan_recv(never, NULL); /* parks until the channel is closed */
    weft_waitgroup_done(&ended);
}

static int main_goroutine(int argc, char **argv)
{
    long count = argument(argc, argv, 1, 100 * 1000);
    never = weft_chan_new(0, 0);
    if (never == NULL)
        expect(-ENOMEM, "weft_chan_new");
    weft_waitgroup_add(&started, (int)count);
    weft_waitgroup_add(&ended, (int)count);
    double before = process_memory();
    progress("  parking %s goroutines ...", grouped((double)count));
    for (long i = 0; i < count; i++)
        expect(weft_go(parked_goroutine, NULL), "weft_go");
    weft_waitgroup_wait(&started);
    double memory = process_memory() - before, each = memory / (double)count;
    int thread_count = weft_num_thread();
    int64_t start = weft_now();
    weft_chan_close(never);
    weft_waitgroup_wait(&ended);
    double woken = (double)(weft_now() - start) / 1e6;
    weft_chan_unref(never);
    progress("%s", "");
    row("goroutines, parked on a channel", count, memory, each);
    weft_stats stats;
    weft_read_stats(&stats);
    printf("\n  As the kernel counts: VmRSS and VmPTE of /proc/self/status, KernelStack of\n"
           "  /proc/meminfo. A parked goroutine is a page of stack and a record; the stack\n"
           "  has room to grow to %zu KiB, with a guard below (%s). There were %d\n"
           "  threads; closing the channel woke all in %.0f ms. A million goroutines would\n"
           "  take %.1f GiB: reckoned from this run, not shown by it.\n",
           WEFT_STACK_DEFAULT / 1024, stats.stack_guard, thread_count, woken,
           each * 1e6 / (1024.0 * 1024 * 1024));
    check(each < thread_each, "a goroutine takes less memory than a thread");
    check(thread_count <= stats.maxprocs + 8, "%d threads for %s parked goroutines", thread_count,
          grouped((double)count));
    return tour_status;
}

int main(int argc, char **argv)
{
    long thread_count = argument(argc, argv, 2, 1000);
    printf("Park many, and ask the kernel what they take.\n\n"
           "  %-34s %9s %11s %14s\n",
           "", "how many", "in all", "each");
    threads(thread_count);
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
