/* SPDX-License-Identifier: MIT
 *
 * Servers; see weft/server.h.
 *
 * One mutex guards all that a server knows, connections' places in its list included:
 *   count    connections: those in the list, those that are about to enter it, and those that have
 *            left it and are being closed. Never above the limit, unless the server is stopping.
 *   waiting  those who wait for room; if there are any, count is the limit.
 *   serving  the calls of weft_serve, with their listeners.
 * Two flags are read without it: server->stopping and conn->idle.
 *
 * Protocol.
 *   serve:
 *     1. Lists the call.
 *     2. With a limit: waits until there is somebody to accept.
 *     3. reserve: waits for room, counts the connection. Stopping: goes to 8.
 *     4. Accepts. An error: counts out what 3 has counted, and goes to 8.
 *     5. Starts a goroutine, which enters the connection in the list unless the server is stopping;
 *     6. calls the handler; takes the connection out of the list;
 *     7. closes it, and only then counts it out.
 *     8. Stopping: closes the listener. Then the call leaves the list: 0, or the error of 4.
 *   weft_server_add is 3 and the entering of 5, weft_server_remove the taking out of 6, and counts.
 *   stop:
 *     9. Sets stopping. Ends the waits of 2 and 4, by a deadline for the listener that has passed,
 *        and those of 3. Ends reading on the connections that are idle.
 *    10. Waits until there are no calls and no connections, or until the deadline.
 *    11. Cuts the connections in the list.
 *    12. Waits as 10, without a deadline; takes stopping back.
 *
 * Nothing is touched after it was closed, when its number may be another's. Stop shuts connections
 * down under the mutex and while they are in the list, and they are closed after they have left it.
 * A listener is not closed by stop, which could not know that its serve is between two calls of
 * accept and about to use the number again. Its serve closes it, once it has seen stopping under
 * the mutex; by then 9, which is one critical section, is over, and stop touches it no more.
 *
 * No connection is missed. It is counted before it is accepted and until it is closed, so that 10
 * and 12 wait for it. One that is being accepted or started at the time of 9 finds stopping in 5,
 * as both hold the mutex, and is closed like those in the listener's queue: nothing was read of it.
 *
 * An idle connection's reading is ended by 9 or by weft_conn_idle: this sets idle and then looks
 * for stopping, 9 sets stopping and then looks for idle, all sequentially consistent, so that at
 * least one sees what the other has set; if both do it is done twice. A connection that is no
 * longer idle just then may lose its reading: its request came at the time of the stop.
 *
 * Room. Who is counted out gives the place to the one that has waited longest, who has it from then
 * on, before it runs; so nobody is overtaken. Step 9 gives all that wait a place, which they give
 * back. Step 2 keeps room for those who have a use for it: of two listeners with room for one
 * connection, the one where nobody comes might hold it for ever. (It does so if another process
 * takes the connection between 2 and 4.)
 *
 * Starting may fail. For lack of memory: the connection is closed, which its client understands,
 * and the server goes on; the next may fit. Over the limit of goroutines: it is tried again after
 * pauses, with the connection in hand, since nobody tells when any goroutine of the program ends.
 *
 * Lifetime. A connection's record is on its handler's stack, or is the caller's, and leaves the
 * list before either ends. Whoever is inside is counted or in a list, so that the server's memory
 * is free when stop returns: what they touch last is the mutex, in the unlock after they have left,
 * and stop has locked it since.
 *
 * Two servers share nothing. A stop that finds nobody returns at once and leaves no trace. A second
 * stop finds stopping set and returns. A serve that begins in the middle of a stop comes to 8.
 *
 * Rejected: a count without a lock (a lock is little beside accept and close); a stop that lasts,
 * so that a serve which comes too late returns (something would then have to begin the next life).
 */
#include <weft/server.h>

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#include <weft/go.h>
#include <weft/net.h>
#include <weft/panic.h>
#include <weft/time.h>

#include "api/backoff.h"
#include "base/atomic.h"
#include "core/g.h"
#include "core/sched.h"
#include "core/self.h"
#include "core/unwind.h"
#include "os/socket.h"

_Static_assert(sizeof(weft_server) == 104, "part of the ABI");
_Static_assert(sizeof(weft_conn) == 32, "part of the ABI");

/* Between attempts to start a goroutine. */
#define PAUSE_MIN WEFT_MILLISECOND
#define PAUSE_MAX (32 * WEFT_MILLISECOND)

typedef void handler_fn(weft_conn *conn, int fd, void *arg);

/* A call of weft_serve, on its stack; in the list of its server, under the mutex. */
struct serving {
    struct serving *next;
    int listener; /* -1: it is being closed */
};

/* What a connection's goroutine begins with. */
struct job {
    weft_server *server;
    handler_fn *handler;
    void *arg;
    int fd;
};

_Static_assert(sizeof(struct job) <= WI_COPY_INLINE, "nothing is allocated for a connection");

/* ---- Counting; the mutex is held ---- */

static bool is_full(const weft_server *server)
{
    return server->limit > 0 && server->count >= (uint32_t)server->limit;
}

static bool is_stopping(weft_server *server)
{
    return wi_load_relaxed(&server->stopping) != 0;
}

static bool is_used(const weft_server *server)
{
    return server->count != 0 || server->serving != NULL;
}

static void tell_stop(weft_server *server)
{
    if (is_stopping(server) && !is_used(server))
        weft_cond_signal(&server->left);
}

static void count_out(weft_server *server)
{
    if (server->waiting > 0) {
        server->waiting--;
        weft_cond_signal(&server->room);
        return;
    }
    server->count--;
    tell_stop(server);
}

/* Step 3. False: the server is stopping. */
static bool reserve(weft_server *server)
{
    if (is_stopping(server))
        return false;
    if (!is_full(server)) {
        server->count++;
        return true;
    }
    server->waiting++;
    weft_cond_wait(&server->room, &server->mutex);
    if (!is_stopping(server))
        return true;
    count_out(server);
    return false;
}

/* ---- The list; the mutex is held ---- */

static void enter(weft_server *server, weft_conn *conn, int fd)
{
    *conn = (weft_conn){.server = server, .fd = fd, .next = server->first};
    if (server->first)
        server->first->prev = conn;
    server->first = conn;
}

static void take_out(weft_conn *conn)
{
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        conn->server->first = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    conn->server = NULL;
}

/* ---- A connection of weft_serve ---- */

/* Step 7. */
static void close_counted(weft_server *server, int fd)
{
    weft_close(fd);
    weft_mutex_lock(&server->mutex);
    count_out(server);
    weft_mutex_unlock(&server->mutex);
}

/* Steps 6, when the handler has ended, and 7; unless it keeps the connection. */
static void leave(void *arg)
{
    weft_conn *conn = arg;
    weft_server *server = conn->server;
    if (!server)
        return;
    weft_mutex_lock(&server->mutex);
    take_out(conn);
    weft_mutex_unlock(&server->mutex);
    close_counted(server, conn->fd);
}

static void run(void *arg)
{
    const struct job *job = arg;
    weft_server *server = job->server;
    weft_conn conn;
    weft_mutex_lock(&server->mutex);
    bool wanted = !is_stopping(server);
    if (wanted)
        enter(server, &conn, job->fd);
    weft_mutex_unlock(&server->mutex);
    if (!wanted) {
        close_counted(server, job->fd);
        return;
    }
    struct wi_unwind record = {.run = leave, .arg = &conn};
    struct wi_g *gp = wi_getg();
    wi_unwind_push(gp, &record);
    job->handler(&conn, job->fd, job->arg);
    wi_unwind_pop(gp, &record);
    leave(&conn);
}

/* Step 5. An error that ends the server. */
static int start(const struct job *job)
{
    int error;
    struct wi_backoff backoff = {PAUSE_MIN, PAUSE_MAX};
    while ((error = weft_go_copy(run, job, sizeof *job)) == -EAGAIN &&
           !wi_load_relaxed(&job->server->stopping))
        wi_back_off(&backoff, WEFT_FOREVER);
    if (error)
        close_counted(job->server, job->fd);
    return error == -EPERM ? error : 0;
}

/* ---- Serve ---- */

static int begin_serving(weft_server *server, struct serving *serving)
{
    int result = 0;
    weft_mutex_lock(&server->mutex);
    for (const struct serving *other = server->serving; other; other = other->next)
        if (other->listener == serving->listener)
            result = -EBUSY;
    if (result == 0) {
        serving->next = server->serving;
        server->serving = serving;
    }
    weft_mutex_unlock(&server->mutex);
    return result;
}

/* The mutex is held. */
static void unlist(weft_server *server, struct serving *serving)
{
    if (server->serving == serving) {
        server->serving = serving->next;
        return;
    }
    struct serving *before = server->serving;
    while (before->next != serving)
        before = before->next;
    before->next = serving->next;
}

/* Step 8. */
static int end_serving(weft_server *server, struct serving *serving, int error)
{
    weft_mutex_lock(&server->mutex);
    if (is_stopping(server)) {
        int listener = serving->listener;
        serving->listener = -1;
        weft_mutex_unlock(&server->mutex);
        weft_close(listener);
        error = 0;
        weft_mutex_lock(&server->mutex);
    }
    unlist(server, serving);
    tell_stop(server);
    weft_mutex_unlock(&server->mutex);
    return error;
}

/* Step 2. A stop that began before the call was listed, and knows nothing of its listener, is seen
 * here: both held the mutex. */
static int await_guest(weft_server *server, int listener)
{
    if (server->limit <= 0 || wi_load_relaxed(&server->stopping))
        return 0;
    return weft_wait(listener, POLLIN, WEFT_FOREVER);
}

/* Steps 2 to 5. What goes wrong in 2 goes wrong in 4 too, but for the end of a run, which sends a
 * foreign thread away. */
static int serve_next(int listener, struct job *job)
{
    weft_server *server = job->server;
    if (await_guest(server, listener) == -ECANCELED)
        return -ECANCELED;
    weft_mutex_lock(&server->mutex);
    bool wanted = reserve(server);
    weft_mutex_unlock(&server->mutex);
    if (!wanted)
        return -ECANCELED;
    job->fd = weft_accept(listener, NULL, NULL);
    if (job->fd >= 0)
        return start(job);
    weft_mutex_lock(&server->mutex);
    count_out(server);
    weft_mutex_unlock(&server->mutex);
    return job->fd;
}

int weft_serve(weft_server *server, int listener, handler_fn *handler, void *arg)
{
    if (!server || !handler)
        return -EINVAL;
    int listens = wi_os_listens(listener);
    if (listens <= 0)
        return listens == 0 ? -EINVAL : listens;
    if (!wi_load_acquire(&wi_sched.running))
        return -EPERM;
    struct serving serving = {.listener = listener};
    struct job job = {.server = server, .handler = handler, .arg = arg};
    int result = begin_serving(server, &serving);
    if (result)
        return result;
    do
        result = serve_next(listener, &job);
    while (result == 0);
    return end_serving(server, &serving, result);
}

/* ---- Connections of others ---- */

int weft_server_add(weft_server *server, weft_conn *conn, int fd)
{
    if (!server || !conn || conn->server)
        return -EINVAL;
    int listens = wi_os_listens(fd);
    if (listens != 0)
        return listens > 0 ? -EINVAL : listens;
    weft_mutex_lock(&server->mutex);
    bool wanted = reserve(server);
    if (wanted)
        enter(server, conn, fd);
    weft_mutex_unlock(&server->mutex);
    return wanted ? 0 : -ECANCELED;
}

void weft_server_remove(weft_conn *conn)
{
    if (!conn)
        weft_panic("weft_server_remove: the connection is NULL");
    weft_server *server = conn->server;
    if (!server)
        weft_panic("weft_server_remove: connection %p is in no server", (void *)conn);
    weft_mutex_lock(&server->mutex);
    take_out(conn);
    count_out(server);
    weft_mutex_unlock(&server->mutex);
}

int weft_conn_move(weft_conn *conn, weft_conn *to)
{
    if (!conn || !conn->server || !to || to->server)
        return -EINVAL;
    weft_server *server = conn->server;
    weft_mutex_lock(&server->mutex);
    take_out(conn);
    enter(server, to, conn->fd);
    wi_store_relaxed(&to->idle, conn->idle);
    weft_mutex_unlock(&server->mutex);
    return 0;
}

int weft_conn_idle(weft_conn *conn, int idle)
{
    weft_server *server = conn ? conn->server : NULL;
    if (!server)
        return -EINVAL;
    wi_store_seq_cst(&conn->idle, idle != 0);
    if (!wi_load_seq_cst(&server->stopping))
        return 0;
    if (idle)
        weft_shutdown(conn->fd, SHUT_RD);
    return -ECANCELED;
}

/* ---- Stop; the mutex is held ---- */

/* Step 9. */
static void begin_stop(weft_server *server)
{
    wi_store_seq_cst(&server->stopping, 1);
    for (const struct serving *serving = server->serving; serving; serving = serving->next)
        weft_set_deadline(serving->listener, weft_now(), WEFT_FOREVER);
    server->count += server->waiting;
    server->waiting = 0;
    weft_cond_broadcast(&server->room);
    for (weft_conn *conn = server->first; conn; conn = conn->next)
        if (wi_load_seq_cst(&conn->idle))
            weft_shutdown(conn->fd, SHUT_RD);
}

static void await_all(weft_server *server, int64_t deadline)
{
    while (is_used(server) && weft_cond_wait_until(&server->left, &server->mutex, deadline) == 0) {
    }
}

static int cut_all(weft_server *server)
{
    int cut = 0;
    for (weft_conn *conn = server->first; conn; conn = conn->next, cut++)
        weft_shutdown(conn->fd, SHUT_RDWR);
    return cut;
}

int weft_server_stop(weft_server *server, int64_t deadline)
{
    if (!server)
        return -EINVAL;
    weft_mutex_lock(&server->mutex);
    int cut = -ECANCELED;
    if (!is_stopping(server)) {
        begin_stop(server);
        await_all(server, deadline);
        cut = cut_all(server);
        await_all(server, WEFT_FOREVER);
        wi_store_relaxed(&server->stopping, 0);
    }
    weft_mutex_unlock(&server->mutex);
    return cut;
}
