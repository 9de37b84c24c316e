/* SPDX-License-Identifier: MIT
 *
 * Tour, step 8: a woken goroutine goes on in whichever thread is free, unless it is pinned to one.
 *
 *     make examples && build/default/examples/pinned
 */
#define _GNU_SOURCE 1
#include <time.h>
#include <unistd.h>

#include <weft.h>

#include "tour.h"

enum { PARKS = 200, SHOWN = 6 };

struct sleeper {
    bool pinned;
    weft_chan *wake;
    int parks, moves;
    pid_t shown[SHOWN]; /* the kernel's ids of the threads it woke on at first */
};

static weft_waitgroup all;

/* Parks again and again, and looks which thread it wakes on. */
static void park(void *arg)
{
    struct sleeper *self = arg;
    if (self->pinned)
        weft_lock_os_thread();
    pid_t last = gettid();
    while (weft_chan_recv(self->wake, NULL) == 0) {
        pid_t now = gettid();
        if (self->parks < SHOWN)
            self->shown[self->parks] = now;
        self->parks++;
        self->moves += now != last;
        last = now;
    }
    if (self->pinned)
        weft_unlock_os_thread();
    weft_waitgroup_done(&all);
}

/* Wakes it. Every other time this goroutine's thread blocks in a C call then, so that the one woken
 * has to go on in another; else it can go on here. */
static void waker(void *arg)
{
    struct sleeper *sleeper = arg;
    for (int i = 0; i < PARKS; i++) {
        weft_chan_send(sleeper->wake, NULL);
        if (i % 2 == 0) {
            weft_blocking_begin();
            nanosleep(&(struct timespec){.tv_nsec = 500 * 1000}, NULL);
            weft_blocking_end();
        } else {
            weft_sleep(500 * WEFT_MICROSECOND);
        }
    }
    weft_chan_close(sleeper->wake);
    weft_waitgroup_done(&all);
}

static void row(const char *what, const struct sleeper *sleeper)
{
    printf("  %-10s %7d %7d  ", what, sleeper->parks, sleeper->moves);
    for (int i = 0; i < SHOWN; i++)
        printf(" %7d", (int)sleeper->shown[i]);
    printf("\n");
}

static int main_goroutine(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    struct sleeper sleepers[2] = {{.pinned = true}, {.pinned = false}};
    weft_waitgroup_add(&all, 4);
    for (int i = 0; i < 2; i++) {
        sleepers[i].wake = weft_chan_new(0, 0);
        if (sleepers[i].wake == NULL)
            expect(-ENOMEM, "weft_chan_new");
        expect(weft_go(park, &sleepers[i]), "weft_go");
        expect(weft_go(waker, &sleepers[i]), "weft_go");
    }
    weft_waitgroup_wait(&all);

    printf("Two goroutines park and are woken again and again, at maxprocs %d.\n\n"
           "  %-10s %7s %7s   the threads they woke on, the first times\n",
           weft_maxprocs(0), "", "parks", "moves");
    row("pinned", &sleepers[0]);
    row("not pinned", &sleepers[1]);
    printf("\n  weft_lock_os_thread keeps a goroutine on its thread, and others off it: for\n"
           "  libraries that keep state per thread (see examples/pinned_library.c).\n");
    check(sleepers[0].moves == 0, "a pinned goroutine keeps its thread");
    check(sleepers[1].moves > 0, "one that is not pinned does not");
    for (int i = 0; i < 2; i++)
        weft_chan_unref(sleepers[i].wake);
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
