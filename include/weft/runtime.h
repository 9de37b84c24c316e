/* SPDX-License-Identifier: MIT
 *
 * Reading and setting the runtime's counts. Every function: any thread, at any time; setters hold
 * for the process and work before weft_run too. None parks, unless said.
 */
#ifndef WEFT_RUNTIME_H
#define WEFT_RUNTIME_H

#include <stdint.h>

#include <weft/export.h>

WEFT_BEGIN_DECLS

#define WEFT_MAXPROCS_LIMIT 1024

/* A snapshot; counters run from the start of the process. Fields are added at the end. */
typedef struct weft_stats {
    int maxprocs;            /* scheduler slots */
    int idle_procs;          /* of these, without work now */
    int threads;             /* as weft_num_thread */
    int idle_threads;        /* weft's threads that sleep for want of work */
    int goroutines;          /* as weft_num_goroutine */
    int net_waiters;         /* goroutines, also those yet to start, that wait on a descriptor */
    uint64_t timers;         /* pending, sleepers included */
    uint64_t spawned;        /* goroutines ever started */
    uint64_t switches;       /* times a goroutine was put on a thread */
    uint64_t steals;         /* times a thread took work from another's queue */
    uint64_t seizes;         /* slots taken from blocked goroutines */
    uint64_t preempts;       /* times a goroutine gave way because its slice was over */
    uint64_t stacks;         /* default-size stacks made so far */
    uint64_t stacks_cached;  /* of these, without a goroutine now */
    const char *stack_guard; /* "madvise", "userfaultfd", "mprotect" or "canary" */
    uint64_t refused;        /* connections that weft_accept closed for lack of descriptors */
} weft_stats;

/* Sets the number of slots if n >= 1 (at most WEFT_MAXPROCS_LIMIT) and returns the previous value;
 * n < 1 only reads. When a lower value returns, no more than that many goroutines are scheduled;
 * one that was in user code without a slot left runs on until its next weft call.
 * The default is the least of CPU affinity and cgroup quota, followed while it changes unless set
 * here or by WEFT_MAXPROCS. May park. */
WEFT_API int weft_maxprocs(int n);

/* CPUs that this process may use: affinity and cgroup quota, at least 1. */
WEFT_API int weft_num_cpu(void);

/* Goroutines that exist now: queued, running or parked, the main one included. */
WEFT_API int weft_num_goroutine(void);

/* Threads of this process, as the kernel counts them. */
WEFT_API int weft_num_thread(void);

/* Limits, with the previous value as result; n < 1 only reads. Threads: 10 000 by default; to need
 * one more ends the program with a message. Goroutines: no limit by default (INT32_MAX); past it
 * weft_go returns -EAGAIN, and a timer's call waits. Those that carry out contexts' deadlines are
 * started nevertheless. */
WEFT_API int weft_set_max_threads(int n);
WEFT_API int weft_set_max_goroutines(int n);

/* Fills *stats. NULL is ignored. */
WEFT_API void weft_read_stats(weft_stats *stats);

WEFT_END_DECLS

#endif
