/* SPDX-License-Identifier: MIT
 *
 * Tour, step 4: how many goroutines, slots, CPUs and threads there are while 10 000 goroutines
 * sleep.
 *
 *     make examples && build/default/examples/counts [sleepers]
 */
#include <weft.h>

#include "tour.h"

static void sleeper(void *arg)
{
    (void)arg;
    weft_sleep(60 * WEFT_SECOND);
}

static int main_goroutine(int argc, char **argv)
{
    long count = argument(argc, argv, 1, 10 * 1000);
    for (long i = 0; i < count; i++)
        expect(weft_go(sleeper, NULL), "weft_go");

    /* Each sleeper is a pending timer once it sleeps. */
    weft_stats stats;
    int64_t deadline = weft_after(10 * WEFT_SECOND);
    do {
        weft_sleep(WEFT_MILLISECOND);
        weft_read_stats(&stats);
    } while (stats.timers < (uint64_t)count && weft_now() < deadline);

    int goroutine_count = weft_num_goroutine();
    long threads = process_status("Threads"); /* counted by the kernel, not by weft */
    printf("With %s goroutines asleep there are:\n\n", grouped((double)count));
    printf("  goroutines %9s   weft_num_goroutine: the sleepers and main\n",
           grouped(goroutine_count));
    printf("  sleeping   %9s   pending timers, weft_read_stats\n", grouped((double)stats.timers));
    printf("  CPUs       %9d   weft_num_cpu: affinity and cgroup quota\n", weft_num_cpu());
    printf("  maxprocs   %9d   weft_maxprocs: how many goroutines can run at once\n",
           weft_maxprocs(0));
    printf("  threads    %9ld   Threads of /proc/self/status\n\n", threads);
    printf("  A thread for each would be %s threads; here a sleeper holds none.\n",
           grouped((double)count));

    check(goroutine_count == count + 1, "%ld sleepers and main are %d goroutines", count,
          goroutine_count);
    check(stats.timers == (uint64_t)count, "%ld sleepers are %s timers", count,
          grouped((double)stats.timers));
    check(threads == weft_num_thread(), "the kernel's %ld threads are weft's %d", threads,
          weft_num_thread());
    check(threads <= stats.maxprocs + 8, "%ld threads at maxprocs %d", threads, stats.maxprocs);
    return tour_status; /* the runtime ends with main; the sleepers go with it */
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
