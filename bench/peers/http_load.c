/* SPDX-License-Identifier: MIT
 *
 * http_load SCENARIO CONTENDER P SCRIPT SERVER [ARGUMENT...]: starts an HTTP server, has wrk load it
 * over loopback, and reports what that cost. SCRIPT is wrk.lua. With P 1 the server has one CPU and
 * wrk another; with more both may use all of them.
 *
 * http: GET / with 1, 100 and 1000 connections. httpfile: the same for a file of 4 KiB. For each,
 * after a warm-up: ns a request by the clock, ns of the server's processor time a request, and the
 * latency as wrk reports it.
 *
 * httpidle: what keep-alive connections that each had one request and now wait add to the server's
 * memory, from the 100th to the 5000th; and with all of them there, GET / with 100 others.
 *
 * A first request of our own says how long a response is. wrk must have got that many bytes for
 * each it counted, and no error, or there is no figure.
 */
#include "server.h"

enum {
    IDLE = 5000,
    FIRST = 100, /* before memory is looked at: they load what all share */
    BESIDE = 100,
    SILENCE_MS = 5000,
    HELLO_SIZE = 14,
    FILE_SIZE = 4096,
};

static const char warm_up[] = "1s";
static const char measured[] = "2s";
static const struct timespec settle = {.tv_sec = 2};

struct page {
    const char *row, *path;
    int body; /* bytes */
};

static const struct page hello = {"http", "/", HELLO_SIZE};
static const struct page file = {"httpfile", "/files/4096.txt", FILE_SIZE};
static const struct page beside = {"httpidle", "/", HELLO_SIZE};

static const char *contender, *script;
static bool pinned;

/* Its fields as wrk.lua prints them. */
struct result {
    long long requests, us, bytes, failures, refusals;
    double p50, p99;
};

static int idle_fds[IDLE];

/* The end of the head in what was received, or NULL. */
static char *head_end(char *text)
{
    char *end = strstr(text, "\r\n\r\n");
    return end ? end + 4 : NULL;
}

/* Sends the request that wrk sends, and takes the response. Its size, head and body. */
static int request(int fd, const struct page *page)
{
    char text[FILE_SIZE + 4096];
    size_t filled = 0;
    char *body = NULL;
    int length = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n",
                          page->path, server.port);
    ssize_t count = send(fd, text, (size_t)length, MSG_NOSIGNAL);
    bench_must(count == length ? 0 : count < 0 ? errno : EIO, "send");
    while (!body || filled < (size_t)(body - text + page->body)) {
        struct pollfd poller = {.fd = fd, .events = POLLIN};
        bench_must(poll(&poller, 1, SILENCE_MS) == 1 ? 0 : ETIMEDOUT, "waiting for a response");
        count = recv(fd, text + filled, sizeof(text) - 1 - filled, 0);
        bench_must(count > 0 ? 0 : count < 0 ? errno : EPIPE, "recv");
        filled += (size_t)count;
        text[filled] = '\0';
        body = head_end(text);
    }
    if (strncmp(text, "HTTP/1.1 200 ", 13) || filled != (size_t)(body - text + page->body)) {
        fprintf(stderr, "not the page: %.60s\n", text);
        exit(1);
    }
    return (int)filled;
}

/* One run of wrk. */
static struct result wrk(const struct page *page, int connections, const char *duration)
{
    char url[96];
    char number[16];
    struct result result;

    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", server.port, page->path);
    snprintf(number, sizeof(number), "%d", connections);
    const char *argv[] = {"wrk", "-t", "1", "-c", number, "-d", duration, "-s", script, url, NULL};
    char *output = server_run_load(argv, pinned);
    char *line = strstr(output, "\nwrk ");
    int fields =
        !line ? 0
              : sscanf(line + 5, "%lld %lld %lld %lld %lld %lf %lf", &result.requests, &result.us,
                       &result.bytes, &result.failures, &result.refusals, &result.p50, &result.p99);
    if (fields != 7 || result.requests == 0) {
        fprintf(stderr, "wrk measured nothing: %.200s\n", output);
        exit(1);
    }
    return result;
}

/* Ends the program unless all were answered, with a response of that size. */
static void check(const struct page *page, int connections, const struct result *result, int size)
{
    long long off = result->bytes - result->requests * size;
    if (result->failures == 0 && result->refusals == 0 &&
        llabs(off) <= (long long)size * connections)
        return;
    fprintf(stderr,
            "%s-%d: of %lld requests %lld had an error status, %lld connections failed, and there "
            "were %lld bytes a response rather than %d\n",
            page->row, connections, result->requests, result->refusals, result->failures,
            result->bytes / result->requests, size);
    exit(1);
}

static void report(const struct page *page, int connections, const char *what, double value,
                   const char *unit)
{
    char row[32];
    snprintf(row, sizeof(row), "%s-%d%s", page->row, connections, what);
    bench_report(row, contender, value, unit);
}

static void load(const struct page *page, int connections)
{
    int fd = server_connect();
    int size = request(fd, page);
    close(fd);
    wrk(page, connections, warm_up);
    int64_t cpu = server_cpu();
    struct result result = wrk(page, connections, measured);
    cpu = server_cpu() - cpu;
    check(page, connections, &result, size);
    double requests = (double)result.requests;
    report(page, connections, "", (double)result.us * 1e3 / requests, "ns");
    report(page, connections, "-cpu", (double)cpu / requests, "ns");
    report(page, connections, "-p50", result.p50, "us");
    report(page, connections, "-p99", result.p99, "us");
}

static void start(char **argv)
{
    server_offer_port();
    server_start(argv, pinned);
    server_await();
}

static void load_each(char **argv, const struct page *page)
{
    static const int counts[] = {1, 100, 1000};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        start(argv);
        load(page, counts[i]);
        server_stop();
    }
}

static void open_idle(int first, int end)
{
    for (int i = first; i < end; i++) {
        idle_fds[i] = server_connect();
        request(idle_fds[i], &hello);
    }
    nanosleep(&settle, NULL);
}

/* By a reset, which leaves no connection in TIME_WAIT. Each must still be there. */
static void close_idle(void)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    for (int i = 0; i < IDLE; i++) {
        char byte;
        ssize_t count = recv(idle_fds[i], &byte, 1, MSG_DONTWAIT);
        bench_must(count < 0 && errno == EAGAIN ? 0 : EPIPE, "an idle connection");
        setsockopt(idle_fds[i], SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        close(idle_fds[i]);
    }
}

static void idle(char **argv)
{
    start(argv);
    open_idle(0, FIRST);
    double before = server_memory();
    open_idle(FIRST, IDLE);
    bench_report("httpidle", contender, (server_memory() - before) / (IDLE - FIRST), "B");
    load(&beside, BESIDE);
    close_idle();
    server_stop();
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "usage: http_load http|httpfile|httpidle CONTENDER P SCRIPT SERVER "
                        "[ARGUMENT...]\n");
        return 2;
    }
    contender = argv[2];
    pinned = atoi(argv[3]) == 1;
    script = argv[4];
    server_raise_limit();
    if (!strcmp(argv[1], "httpidle"))
        idle(argv + 5);
    else
        load_each(argv + 5, strcmp(argv[1], "httpfile") ? &hello : &file);
    return 0;
}
