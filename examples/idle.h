/* SPDX-License-Identifier: MIT
 *
 * An echo server for connections that are idle nearly all of the time, in two styles. In the one,
 * a goroutine waits in weft_read for each connection: the code says what happens, one thing after
 * the other. In the other, an idle connection is a record of 40 bytes, and a goroutine begins when
 * there is something to read: less memory, but what was a loop is now cut into pieces. What
 * idle_server and idle_styles share; it is no part of weft.
 */
#ifndef IDLE_H
#define IDLE_H

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include <weft.h>

static weft_server server;
static int64_t idle_timeout; /* nanoseconds, after which an idle connection is closed; 0: never */

static atomic_long connections, connections_most, connections_ever, timed_out;

static void connection_opened(void)
{
    long now = atomic_fetch_add(&connections, 1) + 1, most = atomic_load(&connections_most);
    while (most < now && !atomic_compare_exchange_weak(&connections_most, &most, now)) {
    }
    atomic_fetch_add(&connections_ever, 1);
}

static void connection_closed(ssize_t why)
{
    atomic_fetch_sub(&connections, 1);
    atomic_fetch_add(&timed_out, why == -ETIMEDOUT);
}

static int64_t idle_deadline(void)
{
    return idle_timeout > 0 ? weft_after(idle_timeout) : WEFT_FOREVER;
}

/* Sends back what there is to read, or what comes next. The size, or 0 or an error at the end. */
static ssize_t echo_once(int fd)
{
    char buffer[512];
    ssize_t size = weft_read(fd, buffer, sizeof buffer);
    return size > 0 ? weft_write_all(fd, buffer, (size_t)size) : size;
}

/* ---- Style "goroutine" ---- */

static void echo_in_goroutine(weft_conn *conn, int fd, void *arg)
{
    (void)arg;
    ssize_t size;
    connection_opened();
    do {
        if (idle_timeout > 0)
            weft_set_deadline(fd, idle_deadline(), WEFT_FOREVER);
        size = weft_conn_idle(conn, 1);
        if (size == 0)
            size = echo_once(fd);
        weft_conn_idle(conn, 0);
    } while (size > 0);
    connection_closed(size);
}

/* ---- Style "record" ---- */

struct record {
    weft_conn conn;
    int fd;
};

static weft_waitgroup records; /* when the server has stopped, the last may be about to be freed */

static void end_record(struct record *record, int why)
{
    connection_closed(why);
    weft_server_remove(&record->conn);
    weft_close(record->fd);
    free(record);
    weft_waitgroup_done(&records);
}

static void on_readable(void *arg);

static void wait_without_goroutine(struct record *record)
{
    int error = weft_conn_idle(&record->conn, 1);
    if (error == 0)
        error = weft_go_when(record->fd, POLLIN, idle_deadline(), on_readable, record);
    if (error < 0)
        end_record(record, error);
}

/* In a goroutine of its own, which ends when the connection is idle again. */
static void on_readable(void *arg)
{
    struct record *record = arg;
    weft_conn_idle(&record->conn, 0);
    ssize_t size = weft_when_result();
    if (size == 0)
        size = echo_once(record->fd);
    if (size > 0)
        wait_without_goroutine(record);
    else
        end_record(record, (int)size);
}

/* The handler's goroutine ends at once; its connection lives on in the record. */
static void echo_from_record(weft_conn *conn, int fd, void *arg)
{
    (void)arg;
    struct record *record = calloc(1, sizeof *record);
    if (record == NULL)
        return;
    record->fd = fd;
    weft_waitgroup_add(&records, 1);
    weft_conn_move(conn, &record->conn);
    connection_opened();
    wait_without_goroutine(record);
}

/* ---- Both ---- */

static const struct style {
    const char *name;
    void (*handler)(weft_conn *conn, int fd, void *arg);
    int aim; /* bytes for a connection */
} styles[] = {{"goroutine", echo_in_goroutine, 5 * 1024}, {"record", echo_from_record, 512}};

enum { STYLES = sizeof styles / sizeof styles[0] };

#endif
