/* SPDX-License-Identifier: MIT
 *
 * Goroutine stacks: windows of reserved address space with a guard at the low end.
 *
 * A stack belongs to a goroutine, to a P's cache, or to the shared pool of its class. Stacks are
 * never unmapped; what they hold is given back to the system.
 */
#ifndef WI_CORE_STACK_H
#define WI_CORE_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "os/os.h"

struct wi_unwind;

/* Constant once made, except next and unwind. Apart from the stack itself, so that a pooled stack
 * costs none of its own pages. */
struct wi_stack {
    struct wi_stack *next;    /* by the list it is on */
    struct wi_unwind *unwind; /* of the goroutine on it (unwind.h); NULL while it has none */
    char *low;                /* lowest address of the window, where the guard begins */
    uint8_t class;            /* size of the window is WI_STACK_WINDOW_MIN << class */
    uint8_t guard;            /* enum wi_os_guard */
};

/* Free stacks of the default class, hottest first. */
enum { WI_STACK_CACHE = 64 };

struct wi_stack_cache {
    struct wi_stack *first;
    uint32_t count; /* atomic, one writer */
    uint32_t puts;  /* until the next check for a deep stack */
};

#define WI_STACK_WINDOW_MIN ((size_t)32 * 1024)
#define WI_STACK_GUARD      ((size_t)16 * 1024)
enum { WI_STACK_CLASSES = 17 }; /* 32 KiB to 2 GiB, for up to 1 GiB and the guard */

/* Once a process, before the first stack. Reads WEFT_STACK_GUARD and WEFT_STACK_SIZE. 0, or
 * -ENOTSUP when the guard that was asked for cannot be had. */
int wi_stack_init(void);

/* The smallest class with that many usable bytes above the guard, and the one for goroutines that
 * did not ask. */
uint8_t wi_stack_class_for(size_t size);
extern uint8_t wi_stack_class_default; /* constant; not to be read before a run is on */

/* Stands for that one in a request that may be made before it is known. */
enum { WI_STACK_CLASS_DEFAULT = UINT8_MAX };

struct wi_stack *wi_stack_get_slow(struct wi_stack_cache *cache, uint8_t class);
void wi_stack_put_slow(struct wi_stack_cache *cache, struct wi_stack *stack);

/* NULL: no address space, or no guard to be had. */
static inline struct wi_stack *wi_stack_get(struct wi_stack_cache *cache, uint8_t class)
{
    struct wi_stack *stack = cache->first;
    if (wi_unlikely(class != wi_stack_class_default || !stack))
        return wi_stack_get_slow(cache, class);
    cache->first = stack->next;
    wi_owner_add(&cache->count, -1);
    return stack;
}

/* cache may be NULL, for the shared pool. */
static inline void wi_stack_put(struct wi_stack_cache *cache, struct wi_stack *stack)
{
    if (wi_unlikely(!cache || stack->class != wi_stack_class_default || cache->puts == 0 ||
                    cache->count >= WI_STACK_CACHE)) {
        wi_stack_put_slow(cache, stack);
        return;
    }
    cache->puts--;
    wi_owner_add(&cache->count, 1);
    stack->next = cache->first;
    cache->first = stack;
}

/* Under ThreadSanitizer: what happened on the stack is forgotten, before it gets its next user. */
#if defined(WI_TSAN_EDGES)
void wi_stack_forget(struct wi_stack *stack);
#else
static inline void wi_stack_forget(struct wi_stack *stack)
{
    (void)stack;
}
#endif

/* Moves a P's cache to the shared pool. */
void wi_stack_flush(struct wi_stack_cache *cache);

/* Gives the memory of stacks that stayed in the pool for a while, or of all there, back to the
 * system; by sysmon, every few seconds, and once all Ps have been idle for a while. */
void wi_stack_trim(bool all);

static inline size_t wi_stack_window(const struct wi_stack *stack)
{
    return WI_STACK_WINDOW_MIN << stack->class;
}

static inline char *wi_stack_high(const struct wi_stack *stack)
{
    return stack->low + wi_stack_window(stack);
}

/* Whether the address lies in the guard. */
static inline bool wi_stack_guard_hit(const struct wi_stack *stack, const void *address)
{
    return (uintptr_t)address - (uintptr_t)stack->low < WI_STACK_GUARD;
}

bool wi_stack_canary_hit(const struct wi_stack *stack, const void *sp);

/* On the canary rung, whether the stack pointer or the pattern shows an overflow; else false. */
static inline bool wi_stack_overflowed(const struct wi_stack *stack, const void *sp)
{
    return wi_unlikely(stack->guard == WI_OS_GUARD_CANARY) && wi_stack_canary_hit(stack, sp);
}

const char *wi_stack_guard_name(void);

/* Default-size stacks made, and those in caches and the pool. The caches' share is approximate. */
uint64_t wi_stack_made(void);
uint64_t wi_stack_pooled(void);

#endif
