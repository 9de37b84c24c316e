/* SPDX-License-Identifier: MIT
 *
 * Running other programs, with pipes, and waiting for them without holding a thread.
 *
 * fork itself: a child that was forked while a runtime ran has none of its threads. It may call
 * exec or _exit; weft calls that need the runtime end it with a message and status 2.
 */
#ifndef WEFT_PROCESS_H
#define WEFT_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

#include <weft/export.h>

WEFT_BEGIN_DECLS

/* What a descriptor of the child is, if not a descriptor of the caller's. */
enum {
    WEFT_INHERIT = -1, /* the caller's own 0, 1 or 2 */
    WEFT_PIPE = -2,    /* a pipe, whose other end is in weft_process */
    WEFT_NULL = -3,    /* /dev/null */
};

/* Start from WEFT_COMMAND_INIT, so that fields added later keep their defaults. */
typedef struct weft_command {
    const char *path;  /* a program; without a '/' it is looked for in the caller's PATH, and a
                          relative one with a '/' from dir */
    char *const *argv; /* ends with NULL; argv[0] is the program's name */
    char *const *envp; /* NULL: the caller's environment */
    const char *dir;   /* where the child starts; NULL: where the caller is */
    int fds[3];        /* the child's 0, 1, 2: a descriptor, or one of the above */
} weft_command;

#define WEFT_COMMAND_INIT                                                                          \
    {                                                                                              \
        0, 0, 0, 0,                                                                                \
        {                                                                                          \
            WEFT_INHERIT, WEFT_INHERIT, WEFT_INHERIT                                               \
        }                                                                                          \
    }

/* A child. The fields are the caller's to read; a pipe may be closed with weft_close, and its field
 * then set to -1. */
typedef struct weft_process {
    pid_t pid;  /* -1 once it was waited for */
    int pidfd;  /* readable once the child has ended; -1 where the kernel has none (before Linux
                   5.3), or no descriptor was left for it */
    int fds[3]; /* our ends of WEFT_PIPE, else -1 */
} weft_process;

/* Starts the program. The child has the default action for every signal and blocks none; of the
 * caller's descriptors it has 0, 1 and 2 only if they are given, and others only if they are not
 * closed on exec. 0 with *process filled; -ENOENT, -EACCES, ...: it could not be started; -EINVAL:
 * no path or argv. Any thread. May park: starting is a declared blocking region.
 * The child's ends of pipes block. A descriptor of the caller's that weft has made non-blocking, by
 * reading or writing it, is so for the child too, which few programs are made for. */
WEFT_API int weft_process_start(const weft_command *command, weft_process *process);

/* Waits until the child has ended: 0, and *status as waitpid(2) gives it (WIFEXITED and so on);
 * status may be NULL. Once it returned 0 the child is gone; then closes pidfd and the pipes that
 * are left, and all fields are -1. -ETIMEDOUT, -EAGAIN (WEFT_NOWAIT): it still runs. -ECHILD: it
 * was waited for before, or the program ignores SIGCHLD. One goroutine at a time. Without a pidfd
 * it is looked for every 64 ms. May park; any thread. */
WEFT_API int weft_process_wait(weft_process *process, int *status, int64_t deadline);

/* Sends it a signal. -ESRCH: it has ended. Never hits another process that has got its number, and
 * may be called while another goroutine waits. Does not park; any thread. */
WEFT_API int weft_process_kill(const weft_process *process, int signo);

WEFT_END_DECLS

#endif
