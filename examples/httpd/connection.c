/* SPDX-License-Identifier: MIT
 *
 * While requests come a connection has a goroutine, which does one thing after the other: it waits
 * for bytes, takes a workspace, answers what has come, and gives the workspace back. When nothing
 * has come for a moment the goroutine ends; what is left is a record, and a new goroutine begins
 * once there is something to read (weft_go_when). Requests that have come together are answered by
 * one write.
 */
#include "connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>

#include "httpd.h"
#include "routes.h"
#include "workspace.h"
#include "../service.h"

/* How long a goroutine waits for the next request. */
#define MOMENT (WEFT_SECOND / 5)

/* What a client may still send, and how long, after it was told that the connection ends. */
#define LINGER_TIME (2 * WEFT_SECOND)
enum { LINGER_SIZE = 8 * 1024 * 1024 };

/* What is read at once while there is no workspace: the first bytes of a request. */
enum { FIRST_SIZE = 2 * 1024 };

enum outcome {
    ENDED, /* by the client, or there is nothing more to tell it */
    LAST,  /* by a response, which the client may not have read yet, while it still sends */
    IDLE,  /* no request has begun */
};

struct connection {
    weft_conn *conn;
    int fd;
    int64_t due; /* when the head or body must have come that has begun, the first head with the
                  * connection; 0: none has */
    struct workspace *work;
};

/* ---- Answering ---- */

static bool answer_bad(struct connection *connection, int status)
{
    struct exchange exchange = {&connection->work->request, &connection->work->output,
                                connection->conn, true};
    response_status(&exchange, status);
    return false;
}

/* A head has come, and a body follows. A client that waits for leave to send it gets that, or the
 * answer; whether it then sends the body is not known, so that is the last. */
static bool answer_head(struct connection *connection)
{
    struct exchange exchange = {&connection->work->request, &connection->work->output,
                                connection->conn, true};
    connection->due = weft_after(settings.body_time);
    if (!exchange.request->expects_continue)
        return true;
    if (routes_refuse(&exchange))
        return false;
    response_continue(exchange.output);
    return true;
}

static bool answer(struct connection *connection)
{
    struct request *request = &connection->work->request;
    struct exchange exchange = {request, &connection->work->output, connection->conn,
                                !request->keep_alive};
    connection->due = 0;
    atomic_fetch_add_explicit(&counts.requests, 1, memory_order_relaxed);
    routes_answer(&exchange);
    return !exchange.close && exchange.output->error == 0;
}

/* Answers what has come. False: the connection's last response was among the answers. */
static bool answer_all(struct connection *connection)
{
    struct request *request = &connection->work->request;
    bool more = true;
    while (more) {
        switch (request_next(request)) {
        case REQUEST_MORE:
            return true;
        case REQUEST_HEAD:
            more = answer_head(connection);
            break;
        case REQUEST_DONE:
            more = answer(connection);
            break;
        case REQUEST_BAD:
            more = answer_bad(connection, request->status);
            break;
        }
    }
    return false;
}

/* ---- Reading ---- */

/* Reads the rest of what has begun. */
static ssize_t read_rest(struct connection *connection)
{
    size_t room;
    char *to = request_room(&connection->work->request, &room);
    if (connection->due == 0)
        connection->due = weft_after(settings.head_time);
    weft_set_read_deadline(connection->fd, connection->due);
    ssize_t size = weft_read(connection->fd, to, room);
    if (size > 0)
        request_filled(&connection->work->request, (size_t)size);
    return size;
}

/* Answers until nothing that has begun is left. */
static enum outcome work(struct connection *connection)
{
    struct output *output = &connection->work->output;
    for (;;) {
        bool more = answer_all(connection);
        output_flush(output);
        if (output->error < 0)
            return ENDED;
        if (!more)
            return LAST;
        if (!request_begun(&connection->work->request))
            return IDLE;
        ssize_t size = read_rest(connection);
        if (size == -ETIMEDOUT) {
            answer_bad(connection, 408);
            output_flush(output);
            return LAST;
        }
        if (size <= 0)
            return ENDED;
    }
}

/* Between requests, when the server may end the connection. The first head is due even if empty
 * lines come in its place. */
static ssize_t read_first(const struct connection *connection, char to[FIRST_SIZE])
{
    bool late = connection->due != 0 && connection->due < weft_now();
    weft_set_read_deadline(connection->fd, weft_after(MOMENT));
    if (weft_conn_idle(connection->conn, 1) < 0 || late)
        return 0;
    ssize_t size = weft_read(connection->fd, to, FIRST_SIZE);
    weft_conn_idle(connection->conn, 0);
    return size;
}

/* Until the connection has ended, or is idle for a moment. */
static enum outcome converse(struct connection *connection)
{
    enum outcome outcome;
    do {
        char first[FIRST_SIZE];
        ssize_t size = read_first(connection, first);
        if (size <= 0)
            return size == -ETIMEDOUT ? IDLE : ENDED;
        connection->work = workspace_get(connection->fd, first, (size_t)size);
        if (connection->work == NULL)
            return ENDED;
        outcome = work(connection);
        workspace_put(connection->work); /* who is slow to go should cost little */
        if (outcome == LAST) {
            weft_conn_idle(connection->conn, 1); /* a stop need not wait */
            service_linger(connection->fd, LINGER_TIME, LINGER_SIZE);
        }
    } while (outcome == IDLE);
    return outcome;
}

/* ---- Idle connections ---- */

struct record {
    weft_conn conn;
    int fd;
    int64_t due; /* of a connection from which nothing has come yet: when a head must have */
};

static weft_waitgroup records; /* when the server has stopped, the last may be about to be freed */

static void end_record(struct record *record)
{
    weft_server_remove(&record->conn);
    weft_close(record->fd);
    free(record);
    atomic_fetch_sub(&counts.open, 1);
    weft_waitgroup_done(&records);
}

static void on_readable(void *arg);

static void wait_without_goroutine(struct record *record)
{
    int64_t deadline = record->due != 0 ? record->due : weft_after(settings.idle_time);
    if (weft_conn_idle(&record->conn, 1) < 0 ||
        weft_go_when(record->fd, POLLIN, deadline, on_readable, record) < 0)
        end_record(record);
}

static void on_readable(void *arg)
{
    struct record *record = arg;
    struct connection connection = {&record->conn, record->fd, record->due, NULL};
    if (weft_when_result() == 0 && converse(&connection) == IDLE) {
        record->due = connection.due;
        wait_without_goroutine(record);
    } else {
        end_record(record);
    }
}

void connection_handle(weft_conn *conn, int fd, void *arg)
{
    struct connection connection = {conn, fd, weft_after(settings.head_time), NULL};
    (void)arg;
    atomic_fetch_add(&counts.connections, 1);
    atomic_fetch_add(&counts.open, 1);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    struct record *record = NULL;
    if (converse(&connection) == IDLE)
        record = calloc(1, sizeof *record);
    if (record != NULL) {
        *record = (struct record){.fd = fd, .due = connection.due};
        weft_waitgroup_add(&records, 1);
        weft_conn_move(conn, &record->conn);
        wait_without_goroutine(record);
    } else {
        atomic_fetch_sub(&counts.open, 1);
    }
}

void connection_wait_for_last(void)
{
    weft_waitgroup_wait(&records);
}
