/* SPDX-License-Identifier: MIT
 *
 * The tests of tickers, on ones with wide windows; and when the next tick is due.
 */
#include "unit/perturb.h"

#include "../src/api/alarm.c"
#include "../src/api/ticker.c"

#include "api/ticker.c"

TEST(next_tick_is_a_multiple_of_the_period)
{
    CHECK_EQ(next_tick(1000, 10, 1000), 1010);
    CHECK_EQ(next_tick(1000, 10, 1009), 1010);
    CHECK_EQ(next_tick(1000, 10, 1010), 1020);
    CHECK_EQ(next_tick(1000, 10, 1234567), 1234570);
    CHECK_EQ(next_tick(1000, 1, 1000), 1001);
    CHECK_EQ(next_tick(1000, 1, 5000), 5001);
    CHECK_EQ(next_tick(1000, INT64_MAX, 1000), WEFT_FOREVER);
    CHECK_EQ(next_tick(1000, INT64_MAX - 1000, 2000), WEFT_FOREVER);
    CHECK_EQ(next_tick(1000, INT64_MAX - 1001, 2000), WEFT_FOREVER - 1);
}
