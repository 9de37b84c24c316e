/* SPDX-License-Identifier: MIT
 *
 * What the tests of weft/server.h share: a server in a goroutine, handlers, and stopping it.
 */
#ifndef SERVER_TEST_H
#define SERVER_TEST_H

#include <netinet/tcp.h>

#include "api/net_test.h"

/* A call of weft_serve in a goroutine. */
struct service {
    weft_server *server;
    struct endpoint at;
    void (*handler)(weft_conn *conn, int fd, void *arg);
    void *arg;
    int result;
    weft_waitgroup running;
};

static inline void service_run(void *arg)
{
    struct service *service = arg;
    service->result = weft_serve(service->server, service->at.fd, service->handler, service->arg);
    weft_waitgroup_done(&service->running);
}

/* Returns when it waits for connections. Nobody else begins or ends to wait meanwhile. */
static inline void service_start(struct service *service, int kind)
{
    int waiters = net_waiters();
    service->at = endpoint_listen(kind, 64);
    weft_waitgroup_add(&service->running, 1);
    CHECK_EQ(weft_go(service_run, service), 0);
    CHECK_SOON(net_waiters() == waiters + 1);
}

static inline int service_join(struct service *service)
{
    weft_waitgroup_wait(&service->running);
    if (service->at.address[0] == '/')
        CHECK_EQ(unlink(service->at.address), 0);
    return service->result;
}

/* What the handlers of one test count; all atomic. */
static int began, most, now, ended;

static inline void count_in(void)
{
    int mine = __atomic_add_fetch(&now, 1, __ATOMIC_SEQ_CST);
    int before = __atomic_load_n(&most, __ATOMIC_SEQ_CST);
    while (before < mine && !__atomic_compare_exchange_n(&most, &before, mine, false,
                                                         __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
    __atomic_add_fetch(&began, 1, __ATOMIC_SEQ_CST);
}

static inline void count_out(void)
{
    __atomic_sub_fetch(&now, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
}

static inline int load(int *counter)
{
    return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

/* Echoes bytes, idle between them. Notes its descriptor in arg, an array. */
static inline void echo(weft_conn *conn, int fd, void *arg)
{
    char byte;
    count_in();
    if (arg)
        ((int *)arg)[load(&began) - 1] = fd;
    while (weft_conn_idle(conn, 1) == 0 && weft_read(fd, &byte, 1) == 1) {
        weft_conn_idle(conn, 0);
        CHECK_EQ(weft_write_all(fd, &byte, 1), 1);
    }
    count_out();
}

/* Reads, and does not say that it is idle. */
static inline void stubborn(weft_conn *conn, int fd, void *arg)
{
    (void)conn, (void)arg;
    char byte;
    count_in();
    while (weft_read(fd, &byte, 1) == 1)
        CHECK_EQ(weft_write_all(fd, &byte, 1), 1);
    count_out();
}

/* Writes to somebody who does not read. */
static inline void flood(weft_conn *conn, int fd, void *arg)
{
    static const char zeros[65536];
    (void)conn, (void)arg;
    ssize_t count;
    count_in();
    while ((count = weft_write_all(fd, zeros, sizeof zeros)) >= 0) {
    }
    CHECK_EQ(count, -EPIPE);
    count_out();
}

/* Busy until the channel is closed; then answers. */
static inline void work(weft_conn *conn, int fd, void *arg)
{
    char byte;
    count_in();
    CHECK_EQ(weft_read(fd, &byte, 1), 1);
    CHECK_EQ(weft_chan_recv(arg, NULL), -EPIPE);
    CHECK_EQ(weft_write_all(fd, &byte, 1), 1);
    CHECK_EQ(weft_conn_idle(conn, 1), -ECANCELED);
    CHECK_EQ(weft_read(fd, &byte, 1), 0);
    count_out();
}

static inline void call_echo(int fd)
{
    char byte = 'x';
    CHECK_EQ(weft_write_all(fd, "y", 1), 1);
    CHECK_EQ(weft_read(fd, &byte, 1), 1);
    CHECK_EQ(byte, 'y');
}

static inline void expect_end(int fd)
{
    char byte;
    CHECK_EQ(weft_read(fd, &byte, 1), 0);
    CHECK_EQ(weft_close(fd), 0);
}

static inline bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static inline void check_refused(const struct endpoint *at)
{
    CHECK_EQ(weft_dial(at->network, at->address, weft_after(30 * WEFT_SECOND)), -ECONNREFUSED);
}

/* Those that are connected and were not accepted. */
static inline int queued(int listener)
{
    struct tcp_info info;
    CHECK_EQ(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){sizeof info}), 0);
    return (int)info.tcpi_unacked;
}

/* A stop in another goroutine. */
struct stopping {
    weft_server *server;
    int64_t deadline;
    int result;
    weft_waitgroup running;
};

static inline void stop_run(void *arg)
{
    struct stopping *stopping = arg;
    stopping->result = weft_server_stop(stopping->server, stopping->deadline);
    weft_waitgroup_done(&stopping->running);
}

static inline void stop_start(struct stopping *stopping)
{
    weft_waitgroup_add(&stopping->running, 1);
    CHECK_EQ(weft_go(stop_run, stopping), 0);
}

static inline bool stop_done(struct stopping *stopping)
{
    return weft_waitgroup_wait_until(&stopping->running, WEFT_NOWAIT) == 0;
}

static inline int stop_join(struct stopping *stopping)
{
    weft_waitgroup_wait(&stopping->running);
    return stopping->result;
}

static inline void stop_and_join(weft_server *server, struct service *service)
{
    CHECK_EQ(weft_server_stop(server, WEFT_FOREVER), 0);
    CHECK_EQ(service_join(service), 0);
}

#endif
