/* SPDX-License-Identifier: MIT
 *
 * A tree of goroutines, each with a context below its parent's. The deadline stands at the root
 * only, and ends them all; each waits for its children before it ends. One branch is cancelled
 * before, which its siblings do not notice.
 *
 *     make examples && build/default/examples/cancel_tree [levels]
 */
#include <stdatomic.h>

#include <weft.h>

#include "tour.h"

enum { CHILDREN = 4, MOST_LEVELS = 9 };

static const int64_t lifetime = 200 * WEFT_MILLISECOND;

struct node {
    weft_ctx *ctx; /* the parent's */
    weft_waitgroup *siblings;
    long levels; /* below this one */
};

static atomic_long timed_out, cancelled, others;
static int64_t deadline;
static atomic_llong latest; /* nanoseconds after the deadline */

/* Counts an end, and how late it is. */
static void count_end(int reason)
{
    if (reason != -ETIMEDOUT) {
        atomic_fetch_add(reason == -ECANCELED ? &cancelled : &others, 1);
        return;
    }
    long long late = weft_now() - deadline, most = atomic_load(&latest);
    while (late > most && !atomic_compare_exchange_weak(&latest, &most, late))
        continue;
    atomic_fetch_add(late >= 0 ? &timed_out : &others, 1);
}

static void node(void *arg)
{
    const struct node *self = arg;
    weft_waitgroup children = {0};
    weft_ctx *ctx = weft_ctx_with_cancel(self->ctx);
    expect(ctx == NULL ? -ENOMEM : 0, "weft_ctx_with_cancel");
    for (int i = 0; i < CHILDREN && self->levels > 0; i++) {
        weft_waitgroup_add(&children, 1);
        struct node child = {ctx, &children, self->levels - 1};
        expect(weft_go_copy(node, &child, sizeof child), "weft_go_copy");
    }
    weft_chan_recv(weft_ctx_done(ctx), NULL); /* parks until the channel is closed */
    count_end(weft_ctx_err(ctx));
    weft_waitgroup_wait(&children); /* they use ctx and children */
    weft_ctx_unref(ctx);
    weft_waitgroup_done(self->siblings);
}

/* Starts a tree whose top has that context. Returns how many goroutines it will have. */
static long start(weft_ctx *ctx, weft_waitgroup *wg, long levels)
{
    long nodes = 0, row = 1;
    for (long level = 0; level < levels; level++, row *= CHILDREN)
        nodes += row;
    weft_waitgroup_add(wg, 1);
    struct node top = {ctx, wg, levels - 1};
    expect(weft_go_copy(node, &top, sizeof top), "weft_go_copy");
    return nodes;
}

static int main_goroutine(int argc, char **argv)
{
    long levels = argument(argc, argv, 1, 6);
    levels = levels < MOST_LEVELS ? levels : MOST_LEVELS;
    weft_waitgroup tree = {0}, branch = {0};
    deadline = weft_after(lifetime);
    weft_ctx *root = weft_ctx_with_deadline(weft_ctx_background(), deadline);
    weft_ctx *side = weft_ctx_with_cancel(root);
    expect(root == NULL || side == NULL ? -ENOMEM : 0, "weft_ctx_with_cancel");
    long small = start(side, &branch, 2), large = start(root, &tree, levels);

    weft_ctx_cancel(side, 0);
    weft_waitgroup_wait(&branch);
    printf(
        "%ld of %ld goroutines of the branch have ended, cancelled; the root's context says %d\n",
        atomic_load(&cancelled), small, weft_ctx_err(root));
    check(atomic_load(&cancelled) == small, "a cancelled branch ends");

    weft_waitgroup_wait(&tree);
    printf("%ld of %ld goroutines of the tree ended with '%s', the last %.2f ms late\n",
           atomic_load(&timed_out), large, strerror(-weft_ctx_err(root)),
           (double)atomic_load(&latest) / 1e6);
    check(atomic_load(&timed_out) == large, "the deadline ends the tree, and not before it");
    check(atomic_load(&others) == 0, "nothing else ended one");
    weft_ctx_unref(side);
    weft_ctx_unref(root);
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
