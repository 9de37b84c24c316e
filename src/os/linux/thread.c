/* SPDX-License-Identifier: MIT
 *
 * OS threads, through the thread library and not by clone, because goroutines call into C libraries
 * that expect a thread to have a pthread's thread-locals, destructors and cancellation state.
 */
#include "os/os.h"
#include "base/compiler.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>

/* Enough for the scheduler, for a C library's use of a thread with room for its static
 * thread-locals, and for sanitizers' larger frames. */
#define STACK_SIZE ((size_t)256 * 1024)

struct start {
    void (*entry)(void *arg);
    void *arg;
};

static void *run(void *memory)
{
    struct start start = *(struct start *)memory;
    free(memory);
    start.entry(start.arg);
    return NULL;
}

static int create(pthread_t *thread, struct start *start)
{
    pthread_attr_t attr;
    int error = pthread_attr_init(&attr);
    if (error != 0)
        return error;
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    error = pthread_create(thread, &attr, run, start);
    pthread_attr_destroy(&attr);
    /* A program whose static thread-locals are larger than the stack; the library's default has
     * room for them, or the program could have no threads at all. */
    if (error == EINVAL)
        error = pthread_create(thread, NULL, run, start);
    return error;
}

int wi_os_thread_start(struct wi_os_thread *thread, void (*entry)(void *arg), void *arg)
{
    struct start *start = malloc(sizeof *start);
    if (start == NULL)
        return -ENOMEM;
    *start = (struct start){.entry = entry, .arg = arg};
    pthread_t created;
    int error = create(&created, start);
    if (error != 0) {
        free(start);
        return -error;
    }
    thread->handle = (uintptr_t)created;
    return 0;
}

void wi_os_thread_join(struct wi_os_thread *thread)
{
    pthread_join((pthread_t)thread->handle, NULL);
}

void wi_os_thread_detach(struct wi_os_thread *thread)
{
    pthread_detach((pthread_t)thread->handle);
}

void wi_os_thread_stack(void **low, size_t *size)
{
    pthread_attr_t attr;
    *low = NULL;
    *size = 0;
    if (pthread_getattr_np(pthread_self(), &attr) != 0)
        return;
    pthread_attr_getstack(&attr, low, size);
    pthread_attr_destroy(&attr);
}

/* Opaque, or a compiler that sees all of weft at once would find that it always gives the same. */
WI_OPAQUE int *wi_os_errno(void)
{
    return &errno;
}

/* The directory of threads has a link for each, besides the two that every directory has; asking so
 * takes no descriptor, of which there may be none left. */
int wi_os_thread_count(void)
{
    struct stat task;
    if (stat("/proc/self/task", &task) != 0)
        return -errno;
    return task.st_nlink > 2 ? (int)task.st_nlink - 2 : -EPROTO;
}

int wi_os_at_fork(void (*child)(void))
{
    return -pthread_atfork(NULL, NULL, child);
}

void wi_os_yield(void)
{
    sched_yield();
}

long wi_os_set_timer_slack(long nanoseconds)
{
    long previous = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    prctl(PR_SET_TIMERSLACK, nanoseconds, 0, 0, 0);
    return previous;
}
