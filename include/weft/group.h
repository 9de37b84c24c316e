/* SPDX-License-Identifier: MIT
 *
 * Groups: goroutines that work on one task, end together, and share a context (Go's errgroup). A
 * group is also a scope: its end is where none of its goroutines may still run. Every function: any
 * thread. NULL: -EINVAL where a status is returned, else a panic.
 */
#ifndef WEFT_GROUP_H
#define WEFT_GROUP_H

#include <stdint.h>

#include <weft/context.h>
#include <weft/export.h>
#include <weft/sync.h>

WEFT_BEGIN_DECLS

/* Fields are private to weft. Zero is a group without a context, whose errors cancel nothing. */
typedef struct weft_group {
    weft_ctx *ctx;
    weft_waitgroup running;
    weft_sem slots;
    int32_t error;
    uint32_t flags;
} weft_group;

/* Makes a group whose context is a child of parent (NULL: of the background). If memory is short,
 * weft_group_go and weft_group_wait say so: -ENOMEM. Never waits. */
WEFT_API void weft_group_init(weft_group *group, weft_ctx *parent);

/* At most n goroutines of the group at once; n < 0: any number; 0: none, and weft_group_go says
 * -EINVAL. A panic while any runs. */
WEFT_API void weft_group_limit(weft_group *group, int n);

/* Starts fn(arg) in a goroutine of the group; at the limit it waits for one to end, or, trygo,
 * returns -EAGAIN. The first result of a fn that is not 0 is the group's error, and cancels its
 * context (with that reason if it is negative). One that ends by weft_exit counts as 0. 0, -EINVAL,
 * -ENOMEM, -EAGAIN, -EPERM, as weft_go; go may park. One that fails has no effect on the group.
 * While the group is waited for, only its own goroutines may call them. */
WEFT_API int weft_group_go(weft_group *group, int (*fn)(void *arg), void *arg);
WEFT_API int weft_group_trygo(weft_group *group, int (*fn)(void *arg), void *arg);

/* Waits until all have ended, cancels and drops the context, and returns the group's error, or 0.
 * Afterwards the group is as zero. One caller. May park. */
WEFT_API int weft_group_wait(weft_group *group);

/* The group's context, which lives until the wait unless referenced (weft_ctx_ref); NULL if the
 * group has none. */
WEFT_API weft_ctx *weft_group_ctx(weft_group *group);

/* Ends the scope: a goroutine that still runs in the group is a panic that lists the ids of those
 * that do. Cancels and drops the context. After a wait, or on a zero group, it does nothing. Never
 * waits. */
WEFT_API void weft_group_end(weft_group *group);

/* A group as a local variable, whose scope is the enclosing block: leaving it by whatever way, but
 * longjmp and weft_exit, is its end. */
#define WEFT_GROUP_SCOPE(name, parent)                                                             \
    __attribute__((cleanup(weft_group_end))) weft_group name;                                      \
    weft_group_init(&name, parent)

WEFT_END_DECLS

#endif
