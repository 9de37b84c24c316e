/* SPDX-License-Identifier: MIT
 *
 * Running over a stack's end is a report with the goroutine's name and stack size and exit status
 * 2, on every rung of the guard ladder that this kernel has.
 */
#include "harness/test.h"

enum { FRAME = 512 };

static const char *rung;
static weft_attr attr = WEFT_ATTR_INIT;

/* Uses more and more stack, and parks when it has used that much more than it may: on the canary
 * rung that is where it shows. The guard is 16 KiB at least. */
static __attribute__((noinline)) int descend(const char *base, size_t limit)
{
    char frame[FRAME];
    memset(frame, 0x11, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory"); /* all of it, really */
    if ((size_t)(base - (char *)__builtin_frame_address(0)) < limit)
        return descend(base, limit) + frame[FRAME / 2];
    weft_yield();
    return frame[0];
}

static void dive(void *arg)
{
    size_t size = *(size_t *)arg;
    printf("%d\n", descend(__builtin_frame_address(0), size + 2048));
    FAIL("the overflow of %zu bytes was not noticed", size);
}

static void overflow(void)
{
    weft_stats stats;
    weft_read_stats(&stats);
    if (strcmp(stats.stack_guard, rung) != 0)
        SKIP("the guard is by %s here", stats.stack_guard);
    CHECK_EQ(weft_go_with(&attr, dive, &attr.stack_size), 0);
    weft_sleep(WEFT_FOREVER);
}

/* weft_run fails when a rung that was asked for cannot be had. */
static int main_goroutine(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    overflow();
    return 0;
}

static void overflow_on(const char *guard, size_t size)
{
    if (TEST_TSAN && size > (size_t)16 << 20)
        SKIP("ThreadSanitizer follows 65 536 frames, and no more");
    rung = guard;
    attr.stack_size = size;
    attr.name = "diver";
    setenv("WEFT_STACK_GUARD", guard, 1);
    int result = weft_run(main_goroutine, 0, NULL);
    if (result == -ENOTSUP)
        SKIP("no guards by %s on this kernel", guard);
    FAIL("weft_run returned %d", result);
}

#define OVERFLOWS(name, size, text)                                                                \
    DEATH_TEST(name##_madvise, 2, "goroutine \ndiver\nstack overflow\n" text)                      \
    {                                                                                              \
        overflow_on("madvise", size);                                                              \
    }                                                                                              \
    DEATH_TEST(name##_userfaultfd, 2, "goroutine \ndiver\nstack overflow\n" text)                  \
    {                                                                                              \
        overflow_on("userfaultfd", size);                                                          \
    }                                                                                              \
    DEATH_TEST(name##_mprotect, 2, "goroutine \ndiver\nstack overflow\n" text)                     \
    {                                                                                              \
        overflow_on("mprotect", size);                                                             \
    }                                                                                              \
    DEATH_TEST(name##_canary, 2, "goroutine \ndiver\nstack overflow\n" text)                       \
    {                                                                                              \
        overflow_on("canary", size);                                                               \
    }

OVERFLOWS(default_size, WEFT_STACK_DEFAULT, "256 KiB")
/* These fill a window of their class exactly: the window is 16 KiB, the guard, larger. */
OVERFLOWS(small, 16 << 10, "32 KiB")
OVERFLOWS(large, (1 << 20) - (16 << 10), "1024 KiB")
OVERFLOWS(huge, (64 << 20) - (16 << 10), "65536 KiB")

static void overflow_main(void)
{
    size_t size = 100 << 20; /* far more than main has */
    dive(&size);
}

DEATH_TEST(main_goroutine_too, 2, "goroutine 1 \nstack overflow")
{
    test_in_runtime(2, overflow_main);
}

/* While others run on other threads, and after the stack was used by others before. */
static void nothing(void *arg)
{
    (void)arg;
    weft_yield();
}

static void yield_for_ever(void *arg)
{
    (void)arg;
    for (;;)
        weft_yield();
}

static void overflow_late(void)
{
    test_each(1000, nothing);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(weft_go(yield_for_ever, NULL), 0);
    weft_stats stats;
    weft_read_stats(&stats);
    rung = stats.stack_guard;
    attr.name = "diver";
    overflow();
}

DEATH_TEST(on_a_used_stack, 2, "diver\nstack overflow")
{
    test_in_runtime(8, overflow_late);
}

/* Inside a library that knows nothing of weft. */
static int compare(const void *a, const void *b)
{
    const int *x = a, *y = b;
    char frame[64 << 10];
    memset(frame, 0x11, sizeof frame);
    __asm__ volatile("" : : "r"(frame) : "memory");
    return *x - *y + frame[0] - 0x11;
}

static void sort(void *arg)
{
    (void)arg;
    int numbers[] = {3, 2, 1};
    qsort(numbers, 3, sizeof *numbers, compare);
    FAIL("the overflow was not noticed");
}

static void overflow_in_libc(void)
{
    weft_attr small = WEFT_ATTR_INIT;
    small.stack_size = 16 << 10;
    small.name = "sorter";
    CHECK_EQ(weft_go_with(&small, sort, NULL), 0);
    weft_sleep(WEFT_FOREVER);
}

DEATH_TEST(below_a_library, 2, "sorter\nstack overflow")
{
    test_in_runtime(2, overflow_in_libc);
}

static void touch(void *arg)
{
    *(volatile int *)arg = 1;
}

static void touch_null(void)
{
    CHECK_EQ(weft_go(touch, (void *)16), 0); /* nothing is there */
    weft_sleep(WEFT_FOREVER);
}

#if TEST_ASAN || TEST_TSAN
DEATH_TEST(other_faults_are_not_overflows, TEST_TSAN ? 66 : 1, "SEGV")
#else
SIGNAL_TEST(other_faults_are_not_overflows, SIGSEGV, "")
#endif
{
    test_in_runtime(2, touch_null);
}

static void check_strict(void)
{
    weft_stats stats;
    weft_read_stats(&stats);
    CHECK(strcmp(stats.stack_guard, "canary") != 0);
}

TEST(strict_has_a_guard)
{
    setenv("WEFT_STACK_GUARD", "strict", 1);
    test_in_runtime(2, check_strict);
}
