/* SPDX-License-Identifier: MIT
 *
 * AArch64, AAPCS64. See ../arch.h for the contract, and ../x86_64/arch.h for why the switch jumps.
 *
 * Every register is in the clobber list but the two operands, the stack pointer and x29, which no
 * list may name and the context therefore keeps. x18, the platform register, is never touched here;
 * but where the platform leaves it to the compiler, as Linux does, a value could live in it over
 * the switch, and so it is named.
 */
#ifndef WI_ARCH_AARCH64_H
#define WI_ARCH_AARCH64_H

#include <stdint.h>

_Static_assert(sizeof(void *) == 8, "ILP32 is not supported: the switch stores 64-bit addresses");

struct wi_context {
    void *sp;
    void *fp;
    void *pc;
};

struct wi_fp_control {
    uint64_t fpcr;
};

void wi_goroutine_start(void); /* entry.c: assembly, only ever jumped to */

/* The frame pointer carries the entry's address to wi_goroutine_start. Were it named in the
 * assembly instead, link-time optimisation would not see that it is used, and drop it. */
static inline void wi_context_init(struct wi_context *context, void *stack_high)
{
    context->sp = (void *)((uintptr_t)stack_high & ~(uintptr_t)15);
    context->fp = (void *)(uintptr_t)wi_goroutine_entry;
    context->pc = (void *)(uintptr_t)wi_goroutine_start;
}

/* From the first load on, the frame belongs to one stack and the program counter to the other: a
 * profiler that samples there is told that the stack ends here. */
#if defined(__GCC_HAVE_DWARF2_CFI_ASM)
#define WI_SWITCH_UNWIND_STOP ".cfi_remember_state\n\t.cfi_undefined x30\n\t"
#define WI_SWITCH_UNWIND_GO   ".cfi_restore_state\n\t"
#else
#define WI_SWITCH_UNWIND_STOP
#define WI_SWITCH_UNWIND_GO
#endif

/* Where branch target identification is on (-mbranch-protection), an indirect jump must land on a
 * "bti j"; elsewhere the pad would only cost its slot. */
#if defined(__ARM_FEATURE_BTI_DEFAULT)
#define WI_SWITCH_LANDING_PAD "hint #36\n\t"
#else
#define WI_SWITCH_LANDING_PAD
#endif

/* clang-format off */
static inline __attribute__((always_inline)) struct wi_context *
wi_switch(struct wi_context *from, const struct wi_context *to)
{
    register struct wi_context *x0 __asm__("x0") = from;
    register const struct wi_context *x1 __asm__("x1") = to;
    __asm__ volatile("adr x2, 1f\n\t"
                     "mov x3, sp\n\t"
                     "stp x3, x29, [x0]\n\t"
                     "str x2, [x0, #16]\n\t"
                     "ldr x2, [x1, #16]\n\t"
                     WI_SWITCH_UNWIND_STOP
                     "ldp x3, x29, [x1]\n\t"
                     "mov sp, x3\n\t"
                     "br x2\n\t"
                     WI_SWITCH_UNWIND_GO
                     "1:\n\t"
                     WI_SWITCH_LANDING_PAD
                     : "+r"(x0), "+r"(x1)
                     :
                     : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                       "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24",
                       "x25", "x26", "x27", "x28", "x30", "v0", "v1", "v2", "v3", "v4", "v5", "v6",
                       "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17",
                       "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28",
                       "v29", "v30", "v31",
#ifdef __ARM_FEATURE_SVE
                       "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11",
                       "p12", "p13", "p14", "p15",
#endif
                       "memory", "cc");
    return x0;
}
/* clang-format on */

static inline void wi_fp_control_read(struct wi_fp_control *now)
{
    __asm__ volatile("mrs %0, fpcr" : "=r"(now->fpcr));
}

static inline void wi_fp_control_copy(struct wi_fp_control *to, const struct wi_fp_control *from)
{
    *to = *from;
}

/* Writing FPCR can drain the pipeline, and differences are rare. The sticky exception flags are in
 * FPSR, which calls do not preserve. */
static inline void wi_fp_control_switch(const struct wi_fp_control *now,
                                        const struct wi_fp_control *next)
{
    if (__builtin_expect(now->fpcr != next->fpcr, 0))
        __asm__ volatile("msr fpcr, %0" : : "r"(next->fpcr));
}

static inline __attribute__((always_inline)) struct wi_m *wi_load_self(void)
{
    struct wi_m *mp;
    uintptr_t thread;
    __asm__ volatile("mrs %1, tpidr_el0\n\t"
                     "adrp %0, :gottprel:wi_self\n\t"
                     "ldr %0, [%0, :gottprel_lo12:wi_self]\n\t"
                     "ldr %0, [%1, %0]"
                     : "=&r"(mp), "=&r"(thread));
    return mp;
}

/* yield does nothing on cores without hardware threads, which is nearly all of them; isb refetches
 * the pipeline and so waits about as long as the pause of x86. */
static inline void wi_cpu_relax(void)
{
    __asm__ volatile("isb" : : : "memory");
}

#endif
