/* SPDX-License-Identifier: MIT
 *
 * A goroutine that prints what the runtime is doing, while others work, sleep and block. Copy
 * diagnose() into a program and start it with weft_go to see inside.
 *
 *     make examples && build/default/examples/diagnostic [seconds]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <weft.h>

/* Prints a line every *arg nanoseconds, for as long as the program runs. */
static void diagnose(void *arg)
{
    const int64_t period = *(int64_t *)arg, start = weft_now();
    const double seconds = (double)period / (double)WEFT_SECOND;
    weft_stats now, last;
    weft_read_stats(&last);
    printf("CPUs: %d, stack guards: %s\n", weft_num_cpu(), last.stack_guard);
    for (int line = 0;; line++) {
        if (line % 20 == 0)
            printf("time goroutines  timers maxprocs idle threads idle"
                   " spawned/s switches/s steals/s seizes/s\n");
        weft_sleep_until(start + (line + 1) * period);
        weft_read_stats(&now);
        printf("%4.1f %10d %7" PRIu64 " %8d %4d %7d %4d %9.0f %10.0f %8.0f %8.0f\n",
               (double)(weft_now() - start) / (double)WEFT_SECOND, now.goroutines, now.timers,
               now.maxprocs, now.idle_procs, now.threads, now.idle_threads,
               (double)(now.spawned - last.spawned) / seconds,
               (double)(now.switches - last.switches) / seconds,
               (double)(now.steals - last.steals) / seconds,
               (double)(now.seizes - last.seizes) / seconds);
        fflush(stdout);
        last = now;
    }
}

/* Something to look at: short goroutines by the thousand, sleepers, and calls that block. */
static void short_work(void *arg)
{
    for (volatile int i = 0; i < 1000;)
        i = i + 1;
    weft_waitgroup_done(arg);
}

static void spawner(void *arg)
{
    (void)arg;
    for (;;) {
        weft_waitgroup batch = {0};
        for (int i = 0; i < 1000; i++) {
            weft_waitgroup_add(&batch, 1);
            if (weft_go(short_work, &batch) < 0)
                weft_waitgroup_done(&batch);
        }
        weft_waitgroup_wait(&batch);
        weft_sleep(2 * WEFT_MILLISECOND);
    }
}

static void sleeper(void *arg)
{
    (void)arg;
    for (;;)
        weft_sleep(100 * WEFT_MILLISECOND);
}

static void blocker(void *arg)
{
    (void)arg;
    for (;;) {
        weft_blocking_begin();
        nanosleep(&(struct timespec){.tv_nsec = 30 * 1000 * 1000}, NULL);
        weft_blocking_end();
        weft_sleep(70 * WEFT_MILLISECOND);
    }
}

static int main_goroutine(int argc, char **argv)
{
    int seconds = argc > 1 ? atoi(argv[1]) : 5;
    int64_t period = 500 * WEFT_MILLISECOND;
    int failed = weft_go_copy(diagnose, &period, sizeof period) < 0;
    failed |= weft_go(spawner, NULL) < 0;
    for (int i = 0; i < 1000; i++)
        failed |= weft_go(sleeper, NULL) < 0;
    for (int i = 0; i < 5; i++)
        failed |= weft_go(blocker, NULL) < 0;
    if (!failed)
        weft_sleep(seconds * WEFT_SECOND + period / 2);
    return failed; /* the others end with main */
}

int main(int argc, char **argv)
{
    int status = weft_run(main_goroutine, argc, argv);
    if (status < 0)
        fprintf(stderr, "weft_run: %s\n", strerror(-status));
    return status < 0 ? 1 : status;
}
