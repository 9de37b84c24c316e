/* SPDX-License-Identifier: MIT
 *
 * The stress tests of contexts and groups, on contexts with wide windows.
 */
#include "unit/perturb.h"

#undef wi_fetch_sub_acq_rel
#define wi_fetch_sub_acq_rel(p, v) PERTURBED(__atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL))

#include "../src/api/alarm.c"
#include "../src/api/context.c"
#include "../src/api/group.c"

#include "stress/context.c"

/* ---- What cannot be seen from outside ---- */

TEST(who_is_cancelled_leaves_its_parent)
{
    weft_ctx *parent = weft_ctx_with_cancel(weft_ctx_background());
    weft_ctx *children[3], *grandchild;
    for (int i = 0; i < 3; i++)
        children[i] = weft_ctx_with_cancel(parent);
    grandchild = weft_ctx_with_cancel(children[1]);
    weft_ctx_cancel(children[1], 0);
    CHECK(!children[1]->attached && !grandchild->attached && !children[1]->first);
    CHECK(parent->first == children[2] && children[2]->next == children[0]);
    CHECK(children[0]->prev == children[2] && !children[0]->next);
    weft_ctx_unref(children[2]);
    CHECK(parent->first == children[0] && !children[0]->prev);
    CHECK_EQ(parent->refs, 3);
    weft_ctx_cancel(parent, 0);
    CHECK(!parent->first && !children[0]->attached);
    CHECK_EQ(parent->refs, 3);
    weft_ctx_unref(children[0]);
    weft_ctx_unref(children[1]);
    CHECK_EQ(parent->refs, 2);
    weft_ctx_unref(grandchild);
    CHECK_EQ(parent->refs, 1);
    weft_ctx_unref(parent);
}

TEST(child_of_a_cancelled_one_is_not_attached)
{
    weft_ctx *parent = weft_ctx_with_cancel(weft_ctx_background());
    weft_ctx_cancel(parent, 0);
    weft_ctx *child = weft_ctx_with_cancel(parent);
    CHECK(!parent->first && !child->attached);
    weft_ctx_unref(parent);
    weft_ctx_unref(child);
}
