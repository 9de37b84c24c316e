/* SPDX-License-Identifier: MIT
 *
 * Starting a goroutine.
 */
#ifndef WI_CORE_SPAWN_H
#define WI_CORE_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wi_g;
struct wi_glist;

struct wi_spawn {
    void (*fn)(void *arg);
    void *arg;        /* or where to copy from */
    size_t copy_size; /* 0: arg is passed as it is */
    const char *name;
    uint8_t stack_class; /* or WI_STACK_CLASS_DEFAULT */
    bool owns_arg;  /* arg is malloc'ed; freed at the goroutine's end; the caller's on failure */
    bool unlimited; /* weft_set_max_goroutines does not count: the runtime's own */
};

/* In the runtime, by gp, which may be a foreign stand-in, or from g0 with gp NULL. 0, -ENOMEM,
 * -EAGAIN, -EPERM. The first is the second with nothing but fn and arg. */
int wi_spawn(struct wi_g *gp, void (*fn)(void *arg), void *arg);
int wi_spawn_with(struct wi_g *gp, const struct wi_spawn *request);

/* The same from g0, or by a foreign thread that the end of the run waits for; the goroutine is
 * appended to a list of those that the caller is to ready, so that one that polls can take new ones
 * and woken ones together. */
int wi_spawn_waiting(const struct wi_spawn *request, struct wi_glist *list);

/* Goroutines that exist. */
int wi_goroutine_count(void);

#endif
