/* SPDX-License-Identifier: MIT
 *
 * Out of threads: the program goes on with those it has.
 */
#include "harness/test.h"

#include <pthread.h>

static int allowed = -1; /* atomic: threads that may still be made; negative: any number */
static int refused;      /* atomic */

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg)
{
    int now = __atomic_load_n(&allowed, __ATOMIC_ACQUIRE);
    while (now > 0 && !__atomic_compare_exchange_n(&allowed, &now, now - 1, true, __ATOMIC_ACQ_REL,
                                                   __ATOMIC_ACQUIRE))
        continue;
    if (now == 0) {
        __atomic_add_fetch(&refused, 1, __ATOMIC_ACQ_REL);
        return EAGAIN;
    }
    return __real_pthread_create(thread, attr, fn, arg);
}

static void allow(int n)
{
    __atomic_store_n(&allowed, n, __ATOMIC_RELEASE);
}

static int ran; /* atomic */

static void run(void *arg)
{
    (void)arg;
    weft_yield();
    __atomic_add_fetch(&ran, 1, __ATOMIC_ACQ_REL);
}

static void check_health(void)
{
    ran = 0;
    test_each(200, run);
    CHECK_EQ(ran, 200);
}

/* Only the M that runs main is there; the other slots find no thread. */
TEST_PROCS(one_thread_will_do)
{
    allow(0);
    for (int i = 0; i < 20; i++) {
        check_health();
        weft_sleep(WEFT_MILLISECOND);
    }
    allow(-1);
    check_health();
}

static int pipe_fds[2];
static int blocked; /* atomic */

static void block(void *arg)
{
    char byte;
    (void)arg;
    weft_blocking_begin();
    __atomic_add_fetch(&blocked, 1, __ATOMIC_ACQ_REL);
    CHECK_EQ(read(pipe_fds[0], &byte, 1), 1);
    weft_blocking_end();
    run(NULL);
}

static void *release_later(void *arg)
{
    usleep(50000);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(write(pipe_fds[1], "x", 1), 1);
    return arg;
}

/* Every thread there is blocks, and none can be made to take over: that works as soon as one returns. */
TEST_PROCS(all_threads_block)
{
    pthread_t thread;
    ran = blocked = 0;
    CHECK_EQ(pipe(pipe_fds), 0);
    CHECK_EQ(pthread_create(&thread, NULL, release_later, NULL), 0);
    allow(0);
    for (int i = 0; i < 10; i++)
        CHECK_EQ(weft_go(block, NULL), 0);
    CHECK_SOON(__atomic_load_n(&ran, __ATOMIC_ACQUIRE) == 10);
    allow(-1);
    check_health();
    weft_blocking_begin();
    CHECK_EQ(pthread_join(thread, NULL), 0);
    weft_blocking_end();
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void release_from_inside(void *arg)
{
    (void)arg;
    CHECK_EQ(write(pipe_fds[1], "x", 1), 1);
}

/* A thread becomes available while all are blocked: the runtime asks again by itself. */
static void *allow_later(void *arg)
{
    usleep(50000);
    allow(-1);
    return arg;
}

TEST_PROCS(threads_come_back)
{
    char byte;
    pthread_t thread;
    CHECK_EQ(pipe(pipe_fds), 0);
    CHECK_EQ(pthread_create(&thread, NULL, allow_later, NULL), 0);
    allow(0);
    CHECK_EQ(weft_go(release_from_inside, NULL), 0);
    weft_blocking_begin();
    CHECK_EQ(read(pipe_fds[0], &byte, 1), 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    weft_blocking_end();
    check_health();
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void end_pinned(void *arg)
{
    weft_lock_os_thread();
    run(arg);
}

/* Goroutines take their threads away, and those cannot be replaced for a while. */
TEST_PROCS(threads_end_meanwhile)
{
    pthread_t thread;
    ran = 0;
    CHECK_EQ(pthread_create(&thread, NULL, allow_later, NULL), 0);
    allow(0);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(weft_go(end_pinned, NULL), 0);
    CHECK_SOON(__atomic_load_n(&ran, __ATOMIC_ACQUIRE) == 20);
    weft_blocking_begin();
    CHECK_EQ(pthread_join(thread, NULL), 0);
    weft_blocking_end();
    check_health();
}

static int main_goroutine(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    check_health();
    return 7;
}

TEST(no_thread_to_start)
{
    for (int i = 0; i < 3; i++) {
        allow(0);
        CHECK_EQ(weft_run(main_goroutine, 0, NULL), -EAGAIN);
        CHECK_EQ(weft_num_goroutine(), 0);
        allow(-1);
        CHECK_EQ(weft_run(main_goroutine, 0, NULL), 7);
    }
}
