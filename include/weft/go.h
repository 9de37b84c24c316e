/* SPDX-License-Identifier: MIT
 *
 * Starting the runtime and starting goroutines.
 */
#ifndef WEFT_GO_H
#define WEFT_GO_H

#include <stddef.h>
#include <stdint.h>

#include <weft/export.h>

WEFT_BEGIN_DECLS

/* The default stack of a goroutine, unless WEFT_STACK_SIZE in the environment says otherwise: 256
 * KiB of address space with its guard. Only pages that were touched take memory. */
#define WEFT_STACK_DEFAULT ((size_t)240 * 1024)
#define WEFT_STACK_MIN     ((size_t)4096)
#define WEFT_STACK_MAX     ((size_t)1 << 30)

/* What weft_go_with can ask for. Start from WEFT_ATTR_INIT, so that fields added later keep
 * their defaults. */
typedef struct weft_attr {
    size_t stack_size; /* bytes, WEFT_STACK_MIN to WEFT_STACK_MAX; rounded up */
    const char *name;  /* shown in reports, or NULL; must outlive the goroutine */
} weft_attr;

#define WEFT_ATTR_INIT                                                                             \
    {                                                                                              \
        WEFT_STACK_DEFAULT, 0                                                                      \
    }

/* Starts the runtime, runs main_fn(argc, argv) as the main goroutine, and returns what it returned.
 * Goroutines that still exist then are discarded: parked ones never run again, and one that is in
 * user code runs on, unscheduled, until it next needs the scheduler. What discarded goroutines
 * waited on or held (channels, mutexes, a once whose fn they were in, contexts) must not be used
 * again, nor be in use by another thread just then; memory that they own is not freed. May be
 * called again afterwards. Errors: -EINVAL (NULL function), -EBUSY (a runtime runs already),
 * -ENOMEM, -EAGAIN (no thread), -EMFILE and -ENFILE (no descriptor), -ENOSYS (no membarrier: before
 * Linux 4.14), -ENOTSUP (WEFT_STACK_GUARD asks for what the kernel lacks). Foreign threads only;
 * blocks the calling thread, which serves as the runtime's monitor. */
WEFT_API int weft_run(int (*main_fn)(int argc, char **argv), int argc, char **argv);

/* Starts a goroutine that runs fn(arg). It has no stack until it first runs.
 * Returns 0, -EINVAL (NULL function), -ENOMEM, -EAGAIN (over weft_set_max_goroutines), or -EPERM
 * (no runtime runs). Never waits; any thread. */
WEFT_API int weft_go(void (*fn)(void *arg), void *arg);

/* As weft_go, with a private copy of size bytes at arg, valid until the goroutine ends; fn gets the
 * copy's address, aligned for any type. -EINVAL also if arg is NULL and size is not 0. With size
 * 0 fn gets arg itself. */
WEFT_API int weft_go_copy(void (*fn)(void *arg), const void *arg, size_t size);

/* As weft_go, with attributes; NULL means the defaults. -EINVAL also if the stack size is zero or
 * outside its bounds. */
WEFT_API int weft_go_with(const weft_attr *attr, void (*fn)(void *arg), void *arg);

/* Lets other goroutines run. On a foreign thread: sched_yield. Any thread. */
WEFT_API void weft_yield(void);

/* Ends the calling goroutine from any depth. In the main goroutine, the others go on and the
 * program ends only through them (as Go's Goexit). On a foreign thread: a panic. */
WEFT_API WEFT_NORETURN void weft_exit(void);

/* The calling goroutine's id: unique in the process, never 0; 0 off a goroutine. Any thread;
 * signal-safe. */
WEFT_API uint64_t weft_id(void);

WEFT_END_DECLS

#endif
