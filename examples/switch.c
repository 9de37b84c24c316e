/* SPDX-License-Identifier: MIT
 *
 * Tour, step 2: what it costs to go from one goroutine to another, beside two OS threads.
 *
 *     make examples && build/default/examples/switch [yields]
 */
#define _GNU_SOURCE 1
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include <weft.h>

#include "tour.h"

static long yields, round_trips, handovers;
static double thread_round_trip; /* nanoseconds */

static double row(const char *what, double round_trip)
{
    printf("  %-44s %8s ns %9s ns\n", what, grouped(round_trip / 2), grouped(round_trip));
    return round_trip;
}

/* Two goroutines that yield to each other. */
static void yielder(void *arg)
{
    for (long i = 0; i < yields; i++)
        weft_yield();
    weft_waitgroup_done(arg);
}

static double yield_round_trip(void)
{
    weft_waitgroup both = {0};
    weft_waitgroup_add(&both, 2);
    int64_t start = weft_now();
    for (int i = 0; i < 2; i++)
        expect(weft_go(yielder, &both), "weft_go");
    weft_waitgroup_wait(&both);
    return (double)(weft_now() - start) / (double)yields;
}

/* Two goroutines that send a number to and fro. */
struct table {
    weft_chan *ping, *pong;
};

static void partner(void *arg)
{
    struct table *table = arg;
    long ball;
    while (weft_chan_recv(table->ping, &ball) == 0) {
        ball++;
        weft_chan_send(table->pong, &ball);
    }
    weft_chan_close(table->pong);
}

static double channel_round_trip(void)
{
    struct table table = {weft_chan_new(sizeof(long), 0), weft_chan_new(sizeof(long), 0)};
    if (table.ping == NULL || table.pong == NULL)
        expect(-ENOMEM, "weft_chan_new");
    long ball = 0;
    expect(weft_go(partner, &table), "weft_go");
    int64_t start = weft_now();
    for (long i = 0; i < round_trips; i++) {
        weft_chan_send(table.ping, &ball);
        weft_chan_recv(table.pong, &ball);
    }
    int64_t time = weft_now() - start;
    check(ball == round_trips, "the ball came back %ld times of %ld", ball, round_trips);
    weft_chan_close(table.ping);
    weft_chan_recv(table.pong, NULL);
    weft_chan_unref(table.ping);
    weft_chan_unref(table.pong);
    return (double)time / (double)round_trips;
}

/* Two threads on one CPU; the futex says whose turn it is. */
static atomic_uint turn;

static void *player(void *arg)
{
    unsigned me = *(unsigned *)arg, other = 1 - me;
    for (long i = 0; i < handovers; i++) {
        while (atomic_load(&turn) != me)
            syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, other, NULL, NULL, 0);
        atomic_store(&turn, other);
        syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
    return NULL;
}

static double futex_round_trip(void)
{
    cpu_set_t one_cpu;
    CPU_ZERO(&one_cpu);
    CPU_SET((unsigned)sched_getcpu(), &one_cpu);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    expect(-pthread_attr_setaffinity_np(&attr, sizeof one_cpu, &one_cpu), "affinity");
    pthread_t threads[2];
    unsigned numbers[2] = {0, 1};
    int64_t start = weft_now();
    for (int i = 0; i < 2; i++)
        expect(-pthread_create(&threads[i], &attr, player, &numbers[i]), "pthread_create");
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    pthread_attr_destroy(&attr);
    return (double)(weft_now() - start) / (double)handovers;
}

static int main_goroutine(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    weft_maxprocs(1);
    double yield = row("two goroutines, weft_yield", yield_round_trip());
    double channel = row("two goroutines, channel without buffer", channel_round_trip());
    printf("\n  A switch of threads costs as much as %s of goroutines: it goes through the\n"
           "  kernel. All on one CPU: the threads by affinity, the goroutines at maxprocs 1.\n",
           grouped(thread_round_trip / yield));
    check(channel < thread_round_trip, "a channel is faster than a futex");
    return tour_status;
}

int main(int argc, char **argv)
{
    yields = argument(argc, argv, 1, 10 * 1000 * 1000);
    round_trips = yields / 5 + 1;
    handovers = yields / 50 + 1;
    printf("Go from one to the other and back.\n\n"
           "  %-44s %11s %12s\n",
           "", "one way", "and back");
    progress("  %s hand-overs between two threads ...", grouped((double)handovers));
    thread_round_trip = futex_round_trip();
    progress("%s", "");
    row("two threads, futex, on one CPU", thread_round_trip);
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
