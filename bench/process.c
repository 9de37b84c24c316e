/* SPDX-License-Identifier: MIT
 *
 * A process whose main goroutine does nothing, from before exec to after its end: us.
 * bench/peers/launch starts it and holds the clock.
 */
#include <weft.h>

static int nothing(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return 0;
}

int main(int argc, char **argv)
{
    return weft_run(nothing, argc, argv);
}
