/* SPDX-License-Identifier: MIT
 *
 * A test that fails when the process exceeds a number of threads. Here 1 000 goroutines sleep and
 * 20 block at a time; more than 50 threads for that would be a fault. Copy watchdog() into a test
 * of your own program.
 *
 *     make examples && build/default/examples/watchdog [most-threads]
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weft.h>

enum { SLEEPERS = 1000, BLOCKERS = 20, NAPS = 10 };

static atomic_int most_seen;

/* Ends the program with status 1 as soon as there are more than *arg threads. */
static void watchdog(void *arg)
{
    const int limit = *(int *)arg;
    for (;;) {
        int threads = weft_num_thread(); /* as the kernel counts them */
        if (threads > atomic_load(&most_seen))
            atomic_store(&most_seen, threads);
        if (threads > limit) {
            fprintf(stderr, "watchdog: %d threads, at most %d allowed; %d goroutines\n", threads,
                    limit, weft_num_goroutine());
            _exit(1); /* at once, even if main is just returning */
        }
        weft_sleep(5 * WEFT_MILLISECOND);
    }
}

static weft_waitgroup all;

static void sleeper(void *arg)
{
    (void)arg;
    for (int i = 0; i < NAPS; i++)
        weft_sleep(50 * WEFT_MILLISECOND);
    weft_waitgroup_done(&all);
}

static void blocker(void *arg)
{
    (void)arg;
    for (int i = 0; i < NAPS; i++) {
        weft_blocking_begin();
        nanosleep(&(struct timespec){.tv_nsec = 50 * 1000 * 1000}, NULL);
        weft_blocking_end();
    }
    weft_waitgroup_done(&all);
}

/* A goroutine that cannot be started ends the test too. */
static void start(void (*fn)(void *), int count)
{
    weft_waitgroup_add(&all, count);
    for (int i = 0; i < count; i++) {
        int result = weft_go(fn, NULL);
        if (result < 0) {
            fprintf(stderr, "weft_go: %s\n", strerror(-result));
            exit(1);
        }
    }
}

static int main_goroutine(int argc, char **argv)
{
    int limit = argc > 1 ? atoi(argv[1]) : 50;
    if (weft_go_copy(watchdog, &limit, sizeof limit) < 0)
        return 1;
    start(sleeper, SLEEPERS);
    start(blocker, BLOCKERS);
    weft_waitgroup_wait(&all);
    printf("%d goroutines slept and %d blocked, on %d threads at most; %d allowed\n", SLEEPERS,
           BLOCKERS, atomic_load(&most_seen), limit);
    return 0;
}

int main(int argc, char **argv)
{
    int status = weft_run(main_goroutine, argc, argv);
    if (status < 0)
        fprintf(stderr, "weft_run: %s\n", strerror(-status));
    return status < 0 ? 1 : status;
}
