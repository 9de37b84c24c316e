/* SPDX-License-Identifier: MIT
 *
 * The thread-locals behind self.h. The functions are opaque, so that no caller ever sees an address
 * that it could keep: wi_foreign_g's result is only used on threads that run no goroutines.
 */
#include "core/self.h"

#include "base/atomic.h"
#include "base/compiler.h"
#include "core/fork.h"

/* initial-exec: an offset from the thread pointer, without a call into the loader, in the shared
 * library too. used: wi_load_self's assembly names it where link-time optimisation does not look. */
__attribute__((used, tls_model("initial-exec"))) __thread struct wi_m *wi_self;
static __attribute__((tls_model("initial-exec"))) __thread struct wi_g foreign_g;

WI_OPAQUE void wi_setm(struct wi_m *mp)
{
    wi_self = mp;
}

WI_OPAQUE struct wi_g *wi_foreign_g(void)
{
    if (wi_unlikely(wi_load_relaxed(&wi_forked)))
        wi_fork_fatal();
    foreign_g.foreign = true;
    return &foreign_g;
}
