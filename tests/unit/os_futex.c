/* SPDX-License-Identifier: MIT
 *
 * The clock and the futex.
 */
#include "harness/test.h"
#include "os/os.h"

#include <limits.h>
#include <pthread.h>
#include <sys/time.h>

#define MILLISECOND INT64_C(1000000)
#define SECOND      INT64_C(1000000000)

TEST(clock_goes_forward)
{
    int64_t last = wi_os_now();
    CHECK_GT(last, 0);
    for (int i = 0; i < 100000; i++) {
        int64_t now = wi_os_now();
        CHECK_GE(now, last);
        last = now;
    }
}

TEST(sleeps_at_least_so_long)
{
    int64_t start = wi_os_now();
    wi_os_sleep(3 * MILLISECOND);
    CHECK_GE(wi_os_now() - start, 3 * MILLISECOND);
    wi_os_sleep(0);
    wi_os_sleep(-5);
}

TEST(a_word_that_differs)
{
    uint32_t word = 1;
    CHECK_EQ(wi_os_futex_wait(&word, 0, INT64_MAX), 0);
    CHECK_EQ(wi_os_futex_wait(&word, 2, wi_os_now() + 100 * SECOND), 0);
}

TEST(times_out)
{
    uint32_t word = 1;
    int64_t deadline = wi_os_now() + 5 * MILLISECOND;
    errno = 1234;
    CHECK_EQ(wi_os_futex_wait(&word, 1, deadline), -ETIMEDOUT);
    CHECK_GE(wi_os_now(), deadline);
    CHECK_EQ(wi_os_futex_wait(&word, 1, deadline), -ETIMEDOUT);
    CHECK_EQ(wi_os_futex_wait(&word, 1, 0), -ETIMEDOUT);
    CHECK_EQ(wi_os_futex_wait(&word, 1, -1), -ETIMEDOUT);
    CHECK_EQ(wi_os_futex_wait(&word, 1, INT64_MIN), -ETIMEDOUT);
    CHECK_EQ(errno, 1234);
}

/* Far away, but a bound; the largest seconds the kernel is ever given. */
TEST(distant_deadline)
{
    uint32_t word = 1;
    CHECK_EQ(wi_os_futex_wait(&word, 2, INT64_MAX - 1), 0);
}

static void nothing(int sig)
{
    (void)sig;
}

/* A signal every millisecond, so that one comes while the thread sleeps. */
static void start_signals(void)
{
    struct sigaction action = {.sa_handler = nothing};
    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    struct itimerval interval = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000};
    CHECK_EQ(setitimer(ITIMER_REAL, &interval, NULL), 0);
}

TEST(a_signal_ends_the_wait)
{
    uint32_t word = 1;
    start_signals();
    errno = 1234;
    CHECK_EQ(wi_os_futex_wait(&word, 1, INT64_MAX), 0);
    CHECK_EQ(errno, 1234);
}

struct waiters {
    uint32_t word;
    uint32_t asleep; /* or about to be */
    uint32_t woken;
};

static void *wait_for_word(void *arg)
{
    struct waiters *waiters = arg;
    __atomic_add_fetch(&waiters->asleep, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&waiters->word, __ATOMIC_ACQUIRE) == 0)
        CHECK_EQ(wi_os_futex_wait(&waiters->word, 0, INT64_MAX), 0);
    __atomic_add_fetch(&waiters->woken, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

TEST(wakes)
{
    enum { THREADS = 8 };
    struct waiters waiters = {.word = 0};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, wait_for_word, &waiters), 0);
    while (__atomic_load_n(&waiters.asleep, __ATOMIC_SEQ_CST) < THREADS)
        wi_os_sleep(MILLISECOND);
    /* A wake without a change wakes nobody for good. */
    wi_os_futex_wake(&waiters.word, INT_MAX);
    wi_os_sleep(MILLISECOND);
    CHECK_EQ(__atomic_load_n(&waiters.woken, __ATOMIC_SEQ_CST), 0);
    __atomic_store_n(&waiters.word, 1, __ATOMIC_RELEASE);
    wi_os_futex_wake(&waiters.word, 1);
    wi_os_futex_wake(&waiters.word, THREADS - 1);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(waiters.woken, THREADS);
}

TEST(waking_nobody_keeps_errno)
{
    uint32_t word = 0;
    errno = 1234;
    wi_os_futex_wake(&word, 1);
    CHECK_EQ(errno, 1234);
}
