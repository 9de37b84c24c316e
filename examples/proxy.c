/* SPDX-License-Identifier: MIT
 *
 * A TCP proxy. For every connection it dials the target, and two goroutines copy, one each way. An
 * end of file is passed on, so a client that has said all it wants still gets its answer; whatever
 * else ends one side is passed on as a reset, so nobody takes a part for the whole.
 *
 *     make examples && build/default/examples/proxy --target 127.0.0.1:8080 127.0.0.1:8000
 *
 * Over the limit on connections, clients wait in the listener's backlog. A dial is bounded in time,
 * and so is a connection on which nothing moves either way. On SIGINT or SIGTERM no more is
 * accepted, what is open has --grace seconds to end, and the rest is cut; a dial that is under way
 * then may hold up the end for its --dial-time.
 *
 * Memory: a connection has two goroutines, each with 16 KiB to copy through, and two descriptors;
 * the limit bounds both.
 */
#include <stdatomic.h>

#include "service.h"

enum { BUFFER = 16 * 1024 };
#define LINGER_TIME WEFT_SECOND

static const char *target = "127.0.0.1:8080";
static int64_t max_connections = 1000, dial_time = 5 * WEFT_SECOND, idle_time = 60 * WEFT_SECOND,
               grace = 10 * WEFT_SECOND;

static const struct service_option options[] = {
    {"target", "host:port, where connections go", .text = &target},
    {"max-connections", "at once; more wait", &max_connections, 1, 1, 1000 * 1000, NULL},
    {"dial-time", "seconds for the target to answer", &dial_time, WEFT_SECOND, 0, 3600, NULL},
    {"idle", "seconds without a byte either way", &idle_time, WEFT_SECOND, 0, 86400, NULL},
    {"grace", "seconds to end after a signal", &grace, WEFT_SECOND, 0, 3600, NULL},
};
enum { OPTIONS = sizeof options / sizeof options[0] };

static weft_server server;
static weft_chan *signals;
static weft_waitgroup told; /* that a signal has come: cut_relays */
static atomic_int trouble;  /* why the last dial failed; 0: it did not */
static atomic_long now, most, served, unreachable, idle, broken, cut, up, down;

/* ---- One connection ---- */

struct relay {
    int client, target;
    atomic_bool broken; /* both directions end */
    atomic_bool reset;  /* an end was, so what looks like its end of file is none */
    weft_waitgroup down;
    struct relay *next, **link;
};

/* All there are, so that they can be cut. */
static struct {
    weft_mutex mutex;
    struct relay *first;
    bool over; /* the time to end has passed */
} relays;

static bool enter(struct relay *relay)
{
    weft_mutex_lock(&relays.mutex);
    bool late = relays.over;
    if (!late) {
        relay->next = relays.first;
        relay->link = &relays.first;
        if (relay->next != NULL)
            relay->next->link = &relay->next;
        relays.first = relay;
    }
    weft_mutex_unlock(&relays.mutex);
    return !late;
}

static void leave(struct relay *relay)
{
    weft_mutex_lock(&relays.mutex);
    *relay->link = relay->next;
    if (relay->next != NULL)
        relay->next->link = relay->link;
    weft_mutex_unlock(&relays.mutex);
}

static void set_deadlines(const struct relay *relay, int64_t deadline)
{
    weft_set_deadline(relay->client, deadline, deadline);
    weft_set_deadline(relay->target, deadline, deadline);
}

/* Moves the deadlines of both ends: it is the connection that may be idle, not one direction. */
static void touch(const struct relay *relay)
{
    set_deadlines(relay, weft_after(idle_time));
    if (atomic_load(&relay->broken)) /* meanwhile */
        set_deadlines(relay, weft_now());
}

/* Writes it all; a reader that is slow, but reads, is not idle. 0 or an error. */
static ssize_t pass_on(const struct relay *relay, int to, const char *data, size_t size)
{
    while (size > 0) {
        touch(relay);
        ssize_t written = weft_write(to, data, size);
        if (written < 0)
            return written;
        data += written;
        size -= (size_t)written;
    }
    touch(relay);
    return 0;
}

/* Ends both directions. Both sockets will be closed by a reset: an end of file would say that all
 * had been said. */
static void give_up(struct relay *relay, atomic_long *why)
{
    static const struct linger reset = {.l_onoff = 1};
    if (atomic_exchange(&relay->broken, true))
        return; /* somebody else was first */
    atomic_fetch_add(why, 1);
    setsockopt(relay->client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    setsockopt(relay->target, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    set_deadlines(relay, weft_now());
}

/* Reads on for a while, since the sender might not see what it was answered if its connection were
 * reset now. As weft_read; more than 0: it is still sending. */
static ssize_t drop(int from, char buffer[BUFFER])
{
    int64_t end = weft_after(LINGER_TIME);
    ssize_t size;
    do
        size = weft_read(from, buffer, BUFFER);
    while (size > 0 && weft_now() < end);
    return size;
}

/* One direction, until the sender's end of file, which the receiver is told. When the receiver has
 * gone, what it said before is in the hands of the other direction. (-EPIPE: it had ended its output
 * before it went.) */
static void copy(struct relay *relay, int from, int to, atomic_long *bytes)
{
    char buffer[BUFFER];
    ssize_t size, result = 0;
    while ((size = weft_read(from, buffer, sizeof buffer)) > 0) {
        result = pass_on(relay, to, buffer, (size_t)size);
        if (result < 0)
            break;
        atomic_fetch_add(bytes, size);
    }
    if (result < 0 && result != -ETIMEDOUT) {
        if (result != -EPIPE)
            atomic_store(&relay->reset, true);
        size = drop(from, buffer);
    }
    if (size == -ETIMEDOUT || result == -ETIMEDOUT)
        give_up(relay, &idle);
    else if (size != 0 || atomic_load(&relay->reset))
        give_up(relay, &broken);
    else
        weft_shutdown(to, SHUT_WR);
}

static void copy_down(void *arg)
{
    struct relay *relay = arg;
    copy(relay, relay->target, relay->client, &down);
    weft_waitgroup_done(&relay->down);
}

static void run_relay(struct relay *relay)
{
    touch(relay);
    weft_waitgroup_add(&relay->down, 1);
    if (weft_go(copy_down, relay) < 0)
        return; /* out of memory: this connection ends, not the proxy */
    copy(relay, relay->client, relay->target, &up);
    weft_waitgroup_wait(&relay->down);
    atomic_fetch_add(&served, 1);
}

static void dial_and_relay(int client)
{
    struct relay relay = {.client = client};
    relay.target = weft_dial("tcp", target, weft_after(dial_time));
    int error = relay.target < 0 ? -relay.target : 0;
    if (atomic_exchange(&trouble, error) != error && error != 0) /* not once a connection */
        fprintf(stderr, "%s: %s\n", target, strerror(error));
    if (error != 0) {
        atomic_fetch_add(&unreachable, 1);
        return;
    }
    if (enter(&relay)) {
        run_relay(&relay);
        leave(&relay);
    }
    weft_close(relay.target);
}

/* A connection's goroutine. When it returns the client's end is closed. */
static void handle(weft_conn *conn, int client, void *arg)
{
    (void)conn, (void)arg;
    long open = atomic_fetch_add(&now, 1) + 1, before = atomic_load(&most);
    while (open > before && !atomic_compare_exchange_weak(&most, &before, open))
        ;
    dial_and_relay(client);
    atomic_fetch_sub(&now, 1);
}

/* ---- All of them ---- */

static void cut_relays(void *arg)
{
    (void)arg;
    weft_chan_recv(signals, NULL);
    weft_signal_stop(signals);
    weft_waitgroup_done(&told);
    weft_sleep(grace);
    weft_mutex_lock(&relays.mutex);
    relays.over = true;
    for (struct relay *relay = relays.first; relay != NULL; relay = relay->next)
        give_up(relay, &cut);
    weft_mutex_unlock(&relays.mutex);
}

static int main_goroutine(int argc, char **argv)
{
    const char *address = service_arguments(argc, argv, options, OPTIONS, "127.0.0.1:8000");
    if (weft_resolve("tcp", target, NULL, 0, WEFT_NOWAIT) == -EINVAL) {
        fprintf(stderr, "%s: --target: '%s' is not host:port\n", argv[0], target);
        return 2;
    }
    server.limit = service_connections(max_connections, 2); /* or there is none to dial with */
    signals = weft_signal_chan(SIGINT, SIGTERM);
    expect(signals == NULL ? -ENOMEM : 0, "weft_signal_chan");
    weft_waitgroup_add(&told, 1);
    expect(weft_go(cut_relays, NULL), "weft_go");
    /* A second more than the relays have, for those that are not yet relayed. */
    cut += service_run(&server, address, handle, NULL, grace + WEFT_SECOND);
    weft_waitgroup_wait(&told);
    printf("stopped: %ld connections, %ld at once at most; %ld bytes up, %ld down; %ld idle, "
           "%ld broken, %ld with no answer from the target, %ld cut at the end\n",
           served, most, up, down, idle, broken, unreachable, cut);
    return 0;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
