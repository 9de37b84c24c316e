/* SPDX-License-Identifier: MIT
 *
 * The C++ half of group.c: a scope is left by return, break and exception.
 */
#include <stdexcept>

#include <weft.h>

extern "C" int scopes_in_cxx(void);

namespace
{

int run(void *)
{
    weft_yield();
    return -7;
}

/* Leaves the scope by a way that its number tells; *ctx is the scope's context. */
int leave_scope(int way, weft_ctx **ctx)
{
    do {
        WEFT_GROUP_SCOPE(group, nullptr);
        *ctx = weft_ctx_ref(weft_group_ctx(&group));
        if (weft_group_go(&group, run, nullptr) != 0 || weft_group_wait(&group) != -7)
            return -1;
        weft_group_init(&group, weft_ctx_background());
        weft_ctx_unref(*ctx);
        *ctx = weft_ctx_ref(weft_group_ctx(&group));
        if (way == 0)
            return 0;
        if (way == 1)
            break;
        if (way == 2)
            throw std::runtime_error("out of the scope");
    } while (false);
    return 1;
}

} // namespace

/* 0, or what went wrong. */
int scopes_in_cxx(void)
{
    for (int way = 0; way < 4; way++) {
        weft_ctx *ctx = nullptr;
        int result;
        try {
            result = leave_scope(way, &ctx);
        } catch (const std::runtime_error &) {
            result = 2;
        }
        int error = weft_ctx_err(ctx);
        weft_ctx_unref(ctx);
        if (result != (way < 3 ? way : 1))
            return 1 + way;
        if (error >= 0)
            return 10 + way;
    }
    return 0;
}
