/* SPDX-License-Identifier: MIT
 *
 * A chat: what one client says, a line at a time, everybody gets. The first line that a client
 * sends is its name. Talk to it with nc.
 *
 *     make examples && build/default/examples/chat [clients [lines]]     checks itself
 *     build/default/examples/chat host:port [connections]
 *
 * A connection has two goroutines. One reads its lines and puts each into the queue, a channel, of
 * every client; the other takes lines from its client's queue and writes them. A line is stored
 * once, however many queues it is in, and counts its references. All queues are filled under one
 * mutex, so everybody sees the lines in the same order.
 *
 * Nobody waits for a slow reader. Once its queue is full it misses lines, until it has read those
 * in the queue; in the place of what it missed it gets a notice of how many lines that were. One
 * that takes some seconds over the lines of one write is dropped. On SIGINT or SIGTERM no more is
 * accepted, what is queued is still delivered, and all connections end.
 *
 * So memory is bounded: of a connection by its two stacks, LINE_SIZE octets of input, what its
 * socket may buffer (SO_SNDBUF), and a queue of QUEUE pointers; of all lines by QUEUE for each
 * reader that lags, and else by QUEUE. Longer lines are refused, not cut.
 */
#include <signal.h>
#include <stdatomic.h>

#include <weft.h>

#include "tour.h"

enum {
    LINE_SIZE = 512, /* with its end */
    NAME_SIZE = 17,
    CLIENTS = 10000, /* at most */
    QUEUE = 64,
    BATCH = 32,              /* lines that go out in one write */
    SEND_BUFFER = 32 * 1024, /* the kernel's, for each connection */
};

static const char name_characters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";
static const int64_t introduction_time = 10 * WEFT_SECOND, drain_time = 5 * WEFT_SECOND;

/* ---- Lines in ---- */

struct input {
    int fd;
    size_t first, end; /* octets of the buffer that are not yet given out */
    bool skipping;     /* in a line that is too long */
    char buffer[LINE_SIZE];
};

/* The next line, without its end; it lasts until the next call. 1; 0 at the end of file; -EMSGSIZE
 * for a line that is too long; or why nothing can be read. */
static int next_line(struct input *in, char **line)
{
    for (;;) {
        char *start = in->buffer + in->first, *end = memchr(start, '\n', in->end - in->first);
        if (end != NULL) {
            in->first = (size_t)(end + 1 - in->buffer);
            *end = '\0';
            *line = start;
            start[strcspn(start, "\r")] = '\0';
            bool skipped = in->skipping;
            in->skipping = false;
            return skipped ? -EMSGSIZE : 1;
        }
        in->end -= in->first;
        memmove(in->buffer, start, in->end);
        in->first = 0;
        if (in->end == sizeof in->buffer) {
            in->skipping = true;
            in->end = 0;
        }
        ssize_t size = weft_read(in->fd, in->buffer + in->end, sizeof in->buffer - in->end);
        if (size <= 0)
            return (int)size;
        in->end += (size_t)size;
    }
}

/* ---- Lines out ---- */

struct line {
    atomic_int references;
    int size;
    char text[];
};

static void drop(struct line *line)
{
    if (line != NULL && atomic_fetch_sub(&line->references, 1) == 1)
        free(line);
}

struct client {
    int fd, place; /* in room.clients */
    char name[NAME_SIZE];
    weft_chan *queue; /* of struct line *; NULL stands in the place of lines that were missed */
    long missed;      /* since that NULL was queued */
};

static struct {
    weft_mutex mutex; /* of the clients, and to fill their queues */
    struct client *clients[CLIENTS];
    int count;
    int quiet; /* with so many clients nobody is told any more who comes and goes */
    int64_t stall_time;
    weft_server server;
    atomic_long said, delivered, missed, refused, stalled;
} room = {.quiet = 200, .stall_time = 5 * WEFT_SECOND};

/* With the mutex. The queue has room for one more than QUEUE. */
static void queue_line(struct client *client, struct line *line)
{
    if (client->missed > 0 || weft_chan_len(client->queue) >= QUEUE) {
        if (client->missed++ == 0)
            weft_chan_send_until(client->queue, &(struct line *){NULL}, WEFT_NOWAIT);
        return;
    }
    atomic_fetch_add(&line->references, 1);
    weft_chan_send_until(client->queue, &line, WEFT_NOWAIT);
}

/* The line that the three make together. */
static struct line *new_line(const char *a, const char *b, const char *c)
{
    size_t size = strlen(a) + strlen(b) + strlen(c) + 1;
    struct line *line = malloc(sizeof *line + size + 1);
    if (line != NULL) {
        atomic_init(&line->references, 1);
        line->size = (int)size;
        snprintf(line->text, size + 1, "%s%s%s\n", a, b, c);
    }
    return line;
}

/* To everybody, or to one. */
static void say(struct client *only, const char *a, const char *b, const char *c)
{
    struct line *line = new_line(a, b, c);
    if (line == NULL)
        return; /* out of memory: the line is lost, the chat goes on */
    weft_mutex_lock(&room.mutex);
    if (only != NULL)
        queue_line(only, line);
    for (int i = 0; only == NULL && i < room.count; i++)
        queue_line(room.clients[i], line);
    weft_mutex_unlock(&room.mutex);
    drop(line);
}

/* What the line that was taken from the queue says. */
static struct iovec text_of(struct client *client, struct line *line, char notice[64])
{
    if (line != NULL)
        return (struct iovec){line->text, (size_t)line->size};
    weft_mutex_lock(&room.mutex);
    long missed = client->missed;
    client->missed = 0; /* from here on lines are queued again */
    weft_mutex_unlock(&room.mutex);
    atomic_fetch_add(&room.missed, missed);
    return (struct iovec){notice, (size_t)snprintf(notice, 64, "* you missed %ld lines\n", missed)};
}

/* Takes what is queued, and waits if that is nothing. 0 once the queue is closed and empty. */
static int take(struct client *client, struct line *lines[BATCH])
{
    int count = 0;
    int64_t deadline = WEFT_FOREVER;
    while (count < BATCH && weft_chan_recv_until(client->queue, &lines[count], deadline) == 0) {
        deadline = WEFT_NOWAIT;
        count++;
    }
    return count;
}

/* The goroutine that writes. After an error it only empties the queue. */
static int write_lines(void *arg)
{
    struct client *client = arg;
    struct line *lines[BATCH];
    struct iovec parts[BATCH];
    char notice[64]; /* after a NULL nothing is queued, so a batch has one at most, at its end */
    ssize_t result = 0;
    for (int count; (count = take(client, lines)) > 0;) {
        for (int i = 0; i < count; i++)
            parts[i] = text_of(client, lines[i], notice);
        if (result >= 0) {
            weft_set_deadline(client->fd, WEFT_FOREVER, weft_after(room.stall_time));
            result = weft_writev_all(client->fd, parts, count);
            if (result < 0)
                weft_shutdown(client->fd, SHUT_RDWR); /* the reader sees it, and leaves */
            else
                atomic_fetch_add(&room.delivered, count);
            atomic_fetch_add(&room.stalled, result == -ETIMEDOUT);
        }
        for (int i = 0; i < count; i++)
            drop(lines[i]);
    }
    return 0;
}

/* ---- Clients come and go ---- */

/* Under that name. The number of others, or -1: it is no name, or somebody else's. */
static int enter(struct client *client, const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length >= NAME_SIZE || strspn(name, name_characters) != length)
        return -1;
    memcpy(client->name, name, length + 1);
    weft_mutex_lock(&room.mutex);
    int others = room.count;
    for (int i = 0; i < room.count && others >= 0; i++)
        others = strcmp(room.clients[i]->name, name) == 0 ? -1 : others;
    if (others >= 0) {
        client->place = room.count++;
        room.clients[client->place] = client;
    }
    weft_mutex_unlock(&room.mutex);
    return others;
}

/* The number of those who are left. */
static int leave(const struct client *client)
{
    weft_mutex_lock(&room.mutex);
    int others = --room.count;
    struct client *last = room.clients[others];
    last->place = client->place;
    room.clients[last->place] = last;
    weft_mutex_unlock(&room.mutex);
    return others;
}

/* Asks for a name until it gets one that is free. As enter. */
static int introduce(struct client *client, struct input *in)
{
    static const char question[] = "* your name?\n";
    int64_t deadline = weft_after(introduction_time);
    int result = -EMSGSIZE, others = -1;
    weft_set_deadline(client->fd, deadline, deadline);
    while (others < 0 && (result > 0 || result == -EMSGSIZE)) {
        char *name;
        weft_write_all(client->fd, question, strlen(question));
        result = next_line(in, &name);
        others = result > 0 ? enter(client, name) : -1;
    }
    weft_set_deadline(client->fd, WEFT_FOREVER, WEFT_FOREVER);
    return others;
}

/* Hands on what the client says until it says no more. */
static void listen_to(struct client *client, struct input *in)
{
    char *line;
    for (int result; (result = next_line(in, &line)) > 0 || result == -EMSGSIZE;) {
        if (result < 0) {
            atomic_fetch_add(&room.refused, 1);
            say(client, "* ", "that line is too long", "");
            continue;
        }
        for (char *at = line; *at != '\0'; at++)
            *at = (unsigned char)*at < ' ' ? ' ' : *at; /* no escape sequences for others */
        say(NULL, client->name, ": ", line);
        atomic_fetch_add(&room.said, 1);
    }
}

/* A connection's goroutine. When it returns the connection is closed. */
static void handle(weft_conn *conn, int fd, void *arg)
{
    (void)arg;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){SEND_BUFFER}, sizeof(int));
    struct input in = {.fd = fd};
    struct client client = {.fd = fd, .queue = weft_chan_new(sizeof(struct line *), QUEUE + 1)};
    weft_group writer = {0};
    weft_conn_idle(conn, 1); /* a stop may end its input at any time */
    int others = client.queue != NULL ? introduce(&client, &in) : -1;
    if (others >= 0) {
        int result = weft_group_go(&writer, write_lines, &client);
        if (result == 0) {
            say(&client, "* welcome, ", client.name, "");
            if (others < room.quiet)
                say(NULL, "* ", client.name, " is here");
            listen_to(&client, &in);
        }
        others = leave(&client);
        weft_chan_close(client.queue);
        if (result < 0)
            write_lines(&client);
        weft_group_wait(&writer); /* what is queued is still delivered */
        if (others < room.quiet && weft_conn_idle(conn, 1) == 0)
            say(NULL, "* ", client.name, " has left");
    }
    weft_chan_unref(client.queue);
}

static void serve(void *arg)
{
    expect(weft_serve(&room.server, *(int *)arg, handle, NULL), "weft_serve");
}

/* Runs it until a signal comes, and prints what it has done. The number of connections cut. */
static int serve_until(weft_chan *signals)
{
    weft_chan_recv(signals, NULL);
    weft_signal_stop(signals); /* the next one ends the program at once */
    int cut = weft_server_stop(&room.server, weft_after(drain_time));
    printf(
        "%s lines said, %s written; %s missed by slow readers, %ld of which were dropped; %ld too "
        "long; %d connections cut at the end\n",
        grouped((double)room.said), grouped((double)room.delivered), grouped((double)room.missed),
        room.stalled, room.refused, cut);
    return cut;
}

/* ---- It checks itself: clients in the same process ---- */

enum {
    SPEAKERS = 10,
    SLOW = SPEAKERS,
    DEAF,
    MANY_LINES = 500, /* more than a queue and the buffers of a connection hold */
};

static char address[32];
static long members, rounds, total; /* in each round every speaker says a line; lines in all */
static weft_waitgroup joined, deaf_may_leave;
static atomic_ulong common; /* a hash of what a client heard who missed nothing */

static struct input dial(void)
{
    return (struct input){
        .fd = expect(weft_dial("tcp", address, weft_after(60 * WEFT_SECOND)), "weft_dial")};
}

static void tell(struct input *in, const char *text)
{
    weft_write_all(in->fd, text, strlen(text));
}

/* Reads until that line has come. */
static void hear(struct input *in, const char *text)
{
    char *line;
    int result;
    weft_set_deadline(in->fd, weft_after(30 * WEFT_SECOND), WEFT_FOREVER);
    while ((result = next_line(in, &line)) > 0 && strcmp(line, text) != 0)
        ;
    check(result > 0, "'%s' is heard", text);
}

static void check_manners(void)
{
    static char long_line[2 * LINE_SIZE];
    memset(long_line, 'x', sizeof long_line - 2);
    struct input ada = dial(), bob = dial();
    tell(&ada, "ada\n");
    hear(&ada, "* welcome, ada");
    tell(&bob, "ada\nbob\nhello\n"); /* the first is taken */
    hear(&bob, "* welcome, bob");
    hear(&ada, "* bob is here");
    hear(&ada, "bob: hello");
    tell(&ada, long_line);
    tell(&ada, "\nhello,\033 bob\r\n");
    hear(&ada, "* that line is too long");
    hear(&bob, "ada: hello,  bob");
    weft_close(bob.fd);
    hear(&ada, "* bob has left");
    weft_close(ada.fd);
}

static void say_next(struct input *in, long i)
{
    char line[400];
    memset(line, '.', sizeof line);
    line[snprintf(line, sizeof line, "%ld", i)] = ' ';
    line[sizeof line - 1] = '\n';
    weft_write_all(in->fd, line, sizeof line);
}

/* Hears what is said until the end. A speaker waits for its line before it says the next. */
static void converse(struct input *in, const char *name, long number)
{
    long lines = 0, missed = 0, said = 0, gap;
    unsigned long hash = 0, other = 0;
    char *line;
    if (number < SPEAKERS)
        say_next(in, said++);
    while (next_line(in, &line) > 0) {
        bool gone = sscanf(line, "* you missed %ld lines", &gap) == 1; /* its line too, maybe */
        missed += gone ? gap : 0;
        lines += line[0] != '*';
        for (int i = 0; i < 12 && line[0] != '*'; i++)
            hash = (hash ^ (unsigned char)line[i]) * 16777619;
        if (number < SPEAKERS && said < rounds && (gone || strncmp(line, name, strlen(name)) == 0))
            say_next(in, said++);
        /* The slow one hears a line while four are said. */
        while (number == SLOW && room.said < 4 * lines && room.said < total)
            weft_sleep(WEFT_MILLISECOND);
    }
    check(lines + missed == SPEAKERS * rounds, "%s heard %ld and missed %ld", name, lines, missed);
    check(number != SLOW || missed > 0 || total < MANY_LINES, "the slow one misses lines");
    if (missed == 0 && !atomic_compare_exchange_strong(&common, &other, hash))
        check(hash == other, "all hear the lines in the same order");
}

static int member(void *arg)
{
    long number = (long)(intptr_t)arg;
    char name[NAME_SIZE], text[64];
    struct input in = dial();
    if (number == SLOW || number == DEAF)
        setsockopt(in.fd, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
    snprintf(text, sizeof text, "m%ld\n", number);
    tell(&in, text);
    snprintf(text, sizeof text, "* welcome, m%ld", number);
    hear(&in, text);
    weft_set_deadline(in.fd, WEFT_FOREVER, WEFT_FOREVER);
    weft_waitgroup_done(&joined);
    weft_waitgroup_wait(&joined);
    snprintf(name, sizeof name, "m%ld: ", number);
    if (number == DEAF)
        weft_waitgroup_wait(&deaf_may_leave);
    else
        converse(&in, name, number);
    weft_close(in.fd);
    return 0;
}

/* A crowd of which one reads slowly, and one not at all. */
static void check_crowd(weft_chan *signals)
{
    total = 2 + SPEAKERS * rounds; /* Ada and Bob have said a line each */
    WEFT_GROUP_SCOPE(group, NULL);
    weft_waitgroup_add(&joined, (int)members);
    weft_waitgroup_add(&deaf_may_leave, 1);
    int64_t begin = weft_now();
    for (long i = 0; i < members; i++)
        expect(weft_group_go(&group, member, (void *)(intptr_t)i), "weft_group_go");
    weft_waitgroup_wait(&joined);
    int64_t start = weft_now(), patience = weft_after(300 * WEFT_SECOND);
    while (room.said < total && weft_now() < patience)
        weft_sleep(WEFT_MILLISECOND);
    int64_t end = weft_now();
    printf("%s clients joined in %.2f s; %s lines said in %.2f s\n", grouped((double)members),
           (double)(start - begin) / 1e9, grouped((double)room.said), (double)(end - start) / 1e9);
    while (room.stalled == 0 && total >= MANY_LINES && weft_now() < patience)
        weft_sleep(WEFT_MILLISECOND);
    kill(getpid(), SIGTERM);
    check(serve_until(signals) == 0, "nobody was cut");
    weft_waitgroup_done(&deaf_may_leave);
    weft_group_wait(&group);
    check(room.stalled == 1 || total < MANY_LINES, "who does not read is dropped (%ld)",
          room.stalled);
}

static int main_goroutine(int argc, char **argv)
{
    long files = raise_file_limit();
    weft_chan *signals = weft_signal_chan(SIGINT, SIGTERM);
    expect(signals == NULL ? -ENOMEM : 0, "weft_signal_chan");
    if (argc > 1 && strchr(argv[1], ':') != NULL) {
        int listener = expect(weft_listen("tcp", argv[1], 0), argv[1]);
        long connections = argument(argc, argv, 2, 5000);
        room.server.limit = connections < CLIENTS ? (int)connections : CLIENTS;
        expect(weft_go(serve, &listener), "weft_go");
        serve_until(signals);
        return 0;
    }
    members = argument(argc, argv, 1, 200);
    rounds = argument(argc, argv, 2, 60);
    long possible = (files - 64) / 2; /* both ends are here */
    possible = possible < CLIENTS ? possible : CLIENTS;
    if (members <= DEAF || members > possible) {
        fprintf(stderr, "%s: %ld clients: from %d to %ld are possible\n", argv[0], members,
                DEAF + 1, possible);
        return 2;
    }
    room.quiet = 2;
    room.stall_time = 3 * WEFT_SECOND;
    int listener = listen_on("127.0.0.1", 0, address);
    expect(weft_go(serve, &listener), "weft_go");
    check_manners();
    check_crowd(signals);
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
