/* SPDX-License-Identifier: MIT
 *
 * echo_load echo[-N]|idle CONTENDER P PROGRAM [ARGUMENT...]: starts the echo server PROGRAM, loads
 * it over loopback, and reports what that cost. The same load for every contender, in a process of
 * its own, and as cheap as the cheapest of the servers: one thread, epoll, two system calls a
 * request.
 *
 * echo: 1, 100 and 5000 connections, or only N, each with one request of 64 bytes under way at all
 * times. For each, after a warm-up: ns a request by the clock, ns of the server's processor time a
 * request, and us from a request's send to its reply. With P 1 the server has one CPU and the load
 * another; with more both may use all of them.
 *
 * idle: what connections that each had one request and now wait add to the server's memory, from
 * the 100th to the 5000th.
 */
#include <sys/epoll.h>

#include "server.h"

enum {
    SIZE = 64,
    MOST = 5000,
    FIRST = 100, /* before memory is looked at: they load what all share */
    BATCH = 256,
    SAMPLES = 4000000,
    SILENCE_MS = 5000,
};
static const int64_t warm_up = 300000000;
static const int64_t measured = 1500000000;

static struct conn {
    int fd;
    int received; /* of the reply */
    int64_t sent; /* when */
} conns[MOST];

static int epoll_fd;
static int64_t *samples;
static int sample_count;

static void send_request(struct conn *conn, int64_t now)
{
    static const char request[SIZE] = "echo";
    conn->received = 0;
    conn->sent = now;
    ssize_t count = send(conn->fd, request, SIZE, MSG_NOSIGNAL);
    bench_must(count == SIZE ? 0 : count < 0 ? errno : EIO, "send");
}

/* True: the reply is complete. */
static bool receive(struct conn *conn)
{
    char reply[SIZE];
    ssize_t count = recv(conn->fd, reply, (size_t)(SIZE - conn->received), 0);
    bench_must(count > 0 ? 0 : count < 0 ? errno : EPIPE, "recv");
    conn->received += (int)count;
    return conn->received == SIZE;
}

/* Answers every reply with the next request until then. The number of replies. */
static int64_t exchange_until(int64_t end, bool record)
{
    struct epoll_event events[BATCH];
    int64_t replies = 0;
    int64_t now = 0;

    while (now < end) {
        int count = epoll_wait(epoll_fd, events, BATCH, SILENCE_MS);
        bench_must(count > 0 ? 0 : count < 0 ? errno : ETIMEDOUT, "waiting for replies");
        for (int i = 0; i < count; i++) {
            struct conn *conn = events[i].data.ptr;
            if (!receive(conn))
                continue;
            now = bench_now();
            if (record && sample_count < SAMPLES)
                samples[sample_count++] = now - conn->sent;
            replies++;
            send_request(conn, now);
        }
    }
    return replies;
}

/* Sends one request on each and gets the reply, so that the server has accepted all and waits. */
static void exchange_once(int first, int end)
{
    for (int i = first; i < end; i++) {
        send_request(&conns[i], 0);
        while (!receive(&conns[i]))
            continue;
    }
}

static void connect_all(int first, int end)
{
    for (int i = first; i < end; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &conns[i]};
        conns[i].fd = server_connect();
        bench_must(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, conns[i].fd, &event) ? errno : 0,
                   "epoll_ctl");
    }
    exchange_once(first, end);
}

/* By a reset, which leaves no connection in TIME_WAIT. */
static void disconnect_all(int count)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    server_stop();
    for (int i = 0; i < count; i++) {
        setsockopt(conns[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        close(conns[i].fd);
    }
}

static void report_row(const char *contender, int count, const char *what, double value,
                       const char *unit)
{
    char row[32];
    snprintf(row, sizeof(row), "echo-%d%s", count, what);
    bench_report(row, contender, value, unit);
}

static void report_latency(const char *contender, int count, const char *what, double quantile)
{
    int64_t sample = samples[(int)(quantile * (sample_count - 1))];
    report_row(contender, count, what, (double)sample / 1e3, "us");
}

static void echo(const char *contender, bool pinned, char **argv, int count)
{
    server_start(argv, pinned);
    if (pinned)
        server_pin(true);
    connect_all(0, count);
    int64_t start = bench_now();
    for (int i = 0; i < count; i++)
        send_request(&conns[i], bench_now());
    exchange_until(start + warm_up, false);

    sample_count = 0;
    start = bench_now();
    int64_t cpu = server_cpu();
    int64_t replies = exchange_until(start + measured, true);
    cpu = server_cpu() - cpu;
    int64_t took = bench_now() - start;
    disconnect_all(count);

    qsort(samples, (size_t)sample_count, sizeof(samples[0]), bench_compare);
    report_row(contender, count, "", (double)took / (double)replies, "ns");
    report_row(contender, count, "-cpu", (double)cpu / (double)replies, "ns");
    report_latency(contender, count, "-p50", 0.5);
    report_latency(contender, count, "-p99", 0.99);
    report_latency(contender, count, "-p999", 0.999);
}

static void idle(const char *contender, char **argv)
{
    struct timespec settle = {.tv_nsec = 200000000};

    server_start(argv, false);
    connect_all(0, FIRST);
    nanosleep(&settle, NULL);
    double before = server_memory();
    connect_all(FIRST, MOST);
    nanosleep(&settle, NULL);
    bench_report("idle", contender, (server_memory() - before) / (MOST - FIRST), "B");
    disconnect_all(MOST);
}

int main(int argc, char **argv)
{
    static const int counts[] = {1, 100, MOST};

    if (argc < 5 || (strncmp(argv[1], "echo", 4) && strcmp(argv[1], "idle"))) {
        fprintf(stderr, "usage: echo_load echo[-N]|idle CONTENDER P PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    bool pinned = atoi(argv[3]) == 1;
    server_raise_limit();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    bench_must(epoll_fd < 0 ? errno : 0, "epoll_create1");
    if (!strcmp(argv[1], "idle")) {
        idle(argv[2], argv + 4);
        return 0;
    }
    samples = bench_alloc(SAMPLES * sizeof(samples[0]));
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        if (!argv[1][4] || atoi(argv[1] + 5) == counts[i])
            echo(argv[2], pinned, argv + 4, counts[i]);
    return 0;
}
