/* SPDX-License-Identifier: MIT
 *
 * Everything that can happen to connections, at once: servers and clients over TCP and Unix sockets
 * that talk, time out, shut down and close in every state, while deadlines move and foreign threads
 * take part. Nothing may hang, nothing may be left over.
 */
#include "api/net_test.h"
#include "stress/stress.h"

#include <pthread.h>

enum { CLIENTS = 64, THREADS = 2, CONNECTIONS = 40, MESSAGE_MAX = 20000 };

static struct endpoint places[2];
static weft_waitgroup servers, clients;
static int ended; /* atomic: clients that are done */

static int64_t soon(void)
{
    return weft_after((int64_t)test_random_below(3 * WEFT_MILLISECOND));
}

/* What a call may say when the peer went away or a deadline passed. */
static bool is_end(ssize_t result)
{
    return result == 0 || result == -ETIMEDOUT || result == -EPIPE || result == -ECONNRESET;
}

static void echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buffer[4096];
    ssize_t count;
    for (;;) {
        if (by_chance(8))
            CHECK_EQ(weft_set_deadline(fd, soon(), soon()), 0);
        else if (by_chance(8))
            CHECK_EQ(weft_set_deadline(fd, WEFT_FOREVER, WEFT_FOREVER), 0);
        count = weft_read(fd, buffer, sizeof buffer);
        if (count > 0)
            count = weft_write_all(fd, buffer, (size_t)count);
        if (count <= 0)
            break;
    }
    CHECK(is_end(count));
    CHECK_EQ(weft_close(fd), 0);
    weft_waitgroup_done(&servers);
}

/* Several on each listener. */
static void serve(void *arg)
{
    const struct endpoint *at = arg;
    int fd;
    while ((fd = weft_accept(at->fd, NULL, NULL)) >= 0) {
        weft_waitgroup_add(&servers, 1);
        CHECK_EQ(weft_go(echo, (void *)(intptr_t)fd), 0);
    }
    CHECK(fd == -ECANCELED || fd == -EBADF);
    weft_waitgroup_done(&servers);
}

/* The half of a connection that writes; the other half reads in the goroutine that dialled. */
struct sender {
    int fd;
    size_t size;
    weft_waitgroup done;
};

static void send_message(void *arg)
{
    struct sender *sender = arg;
    static const char zeros[MESSAGE_MAX];
    ssize_t count = weft_write_all(sender->fd, zeros, sender->size);
    CHECK(count == (ssize_t)sender->size || is_end(count) || count == -ECANCELED ||
          count == -EBADF);
    weft_waitgroup_done(&sender->done);
}

/* One message there and back; true if it came back whole. */
static bool talk(int fd)
{
    char buffer[3000];
    struct sender sender = {.fd = fd, .size = 1 + test_random_below(MESSAGE_MAX)};
    weft_waitgroup_add(&sender.done, 1);
    CHECK_EQ(weft_go(send_message, &sender), 0);
    size_t received = 0;
    ssize_t count = 1;
    while (received < sender.size && !by_chance(200)) {
        if (by_chance(50))
            CHECK_EQ(weft_set_deadline(fd, soon(), WEFT_FOREVER), 0);
        if (by_chance(4))
            count = weft_wait(fd, POLLIN | (by_chance(2) ? POLLRDHUP : 0), soon());
        if (count > 0)
            count = weft_read(fd, buffer, sizeof buffer);
        if (count <= 0)
            break;
        received += (size_t)count;
    }
    CHECK(count > 0 || is_end(count));
    /* Unless all came back, the sender may be in the middle of its message: end it. */
    if (received < sender.size)
        CHECK_EQ(weft_set_deadline(fd, WEFT_FOREVER, weft_now() - 1), 0);
    weft_waitgroup_wait(&sender.done);
    return received == sender.size;
}

static void one_connection(void)
{
    const struct endpoint *at = &places[test_random_below(2)];
    int fd = weft_dial(at->network, at->address, by_chance(10) ? soon() : WEFT_FOREVER);
    if (fd == -ETIMEDOUT)
        return;
    CHECK_GE(fd, 0);
    for (uint64_t i = test_random_below(4); i > 0 && talk(fd); i--)
        CHECK_EQ(weft_set_deadline(fd, WEFT_FOREVER, WEFT_FOREVER), 0);
    if (by_chance(3))
        CHECK(shutdown(fd, SHUT_WR) == 0 || errno == ENOTCONN);
    struct call call = {.fd = fd, .fn = call_read};
    if (by_chance(3) && weft_set_deadline(fd, WEFT_FOREVER, WEFT_FOREVER) == 0) {
        /* It may begin before the close or after it, and then meets another descriptor: its own, in
         * that no other has this number until the call has ended. */
        call_go(&call);
        weft_sleep(50 * WEFT_MICROSECOND);
        CHECK_EQ(shutdown(fd, SHUT_RDWR) == 0 || errno == ENOTCONN, 1);
        call_join(&call);
    }
    CHECK_EQ(weft_close(fd), 0);
}

static void client(void *arg)
{
    (void)arg;
    for (int i = 0; i < CONNECTIONS; i++)
        one_connection();
    __atomic_add_fetch(&ended, 1, __ATOMIC_RELAXED);
    weft_waitgroup_done(&clients);
}

static void *thread_client(void *arg)
{
    client(arg);
    return NULL;
}

TEST_PROCS(everything, .timeout = 120)
{
    enum { ACCEPTORS = 3 };
    pthread_t threads[THREADS];
    places[0] = endpoint_listen(KIND_TCP, 0);
    places[1] = endpoint_listen(KIND_UNIX, 4); /* often full */
    weft_waitgroup_add(&servers, 2 * ACCEPTORS);
    for (int i = 0; i < 2 * ACCEPTORS; i++)
        CHECK_EQ(weft_go(serve, &places[i % 2]), 0);
    weft_waitgroup_add(&clients, CLIENTS + THREADS);
    for (int i = 0; i < CLIENTS; i++)
        CHECK_EQ(weft_go(client, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, thread_client, NULL), 0);
    weft_waitgroup_wait(&clients);
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    CHECK_EQ(ended, CLIENTS + THREADS);
    endpoint_close(&places[0]);
    endpoint_close(&places[1]);
    weft_waitgroup_wait(&servers);
    CHECK_EQ(net_waiters(), 0);
    CHECK_SOON(weft_num_goroutine() == 1); /* the last are on their way out */
}
