/* SPDX-License-Identifier: MIT
 *
 * Threads that weft did not start, with and without a run, and what the end of a run leaves behind.
 */
#include "api/net_test.h"

#include <pthread.h>

static void *thread_echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buffer[100];
    ssize_t count;
    while ((count = weft_read(fd, buffer, sizeof buffer)) > 0)
        CHECK_EQ(weft_write_all(fd, buffer, (size_t)count), count);
    return (void *)(intptr_t)count;
}

static pthread_t start_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, fn, arg), 0);
    return thread;
}

static long join(void *arg)
{
    void *result;
    CHECK_EQ(pthread_join(*(pthread_t *)arg, &result), 0);
    return (intptr_t)result;
}

static intptr_t join_thread(pthread_t thread)
{
    return weft_blocking(join, &thread);
}

static void ask(int fd, int rounds)
{
    for (int i = 0; i < rounds; i++) {
        char question[50], answer[sizeof question];
        memset(question, i, sizeof question);
        CHECK_EQ(weft_write_all(fd, question, sizeof question), sizeof question);
        read_full(fd, answer, sizeof answer);
        CHECK(memcmp(question, answer, sizeof answer) == 0);
    }
}

TEST_PROCS(thread_and_goroutine)
{
    int fds[2];
    pair_tcp(fds);
    pthread_t thread = start_thread(thread_echo, (void *)(intptr_t)fds[1]);
    ask(fds[0], 1000);
    CHECK_EQ(weft_close(fds[0]), 0);
    CHECK_EQ(join_thread(thread), 0);
    CHECK_EQ(weft_close(fds[1]), 0);
}

static void *thread_ask(void *arg)
{
    int fd = (int)(intptr_t)arg;
    ask(fd, 200);
    CHECK_EQ(weft_close(fd), 0);
    return NULL;
}

/* Both ends are threads, and no goroutine has anything to do: somebody must poll for them. */
TEST_PROCS(thread_and_thread)
{
    int fds[2];
    weft_sleep(5 * WEFT_MILLISECOND);
    pair_unix(fds);
    pthread_t answers = start_thread(thread_echo, (void *)(intptr_t)fds[1]);
    pthread_t asks = start_thread(thread_ask, (void *)(intptr_t)fds[0]);
    CHECK_EQ(join_thread(asks), 0);
    CHECK_EQ(join_thread(answers), 0);
    CHECK_EQ(weft_close(fds[1]), 0);
}

static weft_chan *done;

static void *thread_ask_and_tell(void *arg)
{
    thread_ask(arg);
    int one = 1;
    CHECK_EQ(weft_chan_send(done, &one), 0);
    return NULL;
}

/* The same with every M asleep, and long enough for sysmon to sleep too. */
TEST_PROCS(thread_and_thread_while_all_sleep)
{
    int fds[2], one;
    done = weft_chan_new(sizeof one, 0);
    pair_unix(fds);
    pthread_t answers = start_thread(thread_echo, (void *)(intptr_t)fds[1]);
    pthread_t asks = start_thread(thread_ask_and_tell, (void *)(intptr_t)fds[0]);
    CHECK_EQ(weft_chan_recv(done, &one), 0);
    CHECK_EQ(join_thread(asks), 0);
    CHECK_EQ(join_thread(answers), 0);
    weft_chan_unref(done);
    CHECK_EQ(weft_close(fds[1]), 0);
}

static void *thread_read(void *arg)
{
    char byte;
    return (void *)(intptr_t)weft_read((int)(intptr_t)arg, &byte, 1);
}

TEST_PROCS(closed_under_a_thread)
{
    int fds[2];
    pair_unix(fds);
    pthread_t thread = start_thread(thread_read, (void *)(intptr_t)fds[0]);
    CHECK_SOON(net_waiters() == 1);
    CHECK_EQ(weft_close(fds[0]), 0);
    CHECK_EQ(join_thread(thread), -ECANCELED);
    CHECK_EQ(weft_close(fds[1]), 0);
}

static void *thread_wait(void *arg)
{
    struct call *call = arg;
    call_run(call);
    return NULL;
}

static pthread_t start_call(struct call *call)
{
    weft_waitgroup_add(&call->running, 1);
    return start_thread(thread_wait, call);
}

TEST_PROCS(deadlines_of_a_thread)
{
    int fds[2];
    pair_unix(fds);
    struct call call = {.fd = fds[0], .fn = call_wait, .events = POLLIN};
    call.deadline = weft_after(20 * WEFT_MILLISECOND);
    pthread_t thread = start_call(&call);
    CHECK_EQ(call_join(&call), -ETIMEDOUT);
    join_thread(thread);

    call = (struct call){.fd = fds[0], .fn = call_read};
    thread = start_call(&call);
    CHECK_SOON(net_waiters() == 1);
    CHECK_EQ(weft_set_deadline(fds[0], weft_after(20 * WEFT_MILLISECOND), WEFT_FOREVER), 0);
    CHECK_EQ(call_join(&call), -ETIMEDOUT);
    join_thread(thread);
    pair_close(fds);
}

/* ---- Without a run ---- */

TEST(without_a_run)
{
    int fds[2];
    pair_tcp(fds);
    pthread_t thread = start_thread(thread_echo, (void *)(intptr_t)fds[1]);
    ask(fds[0], 1000);
    CHECK_EQ(weft_close(fds[0]), 0);
    CHECK_EQ(join_thread(thread), 0);
    CHECK_EQ(weft_close(fds[1]), 0);
}

TEST(closed_without_a_run)
{
    int fds[2];
    pair_unix(fds);
    pthread_t thread = start_thread(thread_read, (void *)(intptr_t)fds[0]);
    usleep(10000);
    CHECK_EQ(weft_close(fds[0]), 0);
    intptr_t result = join_thread(thread);
    CHECK(result == -ECANCELED || result == -EBADF);
    CHECK_EQ(weft_close(fds[1]), 0);
}

TEST(deadlines_without_a_run)
{
    int fds[2];
    char byte = 0;
    pair_unix(fds);
    int64_t deadline = weft_after(30 * WEFT_MILLISECOND);
    CHECK_EQ(weft_set_deadline(fds[0], deadline, 0), 0);
    CHECK_EQ(weft_read(fds[0], &byte, 1), -ETIMEDOUT);
    CHECK_GE(weft_now(), deadline);
    CHECK_EQ(weft_write(fds[0], &byte, 1), -ETIMEDOUT);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_NOWAIT, WEFT_NOWAIT), 0);
    CHECK_EQ(weft_read(fds[0], &byte, 1), -EAGAIN);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, WEFT_FOREVER), 0);

    struct call call = {.fd = fds[0], .fn = call_read};
    pthread_t thread = start_call(&call);
    usleep(10000);
    CHECK_EQ(weft_set_deadline(fds[0], weft_after(30 * WEFT_MILLISECOND), WEFT_FOREVER), 0);
    join_thread(thread);
    CHECK_EQ(call.result, -ETIMEDOUT);
    deadline = weft_after(30 * WEFT_MILLISECOND);
    CHECK_EQ(weft_wait(fds[1], POLLIN, deadline), -ETIMEDOUT);
    CHECK_GE(weft_now(), deadline);
    CHECK_EQ(weft_wait(fds[1], POLLIN, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(weft_wait(fds[1], POLLIN | POLLOUT, WEFT_FOREVER), POLLOUT);
    pair_close(fds);
}

/* ---- From one run to the next ---- */

static int shared[2];
static struct call left_behind[4];

/* Leaves a reader, a writer, a closer and a deadline behind. */
static void leave_things_behind(void)
{
    left_behind[0] = (struct call){.fd = shared[0], .fn = call_read};
    left_behind[1] = (struct call){.fd = shared[0], .fn = call_write};
    left_behind[2] = (struct call){.fd = shared[1],
                                   .fn = call_wait,
                                   .events = POLLRDHUP,
                                   .deadline = weft_after(3600 * WEFT_SECOND)};
    int waiters = net_waiters();
    for (int i = 0; i < 3; i++)
        call_start(&left_behind[i], waiters + i + 1);
    CHECK_EQ(weft_set_deadline(shared[0], weft_after(3600 * WEFT_SECOND), WEFT_FOREVER), 0);
}

static void use_what_is_left(void)
{
    char bytes[4096];
    int64_t deadline = weft_after(20 * WEFT_MILLISECOND);
    CHECK_EQ(net_waiters(), 0);
    CHECK_EQ(weft_set_deadline(shared[0], deadline, WEFT_FOREVER), 0);
    CHECK_EQ(weft_read(shared[0], bytes, 1), -ETIMEDOUT);
    CHECK_EQ(weft_set_deadline(shared[0], WEFT_FOREVER, WEFT_FOREVER), 0);
    CHECK_EQ(weft_write(shared[1], "x", 1), 1);
    CHECK_EQ(weft_read(shared[0], bytes, 1), 1);
    CHECK_EQ(weft_set_deadline(shared[1], weft_after(20 * WEFT_MILLISECOND), WEFT_FOREVER), 0);
    while (weft_read(shared[1], bytes, sizeof bytes) > 0) {
    }
    pair_close(shared); /* waits for nobody */
}

TEST(second_run)
{
    for (int procs = 1; procs <= 8; procs *= 2) {
        pair_unix(shared);
        for (int i = 0; i < 3; i++) {
            test_in_runtime(procs, leave_things_behind);
            read_up(shared[1]);
        }
        test_in_runtime(procs, use_what_is_left);
    }
}

static pthread_t reader;

static void end_while_a_thread_reads(void)
{
    reader = start_thread(thread_read, (void *)(intptr_t)shared[0]);
    CHECK_SOON(net_waiters() == 1);
}

TEST(end_of_run_under_a_thread)
{
    for (int i = 0; i < 20; i++) {
        pair_unix(shared);
        test_in_runtime(2, end_while_a_thread_reads);
        CHECK_EQ(join_thread(reader), -ECANCELED);
        CHECK_EQ(weft_write(shared[1], "x", 1), 1);
        CHECK_EQ(join_thread(start_thread(thread_read, (void *)(intptr_t)shared[0])), 1);
        pair_close(shared);
    }
}

static void close_shared(void *arg)
{
    (void)arg;
    weft_close(shared[0]);
}

static void end_while_a_goroutine_closes(void)
{
    /* The closer has to wait until the thread has left; the run may end before that, or after. */
    reader = start_thread(thread_read, (void *)(intptr_t)shared[0]);
    CHECK_SOON(net_waiters() == 1);
    CHECK_EQ(weft_go(close_shared, NULL), 0);
    if (test_random_below(2))
        weft_yield();
}

TEST(end_of_run_while_closing)
{
    for (int i = 0; i < 50; i++) {
        pair_unix(shared);
        test_in_runtime(2, end_while_a_goroutine_closes);
        CHECK_EQ(join_thread(reader), -ECANCELED);
        int result = weft_close(shared[0]);
        CHECK(result == 0 || result == -EBADF);
        CHECK_EQ(weft_close(shared[1]), 0);
    }
}

/* A thread that waits when a run begins is served by it. */
static void write_to_thread(void)
{
    CHECK_SOON(net_waiters() == 1);
    CHECK_EQ(weft_write(shared[1], "x", 1), 1);
    CHECK_SOON(net_waiters() == 0);
}

TEST(run_begins_under_a_thread)
{
    pair_unix(shared);
    reader = start_thread(thread_read, (void *)(intptr_t)shared[0]);
    usleep(5000);
    test_in_runtime(2, write_to_thread);
    CHECK_EQ(join_thread(reader), 1);
    pair_close(shared);
}
