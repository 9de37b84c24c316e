/* SPDX-License-Identifier: MIT
 *
 * The one place where sanitizers and valgrind are told of stacks and switches; every function is
 * empty in a build without them.
 *
 * A switch is bracketed: wi_sanitize_leave on the old stack, immediately before wi_switch, and
 * wi_sanitize_arrive on the new one, immediately after. Both sit in functions that are always
 * inlined and not instrumented themselves, since ThreadSanitizer keeps its call stack per fiber.
 */
#ifndef WI_ARCH_SANITIZE_H
#define WI_ARCH_SANITIZE_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define WI_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WI_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define WI_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WI_TSAN 1
#endif
#endif

#if defined(WI_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(WI_TSAN)
#include <sanitizer/tsan_interface.h>
#endif
#if !defined(WI_ASAN) && !defined(WI_TSAN) && defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define WI_VALGRIND 1
#endif
#endif

/* What a sanitizer keeps for one flow of control: a goroutine or an M's own stack. */
struct wi_sanitize {
#if defined(WI_ASAN)
    void *fake_stack;
#elif defined(WI_TSAN)
    void *fiber;
#else
    char unused; /* C11 has no empty structures. */
#endif
};

/* For the thread's own stack, before it first switches away. */
static inline void wi_sanitize_adopt(struct wi_sanitize *self)
{
#if defined(WI_TSAN)
    self->fiber = __tsan_get_current_fiber();
#else
    (void)self;
#endif
}

/* For a goroutine, when it gets and before it gives back its stack. */
static inline void wi_sanitize_begin(struct wi_sanitize *self)
{
#if defined(WI_ASAN)
    self->fake_stack = NULL;
#elif defined(WI_TSAN)
    self->fiber = __tsan_create_fiber(0);
#else
    (void)self;
#endif
}

/* The stack may hold poison from frames that were left without returning. */
static inline void wi_sanitize_end(struct wi_sanitize *self, void *low, size_t size)
{
#if defined(WI_ASAN)
    (void)self;
    __asan_unpoison_memory_region(low, size);
#elif defined(WI_TSAN)
    (void)low;
    (void)size;
    __tsan_destroy_fiber(self->fiber);
    self->fiber = NULL;
#else
    (void)self;
    (void)low;
    (void)size;
#endif
}

/* ending: the flow that leaves will not be switched to again. */
static inline __attribute__((always_inline)) void wi_sanitize_leave(struct wi_sanitize *from,
                                                                    struct wi_sanitize *to,
                                                                    const void *to_low,
                                                                    size_t to_size, bool ending)
{
#if defined(WI_ASAN)
    (void)to;
    __sanitizer_start_switch_fiber(ending ? NULL : &from->fake_stack, to_low, to_size);
#elif defined(WI_TSAN)
    (void)from;
    (void)to_low;
    (void)to_size;
    (void)ending;
    __tsan_switch_to_fiber(to->fiber, 0);
#else
    (void)from;
    (void)to;
    (void)to_low;
    (void)to_size;
    (void)ending;
#endif
}

static inline __attribute__((always_inline)) void wi_sanitize_arrive(struct wi_sanitize *self)
{
#if defined(WI_ASAN)
    __sanitizer_finish_switch_fiber(self->fake_stack, NULL, NULL);
#else
    (void)self;
#endif
}

/* A new stack exists; stacks are never unmapped. */
static inline void wi_sanitize_stack(void *low, void *high)
{
#if defined(WI_VALGRIND)
    (void)VALGRIND_STACK_REGISTER(low, high);
#else
    (void)low;
    (void)high;
#endif
}

#endif
