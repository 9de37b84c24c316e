/* SPDX-License-Identifier: MIT
 *
 * Contexts: context-make, a child is made and let go, ns; context-cancel, one cancel reaches 100
 * 000 children, ns for each, without their making.
 */
#include <weft.h>

#include "bench.h"

enum { COUNT = 1000000, CHILDREN = 100000 };

static int64_t make(weft_ctx *parent)
{
    int64_t start = bench_now();
    for (int i = 0; i < COUNT; i++) {
        weft_ctx *child = weft_ctx_with_cancel(parent);
        weft_ctx_cancel(child, 0);
        weft_ctx_unref(child);
    }
    return bench_now() - start;
}

static int64_t cancel(weft_ctx *parent)
{
    weft_ctx **children = bench_alloc(CHILDREN * sizeof *children);
    for (int i = 0; i < CHILDREN; i++)
        children[i] = weft_ctx_with_cancel(parent);
    int64_t start = bench_now();
    weft_ctx_cancel(parent, 0);
    int64_t took = bench_now() - start;
    for (int i = 0; i < CHILDREN; i++)
        weft_ctx_unref(children[i]);
    free(children);
    return took;
}

static int run(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    for (int round = 0; round < 2; round++) {
        weft_ctx *parent = weft_ctx_with_cancel(weft_ctx_background());
        int64_t made = make(parent);
        int64_t cancelled = cancel(parent);
        weft_ctx_unref(parent);
        if (round == 1) { /* the first was to warm up */
            bench_report("context-make", "weft", (double)made / COUNT, "ns");
            bench_report("context-cancel", "weft", (double)cancelled / CHILDREN, "ns");
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    return weft_run(run, argc, argv);
}
