/* SPDX-License-Identifier: MIT
 *
 * examples/httpd gets what is no request: malformed, ambiguous (request smuggling), of another
 * protocol, or over a limit. It answers with the right status and closes, and the answer arrives.
 */
#include "servers/httpd_test.h"

#define GET     "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST    "POST /echo HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static void refused(const struct exchange *rows, size_t count)
{
    struct program httpd;
    HTTPD_START(&httpd, "--head-time", "10", "--body-time", "10");
    run_exchanges(&httpd, rows, count);
    httpd_stop(&httpd);
}

#define REFUSED(rows) refused(rows, sizeof(rows) / sizeof((rows)[0]))

static const struct exchange lines[] = {
    {"GET\r\n\r\n", .status = 400, .after = CLOSED},
    {"GET /\r\n\r\n", .status = 400, .after = CLOSED}, /* HTTP/0.9 */
    {"GET / HTTP/0.9\r\nHost: a\r\n\r\n", .status = 505, .or = 400, .after = CLOSED},
    {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", .status = 505, .after = CLOSED},
    {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", .status = 505, .or = 200, .after = EITHER},
    {"GET / HTTP/3.1\r\nHost: a\r\n\r\n", .status = 505, .after = CLOSED},
    {"GET / HTTP/11.1\r\nHost: a\r\n\r\n", .status = 400, .or = 505, .after = CLOSED},
    {"GET / HTTP/1.\r\nHost: a\r\n\r\n", .status = 400, .or = 505, .after = CLOSED},
    {"GET / http/1.1\r\nHost: a\r\n\r\n", .status = 400, .or = 505, .after = CLOSED},
    {"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", .status = 400, .or = 505, .after = CLOSED},
    {"GET / XTTP/1.1\r\nHost: a\r\n\r\n", .status = 400, .after = CLOSED},
    {"GET / / HTTP/1.1\r\nHost: a\r\n\r\n", .status = 400, .after = CLOSED},
    {" GET / HTTP/1.1\r\nHost: a\r\n\r\n", .status = 400, .or = 501, .after = CLOSED},
    {"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", .status = 400, .or = 501, .after = CLOSED},
    {"GET nothing HTTP/1.1\r\nHost: a\r\n\r\n", .status = 400, .after = CLOSED},
    {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", .status = 400, .or = 404, .after = EITHER},
    {"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", .status = ERROR, .or = 200, .after = EITHER},
    {"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", .status = 400, .after = CLOSED},
    {"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", .status = 400, .or = 404, .after = EITHER},
    {"get / HTTP/1.1\r\nHost: a\r\n\r\n", .status = 501, .or = 400, .after = EITHER},
    {"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", .status = 501, .after = EITHER},
    {"GETS / HTTP/1.1\r\nHost: a\r\n\r\n", .status = 501, .or = 400, .after = EITHER},
    {"PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n", .status = 501, .after = EITHER},
    {"G=T / HTTP/1.1\r\nHost: a\r\n\r\n", .status = 400, .or = 501, .after = CLOSED},
    {BYTES("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"), .status = 400, .after = CLOSED},
    {BYTES("\0\0\0\0\0\0\0\0\r\n\r\n"), .status = ERROR, .after = CLOSED},
    {BYTES("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"), .status = 400, .or = 501,
     .after = CLOSED}, /* a TLS ClientHello */
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", .status = ERROR, .after = CLOSED},
    {"SSH-2.0-OpenSSH_9.2\r\n\r\n", .status = ERROR, .after = CLOSED},
    {"*1\r\n$4\r\nPING\r\n\r\n", .status = ERROR, .after = CLOSED},
};

TEST_PROCS(request_lines)
{
    REFUSED(lines);
}

static const struct exchange fields[] = {
    {"GET / HTTP/1.1\r\n\r\n", .status = 400, .after = CLOSED},
    {"GET / HTTP/1.1\r\nHosts: a\r\n\r\n", .status = 400, .after = CLOSED},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", .status = 400, .after = CLOSED},
    {"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", .status = 400, .after = CLOSED},
    {"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", .status = 400, .after = CLOSED},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", .status = 400, .after = CLOSED},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", .status = 400, .after = CLOSED},
    {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", .status = 400, .after = CLOSED},
    {"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", .status = 400, .after = CLOSED},
    {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", .status = 400, .after = CLOSED},
    {GET "no colon\r\n\r\n", .status = 400, .after = CLOSED},
    {GET ": nameless\r\n\r\n", .status = 400, .after = CLOSED},
    {GET "a b: c\r\n\r\n", .status = 400, .after = CLOSED},
    {GET "a(b: c\r\n\r\n", .status = 400, .after = CLOSED},
    {GET "\x80: c\r\n\r\n", .status = 400, .after = CLOSED},
    {GET "X: a\x01\r\n\r\n", .status = 400, .after = CLOSED},
    {GET "X: a\x7f\r\n\r\n", .status = 400, .after = CLOSED},
    {GET "X: a\rY: b\r\n\r\n", .status = 400, .after = CLOSED},
    {GET "X: a\r\r\n\r\n", .status = 400, .after = CLOSED},
    {BYTES(GET "X: a\0b\r\n\r\n"), .status = 400, .after = CLOSED},
    {BYTES(GET "X\0: b\r\n\r\n"), .status = 400, .after = CLOSED},
    {GET "\r X: a\r\n\r\n", .status = 400, .after = CLOSED},
};

TEST_PROCS(header_fields)
{
    REFUSED(fields);
}

/* RFC 9112 lets a server refuse these or take them in one way; in the other way they would hide a
 * request. */
static const struct exchange folded[] = {
    {GET "X: a\r\n b\r\n\r\n", .status = 400, .or = 200, .after = EITHER},
    {"GET / HTTP/1.1\nHost: a\n\n", .status = 400, .or = 200, .after = EITHER},
    {GET "X: a\nY: b\r\n\r\n", .status = 400, .or = 200, .after = EITHER},
    {GET "X: a\r\n Content-Length: 5\r\n\r\n", .status = 400, .or = 200, .after = EITHER},
    {POST "X: a\r\n Content-Length: 5\r\nContent-Length: 2\r\n\r\nhi", .status = 400, .or = 200,
     .after = EITHER},
    {POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", .status = 400, .or = 200,
     .after = EITHER},
};

TEST_PROCS(folded_fields_and_bare_newlines)
{
    REFUSED(folded);
}

static const struct exchange lengths[] = {
    {POST "Content-Length: -1\r\n\r\n", .status = 400, .after = CLOSED},
    {POST "Content-Length: +5\r\n\r\nhello", .status = 400, .after = CLOSED},
    {POST "Content-Length: 0x5\r\n\r\nhello", .status = 400, .after = CLOSED},
    {POST "Content-Length: 5 5\r\n\r\nhello", .status = 400, .after = CLOSED},
    {POST "Content-Length: 5,5\r\n\r\nhello", .status = 400, .after = CLOSED},
    {POST "Content-Length: 5;\r\n\r\nhello", .status = 400, .after = CLOSED},
    {POST "Content-Length: five\r\n\r\nhello", .status = 400, .after = CLOSED},
    {POST "Content-Length:\r\n\r\nhello", .status = 400, .after = CLOSED},
    {POST "Content-Length : 5\r\n\r\nhello", .status = 400, .after = CLOSED},
    {POST "Content-Length: 18446744073709551616\r\n\r\n", .status = 400, .or = 413,
     .after = CLOSED},
    {POST "Content-Length: 18446744073709551615\r\n\r\n", .status = 413, .or = 400,
     .after = CLOSED},
    {POST "Content-Length: 9223372036854775808\r\n\r\n", .status = 413, .or = 400, .after = CLOSED},
    {POST "Content-Length: 99999999999999999999999999\r\n\r\n", .status = 400, .or = 413,
     .after = CLOSED},
    {POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", .status = 400, .after = CLOSED},
    {POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", .status = 400, .after = CLOSED},
    {GET "Content-Length: 0\r\nContent-Length: 44\r\n\r\n" HELLO, .status = 400, .after = CLOSED},
};

TEST_PROCS(content_lengths)
{
    REFUSED(lengths);
}

#define BOTH(coding) POST "Transfer-Encoding: " coding "\r\n\r\n0\r\n\r\n"

static const struct exchange codings[] = {
    {POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", .status = 400,
     .after = CLOSED},
    {POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", .status = 400,
     .after = CLOSED},
    {GET "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", .status = 400,
     .after = CLOSED},
    {BOTH("gzip, chunked"), .status = 501, .after = CLOSED},
    {BOTH("chunked, gzip"), .status = 400, .or = 501, .after = CLOSED},
    {BOTH("chunked, chunked"), .status = 400, .after = CLOSED},
    {BOTH("gzip"), .status = 400, .or = 501, .after = CLOSED},
    {BOTH("identity"), .status = 400, .or = 501, .after = CLOSED},
    {BOTH("xchunked"), .status = 400, .or = 501, .after = CLOSED},
    {BOTH("chunkedx"), .status = 400, .or = 501, .after = CLOSED},
    {BOTH("\vchunked"), .status = 400, .or = 501, .after = CLOSED},
    {BOTH("\"chunked\""), .status = 400, .or = 501, .after = CLOSED},
    {BOTH("chunked;q=1"), .status = 400, .or = 501, .after = CLOSED},
    {BOTH("chunked\r\nTransfer-Encoding: identity"), .status = 400, .or = 501, .after = CLOSED},
    {BOTH("identity\r\nTransfer-Encoding: chunked"), .status = 400, .or = 501, .after = CLOSED},
    {BOTH("chunked\r\nTransfer-Encoding: chunked"), .status = 400, .after = CLOSED},
    {BOTH(""), .status = 400, .or = 501, .after = CLOSED},
    {POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", .status = 400, .after = CLOSED},
    /* Its framing is faulty (RFC 9112 6.1). */
    {"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", .status = 400,
     .after = CLOSED},
};

TEST_PROCS(transfer_codings)
{
    REFUSED(codings);
}

static const struct exchange chunks[] = {
    {CHUNKED "g\r\n\r\n", .status = 400, .after = CLOSED},
    {CHUNKED "-1\r\n\r\n", .status = 400, .after = CLOSED},
    {CHUNKED "+1\r\na\r\n0\r\n\r\n", .status = 400, .after = CLOSED},
    {CHUNKED "0x1\r\na\r\n0\r\n\r\n", .status = 400, .after = CLOSED},
    {CHUNKED "\r\n\r\n", .status = 400, .after = CLOSED},
    {CHUNKED ";x\r\n\r\n", .status = 400, .after = CLOSED},
    {CHUNKED "5\nhello\r\n0\r\n\r\n", .status = 400, .after = CLOSED},
    {CHUNKED "5\r\nhello0\r\n\r\n", .status = 400, .after = CLOSED},
    {CHUNKED "5\r\nhelloX\r\n0\r\n\r\n", .status = 400, .after = CLOSED},
    {CHUNKED "5\r\nhello!!0\r\n\r\n", .status = 400, .after = CLOSED},
    {CHUNKED "ffffffffffffffff\r\n", .status = 413, .or = 400, .after = CLOSED},
    {CHUNKED "7fffffffffffffff\r\n", .status = 413, .or = 400, .after = CLOSED},
    {CHUNKED "10000000000000000\r\n", .status = 400, .or = 413, .after = CLOSED},
    {CHUNKED "10000000000000005\r\nhello\r\n0\r\n\r\n", .status = 400, .or = 413, .after = CLOSED},
    {CHUNKED "1 0\r\n", .status = 400, .after = CLOSED},
    {CHUNKED "1\r\na\r\n0\r\nbad trailer\r\n\r\n", .status = 400, .after = CLOSED},
    {CHUNKED "1\r\na\r\n0\r\nX : a\r\n\r\n", .status = 400, .after = CLOSED},
    {BYTES(CHUNKED "1;a\0b\r\na\r\n0\r\n\r\n"), .status = 400, .or = 200, .after = EITHER},
    {CHUNKED "5 \r\nhello\r\n0\r\n\r\n", .status = 400, .or = 200, .after = EITHER},
};

TEST_PROCS(chunk_framing)
{
    REFUSED(chunks);
}

/* ---- Limits ---- */

enum { MOST_HEAD = 1024, MOST_BODY = 1000 };

/* A row whose request begins and ends so, with fill in between up to that size in all. */
static void sized(const struct program *httpd, const char *begin, const char *end, size_t size,
                  int status)
{
    char *text = malloc(size + 1);
    size_t head = strlen(begin), tail = strlen(end);
    CHECK(text != NULL);
    memset(text, 'x', size);
    memcpy(text, begin, head);
    strcpy(text + size - tail, end);
    struct exchange row = {text, .status = status, .after = status < 400 ? KEPT : CLOSED};
    run_exchange(httpd, &row);
    free(text);
}

TEST_PROCS(head_limit)
{
    struct program httpd;
    HTTPD_START(&httpd, "--max-head", "1024");
    sized(&httpd, GET "X: ", "\r\n\r\n", MOST_HEAD, 200);
    sized(&httpd, GET "X: ", "\r\n\r\n", MOST_HEAD + 1, 431);
    sized(&httpd, GET "X", ": \r\n\r\n", MOST_HEAD + 1, 431);
    sized(&httpd, GET "X: ", "\r\n\r\n", 100 * MOST_HEAD, 431);
    sized(&httpd, "GET /?", " HTTP/1.1\r\nHost: a\r\n\r\n", MOST_HEAD, 200);
    sized(&httpd, "GET /?", " HTTP/1.1\r\nHost: a\r\n\r\n", MOST_HEAD + 1, 431);
    sized(&httpd, "GET /?", " HTTP/1.1\r\nHost: a\r\n\r\n", MOST_HEAD + 100, 414);
    sized(&httpd, "GET /?", " HTTP/1.1\r\nHost: a\r\n\r\n", 100 * MOST_HEAD, 414);
    httpd_stop(&httpd);
}

/* A head that never ends is refused as soon as it is over the limit. */
TEST_PROCS(endless_heads)
{
    struct program httpd;
    struct reply reply;
    HTTPD_START(&httpd, "--max-head", "1024", "--max-body", "100");
    static const struct {
        const char *begin, *more;
        int status;
    } rows[] = {
        {"GET /", "aaaaaaaaaaaaaaaa", 414},        {GET, "X: aaaaaaaaaaa\r\n", 431},
        {GET "X: ", "bbbbbbbbbbbbbbbb", 431},      {GET "X", "cccccccccccccccc", 431},
        {CHUNKED "1;", "dddddddddddddddd", ERROR}, {CHUNKED "0\r\n", "T: eeeeeeeeeee\r\n", ERROR}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client client = client_open(&httpd);
        client_say(&client, rows[i].begin);
        for (int j = 0; j < 4 * MOST_HEAD / 16; j++)
            client_say(&client, rows[i].more);
        must_reply(&client, false, &reply);
        if (!is_status(reply.status, rows[i].status))
            FAIL("status %d for row %zu", reply.status, i);
        CHECK(reply_closes(&reply));
        client_must_end(&client);
        client_close(&client);
    }
    httpd_stop(&httpd);
}

/* A body of that size in chunks of that size. */
static void send_chunked(const struct program *httpd, size_t size, size_t chunk, int status)
{
    char text[16 * 1024];
    size_t at = (size_t)sprintf(text, CHUNKED);
    for (size_t rest = size; rest > 0; rest -= chunk) {
        chunk = chunk < rest ? chunk : rest;
        at += (size_t)sprintf(text + at, "%zx\r\n%0*d\r\n", chunk, (int)chunk, 0);
    }
    strcpy(text + at, "0\r\n\r\n");
    struct exchange row = {text, .status = status, .after = status < 400 ? KEPT : CLOSED};
    run_exchange(httpd, &row);
}

TEST_PROCS(body_limit)
{
    struct program httpd;
    HTTPD_START(&httpd, "--max-body", "1000");
    const char *over = POST "Content-Length: 1001\r\n\r\n";
    sized(&httpd, POST "Content-Length: 1000\r\n\r\n", "",
          strlen(POST "Content-Length: 1000\r\n\r\n") + MOST_BODY, 200);
    sized(&httpd, over, "", strlen(over) + MOST_BODY + 1, 413);
    sized(&httpd, over, "", strlen(over), 413);                   /* without waiting for it */
    sized(&httpd, over, "", strlen(over) + 100 * MOST_BODY, 413); /* and whatever follows */
    sized(&httpd, GET "Content-Length: 1001\r\n\r\n", "", 200, 413);
    send_chunked(&httpd, MOST_BODY, MOST_BODY, 200);
    send_chunked(&httpd, MOST_BODY + 1, MOST_BODY + 1, 413);
    send_chunked(&httpd, MOST_BODY, 7, 200);
    send_chunked(&httpd, MOST_BODY + 1, MOST_BODY, 413);
    send_chunked(&httpd, MOST_BODY + 1, 7, 413);
    httpd_stop(&httpd);
}

/* One more than the limit waits until another has gone, and is then served. */
TEST_PROCS(connection_limit)
{
    struct program httpd;
    struct reply reply;
    HTTPD_START(&httpd, "--max-connections", "3");
    struct client clients[4];
    for (int i = 0; i < 3; i++) {
        clients[i] = client_open(&httpd);
        client_must_be_kept(&clients[i]);
    }
    clients[3] = client_open(&httpd);
    client_say(&clients[3], HELLO);
    CHECK_EQ(weft_set_read_deadline(clients[3].fd, weft_after(WEFT_SECOND / 4)), 0);
    CHECK(!client_more(&clients[3]));
    CHECK_EQ(clients[3].error, -ETIMEDOUT);
    CHECK_EQ(weft_set_read_deadline(clients[3].fd, weft_after(30 * WEFT_SECOND)), 0);
    client_close(&clients[1]);
    must_reply(&clients[3], false, &reply);
    CHECK_EQ(reply.status, 200);
    client_close(&clients[0]);
    client_close(&clients[2]);
    client_close(&clients[3]);
    httpd_stop(&httpd);
}

/* The client is still sending when it is refused: the answer is not lost in a reset. */
TEST_PROCS(answers_survive_the_close)
{
    struct program httpd;
    struct reply reply;
    HTTPD_START(&httpd, "--max-body", "1000");
    static char body[200 * 1000];
    for (int i = 0; i < 20; i++) {
        struct client client = client_open(&httpd);
        client_say(&client, POST "Content-Length: 200000\r\n\r\n");
        for (size_t at = 0; at < sizeof body; at += 50 * 1000) {
            client_send(&client, body, 50 * 1000);
            weft_sleep(WEFT_MILLISECOND);
        }
        must_reply(&client, false, &reply);
        CHECK_EQ(reply.status, 413);
        client_must_end(&client);
        client_close(&client);
    }
    httpd_stop(&httpd);
}
