/* SPDX-License-Identifier: MIT
 *
 * Other processes (process.c), and signals to this one (notify.c): leaf calls like those of os.h.
 * Results are >= 0 or a negative errno; none returns -EINTR.
 */
#ifndef WI_OS_PROCESS_H
#define WI_OS_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* ---- Descriptors for children; closed on exec ---- */

int wi_os_pipe(int fds[2]);
int wi_os_open_null(void);

/* Another number, above 2, for the same open file. */
int wi_os_dup_high(int fd);

/* ---- Children ---- */

struct wi_os_spawn {
    const char *path;
    char *const *argv;
    char *const *envp; /* NULL: the caller's */
    const char *dir;   /* NULL: the caller's */
    int fds[3];        /* what is to be 0, 1 and 2; above 2, or that number itself; -1: nothing */
};

/* Starts a child with default actions for all signals and none blocked. Blocks until it has begun
 * its program. Its pid. */
pid_t wi_os_spawn(const struct wi_os_spawn *spawn);

/* A descriptor that is readable once that child has ended. -ENOSYS, -EMFILE, ... */
int wi_os_pidfd(pid_t pid);

/* Whether a child has ended, and with what status; remove: and is to be forgotten by the kernel.
 * pidfd may be -1. 1; 0: it still runs; -ECHILD. */
int wi_os_child_ended(pid_t pid, int pidfd, bool remove, int *status);

/* Sends a signal to a child that has not been forgotten. */
int wi_os_child_kill(pid_t pid, int pidfd, int signo);

/* ---- Signals to this process ---- */

enum { WI_OS_SIGNALS = 64 }; /* they are 1 to that */

/* False for those that cannot be caught, mean a fault, or are weft's or the thread library's. */
bool wi_os_signal_can_catch(int signo);

/* Catches it from now on. to_take is called in the handler, on any thread, when there is one to
 * take that was not there before; it is the same function for all signals. */
void wi_os_signal_catch(int signo, void (*to_take)(void));

/* True: it has come since it was last taken. */
bool wi_os_signal_take(int signo);

/* Gives it back the action that it had before. True: there was one to take. */
bool wi_os_signal_release(int signo);

#endif
