/* SPDX-License-Identifier: MIT
 *
 * Broken rules of contexts and groups.
 */
#include "harness/test.h"

#include "death/panics.h"

static weft_chan *never;

static int wait_for_ever(void *arg)
{
    weft_chan_recv(never, NULL);
    return (int)(intptr_t)arg;
}

static int say_id(void *arg)
{
    fprintf(stderr, "member %llu\n", (unsigned long long)weft_id());
    return wait_for_ever(arg);
}

PANICS(cancel_null, "weft_ctx_cancel\nNULL", weft_ctx_cancel(NULL, 0))
PANICS(cancel_background, "weft_ctx_cancel\nbackground",
       weft_ctx_cancel(weft_ctx_background(), -EIO))
PANICS(positive_reason, "weft_ctx_cancel\n5",
       weft_ctx_cancel(weft_ctx_with_cancel(weft_ctx_background()), 5))
PANICS(null_key, "weft_ctx_with_value\nkey",
       weft_ctx_with_value(weft_ctx_background(), NULL, &never))

PANICS(init_of_null, "weft_group_init\nNULL", weft_group_init(NULL, NULL))
PANICS(limit_of_null, "weft_group_limit\nNULL", weft_group_limit(NULL, 1))
PANICS(ctx_of_null, "weft_group_ctx\nNULL", weft_group_ctx(NULL))
PANICS(end_of_null, "weft_group_end\nNULL", weft_group_end(NULL))
PANICS(limit_while_running, "weft_group_limit\n1 goroutines", {
    never = weft_chan_new(0, 0);
    weft_group group = {0};
    weft_group_go(&group, wait_for_ever, NULL);
    weft_group_limit(&group, 5);
})

/* ---- A scope that ends too early says who is still there ---- */

/* The ids of the goroutines of a run that this is the first of come one after the other; a
 * neighbour that is not of the group, or has left it, is not named. */
static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void leave_scope(void)
{
    never = weft_chan_new(0, 0);
    weft_maxprocs(1);
    weft_group other = {0};
    WEFT_GROUP_SCOPE(group, NULL);
    CHECK_EQ(weft_id(), 1);
    CHECK_EQ(weft_group_go(&group, say_id, NULL), 0);
    CHECK_EQ(weft_group_go(&other, wait_for_ever, NULL), 0);
    CHECK_EQ(weft_group_go(&group, nothing, NULL), 0);
    CHECK_EQ(weft_group_go(&group, say_id, NULL), 0);
    weft_sleep(10 * WEFT_MILLISECOND);
    CHECK_EQ(weft_group_go(&group, say_id, NULL), 0); /* has not run yet */
}

DEATH_TEST(scope_with_members, 2,
           "member 2\nmember 5\n"
           "panic: weft_group_end: the scope of group \n"
           " ends while 3 goroutines run in it: 2, 5, 6\n"
           "goroutine 1 [running] main")
{
    test_in_runtime(1, leave_scope);
}

static void leave_crowded_scope(void)
{
    never = weft_chan_new(0, 0);
    WEFT_GROUP_SCOPE(group, NULL);
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(weft_group_go(&group, wait_for_ever, NULL), 0);
}

DEATH_TEST(scope_with_many_members_1, 2, "1000 goroutines run in it: 2, 3, 4, 5, 6\n and 968 more")
{
    test_in_runtime(1, leave_crowded_scope);
}

DEATH_TEST(scope_with_many_members_8, 2, "1000 goroutines run in it: \n and 968 more")
{
    test_in_runtime(8, leave_crowded_scope);
}

/* Also one that a member leaves by falling off its end, in another goroutine. */
static int inner_scope(void *arg)
{
    WEFT_GROUP_SCOPE(group, weft_group_ctx(arg));
    weft_group_go(&group, wait_for_ever, NULL);
    return 0;
}

static void leave_inner_scope(void)
{
    never = weft_chan_new(0, 0);
    WEFT_GROUP_SCOPE(group, NULL);
    weft_group_go(&group, inner_scope, &group);
    weft_group_wait(&group);
}

DEATH_TEST(inner_scope_with_members, 2, "panic: weft_group_end\n1 goroutines run in it: ")
{
    test_in_runtime(2, leave_inner_scope);
}
