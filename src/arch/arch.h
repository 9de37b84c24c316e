/* SPDX-License-Identifier: MIT
 *
 * The processor as weft needs it: the contract that each src/arch/<cpu>/arch.h fulfils. A port
 * provides, besides the functions documented here, nothing else.
 *
 *   struct wi_context
 *       Where a suspended flow of control goes on: stack pointer, frame pointer, program counter.
 *
 *   static inline void wi_context_init(struct wi_context *context, void *stack_high)
 *       Makes the first wi_switch to context call wi_goroutine_entry() on the empty stack that ends
 *       at stack_high. Unwinders must find the end of the stack there: the frame pointer is zero
 *       and the return address is undefined in the call-frame information.
 *
 *   static inline struct wi_context *wi_switch(struct wi_context *from, const struct wi_context
 *       *to) Suspends into from and goes on at to; returns when somebody switches back to from,
 *       perhaps on another thread, and returns the context which that one came from: it is in a
 *       register anyway, and all that the scheduler needs to know where it is. Inline assembly
 *       whose clobber list names every register that is not kept in the context, so that the
 *       compiler saves what is live and nothing else.
 *
 *   struct wi_fp_control
 *   static inline void wi_fp_control_read(struct wi_fp_control *now)
 *   static inline void wi_fp_control_copy(struct wi_fp_control *to,
 *                                         const struct wi_fp_control *from)
 *   static inline void wi_fp_control_switch(const struct wi_fp_control *now,
 *                                           const struct wi_fp_control *next)
 *       The floating-point control words (rounding, masks, flush-to-zero), which the ABI counts
 *       among what a call preserves. switch loads what differs.
 *
 *   static inline struct wi_m *wi_load_self(void)
 *       The value of the thread-local wi_self (core/self.c), read in one volatile assembly
 *       statement: the compiler sees neither an address nor a reason to remember the result.
 *
 *   static inline void wi_cpu_relax(void)
 *       A hint inside a spin loop.
 */
#ifndef WI_ARCH_ARCH_H
#define WI_ARCH_ARCH_H

struct wi_m;

/* The first C function of every goroutine, called on its own stack; never returns. Defined by the
 * scheduler. */
_Noreturn void wi_goroutine_entry(void);

#if defined(__x86_64__) && defined(__LP64__)
#include "x86_64/arch.h"
#elif defined(__aarch64__)
#include "aarch64/arch.h"
#else
#error "weft has no context switch for this processor: write src/arch/<cpu>/arch.h"
#endif

#endif
