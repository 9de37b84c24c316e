/* SPDX-License-Identifier: MIT
 *
 * Connections that are entered in a server by others, or taken from it by their handlers.
 */
#include "api/server_test.h"

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
