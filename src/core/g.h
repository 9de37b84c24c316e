/* SPDX-License-Identifier: MIT
 *
 * The goroutine.
 *
 * A struct wi_g is never given back to the system, so a stale pointer to one is harmless to read; a
 * wait ticket (park.h) tells a stale wake-up from a current one.
 */
#ifndef WI_CORE_G_H
#define WI_CORE_G_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"
#include "arch/sanitize.h"
#include "base/compiler.h"

struct wi_m;
struct wi_p;
struct wi_stack;

/* Who may touch a goroutine, by its state. */
enum wi_gstatus {
    WI_G_FREE,     /* the free list it is on; no stack, nothing in it means anything */
    WI_G_RUNNABLE, /* the run queue it is on; has a stack only if it has run before */
    WI_G_RUNNING,  /* the M it runs on (gp->m) */
    WI_G_WAITING,  /* whoever is entitled to ready it; nobody else */
};

/* What a parked goroutine waits for. Names are in g.c. */
enum wi_wait {
    WI_WAIT_NONE,
    WI_WAIT_SLEEP,
    WI_WAIT_CHAN_SEND,
    WI_WAIT_CHAN_RECV,
    WI_WAIT_SELECT,
    WI_WAIT_MUTEX,
    WI_WAIT_RWMUTEX_READ,
    WI_WAIT_RWMUTEX_WRITE,
    WI_WAIT_COND,
    WI_WAIT_ONCE,
    WI_WAIT_WAITGROUP,
    WI_WAIT_SEM,
    WI_WAIT_READ,
    WI_WAIT_WRITE,
    WI_WAIT_CLOSE,
    WI_WAIT_FOREVER,
    WI_WAIT_KINDS
};

enum { WI_COPY_INLINE = 32 };

struct wi_g {
    /* First line: what a dispatch touches. */
    _Alignas(WI_CACHE_LINE) struct wi_context context; /* saved while not running */
    struct wi_g *next;                                 /* by the queue or list it is on */
    struct wi_m *m;         /* the M it runs on; its own goroutine reads it freely */
    struct wi_stack *stack; /* NULL until first dispatch */
    void (*fn)(void *arg);
    void *arg;

    /* Second line: what a park or an unusual goroutine touches. */
    uint32_t status;         /* enum wi_gstatus; atomic, read by reports */
    int saved_errno;         /* errno while not running */
    uint64_t id;             /* constant from start to exit; 0 for a foreign thread's stand-in */
    struct wi_fp_control fp; /* while not running */
    uint8_t waiting_for;     /* enum wi_wait; atomic, read by reports */
    uint8_t user_mode;       /* enum wi_mode to return to when it leaves the runtime */
    uint8_t stack_class;     /* see stack.h */
    bool foreign;            /* constant: a stand-in, see park.h */
    bool copied;             /* arg is malloc'ed, for this goroutine, and freed at its end */
    bool timed_out;          /* written by the timer that won its wait */
    uint16_t pins;           /* weft_lock_os_thread calls not yet undone */
    uint16_t blocking_depth; /* blocking regions around the innermost; user_mode says if in any */
    struct wi_m *locked_m;   /* the M it is pinned to */
    const char *name;        /* or NULL */
    uint64_t parent;         /* id of the goroutine that started it, or 0 */

    /* Third line: cold. */
    void *cxa[2];   /* C++'s exception globals while not running */
    uint64_t wait;  /* atomic: see park.h, wait tickets */
    uint32_t futex; /* atomic; foreign stand-ins sleep on it */
    struct wi_sanitize sanitize;
    _Alignas(16) char copy[WI_COPY_INLINE];
};

/* A list of goroutines linked through next; whoever holds it owns them. */
struct wi_glist {
    struct wi_g *head;
    struct wi_g *tail;
    uint32_t count;
};

static inline void wi_glist_push(struct wi_glist *list, struct wi_g *gp)
{
    gp->next = NULL;
    if (list->tail)
        list->tail->next = gp;
    else
        list->head = gp;
    list->tail = gp;
    list->count++;
}

static inline struct wi_g *wi_glist_pop(struct wi_glist *list)
{
    struct wi_g *gp = list->head;
    if (!gp)
        return NULL;
    list->head = gp->next;
    if (!list->head)
        list->tail = NULL;
    list->count--;
    gp->next = NULL;
    return gp;
}

/* Brings the lines that a dispatch touches into the cache: a million goroutines do not fit. */
static inline void wi_g_prefetch(const struct wi_g *gp)
{
    __builtin_prefetch(gp, 1);
    __builtin_prefetch((const char *)gp + WI_CACHE_LINE, 1);
}

/* More than fit in memory; what shared arrays of goroutines reserve address space for. */
#define WI_GOROUTINES_MAX ((size_t)1 << 27)

/* Once a process. 0 or -ENOMEM. */
int wi_g_init(void);

/* A P's free goroutines: the last CACHE of a stack whose rest all Ps share. */
enum { WI_G_CACHE = 128 };

struct wi_g_cache {
    uint32_t count;
    struct wi_g *free[WI_G_CACHE];
};

/* A free goroutine with a fresh id, from the P's cache, or from the shared list when pp is NULL.
 * NULL: out of memory. */
struct wi_g *wi_g_new(struct wi_p *pp);

/* Puts back a goroutine that has ended and holds no stack. */
void wi_g_free(struct wi_p *pp, struct wi_g *gp);

/* Moves the P's cached goroutines to the shared list. */
void wi_g_flush(struct wi_p *pp);

/* Calls visit for every goroutine ever made, whatever its state. */
void wi_g_each(void (*visit)(struct wi_g *gp, void *arg), void *arg);

/* "sleep", "chan send", …; a constant string. */
const char *wi_wait_name(enum wi_wait wait);

#endif
