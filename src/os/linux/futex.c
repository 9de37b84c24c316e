/* SPDX-License-Identifier: MIT
 *
 * Sleeping and waking on a word.
 *
 * FUTEX_WAIT_BITSET and not FUTEX_WAIT, because it takes an absolute CLOCK_MONOTONIC deadline: a
 * caller that is woken for nothing waits again for what is left, and does not read the clock for
 * it.
 *
 * Both calls keep errno, since signal handlers and the sleep of a lock use them in the middle of
 * code that may be looking at it. Neither is inlined, nor is anything else in os that reads errno:
 * a compiler would let a caller that parks use the address of errno from before, when it was on
 * another thread.
 */
#include "os/os.h"
#include "base/compiler.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NANOSECONDS INT64_C(1000000000)

#if defined(__SANITIZE_THREAD__) || defined(WI_TSAN_EDGES)
/* ThreadSanitizer puts a signal's handler off until the thread is in a function of the C library
 * that it knows, which this system call is not and clock_gettime is. So no sleep is long. */
static int64_t cut_short(int64_t deadline)
{
    int64_t soon = wi_os_now() + NANOSECONDS / 50;
    return deadline < soon ? deadline : soon;
}
#else
static int64_t cut_short(int64_t deadline)
{
    return deadline;
}
#endif

static WI_NOINLINE int wait(uint32_t *word, uint32_t expected, int64_t deadline)
{
    /* A deadline before the clock's zero has passed too, but the kernel refuses negative times. */
    if (deadline < 0)
        deadline = 0;
    struct timespec until = {.tv_sec = deadline / NANOSECONDS, .tv_nsec = deadline % NANOSECONDS};
    int saved = errno;
    long result = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
                          deadline == INT64_MAX ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY);
    bool timed_out = result < 0 && errno == ETIMEDOUT;
    errno = saved;
    return timed_out ? -ETIMEDOUT : 0;
}

int wi_os_futex_wait(uint32_t *word, uint32_t expected, int64_t deadline)
{
    int64_t until = cut_short(deadline);
    int result = wait(word, expected, until);
    return until == deadline ? result : 0;
}

WI_NOINLINE void wi_os_futex_wake(uint32_t *word, int count)
{
    int saved = errno;
    /* It can fail only because the word's page is gone, and then nobody sleeps on it. */
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, NULL, NULL, 0);
    errno = saved;
}
