/* SPDX-License-Identifier: MIT
 *
 * Enter and leave a declared blocking region in which nothing blocks: ns for both.
 *
 * weft alone: Go has the same mechanism (entersyscall), but reaches it only around a system call or
 * through cgo, so that there is nothing equal to set beside it; a thread has nothing to declare.
 */
#include <weft.h>

#include "bench.h"

enum { COUNT = 20000000 };

static void regions(int count)
{
    for (int i = 0; i < count; i++) {
        weft_blocking_begin();
        weft_blocking_end();
    }
}

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    regions(COUNT / 10);
    int64_t start = bench_now();
    regions(COUNT);
    bench_report("blocking", "weft", (double)(bench_now() - start) / COUNT, "ns");
    return 0;
}

int main(int argc, char **argv)
{
    return weft_run(run, argc, argv);
}
