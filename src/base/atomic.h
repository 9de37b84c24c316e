/* SPDX-License-Identifier: MIT
 *
 * Atomic accesses to plain integers and pointers, with the memory order in the name. Built on the
 * compilers' __atomic functions and not on _Atomic, so that a field's plain accesses (by its only
 * owner, say) stay visible as such. A field that is ever accessed through these is tagged "atomic"
 * where it is declared.
 */
#ifndef WI_BASE_ATOMIC_H
#define WI_BASE_ATOMIC_H

#include <stdbool.h>

#define wi_load_relaxed(p)         __atomic_load_n((p), __ATOMIC_RELAXED)
#define wi_load_acquire(p)         __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define wi_load_seq_cst(p)         __atomic_load_n((p), __ATOMIC_SEQ_CST)
#define wi_store_relaxed(p, v)     __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define wi_store_release(p, v)     __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define wi_store_seq_cst(p, v)     __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)
#define wi_exchange_acquire(p, v)  __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
#define wi_exchange_acq_rel(p, v)  __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
#define wi_exchange_seq_cst(p, v)  __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
#define wi_fetch_add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define wi_fetch_add_acq_rel(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define wi_fetch_add_seq_cst(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define wi_fetch_sub_acq_rel(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_ACQ_REL)
#define wi_fetch_sub_seq_cst(p, v) __atomic_fetch_sub((p), (v), __ATOMIC_SEQ_CST)
#define wi_fetch_and_acq_rel(p, v) __atomic_fetch_and((p), (v), __ATOMIC_ACQ_REL)

/* Compare and exchange: on failure *expected is what was found. The failure order is relaxed unless
 * the success order acquires. */
#define wi_cas_relaxed(p, expected, v)                                                             \
    __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define wi_cas_acquire(p, expected, v)                                                             \
    __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE)
#define wi_cas_release(p, expected, v)                                                             \
    __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define wi_cas_acq_rel(p, expected, v)                                                             \
    __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#define wi_cas_seq_cst(p, expected, v)                                                             \
    __atomic_compare_exchange_n((p), (expected), (v), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

/* A counter with one writer and any readers: an add without a locked instruction. */
#define wi_owner_add(p, v) wi_store_relaxed((p), *(p) + (v))

/* ThreadSanitizer does not understand fences; a read-modify-write is one to it as well. */
#if defined(__SANITIZE_THREAD__)
static inline void wi_fence_seq_cst(void)
{
    static int word;
    wi_fetch_add_seq_cst(&word, 0);
}
#else
#define wi_fence_seq_cst() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

#endif
