/* SPDX-License-Identifier: MIT
 *
 * Time. One clock, CLOCK_MONOTONIC, for deadlines, timers, futexes and the poller alike, so that
 * they can be compared; reading it is a vDSO call and enters no kernel.
 */
#include "os/os.h"

#include <time.h>

#define NANOSECONDS INT64_C(1000000000)

int64_t wi_os_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NANOSECONDS + now.tv_nsec;
}

void wi_os_sleep(int64_t nanoseconds)
{
    if (nanoseconds <= 0)
        return;
    struct timespec duration = {.tv_sec = nanoseconds / NANOSECONDS,
                                .tv_nsec = nanoseconds % NANOSECONDS};
    /* clock_nanosleep returns its error and leaves errno alone. */
    clock_nanosleep(CLOCK_MONOTONIC, 0, &duration, NULL);
}
