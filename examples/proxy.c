/* SPDX-License-Identifier: MIT
 *
 * A TCP proxy. For every connection it dials the target, and two goroutines copy, one each way. An
 * end of file is passed on, so a client that has said all it wants still gets its answer. A limit
 * on connections lets further clients wait in the listener's backlog; dialling is bounded in time;
 * a connection on which nothing moves either way is cut. On SIGINT or SIGTERM it takes no more
 * connections, gives those that are open some time to end, cuts the rest, and prints its counts.
 *
 *     make examples && build/default/examples/proxy [KiB [clients]]              checks itself
 *     build/default/examples/proxy LISTEN TARGET [connections [idle seconds]]    host:port each
 *
 * Memory: a connection has two goroutines, each with 16 KiB to copy through; the limit bounds it.
 */
#include <signal.h>
#include <stdatomic.h>

#include <weft.h>

#include "tour.h"

enum { BUFFER = 16 * 1024 };

struct proxy {
    const char *target;
    int64_t dial_time, idle_time, drain_time;
    int listener;
    weft_server clients, targets; /* the connections that came in, and those that were dialled */
    weft_waitgroup running;
    atomic_long served, unreachable, idle, up, down; /* connections; bytes from and to clients */
    atomic_int now, most;                            /* connections at once */
};

struct relay {
    struct proxy *proxy;
    int client, target;
    atomic_bool idle;
    weft_waitgroup down;
};

/* Moves the deadlines of both ends: it is the connection that may be idle, not one direction. */
static void touch(const struct relay *relay)
{
    int64_t deadline = weft_after(relay->proxy->idle_time);
    weft_set_deadline(relay->client, deadline, deadline);
    weft_set_deadline(relay->target, deadline, deadline);
}

/* One direction, until the sender's end of file, which the receiver is told. Whatever else ends it,
 * a deadline included, ends the other direction too. */
static void copy(struct relay *relay, int from, int to, atomic_long *bytes)
{
    char buffer[BUFFER];
    ssize_t size;
    while ((size = weft_read(from, buffer, sizeof buffer)) > 0) {
        touch(relay);
        size = weft_write_all(to, buffer, (size_t)size);
        if (size < 0)
            break;
        atomic_fetch_add(bytes, size);
    }
    if (size == -ETIMEDOUT)
        atomic_store(&relay->idle, true);
    if (size < 0)
        weft_shutdown(from, SHUT_RDWR);
    weft_shutdown(to, size < 0 ? SHUT_RDWR : SHUT_WR);
}

static void copy_down(void *arg)
{
    struct relay *relay = arg;
    copy(relay, relay->target, relay->client, &relay->proxy->down);
    weft_waitgroup_done(&relay->down);
}

static void relay(struct proxy *proxy, int client, int target)
{
    struct relay relay = {.proxy = proxy, .client = client, .target = target};
    touch(&relay);
    weft_waitgroup_add(&relay.down, 1);
    if (weft_go(copy_down, &relay) < 0)
        return; /* out of memory: this connection ends, not the proxy */
    copy(&relay, client, target, &proxy->up);
    weft_waitgroup_wait(&relay.down);
    atomic_fetch_add(&proxy->idle, relay.idle);
    atomic_fetch_add(&proxy->served, 1);
}

static void dial_and_relay(struct proxy *proxy, weft_conn *conn, int client)
{
    int target = weft_dial("tcp", proxy->target, weft_after(proxy->dial_time));
    if (target < 0) {
        fprintf(stderr, "%s: %s\n", proxy->target, strerror(-target));
        atomic_fetch_add(&proxy->unreachable, 1);
        return;
    }
    /* The dialled end is entered too, so that it can be cut; not if a stop came meanwhile. */
    weft_conn dialled = {0};
    if (weft_conn_idle(conn, 0) == 0 && weft_server_add(&proxy->targets, &dialled, target) == 0) {
        relay(proxy, client, target);
        weft_server_remove(&dialled);
    }
    weft_close(target);
}

/* A connection's goroutine. When it returns the client's end is closed. */
static void handle(weft_conn *conn, int client, void *arg)
{
    struct proxy *proxy = arg;
    int now = atomic_fetch_add(&proxy->now, 1) + 1, most = atomic_load(&proxy->most);
    while (now > most && !atomic_compare_exchange_weak(&proxy->most, &most, now))
        ;
    dial_and_relay(proxy, conn, client);
    atomic_fetch_sub(&proxy->now, 1);
}

static void serve(void *arg)
{
    struct proxy *proxy = arg;
    expect(weft_serve(&proxy->clients, proxy->listener, handle, proxy), "weft_serve");
    weft_waitgroup_done(&proxy->running);
}

static void start(struct proxy *proxy, int listener, int limit)
{
    proxy->listener = listener;
    proxy->clients.limit = limit;
    weft_waitgroup_add(&proxy->running, 1);
    expect(weft_go(serve, proxy), "weft_go");
}

static void cut_dialled(void *arg)
{
    struct proxy *proxy = arg;
    weft_server_stop(&proxy->targets, weft_now());
    weft_waitgroup_done(&proxy->running);
}

/* What is still open when the time is over is cut, at both ends: of a client that has ended its
 * input nobody reads any more, and would notice. The number of connections cut. */
static int stop(struct proxy *proxy)
{
    weft_waitgroup_add(&proxy->running, 1);
    weft_timer *timer = weft_after_func(proxy->drain_time, cut_dialled, proxy);
    int cut = weft_server_stop(&proxy->clients, weft_after(proxy->drain_time));
    if (weft_timer_stop(timer) != 0)
        weft_waitgroup_done(&proxy->running); /* it will not go off */
    weft_timer_free(timer);
    weft_waitgroup_wait(&proxy->running);
    return cut;
}

/* Runs it until a signal comes, and prints what it has done. The number of connections cut. */
static int serve_until(weft_chan *signals, struct proxy *proxy)
{
    weft_chan_recv(signals, NULL);
    weft_signal_stop(signals); /* the next one ends the program at once */
    int cut = stop(proxy);
    printf("%ld connections, %d at once at most; %ld KiB up, %ld KiB down; %ld idle, %d cut at the "
           "end, %ld with no answer from the target\n",
           proxy->served, proxy->most, proxy->up / 1024, proxy->down / 1024, proxy->idle, cut,
           proxy->unreachable);
    return cut;
}

/* ---- It checks itself: a target and clients in the same process ---- */

static weft_server echo_server;
static long total; /* bytes that a client sends */

/* The target. Once its input has ended it adds a full stop. */
static void echo(weft_conn *conn, int fd, void *arg)
{
    (void)conn, (void)arg;
    char buffer[4096];
    ssize_t size;
    while ((size = weft_read(fd, buffer, sizeof buffer)) > 0)
        weft_write_all(fd, buffer, (size_t)size);
    weft_write_all(fd, ".", 1);
}

static void serve_echo(void *arg)
{
    expect(weft_serve(&echo_server, *(int *)arg, echo, NULL), "weft_serve");
}

static int dial(const char *address)
{
    return expect(weft_dial("tcp", address, weft_after(60 * WEFT_SECOND)), "weft_dial");
}

static char octet(int fd, long offset)
{
    return (char)(fd + offset + (offset >> 8) * 7);
}

static int send_all(void *arg)
{
    int fd = *(int *)arg;
    char block[1024];
    for (long i = 0; i < total; i += (long)sizeof block) {
        for (long j = 0; j < (long)sizeof block; j++)
            block[j] = octet(fd, i + j);
        weft_write_all(fd, block, sizeof block);
    }
    return weft_shutdown(fd, SHUT_WR);
}

/* What it sends comes back, and then the full stop: the answer to the end of file. */
static int converse(void *arg)
{
    int fd = dial(arg);
    weft_group sending = {0};
    expect(weft_group_go(&sending, send_all, &fd), "weft_group_go");
    char buffer[4096];
    bool same = true;
    long offset = 0;
    for (ssize_t size; (size = weft_read(fd, buffer, sizeof buffer)) > 0; offset += size) {
        for (long i = 0; i < size; i++)
            same &= buffer[i] == (offset + i < total ? octet(fd, offset + i) : '.');
    }
    weft_group_wait(&sending);
    weft_close(fd);
    return same && offset == total + 1 ? 0 : -EPROTO;
}

/* A connection on which an echo has come back. */
static int used(const char *address)
{
    int fd = dial(address);
    char byte = '!';
    check(weft_write_all(fd, &byte, 1) == 1 && weft_read(fd, &byte, 1) == 1, "an echo");
    return fd;
}

static bool sees_end(int fd)
{
    char byte;
    ssize_t size = weft_read(fd, &byte, 1);
    weft_close(fd);
    return size == 0;
}

/* Tells the proxy to stop, and ends its input once the proxy, which drains, accepts no more. */
static int leave_late(void *arg)
{
    int fd = used(arg), other;
    char last = '!';
    kill(getpid(), SIGTERM);
    while ((other = weft_dial("tcp", arg, weft_after(WEFT_SECOND))) >= 0)
        weft_close(other);
    weft_shutdown(fd, SHUT_WR);
    ssize_t size = weft_read(fd, &last, 1);
    weft_close(fd);
    return size == 1 && last == '.' ? 0 : -EPROTO;
}

static void check_traffic(struct proxy *proxy, long clients)
{
    char address[32];
    start(proxy, listen_on("127.0.0.1", 0, address), 8);
    weft_group group = {0};
    for (long i = 0; i < clients; i++)
        expect(weft_group_go(&group, converse, address), "weft_group_go");
    check(weft_group_wait(&group) == 0, "every client got back what it had sent");
    check(proxy->most <= 8, "%d connections at once, 8 allowed", proxy->most);

    weft_chan *signals = weft_signal_chan(SIGINT, SIGTERM);
    int silent = used(address);
    expect(weft_group_go(&group, leave_late, address), "weft_group_go");
    check(serve_until(signals, proxy) == 1, "one connection was cut, the silent one");
    check(weft_group_wait(&group) == 0, "one that ended while the proxy drained was served");
    check(sees_end(silent), "the silent client sees the end");
}

static void check_dead_target(struct proxy *proxy)
{
    char address[32];
    start(proxy, listen_on("127.0.0.1", 0, address), 0);
    check(sees_end(dial(address)), "with a dead target the client sees the end");
    check(stop(proxy) == 0 && proxy->unreachable == 1, "the target was dialled in vain");
}

static void check_idle(struct proxy *proxy)
{
    char address[32];
    start(proxy, listen_on("127.0.0.1", 0, address), 0);
    int64_t begin = weft_now();
    check(sees_end(used(address)), "an idle client sees the end");
    check(weft_now() - begin >= proxy->idle_time, "it was idle for long enough");
    check(stop(proxy) == 0 && proxy->idle == 1, "a connection was idle");
}

static struct proxy proxy_to(const char *target, int64_t idle_time)
{
    return (struct proxy){.target = target,
                          .dial_time = 5 * WEFT_SECOND,
                          .idle_time = idle_time,
                          .drain_time = 3 * WEFT_SECOND};
}

static int main_goroutine(int argc, char **argv)
{
    if (argc > 2 && strchr(argv[1], ':') != NULL) {
        struct proxy proxy = proxy_to(argv[2], argument(argc, argv, 4, 60) * WEFT_SECOND);
        weft_chan *signals = weft_signal_chan(SIGINT, SIGTERM);
        expect(signals == NULL ? -ENOMEM : 0, "weft_signal_chan");
        int listener = expect(weft_listen("tcp", argv[1], 0), argv[1]);
        start(&proxy, listener, (int)argument(argc, argv, 3, 1000));
        serve_until(signals, &proxy);
        return 0;
    }
    total = argument(argc, argv, 1, 1024) * 1024;
    char target[32], dead[32];
    int listener = listen_on("127.0.0.1", 0, target);
    expect(weft_go(serve_echo, &listener), "weft_go");
    weft_close(listen_on("127.0.0.1", 0, dead));
    struct proxy proxies[] = {proxy_to(target, 60 * WEFT_SECOND), proxy_to(target, WEFT_SECOND),
                              proxy_to(dead, WEFT_SECOND)};
    check_traffic(&proxies[0], argument(argc, argv, 2, 32));
    check_idle(&proxies[1]);
    check_dead_target(&proxies[2]);
    weft_server_stop(&echo_server, weft_after(WEFT_SECOND));
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
