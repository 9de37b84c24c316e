/* SPDX-License-Identifier: MIT
 *
 * With what reason contexts are cancelled, and that it is the whole tree: when several cancel at
 * once, when goroutines are short, and when the run ends.
 */
#include "harness/test.h"

enum { CANCELLERS = 3, NODES = 200 };

static weft_ctx *top, *nodes[NODES];
static int begun; /* atomic */

/* Whoever comes first: the whole tree is cancelled with the reason of its top. */
static void cancel(void *index)
{
    __atomic_add_fetch(&begun, 1, __ATOMIC_ACQ_REL);
    while (__atomic_load_n(&begun, __ATOMIC_ACQUIRE) < CANCELLERS)
        weft_yield();
    weft_ctx_cancel(top, -1 - test_index(index));
    for (int i = 0; i < NODES; i++)
        CHECK_EQ(weft_ctx_err(nodes[i]), weft_ctx_err(top));
}

TEST_PROCS(one_reason_for_all)
{
    for (int round = 0; round < 1000 / test_scale(); round++) {
        top = weft_ctx_with_cancel(weft_ctx_background());
        for (int i = 0; i < NODES; i++)
            nodes[i] = weft_ctx_with_cancel(i ? nodes[i / 2] : top);
        begun = 0;
        test_each(CANCELLERS, cancel);
        for (int i = 0; i < NODES; i++)
            weft_ctx_unref(nodes[i]);
        weft_ctx_unref(top);
    }
}

/* A deadline needs a goroutine, but none of those that the program has been limited to. */
TEST_PROCS(deadline_at_the_limit_of_goroutines)
{
    int limit = weft_set_max_goroutines(1);
    weft_ctx *ctx = weft_ctx_with_deadline(weft_ctx_background(), weft_after(WEFT_MILLISECOND));
    CHECK_EQ(weft_chan_recv(weft_ctx_done(ctx), NULL), -EPIPE);
    CHECK_EQ(weft_ctx_err(ctx), -ETIMEDOUT);
    weft_ctx_unref(ctx);
    weft_set_max_goroutines(limit);
}

/* The deadline's cancellation is done as a whole or not at all, whenever the run ends. */
static int64_t due;

static void end_at_the_deadline(void)
{
    due = weft_after(WEFT_MILLISECOND);
    top = weft_ctx_with_deadline(weft_ctx_background(), due);
    for (int i = 0; i < NODES; i++)
        nodes[i] = weft_ctx_with_cancel(i ? nodes[i / 2] : top);
    weft_sleep_until(due + (int64_t)test_random_below(100 * WEFT_MICROSECOND));
}

TEST(no_deadline_is_carried_out_in_part)
{
    for (int run = 0; run < 300 / test_scale(); run++) {
        test_in_runtime(2, end_at_the_deadline);
        for (int i = 0; i < NODES; i++)
            CHECK_EQ(weft_ctx_err(nodes[i]), weft_ctx_err(top));
        for (int i = 0; i < NODES; i++)
            weft_ctx_unref(nodes[i]);
        weft_ctx_unref(top);
    }
}
