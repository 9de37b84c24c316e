/* SPDX-License-Identifier: MIT
 *
 * Tour, step 5: ten goroutines sleep half a second each on two slots, and all of it takes half a
 * second.
 *
 *     make examples && build/default/examples/sleepers
 */
#include <weft.h>

#include "tour.h"

enum { SLEEPERS = 10 };

static const int64_t nap = 500 * WEFT_MILLISECOND;
static weft_waitgroup all;
static int64_t slept[SLEEPERS];

static void sleeper(void *arg)
{
    int64_t *result = arg, start = weft_now();
    weft_sleep(nap);
    *result = weft_now() - start;
    weft_waitgroup_done(&all);
}

static int main_goroutine(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    weft_maxprocs(2);
    int64_t start = weft_now();
    weft_waitgroup_add(&all, SLEEPERS);
    for (int i = 0; i < SLEEPERS; i++)
        expect(weft_go(sleeper, &slept[i]), "weft_go");
    weft_waitgroup_wait(&all);
    double seconds = (double)(weft_now() - start) / 1e9;

    int64_t least = slept[0], most = slept[0];
    for (int i = 1; i < SLEEPERS; i++) {
        least = slept[i] < least ? slept[i] : least;
        most = slept[i] > most ? slept[i] : most;
    }
    printf("Ten goroutines sleep 500 ms each, at maxprocs 2.\n\n"
           "  in all             %7.3f s    one after another it would be 5 s\n"
           "  shortest sleep     %7.3f s    never early\n"
           "  longest sleep      %7.3f s\n"
           "  threads            %3d\n",
           seconds, (double)least / 1e9, (double)most / 1e9, weft_num_thread());
    check(least >= nap, "no sleep is shorter than asked for");
    check(seconds < 0.9, "ten sleepers of 0.5 s take less than 0.9 s together");
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
