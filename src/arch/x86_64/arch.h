/* SPDX-License-Identifier: MIT
 *
 * x86-64, System V ABI. See ../arch.h for the contract.
 *
 * The switch stores a resume address and jumps, instead of pushing registers and returning: the
 * clobber list leaves saving to the compiler, which knows what is live, and the jump is predicted
 * per site. Nothing is pushed, because the red zone below the stack pointer is the caller's.
 *
 * The list names the x87 and MMX registers too: compilers do keep a long double in them over inline
 * assembly, and the names cost nothing where none is live.
 */
#ifndef WI_ARCH_X86_64_H
#define WI_ARCH_X86_64_H

#include <stdint.h>

#if defined(__APX_F__)
#error "the clobber list of wi_switch lacks r16 to r31: add them, or build without -mapxf"
#endif

struct wi_context {
    void *sp;
    void *fp;
    void *pc;
};

struct wi_fp_control {
    uint32_t mxcsr;
    uint16_t x87;
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
#define WI_SWITCH_UNWIND_STOP ".cfi_remember_state\n\t.cfi_undefined %%rip\n\t"
#define WI_SWITCH_UNWIND_GO   ".cfi_restore_state\n\t"
#else
#define WI_SWITCH_UNWIND_STOP
#define WI_SWITCH_UNWIND_GO
#endif

/* clang-format off */
static inline __attribute__((always_inline)) struct wi_context *
wi_switch(struct wi_context *from, const struct wi_context *to)
{
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                     "movq %%rsp, 0(%%rdi)\n\t"
                     "movq %%rbp, 8(%%rdi)\n\t"
                     "movq %%rax, 16(%%rdi)\n\t"
                     "movq 16(%%rsi), %%rax\n\t"
                     WI_SWITCH_UNWIND_STOP
                     "movq 8(%%rsi), %%rbp\n\t"
                     "movq 0(%%rsi), %%rsp\n\t"
                     "jmpq *%%rax\n\t"
                     WI_SWITCH_UNWIND_GO
                     "1:\n\t"
                     : "+D"(from), "+S"(to)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "mm0",
                       "mm1", "mm2", "mm3", "mm4", "mm5", "mm6", "mm7", "st", "st(1)", "st(2)",
                       "st(3)", "st(4)", "st(5)", "st(6)", "st(7)",
#ifdef __AVX512F__
                       "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23",
                       "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k0",
                       "k1", "k2", "k3", "k4", "k5", "k6", "k7",
#endif
                       "memory", "cc");
    return from;
}
/* clang-format on */

static inline void wi_fp_control_read(struct wi_fp_control *now)
{
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(now->mxcsr), "=m"(now->x87));
}

/* Field by field: one wide load of two narrow stores that were just made cannot be forwarded, and
 * costs 5 ns [measured]. */
static inline void wi_fp_control_copy(struct wi_fp_control *to, const struct wi_fp_control *from)
{
    to->mxcsr = from->mxcsr;
    to->x87 = from->x87;
}

/* Loading is slow and differences are rare. The low six bits of mxcsr are sticky exception flags,
 * which calls do not preserve. */
static inline void wi_fp_control_switch(const struct wi_fp_control *now,
                                        const struct wi_fp_control *next)
{
    if (__builtin_expect(((now->mxcsr ^ next->mxcsr) & ~(uint32_t)0x3f) != 0, 0))
        __asm__ volatile("ldmxcsr %0" : : "m"(next->mxcsr));
    if (__builtin_expect(now->x87 != next->x87, 0))
        __asm__ volatile("fldcw %0" : : "m"(next->x87));
}

static inline __attribute__((always_inline)) struct wi_m *wi_load_self(void)
{
    struct wi_m *mp;
    __asm__ volatile("movq wi_self@gottpoff(%%rip), %0\n\t"
                     "movq %%fs:(%0), %0"
                     : "=r"(mp));
    return mp;
}

static inline void wi_cpu_relax(void)
{
    __builtin_ia32_pause();
}

#endif
