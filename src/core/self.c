/* SPDX-License-Identifier: MIT
 *
 * The accessors of self.h, each opaque, so that no caller ever holds a thread-local's address.
 */
#include "core/self.h"

#include "base/compiler.h"
#include "core/g.h"
#include "core/m.h"

/* initial-exec: one instruction and no call into the loader, in the shared library too. */
#define WI_THREAD_LOCAL static __thread __attribute__((tls_model("initial-exec")))

WI_THREAD_LOCAL struct wi_m *self_m;
WI_THREAD_LOCAL struct wi_g foreign_g;

WI_OPAQUE struct wi_m *wi_getm(void)
{
    return self_m;
}

WI_OPAQUE struct wi_g *wi_getg(void)
{
    return self_m ? self_m->curg : NULL;
}

WI_OPAQUE void wi_setm(struct wi_m *mp)
{
    self_m = mp;
}

WI_OPAQUE struct wi_g *wi_foreign_g(void)
{
    foreign_g.foreign = true;
    return &foreign_g;
}
