/* SPDX-License-Identifier: MIT
 *
 * C++ exceptions belong to the goroutine that throws them: the C++ library keeps what is thrown and
 * caught per thread, and weft takes it along. Without a C++ compiler there is nothing to call here.
 */
#include "harness/test.h"

int throw_and_give_way(int number, void (*give_way)(void)) __attribute__((weak));

static void give_way(void)
{
    switch (test_random_below(4)) {
    case 0:
        weft_sleep((int64_t)test_random_below(50) * WEFT_MICROSECOND);
        break;
    case 1:
        weft_blocking_begin();
        usleep(20);
        weft_blocking_end();
        break;
    default:
        weft_yield();
    }
}

static void throw_often(void *index)
{
    int number = test_index(index);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(throw_and_give_way(number, give_way), number * 10 + 3);
}

TEST_PROCS(exceptions_stay, .leaks = TEST_LEAKS_MEMORY)
{
    if (!throw_and_give_way)
        SKIP("no C++ compiler");
    test_each(50, throw_often);
}
