/* SPDX-License-Identifier: MIT
 *
 * What C11 lacks and gcc and clang have.
 */
#ifndef WI_BASE_COMPILER_H
#define WI_BASE_COMPILER_H

#include <stddef.h>

#define wi_likely(x)   __builtin_expect(!!(x), 1)
#define wi_unlikely(x) __builtin_expect(!!(x), 0)

#define WI_NOINLINE    __attribute__((noinline))
#define WI_CACHE_LINE  64

/* For a function of which each caller is to keep only what its constant arguments need. */
#define WI_ALWAYS_INLINE inline __attribute__((always_inline))

/* Not inlined, cloned or reasoned about from outside, so that nothing about its result is assumed
 * to hold from one call to the next. clang has no noipa; there noinline with optnone comes close. */
#if defined(__clang__)
#define WI_OPAQUE __attribute__((noinline, optnone))
#else
#define WI_OPAQUE __attribute__((noipa))
#endif

/* Keeps the compiler, not the processor, from moving memory accesses across it. */
#define wi_compiler_barrier() __asm__ volatile("" ::: "memory")

#define wi_container_of(pointer, type, member)                                                     \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
