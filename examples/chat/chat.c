/* SPDX-License-Identifier: MIT
 *
 * A chat: what one client says, a line at a time, everybody gets. The first line that a client
 * sends is its name. Talk to it with nc.
 *
 *     make examples && build/default/examples/chat [--option value ...] [host:port]
 *
 * A connection has two goroutines. One reads its lines (lines.h) and puts each into the queue of
 * every client (room.h); the other takes lines from its client's queue and writes them. A client
 * that reads too slowly misses lines, and is told; one that takes none is dropped, and so is one
 * that says nothing for too long, or not its name. On SIGINT or SIGTERM no more is accepted, what
 * is queued is still delivered, and all connections end.
 *
 * So memory is bounded: of a connection by its two stacks, a line of input, what its socket may
 * buffer (SO_SNDBUF), and a queue of pointers; of all lines by a queue's number for each reader
 * that lags, and else by one queue. Longer lines are refused, not cut.
 */
#include "../service.h"
#include "lines.h"
#include "room.h"

enum {
    QUIET = 200,             /* with so many clients nobody is told any more who comes and goes */
    SEND_BUFFER = 32 * 1024, /* the kernel's, for each connection */
};

static struct room room = {.limit = 5000, .queue = 64, .write_time = 5 * WEFT_SECOND};
static weft_server server;
static int64_t max_line = 512, name_time = 10 * WEFT_SECOND, idle_time = 3600 * WEFT_SECOND,
               grace = 10 * WEFT_SECOND;
static atomic_long said, refused, idle, nameless;

static const struct service_option options[] = {
    {"max-connections", "at once; more wait", &room.limit, 1, 1, 100 * 1000, NULL},
    {"max-line", "octets of a line, with its end", &max_line, 1, 32, 1 << 20, NULL},
    {"queue", "lines that a reader may lag behind", &room.queue, 1, 1, 100 * 1000, NULL},
    {"name-time", "seconds to say one's name", &name_time, WEFT_SECOND, 0, 3600, NULL},
    {"idle", "seconds without a line", &idle_time, WEFT_SECOND, 0, 7 * 86400, NULL},
    {"write-time", "seconds to take what is written", &room.write_time, WEFT_SECOND, 0, 3600, NULL},
    {"grace", "seconds to end after a signal", &grace, WEFT_SECOND, 0, 3600, NULL},
};
enum { OPTIONS = sizeof options / sizeof options[0] };

/* Asks for a name until it gets one that is free, or the time is over. As room_enter. */
static int introduce(struct client *client, struct lines *in)
{
    static const char question[] = "* your name?\n";
    int64_t deadline = weft_after(name_time);
    int result = -EMSGSIZE, others = -1;
    weft_set_deadline(client->fd, deadline, deadline);
    while (others < 0 && (result > 0 || result == -EMSGSIZE)) {
        char *name;
        if (weft_write_all(client->fd, question, strlen(question)) < 0)
            break;
        result = lines_next(in, &name);
        others = result > 0 ? room_enter(&room, client, name) : -1;
    }
    atomic_fetch_add(&nameless, others < 0);
    return others;
}

/* Hands on what the client says until it says no more. */
static void listen_to(struct client *client, struct lines *in)
{
    for (;;) {
        char *line;
        weft_set_read_deadline(client->fd, weft_after(idle_time));
        int result = lines_next(in, &line);
        if (result > 0) {
            room_say(&room, NULL, client->name, ": ", line);
            atomic_fetch_add(&said, 1);
        } else if (result == -EMSGSIZE) {
            room_say(&room, client, "* ", "that line is too long", "");
            atomic_fetch_add(&refused, 1);
        } else {
            if (result == -ETIMEDOUT)
                room_say(&room, client, "* ", "you have said nothing for too long", "");
            atomic_fetch_add(&idle, result == -ETIMEDOUT);
            return;
        }
    }
}

static int write_lines(void *client)
{
    room_write(&room, client);
    return 0;
}

/* From when the client has entered the room until it leaves. */
static void take_part(weft_conn *conn, struct client *client, struct lines *in, int others)
{
    weft_group writer = {0};
    int result = weft_group_go(&writer, write_lines, client);
    if (result == 0) {
        room_say(&room, client, "* welcome, ", client->name, "");
        if (others < QUIET)
            room_say(&room, NULL, "* ", client->name, " is here");
        listen_to(client, in);
    }
    others = room_leave(&room, client);
    weft_chan_close(client->queue);
    if (result < 0)
        room_write(&room, client); /* out of memory: what came meanwhile, and no more */
    weft_group_wait(&writer);      /* what is queued is still delivered */
    if (others < QUIET && weft_conn_idle(conn, 1) == 0)
        room_say(&room, NULL, "* ", client->name, " has left");
}

/* A connection's goroutine. When it returns the connection is closed. */
static void handle(weft_conn *conn, int fd, void *arg)
{
    (void)arg;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){SEND_BUFFER}, sizeof(int));
    struct lines in = {.fd = fd, .capacity = (size_t)max_line, .buffer = malloc((size_t)max_line)};
    struct client client = {.fd = fd, .queue = room_queue(&room)};
    weft_conn_idle(conn, 1); /* a stop may end its input at any time */
    int others = in.buffer != NULL && client.queue != NULL ? introduce(&client, &in) : -1;
    if (others >= 0)
        take_part(conn, &client, &in, others);
    weft_chan_unref(client.queue);
    free(in.buffer);
}

static int main_goroutine(int argc, char **argv)
{
    const char *address = service_arguments(argc, argv, options, OPTIONS, "127.0.0.1:7000");
    room.limit = server.limit = service_connections(room.limit, 1);
    room.clients = calloc((size_t)room.limit, sizeof(struct client *));
    expect(room.clients == NULL ? -ENOMEM : 0, "calloc");
    int cut = service_run(&server, address, handle, NULL, grace);
    printf("stopped: %ld lines said, %ld written; %ld missed by slow readers, %ld of which were "
           "dropped; %ld too long; %ld idle, %ld without a name, %d cut at the end\n",
           said, room.delivered, room.missed, room.stalled, refused, idle, nameless, cut);
    free(room.clients);
    return 0;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
