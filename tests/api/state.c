/* SPDX-License-Identifier: MIT
 *
 * What the C library keeps per thread, and the processor per core, belongs to the goroutine: errno
 * and the floating-point control words.
 */
#include "harness/test.h"

#include <fenv.h>
#include <sched.h>
#include <sys/syscall.h>

/* Gives way in one of the ways there are. */
static void give_way(void)
{
    switch (test_random_below(4)) {
    case 0:
        weft_sleep((int64_t)test_random_below(300) * WEFT_MICROSECOND);
        break;
    case 1:
        weft_blocking_begin();
        sched_yield();
        weft_blocking_end();
        break;
    default:
        weft_yield();
    }
}

/* ---- errno, used where no compiler can connect two uses of its address ---- */

static TEST_OPAQUE int get_errno(void)
{
    return errno;
}

static TEST_OPAQUE void set_errno(int value)
{
    errno = value;
}

static void keep_errno(void *index)
{
    CHECK_EQ(get_errno(), 0); /* A new goroutine begins without. */
    for (int i = 0; i < 50; i++) {
        set_errno(1 + test_index(index));
        give_way();
        CHECK_EQ(get_errno(), 1 + test_index(index));
    }
}

/* test_random_below and CHECK leave errno alone; sched_yield does when it works. */
TEST_PROCS(errno_stays)
{
    test_each(100, keep_errno);
}

static weft_chan *chan;

static void errno_over_channels(void *index)
{
    int value = 0;
    for (int i = 0; i < 200; i++) {
        set_errno(1 + test_index(index));
        if (test_index(index) % 2)
            CHECK_EQ(weft_chan_send(chan, &value), 0);
        else
            CHECK_EQ(weft_chan_recv(chan, &value), 0);
        CHECK_EQ(get_errno(), 1 + test_index(index));
    }
}

TEST_PROCS(errno_stays_over_channels)
{
    chan = weft_chan_new(sizeof(int), 0);
    test_each(20, errno_over_channels);
    weft_chan_unref(chan);
}

/* ---- Floating point ---- */

static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

/* Both units: the compiler may use either for double, and the x87 alone does long double. */
static void check_rounding(int mode)
{
    volatile double one = 1.0, three = 3.0;
    volatile double third = one / three;
    volatile long double long_third = (long double)one / (long double)three;
    double expected = 0x1.5555555555555p-2;
    CHECK_EQ(fegetround(), mode);
    CHECK(third == (mode == FE_UPWARD ? 0x1.5555555555556p-2 : expected));
#if defined(__x86_64__)
    if (mode == FE_UPWARD || mode == FE_TONEAREST)
        CHECK(long_third * 3.0L >= 1.0L);
    CHECK((mode == FE_UPWARD || mode == FE_TONEAREST) == (long_third > 0xA.AAAAAAAAAAAAAAAp-5L));
#else
    (void)long_third;
#endif
}

static void keep_rounding(void *index)
{
    int mode = modes[test_index(index) % 4];
    check_rounding(FE_TONEAREST); /* A new goroutine begins with the usual. */
    CHECK_EQ(fesetround(mode), 0);
    for (int i = 0; i < 50; i++) {
        give_way();
        check_rounding(mode);
    }
    if (test_index(index) % 8 < 4)
        fesetround(FE_TONEAREST); /* The others leave it changed, for whoever comes next. */
}

TEST_PROCS(rounding_stays)
{
    test_each(100, keep_rounding);
    check_rounding(FE_TONEAREST);
    test_each(100, keep_rounding);
}

#if defined(__x86_64__)
enum { FLUSH_TO_ZERO = 1 << 15, ALL_MASKS = 0x1F80 };

static void keep_mxcsr(void *index)
{
    unsigned control = ALL_MASKS | (test_index(index) % 2 ? FLUSH_TO_ZERO : 0);
    volatile double tiny = 0x1p-1022, half = 0.5;
    __builtin_ia32_ldmxcsr(control);
    for (int i = 0; i < 50; i++) {
        give_way();
        CHECK_EQ(__builtin_ia32_stmxcsr() & (ALL_MASKS | FLUSH_TO_ZERO), control);
        volatile double result = tiny * half;
        CHECK((result == 0) == (test_index(index) % 2));
    }
}

TEST_PROCS(flush_to_zero_stays)
{
    test_each(50, keep_mxcsr);
}
#endif

/* ---- Registers: values live across switches ---- */

static void keep_values(void *index)
{
    uint64_t a = test_random(), b = test_random(), c = test_random(), d = test_random();
    uint64_t e = test_random(), f = test_random(), g = test_random(), h = test_random();
    uint64_t before = a ^ b * 3 ^ c * 5 ^ d * 7 ^ e * 11 ^ f * 13 ^ g * 17 ^ h * 19;
    double x = test_index(index), y = x * 1.5, z = y + 0.25;
    for (int i = 0; i < 100; i++) {
        weft_yield();
        CHECK((a ^ b * 3 ^ c * 5 ^ d * 7 ^ e * 11 ^ f * 13 ^ g * 17 ^ h * 19) == before);
        CHECK(y == x * 1.5 && z == y + 0.25);
        a += 2, b += 4, c += 6, d += 8, e += 10, f += 12, g += 14, h += 16;
        x += 1, y = x * 1.5, z = y + 0.25;
        before = a ^ b * 3 ^ c * 5 ^ d * 7 ^ e * 11 ^ f * 13 ^ g * 17 ^ h * 19;
    }
}

TEST_PROCS(registers_stay)
{
    test_each(100, keep_values);
}

/* Not a promise of weft's: shows that this program does move goroutines between threads, without
 * which the tests above would show nothing. */
TEST_PROCS(goroutines_do_move)
{
    long before = syscall(SYS_gettid);
    for (int i = 0; syscall(SYS_gettid) == before; i++) {
        CHECK_LT(i, 10000);
        weft_blocking_begin();
        usleep(200);
        weft_blocking_end();
        weft_sleep(WEFT_MICROSECOND);
    }
}
