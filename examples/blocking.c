/* SPDX-License-Identifier: MIT
 *
 * Tour, step 7: ten goroutines block their threads in a C call that knows nothing of weft. They say
 * so with weft_blocking_begin and _end, so others run meanwhile: a ticker keeps time.
 *
 *     make examples && build/default/examples/blocking
 */
#include <stdatomic.h>
#include <time.h>

#include <weft.h>

#include "tour.h"

enum { BLOCKED = 10, SECOND_PARTS = 100 };

static weft_waitgroup all;
static atomic_int blocked;

/* Any call that sleeps in the kernel: a database client, getaddrinfo, a read from a disk. */
static void c_library_call(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 500 * 1000 * 1000}, NULL);
}

static void blocker(void *arg)
{
    (void)arg;
    weft_blocking_begin();
    atomic_fetch_add(&blocked, 1);
    c_library_call();
    atomic_fetch_sub(&blocked, 1);
    weft_blocking_end();
    weft_waitgroup_done(&all);
}

static struct {
    int ticks, most_blocked, most_threads;
    int64_t latest;
} seen;

static atomic_bool stop;

static void ticker(void *arg)
{
    const int64_t period = WEFT_SECOND / SECOND_PARTS;
    for (int64_t due = weft_now() + period; !atomic_load(&stop); due += period) {
        weft_sleep_until(due);
        int64_t late = weft_now() - due;
        seen.latest = late > seen.latest ? late : seen.latest;
        int now_blocked = atomic_load(&blocked), threads = (int)process_status("Threads");
        seen.most_blocked = now_blocked > seen.most_blocked ? now_blocked : seen.most_blocked;
        seen.most_threads = threads > seen.most_threads ? threads : seen.most_threads;
        seen.ticks++;
    }
    weft_waitgroup_done(arg);
}

static int main_goroutine(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    weft_maxprocs(2);
    long threads_before = process_status("Threads");
    weft_waitgroup ticking = {0};
    weft_waitgroup_add(&ticking, 1);
    weft_waitgroup_add(&all, BLOCKED);
    int64_t start = weft_now();
    expect(weft_go(ticker, &ticking), "weft_go");
    for (int i = 0; i < BLOCKED; i++)
        expect(weft_go(blocker, NULL), "weft_go");
    weft_waitgroup_wait(&all);
    double seconds = (double)(weft_now() - start) / 1e9;
    atomic_store(&stop, true);
    weft_waitgroup_wait(&ticking);

    printf("Ten goroutines block their threads for 500 ms each, at maxprocs 2.\n\n"
           "  in all             %7.3f s    two at a time it would be 2.5 s\n"
           "  blocked at once    %3d\n"
           "  threads            %3d          %ld before; each blocked call holds one\n"
           "  ticks of a ticker  %3d          one every 10 ms, the latest %.1f ms late\n",
           seconds, seen.most_blocked, seen.most_threads, threads_before, seen.ticks,
           (double)seen.latest / 1e6);
    check(seen.most_blocked == BLOCKED, "all ten are blocked at once");
    check(seconds >= 0.5 && seconds < 0.9, "ten blocked for 0.5 s take less than 0.9 s together");
    check(seen.most_threads >= BLOCKED && seen.most_threads <= BLOCKED + 10,
          "a thread for each blocked call and few more");
    check(seen.ticks >= 25, "the ticker went on");
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
