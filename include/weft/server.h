/* SPDX-License-Identifier: MIT
 *
 * Connections of a server that can be told to stop: it accepts no more, lets those that are busy
 * come to an end, and cuts what is left at a deadline.
 *
 * Two ways. weft_serve accepts and runs a handler in a goroutine of its own for each connection.
 * Whoever accepts by other means, or lets idle connections wait without a goroutine (weft_go_when),
 * enters its connections with weft_server_add. Both may be used on one server. Every function: any
 * thread. NULL is -EINVAL, or a panic where there is no status.
 */
#ifndef WEFT_SERVER_H
#define WEFT_SERVER_H

#include <stdint.h>

#include <weft/export.h>
#include <weft/sync.h>

WEFT_BEGIN_DECLS

/* A connection that a server knows: part of the caller's own structure, or on its stack. Zero
 * before it is entered, and where it is until it is taken out. Fields are private to weft. */
typedef struct weft_conn {
    struct weft_server *server;
    struct weft_conn *next;
    struct weft_conn *prev;
    int32_t fd;
    uint32_t idle;
} weft_conn;

/* Zero is a server without limit and without connections. Fields are private to weft, but for
 * limit: how many connections may be open at once, 0: any number; it is set before use. */
typedef struct weft_server {
    int32_t limit;
    uint32_t stopping;
    weft_mutex mutex;
    weft_cond room;
    weft_cond left;
    weft_conn *first;
    void *serving;
    uint32_t count;
    uint32_t waiting;
} weft_server;

/* Accepts from the listener until weft_server_stop, and calls handler(conn, fd, arg) for each
 * connection in a goroutine of its own; serve closes it when that has returned or ended by
 * weft_exit. At the limit none is accepted; over weft_set_max_goroutines serve waits; a connection
 * for which there is no memory is closed. Several listeners may be served at once, each from a
 * goroutine of its own; nobody else may close one meanwhile. 0: stopped, and the listener is closed
 * (connections may still be open). Otherwise it is still open: -EINVAL (does not listen), -EBADF,
 * -ENOTSOCK, -EBUSY (served already), -EPERM (no runtime runs), or why weft_accept failed. May
 * park. */
WEFT_API int weft_serve(weft_server *server, int listener,
                        void (*handler)(weft_conn *conn, int fd, void *arg), void *arg);

/* Enters a connected socket, waiting while there are limit of them (first come, first entered), and
 * takes it out, before it is closed. add: 0, or an error, and it is not entered: -ECANCELED (the
 * server is stopping), -EINVAL (entered already, or a listener), -EBADF, -ENOTSOCK. remove: a panic
 * if it is not entered. May park. */
WEFT_API int weft_server_add(weft_server *server, weft_conn *conn, int fd);
WEFT_API void weft_server_remove(weft_conn *conn);

/* Puts another record in the place of one that is entered, which can then end. A handler of
 * weft_serve that has moved its connection, or removed it, keeps it: it is not closed when the
 * handler ends. 0; -EINVAL: conn is not entered, or to is. May park. */
WEFT_API int weft_conn_move(weft_conn *conn, weft_conn *to);

/* Says that the connection is between requests, or no longer: an idle one can be ended at any time
 * without loss. At first it is not idle. 0; -ECANCELED: the server is stopping, and the handler
 * should finish what it has begun and leave (reading has ended if the connection is idle); -EINVAL:
 * not entered. Takes no lock. */
WEFT_API int weft_conn_idle(weft_conn *conn, int idle);

/* Closes the listeners, ends reading on idle connections (their reads give end of file), waits
 * until all have left or the deadline has passed, then cuts those that are left in both directions,
 * and waits until these too have left. The number that was cut, so that 0 is a clean end;
 * -ECANCELED: somebody else is stopping it. Not from a handler, for which it would wait. The server
 * may be used anew afterwards, or its memory reused; a serve or add that comes later knows nothing
 * of the stop. May park. */
WEFT_API int weft_server_stop(weft_server *server, int64_t deadline);

WEFT_END_DECLS

#endif
