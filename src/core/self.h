/* SPDX-License-Identifier: MIT
 *
 * Who is running: the only thread-local variable of the scheduler, and the only way to it.
 *
 * Compilers keep the *address* of a thread-local across calls, also across a call that moves the
 * goroutine to another thread, and they see through noinline functions that return such an address
 * [gcc 12 and clang 14 at -O2, with and without LTO]. So the accessors are opaque functions that
 * return values, and a value is good only until the goroutine next may park. Argobots explains the same
 * trap in abti_local.h.
 */
#ifndef WI_CORE_SELF_H
#define WI_CORE_SELF_H

struct wi_g;
struct wi_m;

/* The calling thread's M; NULL on a foreign thread. */
struct wi_m *wi_getm(void);

/* The running goroutine; NULL on g0 and on a foreign thread. */
struct wi_g *wi_getg(void);

/* Once a thread, before anything else in the runtime. */
void wi_setm(struct wi_m *mp);

/* The stand-in goroutine of a foreign thread; it lives as long as the thread. */
struct wi_g *wi_foreign_g(void);

#endif
