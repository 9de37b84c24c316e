/* SPDX-License-Identifier: MIT
 *
 * Contexts: what each function says of one, and trees of them, large and shared.
 */
#include "harness/test.h"

#include <pthread.h>

static bool closed(weft_ctx *ctx)
{
    int result = weft_chan_recv_until(weft_ctx_done(ctx), NULL, WEFT_NOWAIT);
    CHECK(result == -EAGAIN || result == -EPIPE);
    return result == -EPIPE;
}

static void check_live(weft_ctx *ctx)
{
    CHECK_EQ(weft_ctx_err(ctx), 0);
    CHECK(!closed(ctx));
}

static void check_cancelled(weft_ctx *ctx, int reason)
{
    CHECK_EQ(weft_ctx_err(ctx), reason);
    CHECK(closed(ctx));
}

static weft_ctx *child_of(weft_ctx *parent)
{
    weft_ctx *ctx = weft_ctx_with_cancel(parent);
    CHECK(ctx != NULL);
    return ctx;
}

static weft_ctx *child_until(weft_ctx *parent, int64_t deadline)
{
    weft_ctx *ctx = weft_ctx_with_deadline(parent, deadline);
    CHECK(ctx != NULL);
    return ctx;
}

/* ---- Without a runtime, on a foreign thread ---- */

TEST(background)
{
    weft_ctx *root = weft_ctx_background();
    CHECK(root != NULL);
    CHECK(root == weft_ctx_background());
    CHECK_EQ(weft_ctx_err(root), 0);
    CHECK(weft_ctx_done(root) == NULL);
    CHECK_EQ(weft_ctx_deadline(root), WEFT_FOREVER);
    CHECK(weft_ctx_value(root, &root) == NULL);
    CHECK(weft_ctx_ref(root) == root);
    for (int i = 0; i < 10; i++)
        weft_ctx_unref(root);
    CHECK_EQ(weft_ctx_err(root), 0);
}

TEST(null)
{
    CHECK(weft_ctx_with_cancel(NULL) == NULL);
    CHECK(weft_ctx_with_deadline(NULL, 0) == NULL);
    CHECK(weft_ctx_with_value(NULL, &errno, NULL) == NULL);
    CHECK_EQ(weft_ctx_err(NULL), -EINVAL);
    CHECK(weft_ctx_done(NULL) == NULL);
    CHECK_EQ(weft_ctx_deadline(NULL), WEFT_FOREVER);
    CHECK(weft_ctx_value(NULL, &errno) == NULL);
    CHECK(weft_ctx_ref(NULL) == NULL);
    weft_ctx_unref(NULL);
}

TEST(cancel_reaches_down_and_not_up)
{
    weft_ctx *top = child_of(weft_ctx_background());
    weft_ctx *middle = child_of(top);
    weft_ctx *value = weft_ctx_with_value(middle, &top, NULL);
    weft_ctx *leaf = child_of(value);
    weft_ctx *sibling = child_of(top);
    check_live(leaf);
    weft_ctx_cancel(middle, 0);
    check_cancelled(middle, -ECANCELED);
    check_cancelled(value, -ECANCELED);
    check_cancelled(leaf, -ECANCELED);
    check_live(top);
    check_live(sibling);
    CHECK_EQ(weft_ctx_err(weft_ctx_background()), 0);
    weft_ctx_cancel(top, -EIO);
    check_cancelled(top, -EIO);
    check_cancelled(sibling, -EIO);
    check_cancelled(leaf, -ECANCELED);
    weft_ctx_unref(top);
    weft_ctx_unref(middle);
    weft_ctx_unref(sibling);
    weft_ctx_unref(value);
    weft_ctx_unref(leaf);
}

TEST(first_reason_stays)
{
    weft_ctx *ctx = child_of(weft_ctx_background());
    weft_ctx *child = child_of(ctx);
    weft_ctx_cancel(child, -EPIPE);
    weft_ctx_cancel(ctx, -ETIMEDOUT);
    weft_ctx_cancel(ctx, -EIO);
    weft_ctx_cancel(ctx, 0);
    weft_ctx_cancel(child, INT32_MIN);
    check_cancelled(ctx, -ETIMEDOUT);
    check_cancelled(child, -EPIPE);
    weft_ctx_unref(ctx);
    check_cancelled(child, -EPIPE);
    weft_ctx_unref(child);
}

TEST(child_of_a_cancelled_one)
{
    weft_ctx *ctx = child_of(weft_ctx_background());
    weft_ctx_cancel(ctx, -EIO);
    weft_ctx *children[] = {child_of(ctx), weft_ctx_with_value(ctx, &ctx, &ctx),
                            child_until(ctx, 0), child_until(ctx, WEFT_FOREVER)};
    for (int i = 0; i < 4; i++) {
        check_cancelled(children[i], -EIO);
        weft_ctx_unref(children[i]);
    }
    weft_ctx_unref(ctx);
}

TEST(values_shadow)
{
    static int key, other, absent, a, b;
    weft_ctx *outer = weft_ctx_with_value(weft_ctx_background(), &key, &a);
    weft_ctx *between = child_of(outer);
    weft_ctx *second = weft_ctx_with_value(between, &other, &b);
    weft_ctx *inner = weft_ctx_with_value(second, &key, &b);
    weft_ctx *hidden = weft_ctx_with_value(inner, &key, NULL);
    CHECK(weft_ctx_value(outer, &key) == &a);
    CHECK(weft_ctx_value(between, &key) == &a);
    CHECK(weft_ctx_value(second, &key) == &a);
    CHECK(weft_ctx_value(second, &other) == &b);
    CHECK(weft_ctx_value(inner, &key) == &b);
    CHECK(weft_ctx_value(inner, &other) == &b);
    CHECK(weft_ctx_value(outer, &other) == NULL);
    CHECK(weft_ctx_value(hidden, &key) == NULL);
    CHECK(weft_ctx_value(inner, &absent) == NULL);
    CHECK(weft_ctx_value(between, NULL) == NULL);
    /* The parents live as long as the child. */
    weft_ctx_unref(outer);
    weft_ctx_unref(between);
    weft_ctx_unref(second);
    weft_ctx_unref(hidden);
    weft_ctx_cancel(inner, 0);
    CHECK(weft_ctx_value(inner, &other) == &b);
    weft_ctx_unref(inner);
}

/* ---- Deadlines ---- */

TEST(deadlines_without_a_runtime)
{
    weft_ctx *root = weft_ctx_background();
    CHECK(weft_ctx_with_deadline(root, weft_after(WEFT_SECOND)) == NULL);
    weft_ctx *never = child_until(root, WEFT_FOREVER);
    CHECK_EQ(weft_ctx_deadline(never), WEFT_FOREVER);
    check_live(never);
    int64_t now = weft_now();
    int64_t passed[] = {now, 0, -1, WEFT_NOWAIT};
    for (int i = 0; i < 4; i++) {
        weft_ctx *ctx = child_until(never, passed[i]);
        CHECK_EQ(weft_ctx_deadline(ctx), passed[i]);
        check_cancelled(ctx, -ETIMEDOUT);
        weft_ctx *child = child_until(ctx, WEFT_FOREVER);
        CHECK_EQ(weft_ctx_deadline(child), passed[i]);
        check_cancelled(child, -ETIMEDOUT);
        weft_ctx_unref(child);
        weft_ctx_unref(ctx);
    }
    check_live(never);
    weft_ctx_unref(never);
}

TEST_PROCS(deadline_cancels)
{
    for (int i = 0; i < 20; i++) {
        int64_t deadline = weft_after(i * 100 * WEFT_MICROSECOND);
        weft_ctx *ctx = child_until(weft_ctx_background(), deadline);
        weft_ctx *child = child_of(ctx);
        CHECK_EQ(weft_ctx_deadline(ctx), deadline);
        CHECK_EQ(weft_ctx_deadline(child), deadline);
        CHECK_EQ(weft_chan_recv(weft_ctx_done(child), NULL), -EPIPE);
        CHECK_GE(weft_now(), deadline);
        check_cancelled(ctx, -ETIMEDOUT);
        CHECK_EQ(weft_ctx_err(child), -ETIMEDOUT);
        weft_ctx_unref(ctx);
        weft_ctx_unref(child);
    }
    CHECK_SOON(weft_num_goroutine() == 1);
}

TEST_PROCS(the_earlier_deadline_counts)
{
    int64_t soon = weft_after(20 * WEFT_MILLISECOND), late = weft_after(3600 * WEFT_SECOND);
    weft_ctx *outer = child_until(weft_ctx_background(), late);
    weft_ctx *inner = child_until(outer, soon);
    weft_ctx *longer = child_until(inner, late);
    weft_ctx *forever = child_until(inner, WEFT_FOREVER);
    weft_ctx *same = weft_ctx_with_value(inner, &soon, NULL);
    CHECK_EQ(weft_ctx_deadline(outer), late);
    CHECK_EQ(weft_ctx_deadline(inner), soon);
    CHECK_EQ(weft_ctx_deadline(longer), soon);
    CHECK_EQ(weft_ctx_deadline(forever), soon);
    CHECK_EQ(weft_ctx_deadline(same), soon);
    CHECK_EQ(weft_chan_recv(weft_ctx_done(longer), NULL), -EPIPE);
    CHECK_EQ(weft_ctx_err(longer), -ETIMEDOUT);
    CHECK_EQ(weft_chan_recv(weft_ctx_done(forever), NULL), -EPIPE);
    CHECK_EQ(weft_chan_recv(weft_ctx_done(same), NULL), -EPIPE);
    check_live(outer);
    weft_ctx_unref(longer);
    weft_ctx_unref(forever);
    weft_ctx_unref(inner);
    weft_ctx_unref(same);
    weft_ctx_unref(outer);
}

/* A cancelled context's deadline, and one of nobody's any more, leave no timer behind. */
TEST_PROCS(no_timer_is_left)
{
    weft_stats stats;
    weft_ctx *kept[100];
    for (int i = 0; i < 100; i++) {
        kept[i] = child_until(weft_ctx_background(), weft_after(3600 * WEFT_SECOND));
        weft_ctx_unref(child_until(weft_ctx_background(), weft_after(3600 * WEFT_SECOND)));
        weft_ctx_unref(child_until(kept[i], weft_after(1800 * WEFT_SECOND)));
        weft_ctx_unref(child_until(kept[i], weft_after(3601 * WEFT_SECOND)));
    }
    weft_read_stats(&stats);
    CHECK_GE(stats.timers, 100);
    CHECK_LT(stats.timers, 110);
    for (int i = 0; i < 100; i++)
        weft_ctx_cancel(kept[i], 0);
    weft_read_stats(&stats);
    CHECK_LT(stats.timers, 10);
    for (int i = 0; i < 100; i++) {
        check_cancelled(kept[i], -ECANCELED);
        weft_ctx_unref(kept[i]);
    }
}

/* ---- Waiting for it ---- */

static weft_ctx *awaited;
static weft_waitgroup waiting;
static int woken; /* atomic */

static void await(void *arg)
{
    (void)arg;
    CHECK_EQ(weft_chan_recv(weft_ctx_done(awaited), NULL), -EPIPE);
    CHECK_EQ(weft_ctx_err(awaited), -EIO);
    __atomic_add_fetch(&woken, 1, __ATOMIC_RELAXED);
    weft_ctx_unref(awaited);
    weft_waitgroup_done(&waiting);
}

TEST_PROCS(all_that_wait_are_woken)
{
    enum { N = 1000 };
    weft_ctx *top = child_of(weft_ctx_background());
    awaited = child_of(top);
    woken = 0;
    for (int i = 0; i < N; i++) {
        weft_ctx_ref(awaited);
        weft_waitgroup_add(&waiting, 1);
        CHECK_EQ(weft_go(await, NULL), 0);
    }
    weft_yield();
    weft_ctx_cancel(top, -EIO);
    weft_waitgroup_wait(&waiting);
    CHECK_EQ(woken, N);
    weft_ctx_unref(awaited);
    weft_ctx_unref(top);
}

static void cancel_later(void *ctx)
{
    weft_sleep(5 * WEFT_MILLISECOND);
    weft_ctx_cancel(ctx, -EIO);
    weft_ctx_unref(ctx);
}

TEST_PROCS(done_in_a_select)
{
    weft_chan *never = weft_chan_new(0, 0);
    weft_ctx *ctx = child_of(weft_ctx_background());
    weft_case cases[] = {{.chan = never},
                         {.chan = weft_ctx_done(weft_ctx_background())},
                         {.chan = weft_ctx_done(ctx)}};
    CHECK_EQ(weft_select(cases, 3, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_go(cancel_later, weft_ctx_ref(ctx)), 0);
    CHECK_EQ(weft_select(cases, 3, WEFT_FOREVER), 2);
    CHECK_EQ(cases[2].result, -EPIPE);
    CHECK_EQ(weft_ctx_err(ctx), -EIO);
    CHECK_EQ(weft_select(cases, 3, WEFT_NOWAIT), 2);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_ctx_unref(ctx);
    weft_chan_unref(never);
}

/* The channel may outlive its context. */
TEST(done_kept)
{
    weft_ctx *ctx = child_of(weft_ctx_background());
    weft_chan *done = weft_chan_ref(weft_ctx_done(ctx));
    weft_ctx_cancel(ctx, 0);
    weft_ctx_unref(ctx);
    CHECK_EQ(weft_chan_recv(done, NULL), -EPIPE);
    weft_chan_unref(done);
}

/* ---- Large trees; each is cancelled and freed on the default stack ---- */

enum { MANY = 100000 };

static weft_ctx *nodes[MANY];

static void build(weft_ctx *top, int fanout)
{
    for (int i = 0; i < MANY; i++)
        nodes[i] = child_of(i < fanout ? top : nodes[i / fanout - 1]);
}

static void check_tree(int fanout)
{
    weft_ctx *top = child_of(weft_ctx_background());
    build(top, fanout);
    check_live(nodes[MANY - 1]);
    weft_ctx_cancel(top, -EIO);
    for (int i = 0; i < MANY; i++)
        check_cancelled(nodes[i], -EIO);
    weft_ctx_unref(top);
    for (int i = 0; i < MANY; i++)
        weft_ctx_unref(nodes[i]);
    /* Without a cancel, from the top: the last frees them all. */
    top = child_of(weft_ctx_background());
    build(top, fanout);
    weft_ctx_unref(top);
    for (int i = 0; i < MANY; i++)
        weft_ctx_unref(nodes[i]);
    /* And from the leaves. */
    top = child_of(weft_ctx_background());
    build(top, fanout);
    for (int i = MANY - 1; i >= 0; i--)
        weft_ctx_unref(nodes[i]);
    check_live(top);
    weft_ctx_unref(top);
}

static void check_shapes(void *index)
{
    static const int fanouts[] = {MANY, 1, 2, 300};
    (void)index;
    for (int i = 0; i < 4; i++)
        check_tree(fanouts[i]);
}

TEST_PROCS(large_trees, .timeout = 120)
{
    test_each(1, check_shapes);
}

/* A child that has ended is not kept by its parent: the harness would miss the memory. */
static void come_and_go(void *parent)
{
    for (int i = 0; i < 300000 / test_scale(); i++) {
        weft_ctx *ctx = child_of(parent);
        if (i % 2)
            weft_ctx_cancel(ctx, 0);
        if (i % 3)
            weft_ctx_unref(child_until(ctx, weft_after(WEFT_SECOND)));
        weft_ctx_unref(ctx);
    }
}

TEST_PROCS(children_leave, .timeout = 120)
{
    weft_ctx *parent = child_of(weft_ctx_background());
    come_and_go(parent);
    check_live(parent);
    weft_ctx_cancel(parent, 0);
    weft_ctx_unref(parent);
}

/* A cancelled child that is kept has left its parent: cancelling the parent does not go there. */
TEST_PROCS(cancelled_children_leave)
{
    enum { KEPT = 1000 };
    weft_ctx *parent = child_of(weft_ctx_background());
    for (int i = 0; i < KEPT; i++) {
        nodes[i] = child_of(parent);
        weft_ctx_cancel(nodes[i], -EIO);
    }
    weft_ctx_cancel(parent, 0);
    weft_ctx_unref(parent);
    for (int i = 0; i < KEPT; i++) {
        check_cancelled(nodes[i], -EIO);
        weft_ctx_unref(nodes[i]);
    }
}

/* ---- Contexts and runs ---- */

static weft_ctx *outliving, *due, *cancelled;

static void make_outliving(void)
{
    cancelled = child_until(weft_ctx_background(), weft_after(3600 * WEFT_SECOND));
    weft_ctx_cancel(cancelled, -EIO);
    outliving = child_until(weft_ctx_background(), weft_after(3600 * WEFT_SECOND));
    due = child_until(outliving, weft_after(WEFT_MILLISECOND));
    CHECK_EQ(weft_chan_recv(weft_ctx_done(due), NULL), -EPIPE);
    CHECK_SOON(weft_num_goroutine() == 1);
}

static void use_outliving(void)
{
    check_live(outliving);
    check_cancelled(due, -ETIMEDOUT);
    check_cancelled(cancelled, -EIO);
    weft_ctx *child = child_until(outliving, weft_after(WEFT_MILLISECOND));
    CHECK_EQ(weft_chan_recv(weft_ctx_done(child), NULL), -EPIPE);
    CHECK_SOON(weft_num_goroutine() == 1);
    weft_ctx_unref(child);
    child = child_of(outliving);
    weft_ctx_cancel(outliving, -EPIPE);
    check_cancelled(child, -EPIPE);
    weft_ctx_unref(child);
}

TEST(contexts_outlive_runs)
{
    test_in_runtime(2, make_outliving);
    check_live(outliving);
    test_in_runtime(8, use_outliving);
    weft_ctx_unref(due);
    weft_ctx_unref(outliving);
    weft_ctx_unref(cancelled);
}

/* ---- Foreign threads ---- */

static int timed_out; /* atomic: threads that have seen their deadline */

static void *use_in_thread(void *arg)
{
    weft_ctx *ctx = child_of(arg);
    weft_ctx *soon = child_until(ctx, weft_after(WEFT_MILLISECOND));
    CHECK_EQ(weft_chan_recv(weft_ctx_done(soon), NULL), -EPIPE);
    CHECK_EQ(weft_ctx_err(soon), -ETIMEDOUT);
    __atomic_add_fetch(&timed_out, 1, __ATOMIC_RELAXED);
    CHECK_EQ(weft_chan_recv(weft_ctx_done(ctx), NULL), -EPIPE);
    CHECK_EQ(weft_ctx_err(ctx), -EIO);
    weft_ctx_unref(soon);
    weft_ctx_unref(ctx);
    return NULL;
}

TEST_PROCS(foreign_threads_wait)
{
    enum { N = 8 };
    pthread_t threads[N];
    weft_ctx *top = child_of(weft_ctx_background());
    for (int i = 0; i < N; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, use_in_thread, top), 0);
    CHECK_SOON(__atomic_load_n(&timed_out, __ATOMIC_RELAXED) == N);
    weft_ctx_cancel(top, -EIO);
    weft_blocking_begin();
    for (int i = 0; i < N; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    weft_blocking_end();
    weft_ctx_unref(top);
}
