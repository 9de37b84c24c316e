/* SPDX-License-Identifier: MIT
 *
 * What examples/httpd makes of bytes, without a process: exact events for exact inputs, the same
 * ones however the input is split.
 */
#ifdef HTTPD_LLHTTP

#include "harness/test.h"

#include "httpd/message.c"
#include "httpd/request.c"
#include "servers/httpd_trace.h"

#define GET          "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST         "POST /echo HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED      POST "Transfer-Encoding: chunked\r\n\r\n"
#define CHUNKED_HEAD "POST /echo 1.1 keep {Host=a|Transfer-Encoding=chunked}"

enum { MOST_HEAD = 128, MOST_BODY = 20 };

static const struct request_limits limits = {MOST_HEAD, MOST_BODY};

struct row {
    const char *bytes, *events;
};

static void check_row(const struct row *row)
{
    static char text[4096];
    struct trace trace = {.text = text, .size = sizeof text};
    size_t size = strlen(row->bytes);
    for (size_t step = 1; step <= size; step++)
        for (size_t first = 1; first <= (step == size ? size : 1); first++) {
            trace_bytes(&trace, &limits, row->bytes, size, first, step);
            if (strcmp(text, row->events) != 0)
                FAIL("for \"%s\" in pieces of %zu, then %zu:\n%snot:\n%s", row->bytes, first, step,
                     text, row->events);
        }
}

#define CHECK_ROWS(rows)                                                                           \
    for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++)                                  \
    check_row(&(rows)[i])

static const struct row whole[] = {
    {GET "\r\n", "done GET / 1.1 keep {Host=a} \n"},
    {"\r\n\r\n" GET "\r\n", "done GET / 1.1 keep {Host=a} \n"},
    {"HEAD /a?b=%20 HTTP/1.1\r\nHost:\r\nX: \t y z \t\r\n\r\n",
     "done HEAD /a?b=%20 1.1 keep {Host=|X=y z} \n"},
    {"GET http://h:80/a?b HTTP/1.1\r\nHost: h\r\n\r\n", "done GET /a?b 1.1 keep {Host=h} \n"},
    {"GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", "done GET / 1.1 keep {Host=h} \n"},
    {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "done OPTIONS * 1.1 keep {Host=h} \n"},
    {"GET / HTTP/1.0\r\n\r\n", "done GET / 1.0 close {} \n"},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
     "done GET / 1.0 keep {Connection=Keep-Alive} \n"},
    {GET "Connection: a, Close\r\n\r\n", "done GET / 1.1 close {Host=a|Connection=a, Close} \n"},
    {GET "X: \x80\xff\r\n\r\n", "done GET / 1.1 keep {Host=a|X=\\80\\ff} \n"},
    {GET "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n" GET "\r\n",
     "done GET / 1.1 keep {Host=a|Upgrade=h2c|Connection=Upgrade} \n"
     "done GET / 1.1 keep {Host=a} \n"},
    {POST "Content-Length: 5\r\n\r\nhello",
     "head POST /echo 1.1 keep {Host=a|Content-Length=5}\n"
     "done POST /echo 1.1 keep {Host=a|Content-Length=5} hello\n"},
    {POST "Content-Length: 0\r\n\r\n", "done POST /echo 1.1 keep {Host=a|Content-Length=0} \n"},
    {POST "Expect: 100-continue\r\nContent-Length: 1\r\n\r\n",
     "head POST /echo 1.1 keep continue {Host=a|Expect=100-continue|Content-Length=1}\n"},
    {CHUNKED "5\r\nhello\r\n0\r\n\r\n", "head " CHUNKED_HEAD "\ndone " CHUNKED_HEAD " hello\n"},
    {CHUNKED "1;x=\"y\"\r\nh\r\n0004\r\nello\r\n0\r\nT: u\r\n\r\n" GET "\r\n",
     "head " CHUNKED_HEAD "\ndone " CHUNKED_HEAD " hello\ndone GET / 1.1 keep {Host=a} \n"},
    {CHUNKED "0\r\n\r\n", "head " CHUNKED_HEAD "\ndone " CHUNKED_HEAD " \n"},
    {GET "\r\n" GET "\r\n" POST "Content-Length: 1\r\n\r\n\n" GET "\r\nGET",
     "done GET / 1.1 keep {Host=a} \ndone GET / 1.1 keep {Host=a} \n"
     "head POST /echo 1.1 keep {Host=a|Content-Length=1}\n"
     "done POST /echo 1.1 keep {Host=a|Content-Length=1} \\0a\ndone GET / 1.1 keep {Host=a} \n"},
};

TEST(events_of_requests)
{
    CHECK_ROWS(whole);
}

static const struct row partial[] = {
    {"\r\n", ""},
    {"GET / HTTP/1.1\r\nHost: a\r\n", ""},
    {GET "\r", ""},
    {POST "Content-Length: 5\r\n\r\nhell", "head POST /echo 1.1 keep {Host=a|Content-Length=5}\n"},
    {CHUNKED "5\r\nhello\r\n0\r\n\r", "head " CHUNKED_HEAD "\n"},
};

TEST(no_events_of_what_is_not_complete)
{
    CHECK_ROWS(partial);
}

static const struct row refused[] = {
    {"GET /\r\n\r\n", "bad 400\n"},
    {"GET / HTTP/1.1\r\n\r\n", "bad 400\n"},
    {GET "Host: a\r\n\r\n", "bad 400\n"},
    {GET "X : y\r\n\r\n", "bad 400\n"},
    {GET "X: y\r\n z\r\n\r\n", "bad 400\n"},
    {GET "X: a\x01\r\n\r\n", "bad 400\n"},
    {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "bad 505\n"},
    {"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", "bad 501\n"},
    {GET "Expect: y\r\nContent-Length: 1\r\n\r\n", "bad 417\n"},
    {POST "Transfer-Encoding: gzip, chunked\r\n\r\n", "bad 501\n"},
    {POST "Transfer-Encoding: chunked, chunked\r\n\r\n", "bad 400\n"},
    {POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", "bad 400\n"},
    {POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "bad 400\n"},
    {POST "Content-Length: 1, 1\r\n\r\n", "bad 400\n"},
    {POST "Content-Length: 21\r\n\r\n", "bad 413\n"},
    {CHUNKED "15\r\n012345678901234567890", "head " CHUNKED_HEAD "\nbad 413\n"},
    {CHUNKED "14\r\n01234567890123456789\r\n1\r\nx", "head " CHUNKED_HEAD "\nbad 413\n"},
    {CHUNKED "x", "head " CHUNKED_HEAD "\nbad 400\n"},
    {CHUNKED "1\r\nab", "head " CHUNKED_HEAD "\nbad 400\n"},
    {GET "\r\nGET\r\n" GET "\r\n", "done GET / 1.1 keep {Host=a} \nbad 400\n"},
};

TEST(events_of_what_is_refused)
{
    CHECK_ROWS(refused);
}

/* A head of that size: with a field to fill it, or a target. */
static void check_head_size(bool in_target, size_t size, const char *events)
{
    char bytes[4 * MOST_HEAD], text[4096];
    struct trace trace = {.text = text, .size = sizeof text};
    const char *begin = in_target ? "GET /" : GET "X: ";
    const char *end = in_target ? " HTTP/1.0\r\n\r\n" : "\r\n\r\n";
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, begin, strlen(begin));
    memcpy(bytes + size - strlen(end), end, strlen(end));
    for (size_t step = 1; step <= size; step++) {
        trace_bytes(&trace, &limits, bytes, size, 1, step);
        text[8] = '\0';
        CHECK_STR(text, events);
    }
}

TEST(limit_of_a_head)
{
    check_head_size(false, MOST_HEAD, "done GET");
    check_head_size(false, MOST_HEAD + 1, "bad 431\n");
    check_head_size(false, 3 * MOST_HEAD, "bad 431\n");
    check_head_size(true, MOST_HEAD, "done GET");
    check_head_size(true, MOST_HEAD + 1, "bad 431\n");
    check_head_size(true, MOST_HEAD + 3, "bad 414\n");
    check_head_size(true, 3 * MOST_HEAD, "bad 414\n");
}

TEST(limit_of_fields)
{
    static char bytes[4096], text[4096];
    static const struct request_limits wide = {4096, 0};
    struct trace trace = {.text = text, .size = sizeof text};
    for (int more = 0; more < 2; more++) {
        size_t size = (size_t)sprintf(bytes, "GET / HTTP/1.0\r\n");
        for (int i = 0; i < REQUEST_FIELDS_MAX + more; i++)
            size += (size_t)sprintf(bytes + size, "X: y\r\n");
        size += (size_t)sprintf(bytes + size, "\r\n");
        trace_bytes(&trace, &wide, bytes, size, 1, 7);
        text[8] = '\0';
        CHECK_STR(text, more ? "bad 431\n" : "done GET");
    }
}

/* An endless head or body framing is refused once it is over the limit, not later. */
static void check_endless(const char *begin, const char *more)
{
    char bytes[8192], text[4096];
    struct trace trace = {.text = text, .size = sizeof text};
    size_t size = (size_t)sprintf(bytes, "%s", begin);
    while (size < 8000)
        size += (size_t)sprintf(bytes + size, "%s", more);
    size_t used = trace_bytes(&trace, &limits, bytes, size, 1, 1);
    CHECK_LT(used, strlen(begin) + 4 * (MOST_HEAD + MOST_BODY));
    CHECK(strstr(text, "bad 4") != NULL);
}

TEST(endless_requests)
{
    check_endless("GET /", "x");
    check_endless(GET, "X: y\r\n");
    check_endless(GET "X: ", "y");
    check_endless(CHUNKED "1;", "x");
    check_endless(CHUNKED "0", "0");
    check_endless(CHUNKED "0\r\n", "T: u\r\n");
    check_endless(CHUNKED "0\r\nT: ", "u");
    check_endless(CHUNKED, "1\r\nx\r\n");
    check_endless(CHUNKED, "1;abcdefghijklmno\r\nx\r\n");
}

#else

#include "harness/test.h"

TEST(events_of_requests)
{
    SKIP("needs llhttp or http_parser");
}

#endif
