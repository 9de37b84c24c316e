/* SPDX-License-Identifier: MIT
 *
 * examples/httpd gets requests that are in order: what it answers, whether the connection is kept,
 * and that it does not matter how the bytes are spread over writes.
 */
#include "servers/httpd_test.h"

#define POST    "POST /echo HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static const struct exchange endpoints[] = {
    {HELLO, .status = 200, .body = HELLO_BODY, .field = "Content-Length: 14"},
    {"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", .status = 200, .field = "Content-Length: 14"},
    {"GET /?a=b&c=%20 HTTP/1.1\r\nHost: a\r\n\r\n", .status = 200, .body = HELLO_BODY},
    {"GET /json HTTP/1.1\r\nHost: a\r\n\r\n", .status = 200,
     .body = "{\"message\":\"Hello, World!\"}", .field = "Content-Type: application/json"},
    {"HEAD /json HTTP/1.1\r\nHost: a\r\n\r\n", .status = 200, .field = "Content-Length: 27"},
    {"GET /stats HTTP/1.1\r\nHost: a\r\n\r\n", .status = 200,
     .field = "Content-Type: application/json"},
    {"HEAD /stats HTTP/1.1\r\nHost: a\r\n\r\n", .status = 200},
    {"GET /sleep/1 HTTP/1.1\r\nHost: a\r\n\r\n", .status = 200},
    {"GET /sleep/0 HTTP/1.1\r\nHost: a\r\n\r\n", .status = 200},
    {"HEAD /sleep/1 HTTP/1.1\r\nHost: a\r\n\r\n", .status = 200},
    {"GET /sleep/10001 HTTP/1.1\r\nHost: a\r\n\r\n", .status = 404, .or = 400, .after = EITHER},
    {"GET /sleep/99999999999999999999 HTTP/1.1\r\nHost: a\r\n\r\n", .status = 404, .or = 400,
     .after = EITHER},
    {"GET /sleep/-1 HTTP/1.1\r\nHost: a\r\n\r\n", .status = 404, .or = 400, .after = EITHER},
    {"GET /sleep/1x HTTP/1.1\r\nHost: a\r\n\r\n", .status = 404, .or = 400, .after = EITHER},
    {"GET /sleep/ HTTP/1.1\r\nHost: a\r\n\r\n", .status = 404, .or = 400, .after = EITHER},
    {"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", .status = 404},
    {"HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n", .status = 404},
    {"GET /jsonx HTTP/1.1\r\nHost: a\r\n\r\n", .status = 404},
    {"GET /json/ HTTP/1.1\r\nHost: a\r\n\r\n", .status = 404},
    {"GET /files/a HTTP/1.1\r\nHost: a\r\n\r\n", .status = 404}, /* no --files */
    {"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", .status = 405, .after = EITHER},
    {"PUT /json HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab", .status = 405,
     .after = EITHER},
    {"GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", .status = 405, .after = EITHER},
    {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", .status = 501, .after = EITHER},
    {"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", .status = 501, .or = 405, .after = EITHER},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", .status = 204},
    {"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", .status = 204},
    {"OPTIONS /echo HTTP/1.1\r\nHost: a\r\n\r\n", .status = 204},
};

TEST_PROCS(endpoints)
{
    struct program httpd;
    httpd_start(&httpd, NULL);
    RUN_EXCHANGES(&httpd, endpoints);
    httpd_stop(&httpd);
}

/* Whether Allow has exactly these methods, however it is written. */
static void check_allow(const struct program *httpd, const char *request, const char *methods)
{
    char copy[128], value[512];
    struct client client = client_open(httpd);
    struct reply reply;
    int wanted = 0, found = 1;
    client_say(&client, request);
    must_reply(&client, false, &reply);
    const char *allow = reply_field(&reply, "Allow", value);
    if (allow == NULL)
        FAIL("no Allow for: %s", request);
    snprintf(copy, sizeof copy, "%s", methods);
    for (char *method = strtok(copy, " "); method != NULL; method = strtok(NULL, " ")) {
        wanted++;
        if (strstr(allow, method) == NULL)
            FAIL("Allow: %s, for: %s", allow, request);
    }
    for (const char *comma = allow; (comma = strchr(comma, ',')) != NULL; comma++)
        found++;
    if (found != wanted)
        FAIL("Allow: %s, for: %s", allow, request);
    client_close(&client);
}

TEST_PROCS(allowed_methods)
{
    struct program httpd;
    httpd_start(&httpd, NULL);
    check_allow(&httpd, "DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", "GET HEAD OPTIONS");
    check_allow(&httpd, "POST /json HTTP/1.1\r\nHost: a\r\n\r\n", "GET HEAD OPTIONS");
    check_allow(&httpd, "GET /echo HTTP/1.1\r\nHost: a\r\n\r\n", "POST OPTIONS");
    check_allow(&httpd, "OPTIONS /echo HTTP/1.1\r\nHost: a\r\n\r\n", "POST OPTIONS");
    check_allow(&httpd, "OPTIONS /stats HTTP/1.1\r\nHost: a\r\n\r\n", "GET HEAD OPTIONS");
    httpd_stop(&httpd);
}

/* What RFC 9112 lets a client write, or asks a server to bear with. */
static const struct exchange forms[] = {
    {"GET / HTTP/1.1\r\nhOST:a\r\n\r\n", .status = 200},
    {"GET / HTTP/1.1\r\nHost:  \t a \t \r\n\r\n", .status = 200},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", .status = 200},
    {"GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", .status = 200},
    {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .status = 200, .body = HELLO_BODY},
    {"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", .status = 200, .body = HELLO_BODY},
    {"GET http://a/json?x HTTP/1.1\r\nHost: b\r\n\r\n", .status = 200,
     .body = "{\"message\":\"Hello, World!\"}"},
    {"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", .status = 200, .body = HELLO_BODY},
    {"GET / HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n", .status = 200},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: \x80\xff\xc3\xa9\r\n\r\n", .status = 200},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\r\nY:\r\nY: \r\n\r\n", .status = 200},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", .status = 200, .after = CLOSED},
    {"GET / HTTP/1.1\r\nHost: a\r\nCONNECTION: x , CLOSE\r\n\r\n", .status = 200, .after = CLOSED},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", .status = 200},
    {"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", .status = 200},
    {"GET / HTTP/1.0\r\n\r\n", .status = 200, .after = CLOSED, .body = HELLO_BODY},
    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", .status = 200,
     .field = "Connection: keep-alive"},
    {"HEAD / HTTP/1.0\r\n\r\n", .status = 200, .after = CLOSED, .field = "Content-Length: 14"},
    {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", .status = 200,
     .body = HELLO_BODY},
};

TEST_PROCS(forms)
{
    struct program httpd;
    httpd_start(&httpd, NULL);
    RUN_EXCHANGES(&httpd, forms);
    httpd_stop(&httpd);
}

static const struct exchange bodies[] = {
    {POST "Content-Length: 5\r\n\r\nhello", .status = 200, .body = "hello"},
    {POST "Content-Length: 0\r\n\r\n", .status = 200, .body = ""},
    {POST "Content-Length: 0005\r\n\r\nhello", .status = 200, .body = "hello"},
    {POST "\r\n", .status = 200, .or = 411, .after = EITHER}, /* RFC 9112 6.3: no body */
    {POST "Content-Type: x/y\r\nContent-Length: 1\r\n\r\nz", .status = 200, .body = "z",
     .field = "Content-Type: x/y"},
    {"POST /echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", .status = 200, .body = "hi",
     .after = CLOSED},
    {CHUNKED "5\r\nhello\r\n0\r\n\r\n", .status = 200, .body = "hello",
     .field = "Content-Length: 5"},
    {CHUNKED "0\r\n\r\n", .status = 200, .body = ""},
    {CHUNKED "1\r\nh\r\n1\r\ne\r\n3\r\nllo\r\n000\r\n\r\n", .status = 200, .body = "hello"},
    {CHUNKED "00000A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n", .status = 200,
     .body = "01234567890123456789a"},
    {CHUNKED "5;name=value\r\nhello\r\n0;last\r\n\r\n", .status = 200, .body = "hello"},
    {CHUNKED "5;name=\"a b\"\r\nhello\r\n0\r\n\r\n", .status = 200, .body = "hello"},
    {CHUNKED "5\r\nhello\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\n", .status = 200, .body = "hello"},
    /* A trailer changes nothing of the message (RFC 9110 6.5.1). */
    {CHUNKED "5\r\nhello\r\n0\r\nConnection: close\r\nContent-Type: x/z\r\n\r\n", .status = 200,
     .body = "hello", .after = KEPT},
    {POST "Transfer-Encoding: CHUNKED\r\n\r\n2\r\n\r\n\r\n0\r\n\r\n", .status = 200,
     .body = "\r\n"},
    {POST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi", .status = 200, .body = "hi"},
    {POST "Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
     .status = 200, .body = "x"},
    {POST "Expect: the-unexpected\r\nContent-Length: 2\r\n\r\nhi", .status = 417, .after = EITHER},
};

TEST_PROCS(request_bodies)
{
    struct program httpd;
    httpd_start(&httpd, NULL);
    RUN_EXCHANGES(&httpd, bodies);
    httpd_stop(&httpd);
}

/* ---- Expect ---- */

/* Sends a head that expects 100, and nothing until something was read: the status. */
static int expecting(struct client *client, const char *head, struct reply *reply)
{
    client_say(client, head);
    must_reply(client, false, reply);
    return reply->status;
}

TEST_PROCS(expect_is_answered_before_the_body)
{
    struct program httpd;
    struct reply reply;
    HTTPD_START(&httpd, "--max-body", "100");

    struct client client = client_open(&httpd);
    const char *head = POST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    CHECK_EQ(expecting(&client, head, &reply), 100);
    client_say(&client, "hello");
    must_reply(&client, false, &reply);
    CHECK_EQ(reply.status, 200);
    CHECK_EQ(reply.size, 5);
    client_must_be_kept(&client);
    client_close(&client);

    /* Refused for its head: the final status, and no 100. */
    client = client_open(&httpd);
    head = POST "Expect: 100-continue\r\nContent-Length: 101\r\n\r\n";
    CHECK_EQ(expecting(&client, head, &reply), 413);
    CHECK(reply_closes(&reply));
    client_must_end(&client);
    client_close(&client);

    /* HTTP/1.0 knows nothing of it (RFC 9110 10.1.1). */
    client = client_open(&httpd);
    client_say(&client, "POST /echo HTTP/1.0\r\nExpect: 100-continue\r\n"
                        "Content-Length: 2\r\n\r\nhi");
    must_reply(&client, false, &reply);
    CHECK_EQ(reply.status, 200);
    client_close(&client);
    httpd_stop(&httpd);
}

/* ---- How bytes are spread ---- */

/* Three requests of different kinds, and the replies in their order. */
static const char mixture[] = POST "Content-Length: 5\r\n\r\nhello"
                                   "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n" CHUNKED
                                   "3;x\r\none\r\n4\r\n two\r\n0\r\nT: t\r\n\r\n";

static void read_mixture(struct client *client)
{
    static const struct exchange replies[] = {
        {mixture, .status = 200, .body = "hello"},
        {mixture, .status = 404},
        {mixture, .status = 200, .body = "one two"},
    };
    struct reply reply;
    for (int i = 0; i < 3; i++) {
        must_reply(client, false, &reply);
        check_reply(&replies[i], &reply);
    }
}

TEST_PROCS(split_anywhere, .timeout = 120)
{
    struct program httpd;
    httpd_start(&httpd, NULL);
    struct client client = client_open(&httpd);
    for (size_t at = 1; at < sizeof mixture - 1; at++) {
        client_send(&client, mixture, at);
        weft_sleep(300 * WEFT_MICROSECOND);
        client_send(&client, mixture + at, sizeof mixture - 1 - at);
        read_mixture(&client);
    }
    client_close(&client);
    httpd_stop(&httpd);
}

TEST_PROCS(one_byte_at_a_time, .timeout = 120)
{
    struct program httpd;
    httpd_start(&httpd, NULL);
    struct client client = client_open(&httpd);
    for (size_t at = 0; at < sizeof mixture - 1; at++) {
        client_send(&client, mixture + at, 1);
        weft_sleep(300 * WEFT_MICROSECOND);
    }
    read_mixture(&client);
    client_must_be_kept(&client);
    client_close(&client);
    httpd_stop(&httpd);
}

/* ---- Pipelining ---- */

/* count requests in one write; each reply tells which one it answers. */
static void pipeline(const struct program *httpd, int count)
{
    struct client client = client_open(httpd);
    struct reply reply;
    char *text = malloc((size_t)count * 128), number[16];
    size_t size = 0;
    CHECK(text != NULL);
    for (int i = 0; i < count; i++)
        size += (size_t)sprintf(text + size, POST "Content-Length: 8\r\n\r\n%8d", i);
    client_send(&client, text, size);
    for (int i = 0; i < count; i++) {
        must_reply(&client, false, &reply);
        CHECK_EQ(reply.status, 200);
        sprintf(number, "%8d", i);
        CHECK_EQ(reply.size, 8);
        CHECK_EQ(memcmp(reply.body, number, 8), 0);
    }
    client_must_be_kept(&client);
    client_close(&client);
    free(text);
}

TEST_PROCS(pipelined_requests_are_answered_in_order)
{
    struct program httpd;
    httpd_start(&httpd, NULL);
    pipeline(&httpd, 2);
    pipeline(&httpd, 16);
    pipeline(&httpd, 1000);
    httpd_stop(&httpd);
}

/* The replies to many requests are more than sockets hold: a client that writes all of them first
 * is made to wait, and the others are served meanwhile. */
TEST_PROCS(a_pipeline_that_is_not_read_yet)
{
    struct program httpd;
    struct reply reply;
    httpd_start(&httpd, NULL);
    struct client greedy = client_open(&httpd), other = client_open(&httpd);
    size_t length = strlen(HELLO), sent = 0, most = 64 * 1024 * 1024;
    char *text = malloc(1024 * length);
    CHECK(text != NULL);
    for (int i = 0; i < 1024; i++)
        memcpy(text + (size_t)i * length, HELLO, length);
    CHECK_EQ(weft_set_write_deadline(greedy.fd, weft_after(WEFT_SECOND)), 0);
    while (sent < most && weft_write_all(greedy.fd, text, 1024 * length) > 0)
        sent += 1024 * length;
    CHECK_LT(sent, most);
    client_must_be_kept(&other);
    for (size_t i = 0; i < sent / length; i++) {
        must_reply(&greedy, false, &reply);
        CHECK_EQ(reply.status, 200);
    }
    client_close(&greedy);
    client_close(&other);
    free(text);
    httpd_stop(&httpd);
}

/* What follows a request that ends the connection is not answered. */
TEST_PROCS(nothing_after_the_last_request)
{
    struct program httpd;
    struct reply reply;
    httpd_start(&httpd, NULL);
    struct client client = client_open(&httpd);
    client_say(&client, HELLO "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" HELLO HELLO);
    must_reply(&client, false, &reply);
    CHECK(!reply_closes(&reply));
    must_reply(&client, false, &reply);
    CHECK(reply_closes(&reply));
    client_must_end(&client);
    client_close(&client);
    httpd_stop(&httpd);
}

/* A client that has said all it will (half-closed) gets its answers. */
TEST_PROCS(half_closed_after_the_requests)
{
    struct program httpd;
    struct reply reply;
    httpd_start(&httpd, NULL);
    struct client client = client_open(&httpd);
    client_say(&client, "GET /sleep/50 HTTP/1.1\r\nHost: a\r\n\r\n" HELLO);
    CHECK_EQ(weft_shutdown(client.fd, SHUT_WR), 0);
    must_reply(&client, false, &reply);
    must_reply(&client, false, &reply);
    CHECK_EQ(reply.size, 14);
    client_must_end(&client);
    client_close(&client);
    httpd_stop(&httpd);
}
