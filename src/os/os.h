/* SPDX-License-Identifier: MIT
 *
 * The operating system as weft needs it: the contract that src/os/<system>/ fulfils.
 *
 * Leaf calls only: nothing here calls up into the scheduler, nothing keeps state that belongs to a
 * goroutine, and errno is read here and nowhere else. Results are >= 0 or a negative errno.
 */
#ifndef WI_OS_OS_H
#define WI_OS_OS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Clock (clock.c) ---- */

/* CLOCK_MONOTONIC in nanoseconds. Signal-safe. */
int64_t wi_os_now(void);

/* Sleeps the thread; may return early on a signal. */
void wi_os_sleep(int64_t nanoseconds);

/* ---- Futex (futex.c), process-private ---- */

/* Sleeps while *word == expected, until woken or until deadline (absolute, INT64_MAX: no bound).
 * 0 when woken or the word differed or a signal came (the caller re-checks), -ETIMEDOUT. */
int wi_os_futex_wait(uint32_t *word, uint32_t expected, int64_t deadline);
void wi_os_futex_wake(uint32_t *word, int count);

/* ---- Threads (thread.c) ---- */

struct wi_os_thread {
    uintptr_t handle;
};

/* Starts a thread with a small stack (it runs the scheduler, not goroutines). It must be joined or
 * detached. 0, -EAGAIN, -ENOMEM. */
int wi_os_thread_start(struct wi_os_thread *thread, void (*entry)(void *arg), void *arg);
void wi_os_thread_join(struct wi_os_thread *thread);
void wi_os_thread_detach(struct wi_os_thread *thread);

/* The calling thread's stack, lowest address and size; what the thread library says. */
void wi_os_thread_stack(void **low, size_t *size);

/* The calling thread's errno; constant for a thread's life. Only for code that stays on one thread.
 */
int *wi_os_errno(void);

/* Threads in this process as the kernel counts them, or -errno. */
int wi_os_thread_count(void);

/* Lets the kernel run another thread. */
void wi_os_yield(void);

/* Sets how late the kernel may make this thread's timed sleeps, in nanoseconds; the previous value.
 */
long wi_os_set_timer_slack(long nanoseconds);

/* From now on calls child in every process that fork makes, on its one thread, before fork returns.
 * 0 or -ENOMEM. */
int wi_os_at_fork(void (*child)(void));

/* ---- Asymmetric fences (fence.c) ---- */

/* Must succeed once before wi_os_fence_all. 0 or -ENOSYS. */
int wi_os_fence_init(void);

/* Makes every running thread of this process execute a full memory barrier. */
void wi_os_fence_all(void);

/* ---- Memory (memory.c) ---- */

size_t wi_os_page_size(void);

/* Zeroed, uncommitted address space; NULL when there is none. align is a power of two. */
void *wi_os_reserve(size_t size, size_t align);
void wi_os_unreserve(void *address, size_t size);

/* Gives the pages back to the system; they read as zero afterwards. */
void wi_os_discard(void *address, size_t size);

/* Maps the range anew, at the same place, with fresh pages. */
void wi_os_renew(void *address, size_t size);

/* Advice on huge pages for a reserved range. */
void wi_os_huge_pages(void *address, size_t size, bool wanted);

/* How many of the pages in the range hold memory, or -errno. Range up to 1 MiB a call. */
long wi_os_resident_pages(void *address, size_t size);

/* ---- Guard pages (guard.c) ---- */

/* The ladder of DESIGN 3, best first. */
enum wi_os_guard {
    WI_OS_GUARD_MADVISE,     /* MADV_GUARD_INSTALL: no mapping is split (Linux 6.13) */
    WI_OS_GUARD_USERFAULTFD, /* write-protected by userfaultfd, a hit is SIGBUS (Linux 6.4) */
    WI_OS_GUARD_MPROTECT,    /* PROT_NONE: two mappings a stack, counted against the map limit */
    WI_OS_GUARD_CANARY,      /* no protection: a pattern that is checked */
    WI_OS_GUARD_RUNGS
};

/* Whether a rung works here, found out by trying it on a page once. */
bool wi_os_guard_works(enum wi_os_guard rung);

/* Must be told of every range that will hold guards on the userfaultfd rung, before the first. */
int wi_os_guard_register(enum wi_os_guard rung, void *address, size_t size);

/* Makes the range inaccessible by that rung. 0; -ENOMEM when the system's limit is reached. */
int wi_os_guard_install(enum wi_os_guard rung, void *address, size_t size);

/* Mappings this process may have (vm.max_map_count). */
long wi_os_map_limit(void);

/* ---- CPUs (cpu.c) ---- */

/* The least of affinity and cgroup v1/v2 quota (rounded up) over all ancestors, at least 1. */
int wi_os_cpu_count(void);

/* The same from the trees at proc_root ("/proc") and cgroup_root ("/sys/fs/cgroup"), for tests with
 * made-up trees. affinity is the number of CPUs allowed. */
int wi_os_cpu_count_in(const char *proc_root, const char *cgroup_root, int affinity);

/* ---- Readiness of descriptors (epoll.c) ---- */

struct wi_os_event {
    void *tag;
    bool readable; /* or at end of file, or in error: a read will not block */
    bool writable; /* or in error: a write will not block */
    bool special;  /* more than that: the peer sends no more, urgent data, an error */
};

struct wi_os_poller {
    int epoll_fd;
    int wake_fd;
};

int wi_os_poller_open(struct wi_os_poller *poller);
void wi_os_poller_close(struct wi_os_poller *poller);

/* Watches fd edge-triggered in both directions until it is removed. -EPERM: cannot be polled.
 * The low bit of tag's value must be 0. */
int wi_os_poller_add(struct wi_os_poller *poller, int fd, void *tag);
int wi_os_poller_remove(struct wi_os_poller *poller, int fd);

/* Collects up to capacity events, waiting until deadline (0: do not wait; INT64_MAX: no bound). The
 * number of events; *woken says whether wi_os_poller_wake ended the wait. */
int wi_os_poller_wait(struct wi_os_poller *poller, struct wi_os_event *events, int capacity,
                      int64_t deadline, bool *woken);

/* Makes the current or the next wi_os_poller_wait return. */
void wi_os_poller_wake(struct wi_os_poller *poller);

/* ---- Faults (signal.c) ---- */

/* Runs on the alternate stack with the fault's address; returns true if it ended the matter (it
 * normally does not return), false to let the previous handler have it. */
typedef bool (*wi_os_fault_handler)(void *address);

/* Installs the handler for SIGSEGV and SIGBUS, once for the process. */
void wi_os_fault_init(wi_os_fault_handler handler);

/* Gives the calling thread an alternate signal stack, if it has none; the memory, to be handed to
 * wi_os_altstack_free before the thread ends. NULL if it had one or memory is short. */
void *wi_os_altstack_new(void);
void wi_os_altstack_free(void *memory);

/* ---- Output and ending (output.c) ---- */

/* Writes all of it to the descriptor, as far as it will go. Signal-safe. */
void wi_os_write(int fd, const char *text, size_t size);
_Noreturn void wi_os_exit(int status); /* without atexit handlers */

#endif
