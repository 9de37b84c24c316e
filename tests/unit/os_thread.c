/* SPDX-License-Identifier: MIT
 *
 * Threads, and the fence that reaches all of them.
 */
#include "harness/test.h"
#include "os/os.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define MILLISECOND INT64_C(1000000)

/* ---- A system that refuses ---- */

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*entry)(void *),
                          void *arg);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*entry)(void *),
                          void *arg);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __real_syscall(long number, ...);

static int create_error; /* for threads with attributes, or -1: for all, EAGAIN */
static int fences_refused;

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*entry)(void *),
                          void *arg)
{
    if (create_error == -1)
        return EAGAIN;
    if (create_error != 0 && attr != NULL)
        return create_error;
    return __real_pthread_create(thread, attr, entry, arg);
}

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    if (number == SYS_membarrier && fences_refused > 0) {
        fences_refused--;
        errno = ENOMEM;
        return -1;
    }
    return __real_syscall(number, a, b, c, d, e, f);
}

/* ---- Threads ---- */

static uint32_t word; /* 1: the thread runs, 2: it may end, 3: it ended */

static void set_word(uint32_t value)
{
    __atomic_store_n(&word, value, __ATOMIC_SEQ_CST);
    wi_os_futex_wake(&word, 1000);
}

static void await_word(uint32_t value)
{
    for (uint32_t seen; (seen = __atomic_load_n(&word, __ATOMIC_SEQ_CST)) < value;)
        wi_os_futex_wait(&word, seen, INT64_MAX);
}

static void until_told(void *arg)
{
    CHECK(arg == &word);
    set_word(1);
    await_word(2);
    set_word(3);
}

static void start(struct wi_os_thread *thread)
{
    CHECK_EQ(wi_os_thread_start(thread, until_told, &word), 0);
    await_word(1);
}

TEST(start_count_join)
{
    struct wi_os_thread thread;
    int before = wi_os_thread_count();
    CHECK_GE(before, 1);
    start(&thread);
    /* Sanitizers have threads of their own and start them when the program starts its first. */
    CHECK_GE(wi_os_thread_count(), before + 1);
    if (!TEST_TSAN)
        CHECK_EQ(wi_os_thread_count(), before + 1);
    set_word(2);
    wi_os_thread_join(&thread);
    CHECK_EQ(__atomic_load_n(&word, __ATOMIC_SEQ_CST), 3);
}

TEST(detached_thread_ends)
{
    struct wi_os_thread thread;
    start(&thread);
    int with_thread = wi_os_thread_count();
    wi_os_thread_detach(&thread);
    set_word(2);
    await_word(3);
    for (int tries = 0; wi_os_thread_count() >= with_thread; tries++) {
        CHECK_LT(tries, 10000 * test_scale());
        wi_os_sleep(MILLISECOND);
    }
}

/* The name stands before the count in what the kernel says. */
TEST(count_under_an_odd_name)
{
    int count = wi_os_thread_count();
    CHECK_EQ(prctl(PR_SET_NAME, "a) R 7 (b\n 9 9"), 0);
    CHECK_EQ(wi_os_thread_count(), count);
}

TEST(small_stack_refused)
{
    struct wi_os_thread thread;
    create_error = EINVAL;
    start(&thread);
    set_word(2);
    wi_os_thread_join(&thread);
}

TEST(no_more_threads)
{
    struct wi_os_thread thread = {.handle = 77};
    create_error = -1;
    CHECK_EQ(wi_os_thread_start(&thread, until_told, &word), -EAGAIN);
    CHECK_EQ(thread.handle, 77);
    CHECK_EQ(word, 0);
}

static void look_at_stack(void *arg)
{
    void *low;
    size_t size;
    wi_os_thread_stack(&low, &size);
    /* The real stack, and not where AddressSanitizer may put a variable. */
    char *frame = __builtin_frame_address(0);
    CHECK(frame > (char *)low && frame < (char *)low + size);
    *(size_t *)arg = size;
}

TEST(stack)
{
    struct wi_os_thread thread;
    size_t size = 0;
    CHECK_EQ(wi_os_thread_start(&thread, look_at_stack, &size), 0);
    wi_os_thread_join(&thread);
    CHECK_GE(size, 128 * 1024);
    CHECK_LE(size, 8 * 1024 * 1024);
    look_at_stack(&size);
    CHECK_GE(size, 128 * 1024);
}

static void other_errno(void *arg)
{
    *(int **)arg = wi_os_errno();
    errno = 5;
    CHECK_EQ(*wi_os_errno(), 5);
}

TEST(errno_is_the_threads_own)
{
    struct wi_os_thread thread;
    int *theirs = NULL;
    errno = 4;
    CHECK(wi_os_errno() == &errno);
    CHECK_EQ(wi_os_thread_start(&thread, other_errno, &theirs), 0);
    wi_os_thread_join(&thread);
    CHECK(theirs != NULL && theirs != &errno);
    errno = 4;
    CHECK_EQ(*wi_os_errno(), 4);
}

TEST(timer_slack)
{
    long original = wi_os_set_timer_slack(1000);
    CHECK_GT(original, 0);
    CHECK_EQ(wi_os_set_timer_slack(original), 1000);
    CHECK_EQ(prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0), original);
}

TEST(yield)
{
    wi_os_yield();
}

/* ---- Fences ---- */

/* Dekker's way in, with the barrier only on the rare side: never may both sides miss each other. Both
 * set out at about the same time, a little earlier or later each time. Words of their own cache lines,
 * that the other side has just looked at, make a store take long. */
struct line {
    _Alignas(128) uint32_t word;
};

static struct line frequent, rare, begun, ended;
static uint32_t frequent_missed;

static void dawdle(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    for (uint32_t i = *state >> 25; i > 0; i--)
        __asm__ volatile("" ::: "memory");
}

static uint32_t await_change(uint32_t *at, uint32_t from)
{
    uint32_t seen;
    for (int i = 1; (seen = __atomic_load_n(at, __ATOMIC_ACQUIRE)) == from; i++) {
        if (i % 10000 == 0)
            wi_os_yield();
    }
    return seen;
}

static void frequent_side(void *arg)
{
    uint32_t round = 0, random = 1;
    (void)arg;
    while ((round = await_change(&begun.word, round)) != UINT32_MAX) {
        dawdle(&random);
        __atomic_store_n(&frequent.word, round, __ATOMIC_RELAXED);
        __asm__ volatile("" ::: "memory");
        uint32_t seen = __atomic_load_n(&rare.word, __ATOMIC_RELAXED);
        frequent_missed = seen != round;
        __atomic_store_n(&ended.word, round, __ATOMIC_RELEASE);
    }
}

TEST(fence_reaches_other_threads)
{
    const uint32_t rounds = 200000 / (uint32_t)test_scale();
    struct wi_os_thread thread;
    uint32_t random = 2;
    if (wi_os_fence_init() == -ENOSYS)
        SKIP("no membarrier here");
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        SKIP("needs two processors");
    CHECK_EQ(wi_os_thread_start(&thread, frequent_side, NULL), 0);
    for (uint32_t round = 1; round <= rounds; round++) {
        __atomic_store_n(&begun.word, round, __ATOMIC_RELEASE);
        dawdle(&random);
        __atomic_store_n(&rare.word, round, __ATOMIC_RELAXED);
        wi_os_fence_all();
        bool missed = __atomic_load_n(&frequent.word, __ATOMIC_RELAXED) != round;
        await_change(&ended.word, round - 1);
        if (missed && frequent_missed != 0)
            FAIL("round %u: neither side saw the other", round);
    }
    __atomic_store_n(&begun.word, UINT32_MAX, __ATOMIC_RELEASE);
    wi_os_thread_join(&thread);
}

TEST(no_fence_here)
{
    fences_refused = 1;
    CHECK_EQ(wi_os_fence_init(), -ENOSYS);
}

TEST(a_fence_that_fails_is_repeated)
{
    if (wi_os_fence_init() == -ENOSYS)
        SKIP("no membarrier here");
    fences_refused = 7;
    errno = 1234;
    wi_os_fence_all();
    CHECK_EQ(fences_refused, 0);
    CHECK_EQ(errno, 1234);
}
