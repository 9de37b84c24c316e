/* SPDX-License-Identifier: MIT
 *
 * Files of examples/httpd: requests for a part of one, and for one if it has changed.
 */
#include "servers/httpd_files.h"

/* ---- Ranges ---- */

#define RANGE(range) "GET /files/ten.txt HTTP/1.1\r\nHost: a\r\nRange: " range "\r\n\r\n"
#define WHOLE(range)                                                                               \
    {                                                                                              \
        RANGE(range), .status = 200, .body = DIGITS, .field = "Content-Range"                      \
    }
#define PART(range, content, where)                                                                \
    {                                                                                              \
        RANGE(range), .status = 206, .body = (content), .field = "Content-Range: bytes " where     \
    }
#define NONE(range)                                                                                \
    {                                                                                              \
        RANGE(range), .status = 416, .field = "Content-Range: bytes */10"                          \
    }

static const struct exchange ranges[] = {
    PART("bytes=0-0", "0", "0-0/10"),
    PART("bytes=0-9", DIGITS, "0-9/10"),
    PART("bytes=0-10", DIGITS, "0-9/10"),
    PART("bytes=0-", DIGITS, "0-9/10"),
    PART("bytes=3-5", "345", "3-5/10"),
    PART("bytes=9-", "9", "9-9/10"),
    PART("bytes=9-9", "9", "9-9/10"),
    PART("bytes=8-1000000", "89", "8-9/10"),
    PART("bytes=8-9223372036854775807", "89", "8-9/10"),
    PART("bytes=007-0008", "78", "7-8/10"),
    PART("bytes=-1", "9", "9-9/10"),
    PART("bytes=-10", DIGITS, "0-9/10"),
    PART("bytes=-11", DIGITS, "0-9/10"),
    PART("bytes=-9223372036854775807", DIGITS, "0-9/10"),
    NONE("bytes=10-"),
    NONE("bytes=10-10"),
    NONE("bytes=9223372036854775807-"),
    NONE("bytes=-0"),
    WHOLE("bytes=5-4"),
    WHOLE("bytes="),
    WHOLE("bytes=-"),
    WHOLE("bytes"),
    WHOLE("bytes=a-b"),
    WHOLE("bytes=1-b"),
    WHOLE("bytes=1-2x"),
    WHOLE("bytes=1"),
    WHOLE("bytes=--1"),
    WHOLE("bytes=+1-2"),
    WHOLE("bytes=1-+2"),
    WHOLE("bytes=0x1-2"),
    WHOLE("bytes=1--2"),
    WHOLE("bytes=1 -2"),
    WHOLE("bytes=0-1,4-5"),
    WHOLE("bytes 0-1"),
    WHOLE("lines=0-1"),
    WHOLE("0-1"),
    /* Numbers that no integer of the machine holds: right, or as if malformed; never a part. */
    {RANGE("bytes=0-99999999999999999999"), .status = 206, .or = 200, .body = DIGITS},
    {RANGE("bytes=-99999999999999999999"), .status = 206, .or = 200, .body = DIGITS},
    {RANGE("bytes=0-18446744073709551616"), .status = 206, .or = 200, .body = DIGITS},
    {RANGE("bytes=99999999999999999999-"), .status = 416, .or = 200},
    {RANGE("bytes=18446744073709551616-"), .status = 416, .or = 200},
    {RANGE("bytes=18446744073709551617-18446744073709551618"), .status = 416, .or = 200},
    {"GET /files/empty HTTP/1.1\r\nHost: a\r\nRange: bytes=0-\r\n\r\n", .status = 416,
     .field = "Content-Range: bytes */0"},
    {"GET /files/empty HTTP/1.1\r\nHost: a\r\nRange: bytes=-5\r\n\r\n", .status = 416, .or = 200},
    {"GET /files/nothing HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n", .status = 404},
    /* Ranges are for GET alone (RFC 9110 14.2). */
    {"HEAD /files/ten.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n", .status = 200,
     .field = "Content-Length: 10"},
    {"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n", .status = 200, .body = HELLO_BODY},
};

TEST_PROCS(ranges)
{
    struct program httpd;
    files_start(&httpd);
    RUN_EXCHANGES(&httpd, ranges);
    files_stop(&httpd);
}

/* ---- Validators ---- */

/* Asks for ten.txt with that field: the status. */
static int ask(const struct program *httpd, const char *method, const char *fields)
{
    char request[1024];
    struct reply reply;
    struct client client = client_open(httpd);
    bool to_head = strcmp(method, "HEAD") == 0;
    snprintf(request, sizeof request, "%s /files/ten.txt HTTP/1.1\r\nHost: a\r\n%s\r\n", method,
             fields);
    client_say(&client, request);
    must_reply(&client, to_head, &reply);
    int status = reply.status;
    CHECK(status != 304 || reply.size == 0);
    if (status == 200 && !to_head)
        CHECK_EQ(reply.size, 10);
    client_must_be_kept(&client);
    client_close(&client);
    return status;
}

#define ASK(method, ...)                                                                           \
    (snprintf(fields, sizeof fields, __VA_ARGS__), ask(&httpd, (method), fields))

/* The ETag and Last-Modified of ten.txt. */
static void learn_validators(const struct program *httpd, char etag[512], char modified[512])
{
    struct reply reply;
    struct client client = client_open(httpd);
    client_say(&client, FILE_("ten.txt"));
    must_reply(&client, false, &reply);
    CHECK(reply_field(&reply, "ETag", etag) != NULL);
    CHECK(reply_field(&reply, "Last-Modified", modified) != NULL);
    CHECK(etag[0] == '"' || strncmp(etag, "W/\"", 3) == 0);
    client_close(&client);
}

TEST_PROCS(conditional_requests)
{
    struct program httpd;
    char etag[512], modified[512], fields[2048];
    static const char *const past = "Sun, 06 Nov 1994 08:49:37 GMT";
    static const char *const future = "Fri, 01 Jan 2100 00:00:00 GMT";
    files_start(&httpd);
    learn_validators(&httpd, etag, modified);
    for (int i = 0; i < 2; i++) {
        const char *method = i == 0 ? "GET" : "HEAD";
        CHECK_EQ(ASK(method, "If-None-Match: %s\r\n", etag), 304);
        CHECK_EQ(ASK(method, "If-None-Match: *\r\n"), 304);
        CHECK_EQ(ASK(method, "If-None-Match: \"x\", %s\r\n", etag), 304);
        CHECK_EQ(ASK(method, "If-None-Match: %s , \"x\"\r\n", etag), 304);
        CHECK_EQ(ASK(method, "If-None-Match: \"x\"\r\n"), 200);
        CHECK_EQ(ASK(method, "If-None-Match: \"\"\r\n"), 200);
        CHECK_EQ(ASK(method, "If-None-Match: \"x%s\r\n", etag), 200);
        CHECK_EQ(ASK(method, "If-None-Match: %.*s\r\n", (int)strlen(etag) - 1, etag), 200);
        CHECK_EQ(ASK(method, "If-Modified-Since: %s\r\n", modified), 304);
        CHECK_EQ(ASK(method, "If-Modified-Since: %s\r\n", future), 304);
        CHECK_EQ(ASK(method, "If-Modified-Since: %s\r\n", past), 200);
        CHECK_EQ(ASK(method, "If-Modified-Since: yesterday\r\n"), 200);
        CHECK_EQ(ASK(method, "If-Modified-Since: \r\n"), 200);
        /* If-None-Match comes first (RFC 9110 13.2.2). */
        CHECK_EQ(ASK(method, "If-None-Match: \"x\"\r\nIf-Modified-Since: %s\r\n", modified), 200);
        CHECK_EQ(ASK(method, "If-None-Match: %s\r\nIf-Modified-Since: %s\r\n", etag, past), 304);
    }
    /* Comparison is weak. */
    if (etag[0] == '"')
        CHECK_EQ(ASK("GET", "If-None-Match: W/%s\r\n", etag), 304);
    CHECK_EQ(ASK("GET", "Range: bytes=0-1\r\nIf-None-Match: %s\r\n", etag), 304);
    CHECK_EQ(ASK("GET", "Range: bytes=99-\r\nIf-None-Match: %s\r\n", etag), 304);

    CHECK_EQ(ASK("GET", "Range: bytes=0-1\r\nIf-Range: %s\r\n", etag), etag[0] == '"' ? 206 : 200);
    CHECK_EQ(ASK("GET", "Range: bytes=0-1\r\nIf-Range: W/\"x\"\r\n"), 200);
    CHECK_EQ(ASK("GET", "Range: bytes=0-1\r\nIf-Range: \"x\"\r\n"), 200);
    CHECK_EQ(ASK("GET", "Range: bytes=99-\r\nIf-Range: \"x\"\r\n"), 200);
    CHECK_EQ(ASK("GET", "Range: bytes=0-1\r\nIf-Range: %s\r\n", past), 200);
    CHECK_EQ(ASK("GET", "If-Range: %s\r\n", etag), 200);
    files_stop(&httpd);
}

/* A file that has changed has other validators. */
TEST_PROCS(a_changed_file_is_sent_again)
{
    struct program httpd;
    char etag[512], modified[512], other[512], fields[1024];
    static const struct timespec past[2] = {{.tv_sec = 784111777}, {.tv_sec = 784111777}};
    files_start(&httpd);
    CHECK_EQ(utimensat(folder.fd, "root/ten.txt", past, 0), 0);
    learn_validators(&httpd, etag, modified);
    folder_write_text(&folder, "root/ten.txt", "9876543210");
    learn_validators(&httpd, other, modified);
    CHECK(strcmp(etag, other) != 0);
    CHECK_EQ(ASK("GET", "If-None-Match: %s\r\n", etag), 200);
    files_stop(&httpd);
}
