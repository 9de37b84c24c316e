/* SPDX-License-Identifier: MIT
 *
 * The search of a scope's end for members that still run, from inside: it does not take those for
 * members that were it of an earlier group at the same address, and are on their way out.
 */
#include "../src/api/group.c"

#include "harness/test.h"

static int end_at_once(void *arg)
{
    (void)arg;
    return 0;
}

static int wait_for_close(void *chan)
{
    return weft_chan_recv(chan, NULL) == -EPIPE ? 0 : -EIO;
}

static int32_t found_in(weft_group *group)
{
    struct search search = {.group = group};
    wi_g_each(look, &search);
    return search.count;
}

TEST_PROCS(members_that_have_ended)
{
    weft_group group = {0};
    for (int round = 0; round < 5000 / test_scale(); round++) {
        for (int i = 0; i < 4; i++)
            CHECK_EQ(weft_group_go(&group, end_at_once, NULL), 0);
        CHECK_EQ(weft_group_wait(&group), 0);
        CHECK_EQ(found_in(&group), 0);
    }
}

TEST_PROCS(members_that_run)
{
    enum { N = 20 };
    weft_chan *chan = weft_chan_new(0, 0);
    weft_group group = {0}, other = {0};
    for (int i = 0; i < N; i++) {
        CHECK_EQ(weft_group_go(&group, wait_for_close, chan), 0);
        CHECK_EQ(weft_group_go(&other, wait_for_close, chan), 0);
    }
    CHECK_EQ(found_in(&group), N);
    CHECK_EQ(weft_chan_close(chan), 0);
    CHECK_EQ(weft_group_wait(&group), 0);
    CHECK_EQ(weft_group_wait(&other), 0);
    weft_chan_unref(chan);
}
