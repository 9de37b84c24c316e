/* SPDX-License-Identifier: MIT
 *
 * A key-value server in memory that speaks the protocol of Redis: strings, lists, keys that expire.
 * redis-cli and redis-benchmark talk to it.
 *
 *     make examples && build/default/examples/kvd [--option value ...] [host:port]
 *
 * A connection has a goroutine, which runs the commands that have come, some dozens at a time, and
 * sends their replies in one write. There is one database and one mutex, held while commands run,
 * so that each is atomic whatever the number of processors. A client that has been silent for a while is only a record: no
 * goroutine waits for it, and it has no buffers (examples/idle.h shows that alone).
 *
 * Deadlines cost a request nothing: reading is bounded by a tick, and when one has come, what has
 * happened since the last one decides. A time so takes up to two ticks more than was asked for.
 * Writing is bounded once the socket's buffer is full.
 *
 * Files: resp.h (the protocol), store.h and list.h (what is stored), commands.h (what clients can
 * do), and here the options and the life of a connection.
 */
#include <inttypes.h>
#include <poll.h>
#include <sys/random.h>

#include "commands.h"
#include "../service.h"

enum {
    OUTPUT = 64 * 1024, /* bytes of replies, or */
    BATCH = 64,         /* commands, after which replies are sent and others may run theirs */
    LINGER_SIZE = 1024 * 1024,
    SWEEPS = 64, /* until all keys were looked at for whether they are over, */
    SWEEP_LEAST = 1024,
    SWEEP = 4096, /* so many buckets at once at most */
};

static int64_t max_connections = 10 * 1000, max_request = 1024 * 1024 + 64 * 1024;
static int64_t max_reply = 64 * 1024 * 1024, max_memory = 256 * 1024 * 1024;
static int64_t idle_time = 300 * WEFT_SECOND, request_time = 30 * WEFT_SECOND;
static int64_t write_time = 30 * WEFT_SECOND, grace = 10 * WEFT_SECOND;
static const int64_t linger_time = WEFT_SECOND, sweep_time = WEFT_SECOND / 10;
static int64_t tick; /* a quarter of the shortest time at most */

static weft_server server;
static weft_waitgroup connections; /* the server may have stopped before the last is freed */
static weft_mutex mutex;           /* of the database */
static struct database database;

struct connection {
    weft_conn conn;
    int fd;
    struct client client;
    struct input in;
    struct output out;
    uint64_t commands, ticked; /* run so far, and by the last tick */
    int64_t overdue;           /* when the command that is coming must be complete; 0: not set */
};

/* ---- Answering ---- */

/* Sends the replies. Nobody waits longer than write_time for a client to take something. The bound
 * is lifted again, or it would pass later and end a connection that has long taken all. */
static int send_replies(struct connection *connection)
{
    struct output *out = &connection->out;
    if (out->failed)
        return -ENOBUFS;
    for (size_t sent = 0; sent < out->size;) {
        const char *rest = out->data + sent;
        ssize_t size = weft_sendto(connection->fd, rest, out->size - sent, MSG_DONTWAIT, NULL, 0);
        if (size == -EAGAIN) {
            weft_set_write_deadline(connection->fd, weft_after(write_time));
            size = weft_write(connection->fd, rest, out->size - sent);
            weft_set_write_deadline(connection->fd, WEFT_FOREVER);
        }
        if (size < 0)
            return (int)size;
        sent += (size_t)size;
    }
    out->size = 0;
    if (out->capacity > 2 * OUTPUT)
        output_free(out);
    return 0;
}

/* Runs the commands that are complete, up to a batch of them. As input_next. */
static int run_commands(struct connection *connection)
{
    struct input *in = &connection->in;
    struct output *out = &connection->out;
    int count = 1;
    weft_mutex_lock(&mutex);
    for (int left = BATCH; left > 0 && out->size < OUTPUT && !connection->client.quit; left--) {
        count = input_next(in);
        if (count <= 0)
            break;
        command_run(&database, &connection->client, in->args, count, out);
        connection->commands++;
    }
    weft_mutex_unlock(&mutex);
    return count;
}

/* Answers what has been received. 0, or an error, and the connection ends. */
static int answer(struct connection *connection)
{
    int count, error;
    do {
        count = run_commands(connection);
        if (count < 0)
            reply_error(&connection->out, "ERR %s", connection->in.error);
        error = send_replies(connection);
    } while (error == 0 && count > 0 && !connection->client.quit);
    if (error == 0 && (count < 0 || connection->client.quit)) {
        service_linger(connection->fd, linger_time, LINGER_SIZE);
        error = -EPROTO;
    }
    return error;
}

/* ---- The life of a connection ---- */

static void end_connection(struct connection *connection)
{
    weft_mutex_lock(&mutex);
    database.clients--;
    weft_mutex_unlock(&mutex);
    weft_server_remove(&connection->conn);
    weft_close(connection->fd);
    input_free(&connection->in);
    output_free(&connection->out);
    free(connection->client.name);
    free(connection);
    weft_waitgroup_done(&connections);
}

/* A tick has come while it waited. 0: it waits on; -ETIMEDOUT: for longer than it may; -EAGAIN: it
 * is idle. */
static int on_tick(struct connection *connection)
{
    bool silent = connection->commands == connection->ticked;
    connection->ticked = connection->commands;
    weft_set_read_deadline(connection->fd, weft_after(tick));
    if (!input_pending(&connection->in)) {
        connection->overdue = 0;
        return silent ? -EAGAIN : 0;
    }
    if (!silent || connection->overdue == 0)
        connection->overdue = weft_after(request_time);
    return weft_now() < connection->overdue ? 0 : -ETIMEDOUT;
}

/* Waits for bytes: 0, or why the connection ends, or -EAGAIN if it is idle. */
static int receive(struct connection *connection)
{
    struct input *in = &connection->in;
    for (;;) {
        size_t room;
        char *place = input_room(in, &room);
        if (place == NULL)
            return -ENOMEM;
        bool pending = input_pending(in);
        if (!pending && weft_conn_idle(&connection->conn, 1) < 0)
            return -ECANCELED;
        ssize_t size = weft_read(connection->fd, place, room);
        if (!pending)
            weft_conn_idle(&connection->conn, 0);
        if (size > 0)
            input_add(in, (size_t)size);
        if (size != -ETIMEDOUT)
            return size > 0 ? 0 : size < 0 ? (int)size : -EPIPE;
        int error = on_tick(connection);
        if (error < 0)
            return error;
    }
}

static void on_readable(void *arg);

/* The goroutine ends, another one begins when something has come. */
static void wait_without_goroutine(struct connection *connection)
{
    input_free(&connection->in);
    output_free(&connection->out);
    int error = weft_conn_idle(&connection->conn, 1);
    if (error == 0)
        error =
            weft_go_when(connection->fd, POLLIN, weft_after(idle_time), on_readable, connection);
    if (error < 0)
        end_connection(connection);
}

static void converse(struct connection *connection)
{
    weft_set_read_deadline(connection->fd, weft_after(tick));
    int error;
    do {
        error = receive(connection);
        if (error == 0)
            error = answer(connection);
    } while (error == 0);
    if (error == -EAGAIN)
        wait_without_goroutine(connection);
    else
        end_connection(connection);
}

static void on_readable(void *arg)
{
    struct connection *connection = arg;
    weft_conn_idle(&connection->conn, 0);
    if (weft_when_result() == 0)
        converse(connection);
    else
        end_connection(connection);
}

/* The connection outlives the handler: its record takes the place of the handler's. */
static void begin_connection(weft_conn *conn, int fd, void *arg)
{
    (void)arg;
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return;
    connection->fd = fd;
    connection->in.limit = (size_t)max_request;
    connection->out.limit = (size_t)max_reply;
    weft_waitgroup_add(&connections, 1);
    weft_conn_move(conn, &connection->conn);
    weft_mutex_lock(&mutex);
    connection->client.id = (int64_t)++database.accepted;
    database.clients++;
    weft_mutex_unlock(&mutex);
    converse(connection);
}

/* ---- The server ---- */

static int64_t milliseconds(void)
{
    return weft_now() / WEFT_MILLISECOND;
}

/* A step of a sweep, in which so many buckets are left; 0: of a new one. How many are left then. */
static size_t sweep_step(size_t left)
{
    weft_mutex_lock(&mutex);
    left = left > 0 ? left : database.store.table.mask / SWEEPS + SWEEP_LEAST;
    size_t step = left < SWEEP ? left : SWEEP;
    store_sweep(&database.store, step);
    weft_mutex_unlock(&mutex);
    return left - step;
}

/* Removes keys whose time is over and that nobody looks for. All are seen within some seconds, and
 * nobody waits for long meanwhile. */
static void sweep(void *arg)
{
    (void)arg;
    for (;;) {
        weft_sleep(sweep_time);
        for (size_t left = sweep_step(0); left > 0; left = sweep_step(left))
            weft_yield();
    }
}

static void open_database(void)
{
    uint64_t secret[2];
    if (getrandom(secret, sizeof secret, 0) != sizeof secret ||
        !store_init(&database.store, milliseconds, secret))
        expect(-ENOMEM, "database");
    database.max_memory = (size_t)max_memory;
    database.started = milliseconds();
    expect(weft_go(sweep, NULL), "weft_go");
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static const struct service_option options[] = {
    {"max-connections", "clients at once; more wait", &max_connections, 1, 1, 1000 * 1000, NULL},
    {"max-request", "bytes of one command", &max_request, 1, 1024, 1 << 30, NULL},
    {"max-reply", "bytes of replies that a client has not taken", &max_reply, 1, 1024, INT32_MAX,
     NULL},
    {"max-memory", "bytes of keys and values", &max_memory, 1, 0, INT64_C(1) << 40, NULL},
    {"idle", "seconds without a command", &idle_time, WEFT_SECOND, 0, 1000 * 1000, NULL},
    {"request-time", "seconds for a command to come", &request_time, WEFT_SECOND, 0, 1000 * 1000,
     NULL},
    {"write-time", "seconds without anything taken", &write_time, WEFT_SECOND, 0, 1000 * 1000,
     NULL},
    {"grace", "seconds to end in after a signal", &grace, WEFT_SECOND, 0, 1000 * 1000, NULL},
};

static int main_goroutine(int argc, char **argv)
{
    const char *address = service_arguments(argc, argv, options, sizeof options / sizeof options[0],
                                            "127.0.0.1:6379");
    tick = least(least(idle_time, request_time) / 4, WEFT_SECOND / 2) + WEFT_MILLISECOND;
    raise_file_limit();
    server.limit = (int32_t)max_connections;
    open_database();
    int cut = service_run(&server, address, begin_connection, NULL, grace);
    weft_waitgroup_wait(&connections);
    printf("stopped: %" PRIu64 " connections, %" PRIu64 " commands, %d cut\n", database.accepted,
           database.commands, cut);
    return 0;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
