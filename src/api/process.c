/* SPDX-License-Identifier: MIT
 *
 * Running other programs; see weft/process.h.
 *
 * Starting. What is to be the child's 0, 1 and 2 is gathered first, as descriptors of ours that are
 * closed on exec and above 2, so that putting one in its place (dup2, in the child) cannot
 * overwrite another that is still to be moved: fds may swap 1 and 2. The one exception is a
 * descriptor that is in its place already. What of 0, 1 and 2 is inherited is found out before
 * anything is opened that could get a free one of these numbers.
 *
 * A pipe's two ends are different open files, so that ours can be non-blocking while the child's is
 * not. Of a descriptor that the caller gives, caller and child share the open file, O_NONBLOCK
 * included; weft does not change it here, nor does it open it anew: that would be another file
 * offset, and not possible for sockets.
 *
 * Waiting. A pidfd becomes readable when the child has ended; then waitid removes it, which is the
 * instant from which its pid may be another's. Without pidfds (an old kernel, or no descriptor
 * left) the child is looked for with growing pauses, up to PAUSE_MAX; rejected: a blocking waitid,
 * which holds a thread for each child and has no deadline.
 *
 * Removing and killing exclude each other by a lock, so that a kill meets a child that is there, as
 * a zombie at least, and a pidfd that is open. Who removed it stores pid = -1 under the lock. Both
 * are system calls that do not wait; it is one lock for all children.
 */
#include <weft/process.h>

#include <errno.h>
#include <poll.h>
#include <stddef.h>

#include <weft/net.h>
#include <weft/time.h>

#include "api/backoff.h"
#include "core/blocking.h"
#include "core/lock.h"
#include "core/park.h"
#include "os/process.h"
#include "os/socket.h"

#define PAUSE_MIN WEFT_MILLISECOND
#define PAUSE_MAX (64 * WEFT_MILLISECOND)

/* ---- The child's descriptors ---- */

/* What the child's three are made of. */
struct plan {
    int child[3]; /* as in struct wi_os_spawn */
    int own[3];   /* to be closed once the child has them, else -1 */
    int pipes[3]; /* our ends, else -1 */
};

static void close_all(const int fds[3])
{
    for (int i = 0; i < 3; i++)
        if (fds[i] >= 0)
            wi_os_fd_close(fds[i]);
}

/* Number fd of the caller's is to be number i of the child's. */
static int plan_given(struct plan *plan, int i, int fd)
{
    int err = wi_os_fd_check(fd);
    if (err)
        return err;
    plan->child[i] = fd;
    if (fd > 2 || fd == i)
        return 0;
    fd = wi_os_dup_high(fd);
    if (fd < 0)
        return fd;
    plan->child[i] = plan->own[i] = fd;
    return 0;
}

/* Takes over fd, which was made for the child. */
static int plan_made(struct plan *plan, int i, int fd)
{
    if (fd >= 0 && fd <= 2) {
        int high = wi_os_dup_high(fd);
        wi_os_fd_close(fd);
        fd = high;
    }
    if (fd < 0)
        return fd;
    plan->child[i] = plan->own[i] = fd;
    return 0;
}

static int plan_pipe(struct plan *plan, int i)
{
    int ends[2];
    int err = wi_os_pipe(ends);
    if (err)
        return err;
    plan->pipes[i] = ends[i == 0];
    return plan_made(plan, i, ends[i != 0]);
}

static int make_plan(struct plan *plan, const int fds[3])
{
    *plan = (struct plan){{-1, -1, -1}, {-1, -1, -1}, {-1, -1, -1}};
    int err = 0;
    for (int i = 0; i < 3; i++)
        if (fds[i] < WEFT_NULL)
            return -EINVAL;
    for (int i = 0; i < 3; i++)
        if (fds[i] == WEFT_INHERIT && wi_os_fd_check(i) == 0)
            plan->child[i] = i;
    for (int i = 0; i < 3 && !err; i++) {
        if (fds[i] >= 0)
            err = plan_given(plan, i, fds[i]);
        else if (fds[i] == WEFT_PIPE)
            err = plan_pipe(plan, i);
        else if (fds[i] == WEFT_NULL)
            err = plan_made(plan, i, wi_os_open_null());
    }
    return err;
}

/* ---- Starting ---- */

/* In a blocking region. */
static int start(const weft_command *command, weft_process *process)
{
    struct plan plan;
    int result = make_plan(&plan, command->fds);
    if (result == 0)
        result = wi_os_spawn(&(struct wi_os_spawn){
            .path = command->path,
            .argv = command->argv,
            .envp = command->envp,
            .dir = command->dir,
            .fds = {plan.child[0], plan.child[1], plan.child[2]},
        });
    close_all(plan.own);
    if (result < 0) {
        close_all(plan.pipes);
        return result;
    }
    int pidfd = wi_os_pidfd(result);
    *process = (weft_process){
        .pid = result,
        .pidfd = pidfd < 0 ? -1 : pidfd,
        .fds = {plan.pipes[0], plan.pipes[1], plan.pipes[2]},
    };
    return 0;
}

int weft_process_start(const weft_command *command, weft_process *process)
{
    if (!command || !process || !command->path || !command->argv || !command->argv[0])
        return -EINVAL;
    struct wi_g *gp = wi_enter();
    wi_block_begin(gp);
    int result = start(command, process);
    wi_block_end(gp);
    wi_leave(gp);
    return result;
}

/* ---- Waiting ---- */

static struct wi_lock removal; /* guards every process's pid, once it runs */

/* 1: the child has ended and is gone; 0: it still runs; -ECHILD. */
static int remove_ended(weft_process *process, int *status)
{
    int result = -ECHILD;
    struct wi_g *gp = wi_enter();
    wi_lock(&removal);
    if (process->pid > 0)
        result = wi_os_child_ended(process->pid, process->pidfd, true, status);
    if (result == 1)
        process->pid = -1;
    wi_unlock(&removal);
    wi_leave(gp);
    return result;
}

static void close_left(weft_process *process)
{
    if (process->pidfd >= 0)
        weft_close(process->pidfd);
    process->pidfd = -1;
    for (int i = 0; i < 3; i++) {
        if (process->fds[i] >= 0)
            weft_close(process->fds[i]);
        process->fds[i] = -1;
    }
}

/* Until the child has ended, or it is time to look again. What else ends a wait for a descriptor, as
 * the end of a run does for a foreign thread, or keeps it from beginning, is no reason to fail. */
static int wait_some(const weft_process *process, int64_t deadline, struct wi_backoff *backoff)
{
    int result = process->pidfd >= 0 ? weft_wait(process->pidfd, POLLIN, deadline) : -ENOSYS;
    if (result >= 0 || result == -ETIMEDOUT || result == -EAGAIN)
        return result;
    return wi_back_off(backoff, deadline);
}

int weft_process_wait(weft_process *process, int *status, int64_t deadline)
{
    struct wi_backoff backoff = {PAUSE_MIN, PAUSE_MAX};
    int ended_with;
    if (!process)
        return -EINVAL;
    for (;;) {
        int result = remove_ended(process, &ended_with);
        if (result < 0)
            return result;
        if (result == 1)
            break;
        result = wait_some(process, deadline, &backoff);
        if (result < 0)
            return result;
    }
    close_left(process);
    if (status)
        *status = ended_with;
    return 0;
}

/* ---- Killing ---- */

int weft_process_kill(const weft_process *process, int signo)
{
    int ended_with;
    if (!process)
        return -EINVAL;
    int result = -ESRCH;
    struct wi_g *gp = wi_enter();
    wi_lock(&removal);
    if (process->pid > 0 &&
        wi_os_child_ended(process->pid, process->pidfd, false, &ended_with) == 0)
        result = wi_os_child_kill(process->pid, process->pidfd, signo);
    wi_unlock(&removal);
    wi_leave(gp);
    return result;
}
