/* SPDX-License-Identifier: MIT
 *
 * The end of examples/httpd: connections between requests end at once, requests that have begun are
 * answered, the rest is cut when the grace is over, and the exit status is 0.
 */
#include <stdatomic.h>

#include "servers/httpd_test.h"

static void send_signal(struct program *httpd, int signo)
{
    CHECK_EQ(weft_process_kill(&httpd->process, signo), 0);
}

/* Waits until that many requests have come to be answered. */
static void await_requests(const struct program *httpd, long count)
{
    static const char begin[] = "{\"requests\":";
    struct client client = client_open(httpd);
    struct reply reply;
    long seen = 0;
    for (long own = 1; seen < count; own++) {
        client_say(&client, "GET /stats HTTP/1.1\r\nHost: a\r\n\r\n");
        must_reply(&client, false, &reply);
        CHECK(reply.size > strlen(begin) && memcmp(reply.body, begin, strlen(begin)) == 0);
        seen = strtol(reply.body + strlen(begin), NULL, 10) - own;
        weft_sleep(WEFT_MILLISECOND);
    }
    client_close(&client);
}

/* Sends the head of a request for an echo, of ten bytes, and waits until that has come. */
static void begin_echo(struct client *client)
{
    client_say(client, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n"
                       "Expect: 100-continue\r\n\r\n");
    must_answer(client, 100);
}

/* Of each kind some: never spoken, just answered, and long idle. A grace of 50 s is not used up. */
static void idle_clients(int signo)
{
    enum { COUNT = 30 };
    struct program httpd;
    struct client clients[COUNT];
    HTTPD_START(&httpd, "--grace", "50");
    for (int i = 0; i < COUNT; i++) {
        clients[i] = client_open(&httpd);
        if (i >= 20)
            client_must_be_kept(&clients[i]);
    }
    weft_sleep(3 * WEFT_SECOND / 2);
    for (int i = 10; i < 20; i++)
        client_must_be_kept(&clients[i]);
    int64_t start = weft_now();
    send_signal(&httpd, signo);
    for (int i = 0; i < COUNT; i++) {
        client_must_end(&clients[i]);
        client_close(&clients[i]);
    }
    httpd_must_end(&httpd);
    CHECK_LT(weft_now() - start, 25 * WEFT_SECOND);
}

TEST_PROCS(idle_clients_are_let_go)
{
    idle_clients(SIGTERM);
}

TEST_PROCS(sigint_is_the_same)
{
    idle_clients(SIGINT);
}

static bool listens(const struct program *httpd)
{
    int fd = weft_dial("tcp", httpd->address, weft_after(10 * WEFT_SECOND));
    if (fd >= 0)
        program_hang_up(fd);
    return fd >= 0;
}

/* Requests that have begun are answered, and the answer says that it is the last one. */
TEST_PROCS(requests_in_flight_are_answered)
{
    enum { COUNT = 20 };
    struct program httpd;
    struct client clients[COUNT];
    struct reply reply;
    HTTPD_START(&httpd, "--grace", "50");
    for (int i = 0; i < COUNT; i++) {
        clients[i] = client_open(&httpd);
        client_must_be_kept(&clients[i]);
        client_say(&clients[i], "GET /sleep/4000 HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    await_requests(&httpd, 2 * COUNT);
    send_signal(&httpd, SIGTERM);
    CHECK_SOON(!listens(&httpd));
    for (int i = 0; i < COUNT; i++) {
        must_reply(&clients[i], false, &reply);
        CHECK_EQ(reply.status, 200);
        CHECK(reply_closes(&reply));
        client_must_end(&clients[i]);
        client_close(&clients[i]);
    }
    httpd_must_end(&httpd);
}

/* A body that is still to come, when the signal does, is waited for. */
TEST_PROCS(a_request_half_sent_is_answered)
{
    struct program httpd;
    struct reply reply;
    HTTPD_START(&httpd, "--grace", "50");
    struct client client = client_open(&httpd);
    client_must_be_kept(&client);
    begin_echo(&client);
    client_say(&client, "hello");
    send_signal(&httpd, SIGTERM);
    CHECK_SOON(!listens(&httpd));
    client_say(&client, "world");
    must_reply(&client, false, &reply);
    CHECK_EQ(reply.size, 10);
    CHECK(reply_closes(&reply));
    client_must_end(&client);
    client_close(&client);
    httpd_must_end(&httpd);
}

/* What does not come to an end is cut: a handler that waits, also for a client that has said all it
 * will; a head; a body. */
TEST_PROCS(the_rest_is_cut)
{
    enum { COUNT = 4 };
    struct program httpd;
    struct client clients[COUNT];
    HTTPD_START(&httpd, "--grace", "0.3", "--head-time", "60", "--body-time", "60");
    for (int i = 0; i < COUNT; i++) {
        clients[i] = client_open(&httpd);
        if (i < 2)
            client_say(&clients[i], "GET /sleep/10000 HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    CHECK_EQ(weft_shutdown(clients[1].fd, SHUT_WR), 0);
    client_say(&clients[2], "GET / HTTP/1.1\r\nHos");
    begin_echo(&clients[3]);
    client_say(&clients[3], "hel");
    await_requests(&httpd, 2);
    int64_t start = weft_now();
    send_signal(&httpd, SIGTERM);
    for (int i = 0; i < COUNT; i++) {
        while (client_more(&clients[i])) {
        }
        client_close(&clients[i]);
    }
    httpd_must_end(&httpd);
    CHECK_GE(weft_now() - start, WEFT_SECOND / 4);
    CHECK_LT(weft_now() - start, 8 * WEFT_SECOND); /* before the handlers have waited */
}

/* The second signal ends it at once. */
TEST_PROCS(a_second_signal)
{
    struct program httpd;
    int status = 0;
    HTTPD_START(&httpd, "--grace", "50");
    struct client client = client_open(&httpd);
    client_say(&client, "GET /sleep/10000 HTTP/1.1\r\nHost: a\r\n\r\n");
    await_requests(&httpd, 1);
    send_signal(&httpd, SIGTERM);
    CHECK_SOON(!listens(&httpd)); /* it has taken the first */
    send_signal(&httpd, SIGTERM);
    CHECK_EQ(weft_process_wait(&httpd.process, &status, weft_after(9 * WEFT_SECOND)), 0);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGTERM);
    client_close(&client);
}

/* ---- Under load ---- */

static struct program loaded;
static atomic_int answers;

/* Asks until the connection ends. A reply that has begun is whole. */
static void load(void *index)
{
    struct client client = client_open(&loaded);
    struct reply reply;
    static const char *const requests[] = {HELLO, HELLO HELLO HELLO,
                                           "GET /sleep/2 HTTP/1.1\r\nHost: a\r\n\r\n"};
    int kind = test_index(index) % 3, count = kind == 1 ? 3 : 1;
    bool open = true;
    while (open) {
        size_t size = strlen(requests[kind]);
        open = weft_write_all(client.fd, requests[kind], size) == (ssize_t)size;
        for (int i = 0; i < count && open; i++) {
            open = read_reply(&client, false, &reply);
            atomic_fetch_add(&answers, open);
            if (open)
                CHECK_EQ(reply.status, 200);
            if (open && reply_closes(&reply)) {
                client_must_end(&client);
                open = false;
            }
        }
    }
    client_close(&client);
}

static void stop_it(void *count)
{
    CHECK_SOON(atomic_load(&answers) > test_index(count));
    send_signal(&loaded, SIGTERM);
}

TEST_PROCS(stopped_under_load)
{
    HTTPD_START(&loaded, "--grace", "50");
    CHECK_EQ(weft_go(stop_it, (void *)(intptr_t)2000), 0);
    test_each(64, load);
    httpd_must_end(&loaded);
}
