/* SPDX-License-Identifier: MIT
 *
 * A server when goroutines cannot be started.
 */
#include "api/net_test.h"

static int error, failures; /* atomic: how often to fail, and with what */
static int attempts;        /* atomic */

int __wrap_weft_go_copy(void (*fn)(void *arg), const void *arg, size_t size);
int __real_weft_go_copy(void (*fn)(void *arg), const void *arg, size_t size);

int __wrap_weft_go_copy(void (*fn)(void *arg), const void *arg, size_t size)
{
    __atomic_add_fetch(&attempts, 1, __ATOMIC_SEQ_CST);
    if (__atomic_fetch_sub(&failures, 1, __ATOMIC_SEQ_CST) > 0)
        return __atomic_load_n(&error, __ATOMIC_SEQ_CST);
    return __real_weft_go_copy(fn, arg, size);
}

static void fail(int with, int count)
{
    __atomic_store_n(&error, with, __ATOMIC_SEQ_CST);
    __atomic_store_n(&attempts, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&failures, count, __ATOMIC_SEQ_CST);
}

static int tried(void)
{
    return __atomic_load_n(&attempts, __ATOMIC_SEQ_CST);
}

static weft_server server;
static struct endpoint at;
static weft_waitgroup running;
static int result;

static void greet(weft_conn *conn, int fd, void *arg)
{
    (void)conn, (void)arg;
    CHECK_EQ(weft_write_all(fd, "x", 1), 1);
}

static void serve(void *arg)
{
    (void)arg;
    result = weft_serve(&server, at.fd, greet, NULL);
    weft_waitgroup_done(&running);
}

static void start(int limit)
{
    server.limit = limit;
    at = endpoint_listen(KIND_TCP, 16);
    weft_waitgroup_add(&running, 1);
    CHECK_EQ(weft_go(serve, NULL), 0);
    CHECK_SOON(net_waiters() == 1);
}

/* How many bytes of greeting there are. */
static int greeting(int fd)
{
    char bytes[2];
    int total = 0;
    for (ssize_t count; (count = weft_read(fd, bytes, sizeof bytes)) != 0; total += (int)count)
        CHECK_GT(count, 0);
    CHECK_EQ(weft_close(fd), 0);
    return total;
}

TEST_PROCS(without_memory_one_is_closed_and_the_next_served)
{
    for (int limit = 0; limit < 2; limit++) {
        start(limit);
        fail(-ENOMEM, 3);
        for (int i = 0; i < 6; i++)
            CHECK_EQ(greeting(endpoint_dial(&at)), i < 3 ? 0 : 1);
        CHECK_EQ(tried(), 6);
        CHECK_EQ(weft_server_stop(&server, WEFT_FOREVER), 0);
        weft_waitgroup_wait(&running);
        CHECK_EQ(result, 0);
    }
}

TEST_PROCS(a_limit_is_waited_out_and_not_spun_on)
{
    start(1);
    fail(-EAGAIN, 4);
    CHECK_EQ(greeting(endpoint_dial(&at)), 1);
    CHECK_EQ(tried(), 5);

    fail(-EAGAIN, 1000000);
    int64_t begin = weft_now();
    int fd = endpoint_dial(&at);
    CHECK_SOON(tried() > 3);
    CHECK_LE(tried(), 2 + (weft_now() - begin) / WEFT_MILLISECOND);
    CHECK_EQ(weft_server_stop(&server, WEFT_FOREVER), 0); /* which it does not keep */
    CHECK_EQ(greeting(fd), 0);
    weft_waitgroup_wait(&running);
    CHECK_EQ(result, 0);
}

TEST_PROCS(another_error_ends_it)
{
    start(0);
    fail(-EPERM, 1);
    CHECK_EQ(greeting(endpoint_dial(&at)), 0);
    weft_waitgroup_wait(&running);
    CHECK_EQ(result, -EPERM);
    CHECK(fcntl(at.fd, F_GETFD) >= 0);
    endpoint_close(&at);
}
