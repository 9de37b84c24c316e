/* SPDX-License-Identifier: MIT
 *
 * The one place where sanitizers and valgrind are told of stacks, switches and, for
 * ThreadSanitizer, of what happens before what; every function is empty in a build without them.
 *
 * A switch is bracketed: wi_sanitize_leave on the old stack, immediately before wi_switch, and
 * wi_sanitize_arrive on the new one, immediately after. Both sit in functions that are always
 * inlined and not instrumented themselves, since ThreadSanitizer keeps its call stack per fiber.
 *
 * ThreadSanitizer. Goroutines and g0s are fibers to it. There are two ways to build:
 *
 *   SAN=thread (WI_TSAN_EDGES) looks for races in programs, as `go test -race` does. weft itself is
 *   not instrumented, and a switch orders nothing; so two goroutines that share a thread race as any
 *   two others do. ThreadSanitizer sees of weft what it is told:
 *     1. Edges, and no others: those of the Go memory model. They are drawn where the public functions do
 *        their work, on the fiber of the goroutine (or of the foreign thread) that called.
 *        go statement -> the goroutine's start; wi_ready -> the end of the park (both by a word of
 *        the goroutine, whose clock is replaced and not merged, so that what an earlier user of the
 *        same wi_g left there hides nothing); a park in a channel -> whoever meets the waiter; channel
 *        slots, close, unlock, done, release, once: at the address of the object.
 *     2. g0 has no history. It hands goroutines and their clocks on, and knows of none: all that it
 *        reads, writes and synchronises is hidden from ThreadSanitizer (wi_sanitize_hide), system calls and
 *        malloc too, which are intercepted. Otherwise a goroutine would inherit through the g0
 *        that first ran it what happened in others. What must pass through g0, from who sets a timer to
 *        the goroutine that it starts, is carried by a fiber made for it (wi_sanitize_borrow).
 *     3. memcpy and its like are intercepted in weft too. Where goroutines share what they work on
 *        so, which is legal behind a lock that ThreadSanitizer does not see, it is hidden as well.
 *     4. A stack that a goroutine leaves is mapped anew: this makes ThreadSanitizer forget who accessed
 *        it. An edge to the stack's next user would do as well, and hide the races between two
 *        short goroutines on one P, which use the same stack.
 *     5. Everything that a run's goroutines did happens before weft_run returns.
 *
 *   SAN=thread CORE=1 looks for races in weft. Everything is instrumented, and a switch orders what
 *   comes before and after it: g0 and goroutines hand plain fields to one another without an atomic
 *   access between them. Races between threads are found, those between goroutines that happen to
 *   share a thread are not. The functions of WI_TSAN_EDGES are empty, since atomics are seen.
 *
 * Rejected: weft instrumented, with switches that order nothing (every plain field that g0 and a
 * goroutine share is reported); sync/ instrumented on an uninstrumented core (all operations on one channel
 * or mutex would be ordered by its inner lock, and races hidden that the memory model does not
 * order); madvise in place of mmap for 4 (not taken for a change of the memory).
 */
#ifndef WI_ARCH_SANITIZE_H
#define WI_ARCH_SANITIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define WI_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WI_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__) || defined(WI_TSAN_EDGES)
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
#if defined(WI_TSAN_EDGES)
/* Not in gcc's headers. Under names of our own, as gcc has some of them built in. */
extern void wi_tsan_store(volatile void *word, unsigned long value,
                          int order) __asm__("__tsan_atomic64_store");
extern void wi_tsan_read(void *memory, unsigned long size) __asm__("__tsan_read_range");
extern void wi_tsan_write(void *memory, unsigned long size) __asm__("__tsan_write_range");
extern void wi_tsan_ignore_begin(void) __asm__("__tsan_ignore_thread_begin");
extern void wi_tsan_ignore_end(void) __asm__("__tsan_ignore_thread_end");
void AnnotateIgnoreSyncBegin(const char *file, int line);
void AnnotateIgnoreSyncEnd(const char *file, int line);
void AnnotateBenignRaceSized(const char *file, int line, const volatile void *address, size_t size,
                             const char *description);
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
    uint64_t woken;  /* where who starts or readies it leaves its clock */
    uint64_t parked; /* where it leaves its own before it waits to be met */
#else
    char unused; /* C11 has no empty structures. */
#endif
};

/* For the thread's own stack, before it first switches away. */
static inline void wi_sanitize_adopt(struct wi_sanitize *self)
{
#if defined(WI_TSAN)
    self->fiber = __tsan_get_current_fiber();
#if defined(WI_TSAN_EDGES)
    __tsan_release(self);
#endif
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
#if defined(WI_TSAN_EDGES)
    __tsan_switch_to_fiber(to->fiber, __tsan_switch_to_fiber_no_sync);
#else
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
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

/* The thread's errno is saved and restored for each goroutine, so that none sees another's. */
static inline void wi_sanitize_errno(int *address)
{
#if defined(WI_TSAN_EDGES)
    AnnotateBenignRaceSized(__FILE__, __LINE__, address, sizeof *address, "errno");
#else
    (void)address;
#endif
}

/* ---- What happens before what, for ThreadSanitizer; by the fiber that runs ---- */

/* What was done before a release happens before what follows an acquire of the same object. The object is
 * only a name, and is not accessed. */
static inline void wi_sanitize_release(const void *object)
{
#if defined(WI_TSAN_EDGES)
    __tsan_release((void *)(uintptr_t)object);
#else
    (void)object;
#endif
}

static inline void wi_sanitize_acquire(const void *object)
{
#if defined(WI_TSAN_EDGES)
    __tsan_acquire((void *)(uintptr_t)object);
#else
    (void)object;
#endif
}

#if defined(WI_TSAN_EDGES)
/* Release, but what earlier releases left is forgotten. Writes to the word. */
static inline void wi_sanitize_replace(uint64_t *word)
{
    wi_tsan_ignore_begin(); /* not an access of anybody */
    wi_tsan_store(word, 0, __ATOMIC_RELEASE);
    wi_tsan_ignore_end();
}
#endif

/* Before the goroutine is queued; and the first that it does, and after each park. */
static inline void wi_sanitize_wake(struct wi_sanitize *goroutine)
{
#if defined(WI_TSAN_EDGES)
    wi_sanitize_replace(&goroutine->woken);
#else
    (void)goroutine;
#endif
}

static inline void wi_sanitize_woken(struct wi_sanitize *self)
{
#if defined(WI_TSAN_EDGES)
    wi_sanitize_acquire(&self->woken);
#else
    (void)self;
#endif
}

/* Before a park in which the waiter's memory may be used; and before that is done. */
static inline void wi_sanitize_offer(struct wi_sanitize *self)
{
#if defined(WI_TSAN_EDGES)
    wi_sanitize_replace(&self->parked);
#else
    (void)self;
#endif
}

static inline void wi_sanitize_meet(struct wi_sanitize *waiter)
{
#if defined(WI_TSAN_EDGES)
    wi_sanitize_acquire(&waiter->parked);
#else
    (void)waiter;
#endif
}

/* The caller's memory that the runtime reads or writes for it. */
static inline void wi_sanitize_read(const void *memory, size_t size)
{
#if defined(WI_TSAN_EDGES)
    if (memory && size)
        wi_tsan_read((void *)(uintptr_t)memory, size);
#else
    (void)memory;
    (void)size;
#endif
}

static inline void wi_sanitize_write(void *memory, size_t size)
{
#if defined(WI_TSAN_EDGES)
    if (memory && size)
        wi_tsan_write(memory, size);
#else
    (void)memory;
    (void)size;
#endif
}

/* What the running fiber does in between stays unknown, and orders nothing. Nests. */
static inline void wi_sanitize_hide(void)
{
#if defined(WI_TSAN_EDGES)
    wi_tsan_ignore_begin();
    AnnotateIgnoreSyncBegin(__FILE__, __LINE__);
#endif
}

static inline void wi_sanitize_show(void)
{
#if defined(WI_TSAN_EDGES)
    AnnotateIgnoreSyncEnd(__FILE__, __LINE__);
    wi_tsan_ignore_end();
#endif
}

/* On g0: from borrow to give_back the thread acts as one that has acquired the object and done nothing else. */
struct wi_sanitize_loan {
    void *own;
    void *borrowed;
};

static inline struct wi_sanitize_loan wi_sanitize_borrow(const void *object)
{
#if defined(WI_TSAN_EDGES)
    struct wi_sanitize_loan loan = {__tsan_get_current_fiber(), __tsan_create_fiber(0)};
    __tsan_switch_to_fiber(loan.borrowed, __tsan_switch_to_fiber_no_sync);
    wi_sanitize_acquire(object);
    return loan;
#else
    (void)object;
    return (struct wi_sanitize_loan){0};
#endif
}

static inline void wi_sanitize_give_back(struct wi_sanitize_loan loan)
{
#if defined(WI_TSAN_EDGES)
    __tsan_switch_to_fiber(loan.own, __tsan_switch_to_fiber_no_sync);
    __tsan_destroy_fiber(loan.borrowed);
#else
    (void)loan;
#endif
}

/* What a goroutine that will not run again has done, released by another thread. */
static inline void wi_sanitize_release_for(struct wi_sanitize *goroutine, const void *object)
{
#if defined(WI_TSAN_EDGES)
    void *own = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(goroutine->fiber, __tsan_switch_to_fiber_no_sync);
    wi_sanitize_release(object);
    __tsan_switch_to_fiber(own, __tsan_switch_to_fiber_no_sync);
#else
    (void)goroutine;
    (void)object;
#endif
}

#endif
