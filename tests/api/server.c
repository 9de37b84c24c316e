/* SPDX-License-Identifier: MIT
 *
 * Servers: who is accepted, who is entered, and how all come to an end.
 */
#include "api/net_test.h"

#include <netinet/tcp.h>
#include <pthread.h>

/* ---- A server, and what its handlers do ---- */

/* A call of weft_serve in a goroutine. */
struct service {
    weft_server *server;
    struct endpoint at;
    void (*handler)(weft_conn *conn, int fd, void *arg);
    void *arg;
    int result;
    weft_waitgroup running;
};

static void service_run(void *arg)
{
    struct service *service = arg;
    service->result = weft_serve(service->server, service->at.fd, service->handler, service->arg);
    weft_waitgroup_done(&service->running);
}

/* Returns when it waits for connections. Nobody else begins or ends to wait meanwhile. */
static void service_start(struct service *service, int kind)
{
    int waiters = net_waiters();
    service->at = endpoint_listen(kind, 64);
    weft_waitgroup_add(&service->running, 1);
    CHECK_EQ(weft_go(service_run, service), 0);
    CHECK_SOON(net_waiters() == waiters + 1);
}

static int service_join(struct service *service)
{
    weft_waitgroup_wait(&service->running);
    if (service->at.address[0] == '/')
        CHECK_EQ(unlink(service->at.address), 0);
    return service->result;
}

/* What the handlers of one test count; all atomic. */
static int began, most, now, ended;

static void count_in(void)
{
    int mine = __atomic_add_fetch(&now, 1, __ATOMIC_SEQ_CST);
    int before = __atomic_load_n(&most, __ATOMIC_SEQ_CST);
    while (before < mine && !__atomic_compare_exchange_n(&most, &before, mine, false,
                                                         __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
    }
    __atomic_add_fetch(&began, 1, __ATOMIC_SEQ_CST);
}

static void count_out(void)
{
    __atomic_sub_fetch(&now, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
}

static int load(int *counter)
{
    return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

/* Echoes bytes, idle between them. Notes its descriptor in arg, an array. */
static void echo(weft_conn *conn, int fd, void *arg)
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
static void stubborn(weft_conn *conn, int fd, void *arg)
{
    (void)conn, (void)arg;
    char byte;
    count_in();
    while (weft_read(fd, &byte, 1) == 1)
        CHECK_EQ(weft_write_all(fd, &byte, 1), 1);
    count_out();
}

/* Writes to somebody who does not read. */
static void flood(weft_conn *conn, int fd, void *arg)
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
static void work(weft_conn *conn, int fd, void *arg)
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

static void call_echo(int fd)
{
    char byte = 'x';
    CHECK_EQ(weft_write_all(fd, "y", 1), 1);
    CHECK_EQ(weft_read(fd, &byte, 1), 1);
    CHECK_EQ(byte, 'y');
}

static void expect_end(int fd)
{
    char byte;
    CHECK_EQ(weft_read(fd, &byte, 1), 0);
    CHECK_EQ(weft_close(fd), 0);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void check_refused(const struct endpoint *at)
{
    CHECK_EQ(weft_dial(at->network, at->address, weft_after(30 * WEFT_SECOND)), -ECONNREFUSED);
}

/* Those that are connected and were not accepted. */
static int queued(int listener)
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

static void stop_run(void *arg)
{
    struct stopping *stopping = arg;
    stopping->result = weft_server_stop(stopping->server, stopping->deadline);
    weft_waitgroup_done(&stopping->running);
}

static void stop_start(struct stopping *stopping)
{
    weft_waitgroup_add(&stopping->running, 1);
    CHECK_EQ(weft_go(stop_run, stopping), 0);
}

static bool stop_done(struct stopping *stopping)
{
    return weft_waitgroup_wait_until(&stopping->running, WEFT_NOWAIT) == 0;
}

static int stop_join(struct stopping *stopping)
{
    weft_waitgroup_wait(&stopping->running);
    return stopping->result;
}

static void stop_and_join(weft_server *server, struct service *service)
{
    CHECK_EQ(weft_server_stop(server, WEFT_FOREVER), 0);
    CHECK_EQ(service_join(service), 0);
}

/* ---- Serving ---- */

static int the_argument;

static void check_arguments(weft_conn *conn, int fd, void *arg)
{
    CHECK(conn != NULL);
    CHECK(is_open(fd));
    CHECK(arg == &the_argument);
    CHECK_NE(weft_id(), 0);
    CHECK_EQ(weft_write_all(fd, "z", 1), 1);
}

TEST_PROCS(calls_the_handler_and_closes)
{
    for (int kind = 0; kind < KINDS; kind++) {
        if (kind == KIND_TCP6 && !have_ipv6())
            continue;
        weft_server server = {0};
        struct service service = {
            .server = &server, .handler = check_arguments, .arg = &the_argument};
        service_start(&service, kind);
        for (int i = 0; i < 3; i++) {
            char byte;
            int fd = endpoint_dial(&service.at);
            CHECK_EQ(weft_read(fd, &byte, 1), 1);
            expect_end(fd);
        }
        stop_and_join(&server, &service);
    }
}

static void exits(weft_conn *conn, int fd, void *arg)
{
    (void)conn, (void)fd, (void)arg;
    count_in();
    count_out();
    weft_exit();
}

TEST_PROCS(exit_in_a_handler_closes)
{
    weft_server server = {.limit = 1};
    struct service service = {.server = &server, .handler = exits};
    service_start(&service, KIND_TCP);
    for (int i = 0; i < 5; i++)
        expect_end(endpoint_dial(&service.at));
    CHECK_EQ(load(&began), 5);
    stop_and_join(&server, &service);
}

static void runs_beside(weft_conn *conn, int fd, void *arg)
{
    (void)conn, (void)fd;
    count_in();
    CHECK_SOON(load(&began) == *(int *)arg);
    count_out();
}

TEST_PROCS(each_has_a_goroutine)
{
    enum { COUNT = 20 };
    int count = COUNT, fds[COUNT];
    weft_server server = {0};
    struct service service = {.server = &server, .handler = runs_beside, .arg = &count};
    service_start(&service, KIND_UNIX);
    for (int i = 0; i < COUNT; i++)
        fds[i] = endpoint_dial(&service.at);
    for (int i = 0; i < COUNT; i++)
        expect_end(fds[i]);
    CHECK_EQ(load(&most), COUNT);
    stop_and_join(&server, &service);
}

TEST_PROCS(errors_end_it_and_leave_the_listener)
{
    int fds[2], pipes[2];
    weft_server server = {0};
    pair_unix(fds);
    CHECK_EQ(pipe(pipes), 0);
    for (int limit = 0; limit < 2; limit++) {
        server.limit = limit;
        CHECK_EQ(weft_serve(NULL, fds[0], echo, NULL), -EINVAL);
        CHECK_EQ(weft_serve(&server, fds[0], NULL, NULL), -EINVAL);
        CHECK_EQ(weft_serve(&server, -1, echo, NULL), -EBADF);
        CHECK_EQ(weft_serve(&server, 1000, echo, NULL), -EBADF);
        CHECK_EQ(weft_serve(&server, fds[0], echo, NULL), -EINVAL); /* does not listen */
        CHECK_EQ(weft_serve(&server, pipes[0], echo, NULL), -ENOTSOCK);
        CHECK(is_open(fds[0]) && is_open(pipes[0]));

        struct service service = {.server = &server, .handler = echo};
        service_start(&service, KIND_TCP);
        CHECK_EQ(weft_set_deadline(service.at.fd, weft_now(), WEFT_FOREVER), 0);
        CHECK_EQ(service_join(&service), -ETIMEDOUT);
        CHECK(is_open(service.at.fd));
        CHECK_EQ(weft_set_deadline(service.at.fd, WEFT_FOREVER, WEFT_FOREVER), 0);
        weft_waitgroup_add(&service.running, 1);
        CHECK_EQ(weft_go(service_run, &service), 0); /* it can go on */
        int fd = endpoint_dial(&service.at);
        call_echo(fd);
        stop_and_join(&server, &service);
        expect_end(fd);
    }
    pair_close(fds);
    CHECK_EQ(weft_close(pipes[0]), 0);
    CHECK_EQ(weft_close(pipes[1]), 0);
}

TEST_PROCS(a_listener_is_served_once)
{
    weft_server server = {0};
    struct service service = {.server = &server, .handler = echo};
    service_start(&service, KIND_TCP);
    CHECK_EQ(weft_serve(&server, service.at.fd, echo, NULL), -EBUSY);
    int fd = endpoint_dial(&service.at);
    call_echo(fd);
    stop_and_join(&server, &service);
    expect_end(fd);
}

TEST(no_runtime)
{
    weft_server server = {0};
    struct endpoint at = endpoint_listen(KIND_TCP, 1);
    for (int limit = 0; limit < 2; limit++) {
        server.limit = limit;
        CHECK_EQ(weft_serve(&server, at.fd, echo, NULL), -EPERM);
        CHECK(is_open(at.fd));
    }
    CHECK_EQ(weft_server_stop(&server, WEFT_FOREVER), 0);
    endpoint_close(&at);
}

static weft_server left_server;
static struct endpoint left_at;
static pthread_t left_thread;

static void *serve_in_thread(void *arg)
{
    CHECK_EQ(weft_serve(&left_server, left_at.fd, echo, NULL), -ECANCELED);
    return arg;
}

static void leave_a_thread(void)
{
    CHECK_EQ(pthread_create(&left_thread, NULL, serve_in_thread, NULL), 0);
    CHECK_SOON(net_waiters() == 1);
}

TEST(end_of_run_under_a_thread)
{
    for (int limit = 0; limit < 2; limit++) {
        left_server = (weft_server){.limit = limit};
        left_at = endpoint_listen(KIND_TCP, 1);
        test_in_runtime(2, leave_a_thread);
        CHECK_EQ(pthread_join(left_thread, NULL), 0);
        CHECK_EQ(weft_server_stop(&left_server, WEFT_FOREVER), 0);
        endpoint_close(&left_at);
    }
}

/* ---- Limits ---- */

TEST_PROCS(at_the_limit_none_is_accepted)
{
    enum { LIMIT = 3, COUNT = 9 };
    weft_server server = {.limit = LIMIT};
    struct service service = {.server = &server, .handler = echo};
    int fds[COUNT];
    service_start(&service, KIND_TCP);
    for (int i = 0; i < COUNT; i++)
        fds[i] = endpoint_dial(&service.at);
    for (int i = 0; i < COUNT; i++) {
        int rest = COUNT - LIMIT - i > 0 ? COUNT - LIMIT - i : 0;
        CHECK_SOON(load(&began) == COUNT - rest);
        CHECK_EQ(queued(service.at.fd), rest);
        call_echo(fds[i]); /* they come in order */
        CHECK_EQ(weft_close(fds[i]), 0);
    }
    CHECK_EQ(load(&most), LIMIT);
    stop_and_join(&server, &service);
    CHECK_EQ(load(&ended), COUNT);
}

TEST_PROCS(a_listener_without_guests_holds_no_room)
{
    weft_server server = {.limit = 1};
    struct service services[2] = {{.server = &server, .handler = echo},
                                  {.server = &server, .handler = echo}};
    service_start(&services[0], KIND_TCP);
    service_start(&services[1], KIND_UNIX);
    for (int i = 0; i < 6; i++) {
        int fd = endpoint_dial(&services[i / 3 % 2].at);
        call_echo(fd);
        CHECK_EQ(weft_close(fd), 0);
    }
    CHECK_EQ(load(&most), 1);
    CHECK_EQ(weft_server_stop(&server, WEFT_FOREVER), 0);
    CHECK_EQ(service_join(&services[0]), 0);
    CHECK_EQ(service_join(&services[1]), 0);
}

TEST_PROCS(the_limit_of_goroutines_is_waited_out)
{
    weft_server server = {0};
    struct service service = {.server = &server, .handler = echo};
    service_start(&service, KIND_TCP);
    int before = weft_set_max_goroutines(weft_num_goroutine());
    int fd = endpoint_dial(&service.at);
    CHECK_SOON(queued(service.at.fd) == 0);
    weft_sleep(20 * WEFT_MILLISECOND);
    CHECK_EQ(load(&began), 0);
    weft_set_max_goroutines(before);
    call_echo(fd);
    weft_set_max_goroutines(weft_num_goroutine());
    int second = endpoint_dial(&service.at);
    CHECK_SOON(queued(service.at.fd) == 0);
    stop_and_join(&server, &service); /* nor does it keep stop */
    weft_set_max_goroutines(before);
    expect_end(fd);
    expect_end(second);
    CHECK_EQ(load(&began), 1);
}

/* ---- Entering connections ---- */

struct adding {
    weft_server *server;
    int fd;
    int number;
    int result;
    weft_conn conn;
    weft_waitgroup running;
};

static int order; /* atomic: who came last */

static void add_run(void *arg)
{
    struct adding *adding = arg;
    adding->result = weft_server_add(adding->server, &adding->conn, adding->fd);
    adding->number = __atomic_add_fetch(&order, 1, __ATOMIC_SEQ_CST);
    weft_waitgroup_done(&adding->running);
}

static bool add_done(struct adding *adding)
{
    return weft_waitgroup_wait_until(&adding->running, WEFT_NOWAIT) == 0;
}

/* Time enough for it to queue; if it was not enough, fewer wait at the same time. */
static void add_start(struct adding *adding)
{
    weft_waitgroup_add(&adding->running, 1);
    CHECK_EQ(weft_go(add_run, adding), 0);
    weft_sleep(5 * WEFT_MILLISECOND);
}

TEST_PROCS(add_waits_for_room_in_order)
{
    enum { LIMIT = 2, COUNT = 6 };
    weft_server server = {.limit = LIMIT};
    struct adding adding[COUNT] = {{0}};
    int fds[2];
    pair_unix(fds);
    for (int i = 0; i < COUNT; i++) {
        adding[i] = (struct adding){.server = &server, .fd = fds[0]};
        add_start(&adding[i]);
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK_SOON(add_done(&adding[i]));
        CHECK_EQ(adding[i].result, 0);
        for (int j = i + LIMIT; j < COUNT; j++)
            CHECK(!add_done(&adding[j]));
        weft_server_remove(&adding[i].conn);
    }
    CHECK_EQ(weft_server_stop(&server, WEFT_NOWAIT), 0);
    pair_close(fds);
}

TEST_PROCS(stop_ends_the_wait_for_room)
{
    enum { COUNT = 4 };
    weft_server server = {.limit = 1};
    struct adding adding[COUNT];
    struct service service = {.server = &server, .handler = echo};
    int fds[2];
    pair_unix(fds);
    service_start(&service, KIND_TCP);
    for (int i = 0; i < COUNT; i++) {
        adding[i] = (struct adding){.server = &server, .fd = fds[0]};
        add_start(&adding[i]);
    }
    int client = endpoint_dial(&service.at); /* serve waits for room too */
    CHECK(add_done(&adding[0]));
    struct stopping stopping = {.server = &server, .deadline = WEFT_FOREVER};
    stop_start(&stopping);
    for (int i = 1; i < COUNT; i++) {
        CHECK_SOON(add_done(&adding[i]));
        CHECK_EQ(adding[i].result, -ECANCELED);
    }
    CHECK_EQ(service_join(&service), 0);
    weft_conn late = {0};
    CHECK_EQ(weft_server_add(&server, &late, fds[0]), -ECANCELED);
    CHECK_EQ(weft_conn_idle(&late, 1), -EINVAL);
    CHECK(!stop_done(&stopping));
    weft_server_remove(&adding[0].conn);
    CHECK_EQ(stop_join(&stopping), 0);
    CHECK_EQ(load(&began), 0);
    char byte;
    CHECK_EQ(weft_read(client, &byte, 1), -ECONNRESET); /* it was never accepted */
    CHECK_EQ(weft_close(client), 0);
    pair_close(fds);
}

TEST_PROCS(wrong_connections)
{
    weft_server server = {0};
    weft_conn conn = {0};
    int fds[2], pipes[2];
    pair_unix(fds);
    CHECK_EQ(pipe(pipes), 0);
    CHECK_EQ(weft_server_add(NULL, &conn, fds[0]), -EINVAL);
    CHECK_EQ(weft_server_add(&server, NULL, fds[0]), -EINVAL);
    CHECK_EQ(weft_server_add(&server, &conn, -1), -EBADF);
    CHECK_EQ(weft_server_add(&server, &conn, pipes[0]), -ENOTSOCK);
    struct endpoint at = endpoint_listen(KIND_TCP, 1);
    CHECK_EQ(weft_server_add(&server, &conn, at.fd), -EINVAL);
    endpoint_close(&at);
    CHECK_EQ(weft_conn_idle(NULL, 1), -EINVAL);
    CHECK_EQ(weft_conn_idle(&conn, 1), -EINVAL);
    CHECK_EQ(weft_server_add(&server, &conn, fds[0]), 0);
    CHECK_EQ(weft_server_add(&server, &conn, fds[0]), -EINVAL);
    CHECK_EQ(weft_conn_idle(&conn, 1), 0);
    CHECK_EQ(weft_conn_idle(&conn, 0), 0);
    weft_server_remove(&conn);
    CHECK_EQ(weft_conn_idle(&conn, 0), -EINVAL);
    CHECK_EQ(weft_server_add(&server, &conn, fds[0]), 0);
    weft_server_remove(&conn);
    CHECK_EQ(weft_server_stop(NULL, WEFT_FOREVER), -EINVAL);
    CHECK_EQ(weft_server_stop(&server, WEFT_FOREVER), 0);
    pair_close(fds);
    CHECK_EQ(close(pipes[0]), 0);
    CHECK_EQ(close(pipes[1]), 0);
}

DEATH_TEST(remove_null, 2, "weft_server_remove: the connection is NULL")
{
    weft_server_remove(NULL);
}

DEATH_TEST(remove_twice, 2, " is in no server")
{
    weft_server server = {0};
    weft_conn conn = {0};
    int fds[2];
    pair_unix(fds);
    CHECK_EQ(weft_server_add(&server, &conn, fds[0]), 0);
    weft_server_remove(&conn);
    weft_server_remove(&conn);
}

static void keep(weft_conn *conn, int fd, void *arg)
{
    weft_server_remove(conn);
    *(int *)arg = fd;
    __atomic_add_fetch(&began, 1, __ATOMIC_SEQ_CST);
}

TEST_PROCS(a_handler_can_keep_its_connection)
{
    int kept = -1;
    weft_server server = {.limit = 1};
    struct service service = {.server = &server, .handler = keep, .arg = &kept};
    service_start(&service, KIND_TCP);
    for (int i = 0; i < 3; i++) {
        char byte;
        int fd = endpoint_dial(&service.at);
        CHECK_SOON(load(&began) == i + 1);
        if (i == 2)
            stop_and_join(&server, &service);
        CHECK_EQ(weft_write_all(kept, "k", 1), 1);
        CHECK_EQ(weft_read(fd, &byte, 1), 1);
        CHECK_EQ(weft_close(kept), 0);
        expect_end(fd);
    }
}

/* The record in which a handler's connection lives on. */
static weft_conn moved;

static void move(weft_conn *conn, int fd, void *arg)
{
    CHECK_EQ(weft_conn_idle(conn, 1), 0);
    CHECK_EQ(weft_conn_move(conn, conn), -EINVAL);
    CHECK_EQ(weft_conn_move(conn, &moved), 0);
    CHECK_EQ(weft_conn_move(conn, &moved), -EINVAL);
    CHECK_EQ(weft_conn_idle(conn, 1), -EINVAL);
    *(int *)arg = fd;
    __atomic_add_fetch(&began, 1, __ATOMIC_SEQ_CST);
}

TEST_PROCS(a_handler_can_move_its_connection)
{
    int kept = -1;
    char byte;
    weft_server server = {.limit = 1};
    weft_conn unused = {0};
    struct service service = {.server = &server, .handler = move, .arg = &kept};
    CHECK_EQ(weft_conn_move(NULL, &unused), -EINVAL);
    CHECK_EQ(weft_conn_move(&unused, &moved), -EINVAL);
    service_start(&service, KIND_TCP);
    int fd = endpoint_dial(&service.at), second = endpoint_dial(&service.at);
    CHECK_SOON(load(&began) == 1);
    CHECK_EQ(weft_conn_move(&moved, NULL), -EINVAL);
    weft_sleep(5 * WEFT_MILLISECOND);
    CHECK_EQ(load(&began), 1); /* it has kept its place */
    CHECK_EQ(queued(service.at.fd), 1);
    struct stopping stopping = {.server = &server, .deadline = WEFT_FOREVER};
    stop_start(&stopping);
    CHECK_EQ(weft_read(kept, &byte, 1), 0); /* and is still idle */
    CHECK(!stop_done(&stopping));
    weft_server_remove(&moved);
    CHECK_EQ(stop_join(&stopping), 0);
    CHECK_EQ(service_join(&service), 0);
    CHECK_EQ(weft_close(kept), 0);
    expect_end(fd);
    CHECK_EQ(weft_close(second), 0);
}

/* ---- Stopping ---- */

TEST_PROCS(idle_ones_end)
{
    enum { COUNT = 50 };
    int fds[COUNT], handled[COUNT];
    weft_server server = {0};
    struct service service = {.server = &server, .handler = echo, .arg = handled};
    service_start(&service, KIND_TCP);
    for (int i = 0; i < COUNT; i++) {
        fds[i] = endpoint_dial(&service.at);
        call_echo(fds[i]);
    }
    CHECK_EQ(weft_server_stop(&server, WEFT_FOREVER), 0);
    CHECK_EQ(load(&ended), COUNT);
    CHECK(!is_open(service.at.fd));
    for (int i = 0; i < COUNT; i++)
        CHECK(!is_open(handled[i]));
    CHECK_EQ(service_join(&service), 0);
    check_refused(&service.at);
    for (int i = 0; i < COUNT; i++)
        expect_end(fds[i]);
    CHECK_EQ(net_waiters(), 0);
}

TEST_PROCS(busy_ones_come_to_an_end)
{
    weft_server server = {0};
    weft_chan *go_on = weft_chan_new(0, 0);
    struct service service = {.server = &server, .handler = work, .arg = go_on};
    service_start(&service, KIND_TCP);
    int fd = endpoint_dial(&service.at);
    CHECK_EQ(weft_write_all(fd, "y", 1), 1);
    CHECK_SOON(load(&began) == 1);
    struct stopping stopping = {.server = &server, .deadline = WEFT_FOREVER};
    stop_start(&stopping);
    CHECK_EQ(service_join(&service), 0); /* it accepts no more while it lasts */
    CHECK(!is_open(service.at.fd));
    check_refused(&service.at);
    weft_sleep(5 * WEFT_MILLISECOND);
    CHECK(!stop_done(&stopping));
    CHECK_EQ(weft_chan_close(go_on), 0);
    CHECK_EQ(stop_join(&stopping), 0);
    CHECK_EQ(load(&ended), 1);
    char byte;
    CHECK_EQ(weft_read(fd, &byte, 1), 1);
    CHECK_EQ(byte, 'y');
    expect_end(fd);
    weft_chan_unref(go_on);
}

TEST_PROCS(stuck_ones_are_cut)
{
    weft_server server = {0};
    struct service reading = {.server = &server, .handler = stubborn};
    struct service writing = {.server = &server, .handler = flood};
    struct service idle = {.server = &server, .handler = echo};
    service_start(&reading, KIND_TCP);
    service_start(&writing, KIND_UNIX);
    service_start(&idle, KIND_TCP);
    int fds[] = {endpoint_dial(&reading.at), endpoint_dial(&reading.at), endpoint_dial(&writing.at),
                 endpoint_dial(&idle.at)};
    call_echo(fds[0]);
    call_echo(fds[1]);
    call_echo(fds[3]);
    CHECK_SOON(load(&began) == 4);
    int64_t start = weft_now(), deadline = weft_after(50 * WEFT_MILLISECOND);
    int cut = weft_server_stop(&server, deadline);
    CHECK(cut == 3 || (cut == 4 && start + 20 * WEFT_MILLISECOND < weft_now()));
    CHECK_GE(weft_now(), deadline);
    CHECK_EQ(load(&ended), 4);
    CHECK_EQ(service_join(&reading), 0);
    CHECK_EQ(service_join(&writing), 0);
    CHECK_EQ(service_join(&idle), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQ(weft_close(fds[i]), 0);
}

/* Is slow to leave when it was cut. */
static void slow(weft_conn *conn, int fd, void *arg)
{
    stubborn(conn, fd, arg);
    CHECK_EQ(weft_chan_recv(arg, NULL), -EPIPE);
    __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
}

TEST_PROCS(those_that_were_cut_are_waited_for)
{
    weft_server server = {0};
    weft_chan *go_on = weft_chan_new(0, 0);
    struct service service = {.server = &server, .handler = slow, .arg = go_on};
    service_start(&service, KIND_TCP);
    int fd = endpoint_dial(&service.at);
    call_echo(fd);
    struct stopping stopping = {.server = &server, .deadline = WEFT_NOWAIT};
    stop_start(&stopping);
    CHECK_SOON(load(&ended) == 1); /* it was cut */
    CHECK_EQ(service_join(&service), 0);
    weft_sleep(5 * WEFT_MILLISECOND);
    CHECK(!stop_done(&stopping));
    CHECK_EQ(weft_chan_close(go_on), 0);
    CHECK_EQ(stop_join(&stopping), 1);
    CHECK_EQ(load(&ended), 2);
    expect_end(fd);
    weft_chan_unref(go_on);
}

/* Entered connections are ended as those of weft_serve are, whoever waits for them. */
TEST_PROCS(entered_ones_end)
{
    weft_server server = {0};
    weft_conn idle = {0}, busy = {0};
    int first[2], second[2];
    pair_tcp(first);
    pair_unix(second);
    CHECK_EQ(weft_server_add(&server, &idle, first[0]), 0);
    CHECK_EQ(weft_server_add(&server, &busy, second[0]), 0);
    CHECK_EQ(weft_conn_idle(&idle, 1), 0);
    struct call read_idle = {.fd = first[0], .fn = call_read};
    struct call read_busy = {.fd = second[0], .fn = call_read};
    call_start(&read_idle, 1);
    call_start(&read_busy, 2);
    struct stopping stopping = {.server = &server, .deadline = weft_after(WEFT_SECOND / 10)};
    stop_start(&stopping);
    CHECK_EQ(call_join(&read_idle), 0);
    CHECK_EQ(weft_write_all(first[0], "x", 1), 1); /* only reading has ended */
    weft_server_remove(&idle);
    CHECK_EQ(call_join(&read_busy), 0);
    CHECK_EQ(weft_write_all(second[0], "x", 1), -EPIPE);
    CHECK(!stop_done(&stopping));
    weft_server_remove(&busy);
    CHECK_EQ(stop_join(&stopping), 1);
    pair_close(first);
    pair_close(second);
}

/* One that becomes idle while the server is stopping. */
TEST_PROCS(idle_after_the_stop_began)
{
    weft_server server = {0};
    weft_conn conn = {0};
    int fds[2];
    char byte;
    pair_tcp(fds);
    CHECK_EQ(weft_server_add(&server, &conn, fds[0]), 0);
    CHECK_EQ(weft_conn_idle(&conn, 0), 0);
    struct stopping stopping = {.server = &server, .deadline = WEFT_FOREVER};
    stop_start(&stopping);
    CHECK_SOON(weft_conn_idle(&conn, 0) == -ECANCELED);
    CHECK_EQ(weft_set_deadline(fds[0], weft_after(WEFT_MILLISECOND), WEFT_FOREVER), 0);
    CHECK_EQ(weft_read(fds[0], &byte, 1), -ETIMEDOUT); /* busy ones may read */
    CHECK_EQ(weft_conn_idle(&conn, 1), -ECANCELED);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_FOREVER, WEFT_FOREVER), 0);
    CHECK_EQ(weft_read(fds[0], &byte, 1), 0);
    CHECK(!stop_done(&stopping));
    weft_server_remove(&conn);
    CHECK_EQ(stop_join(&stopping), 0);
    pair_close(fds);
}

TEST_PROCS(a_second_stop)
{
    weft_server server = {0};
    weft_conn conn = {0};
    int fds[2];
    pair_unix(fds);
    CHECK_EQ(weft_server_add(&server, &conn, fds[0]), 0);
    struct stopping stopping = {.server = &server, .deadline = WEFT_FOREVER};
    stop_start(&stopping);
    CHECK_SOON(weft_conn_idle(&conn, 0) == -ECANCELED);
    CHECK_EQ(weft_server_stop(&server, WEFT_FOREVER), -ECANCELED);
    CHECK_EQ(weft_server_stop(&server, WEFT_NOWAIT), -ECANCELED);
    CHECK_EQ(weft_write_all(fds[0], "x", 1), 1); /* that did not cut it */
    weft_server_remove(&conn);
    CHECK_EQ(stop_join(&stopping), 0);
    CHECK_EQ(weft_server_stop(&server, WEFT_FOREVER), 0);
    pair_close(fds);
}

TEST_PROCS(used_anew)
{
    enum { LIVES = 5 };
    weft_server server = {.limit = 2};
    CHECK_EQ(weft_server_stop(&server, WEFT_FOREVER), 0); /* nobody was there: no trace */
    for (int i = 0; i < LIVES; i++) {
        struct service service = {.server = &server, .handler = i % 2 ? echo : stubborn};
        service_start(&service, KIND_TCP);
        int fd = endpoint_dial(&service.at);
        call_echo(fd);
        CHECK_EQ(weft_server_stop(&server, i % 2 ? WEFT_FOREVER : WEFT_NOWAIT), i % 2 ? 0 : 1);
        CHECK_EQ(service_join(&service), 0);
        expect_end(fd);
    }
    CHECK_EQ(load(&began), LIVES);
}

TEST_PROCS(serve_while_it_is_stopping)
{
    for (int limit = 0; limit < 2; limit++) {
        weft_server server = {.limit = limit};
        weft_conn conn = {0};
        int fds[2];
        pair_unix(fds);
        CHECK_EQ(weft_server_add(&server, &conn, fds[0]), 0);
        struct stopping stopping = {.server = &server, .deadline = WEFT_FOREVER};
        stop_start(&stopping);
        CHECK_SOON(weft_conn_idle(&conn, 0) == -ECANCELED);
        struct endpoint at = endpoint_listen(KIND_TCP, 4);
        CHECK_EQ(weft_serve(&server, at.fd, echo, NULL), 0);
        CHECK(!is_open(at.fd));
        weft_server_remove(&conn);
        CHECK_EQ(stop_join(&stopping), 0);
        pair_close(fds);
    }
}

TEST_PROCS(two_servers_and_several_listeners)
{
    weft_server servers[2] = {{0}};
    struct service services[4];
    int fds[4];
    for (int i = 0; i < 4; i++) {
        services[i] = (struct service){.server = &servers[i / 3], .handler = echo};
        service_start(&services[i], i % 2 ? KIND_UNIX : KIND_TCP);
    }
    for (int i = 0; i < 4; i++) {
        fds[i] = endpoint_dial(&services[i].at);
        call_echo(fds[i]);
    }
    CHECK_EQ(weft_server_stop(&servers[0], WEFT_FOREVER), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(service_join(&services[i]), 0);
        CHECK(!is_open(services[i].at.fd));
        expect_end(fds[i]);
    }
    call_echo(fds[3]);
    CHECK_EQ(weft_server_stop(&servers[1], WEFT_FOREVER), 0);
    CHECK_EQ(service_join(&services[3]), 0);
    expect_end(fds[3]);
}

static void *stop_in_thread(void *arg)
{
    stop_run(arg);
    return NULL;
}

TEST_PROCS(stopped_by_a_thread)
{
    weft_server server = {0};
    struct service service = {.server = &server, .handler = echo};
    service_start(&service, KIND_TCP);
    int fd = endpoint_dial(&service.at);
    call_echo(fd);
    struct stopping stopping = {.server = &server, .deadline = WEFT_FOREVER};
    weft_waitgroup_add(&stopping.running, 1);
    pthread_t thread;
    CHECK_EQ(pthread_create(&thread, NULL, stop_in_thread, &stopping), 0);
    CHECK_EQ(stop_join(&stopping), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(service_join(&service), 0);
    expect_end(fd);
}
