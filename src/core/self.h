/* SPDX-License-Identifier: MIT
 *
 * Who is running: the only thread-local variable of the scheduler, and the only way to it.
 *
 * Compilers keep the *address* of a thread-local across calls, also across a call that moves the
 * goroutine to another thread, and they see through noinline functions that return such an address
 * [gcc 12 and clang 14 at -O2, with and without LTO]. So the address is never written down in C:
 * the value is read in assembly, which the compiler can neither take apart nor assume to be
 * repeatable, and it is good only until the goroutine next may park. Argobots explains the same
 * trap in abti_local.h.
 *
 * Rejected: an opaque function that returns the value. As safe, but a call in every operation [a
 * round
 * trip through a channel: 76 against 73 ns; entering and leaving a blocking region: 6.6 against
 * 4.7].
 */
#ifndef WI_CORE_SELF_H
#define WI_CORE_SELF_H

#include <stddef.h>

#include "arch/arch.h"
#include "core/m.h"

/* The calling thread's M; NULL on a foreign thread. */
static inline struct wi_m *wi_getm(void)
{
    return wi_load_self();
}

/* The running goroutine; NULL on g0 and on a foreign thread. */
static inline struct wi_g *wi_getg(void)
{
    const struct wi_m *mp = wi_load_self();
    return mp ? mp->curg : NULL;
}

/* Once a thread, before anything else in the runtime. */
void wi_setm(struct wi_m *mp);

/* The stand-in goroutine of a foreign thread; it lives as long as the thread. */
struct wi_g *wi_foreign_g(void);

#endif
