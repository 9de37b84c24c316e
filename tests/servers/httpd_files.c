/* SPDX-License-Identifier: MIT
 *
 * Files of examples/httpd: what is served and what is not, and never a byte from outside the folder.
 */
#include "servers/httpd_files.h"

static const struct exchange served[] = {
    {FILE_("ten.txt"), .status = 200, .body = DIGITS, .field = "Content-Length: 10"},
    {FILE_("empty"), .status = 200, .body = ""},
    {FILE_("sub/inner.txt"), .status = 200, .body = "inner"},
    {FILE_("with%20space"), .status = 200, .body = "space"},
    {FILE_("%74en.txt"), .status = 200, .body = DIGITS},
    {FILE_("sub%2finner.txt"), .status = 200, .or = 404},
    {FILE_("ten.txt?query"), .status = 200, .body = DIGITS},
    {FILE_("ahem..txt"), .status = 200, .body = "dots"},
    {FILE_("inside"), .status = 200, .or = 404},
    {"GET http://a/files/ten.txt HTTP/1.1\r\nHost: a\r\n\r\n", .status = 200, .body = DIGITS},
    {"HEAD /files/ten.txt HTTP/1.1\r\nHost: a\r\n\r\n", .status = 200,
     .field = "Content-Length: 10"},
    {"HEAD /files/nothing HTTP/1.1\r\nHost: a\r\n\r\n", .status = 404},
    {"GET /files/ten.txt HTTP/1.0\r\n\r\n", .status = 200, .after = CLOSED, .body = DIGITS},
    {"POST /files/ten.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", .status = 405,
     .after = EITHER},
    {FILE_("nothing"), .status = 404},
    {FILE_(""), .status = 404},
    {FILE_("sub"), .status = 404},
    {FILE_("sub/"), .status = 404},
    {FILE_("ten.txt/"), .status = 404},
    {FILE_("ten.txt/x"), .status = 404},
    {FILE_("pipe"), .status = 404, .or = 403},
    {FILE_("loop"), .status = 404, .or = 403},
};

TEST_PROCS(served_files)
{
    struct program httpd;
    files_start(&httpd);
    RUN_EXCHANGES(&httpd, served);
    files_stop(&httpd);
}

/* Paths that would lead out if something took them at their word. */
static const char *const escapes[] = {
    "../secret",
    "sub/../../secret",
    "%2e%2e/secret",
    "%2E%2E/secret",
    ".%2e/secret",
    "%2e%2e%2fsecret",
    "..%2fsecret",
    "sub/%2e%2e/%2e%2e/secret",
    "%252e%252e/secret",
    "..\\secret",
    "..%5csecret",
    "%c0%ae%c0%ae/secret",
    "%c0%ae%c0%ae%c0%afsecret",
    "%u002e%u002e/secret",
    "....//secret",
    "..;/secret",
    "../rootbeside/secret",
    "outside",
    "absolute",
    "up/secret",
    "up/rootbeside/secret",
    "/etc/passwd",
    "%2fetc/passwd",
    "%2fetc%2fpasswd",
    "//etc/passwd",
    "../../../../../../../../../../etc/passwd",
    "%00",
    "ten.txt%00",
    "ten.txt%00.html",
    "..%00/secret",
    "%",
    "%2",
    "%zz",
    "ten.txt%",
    "ten.txt%2",
    "ten.txt%zz",
};

static void escape(const struct program *httpd, const char *prefix, const char *path)
{
    char request[512];
    struct reply reply;
    struct client client = client_open(httpd);
    snprintf(request, sizeof request, "GET %s/files/%s HTTP/1.1\r\nHost: a\r\n\r\n", prefix, path);
    client_say(&client, request);
    must_reply(&client, false, &reply);
    if (reply.status != 404 && reply.status != 400 && reply.status != 403)
        FAIL("status %d for: %s", reply.status, request);
    if (memmem(reply.body, reply.size, SECRET, strlen(SECRET)) != NULL)
        FAIL("the secret is out: %s", request);
    client_close(&client);
}

TEST_PROCS(nothing_from_outside)
{
    struct program httpd;
    files_start(&httpd);
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        escape(&httpd, "", escapes[i]);
        escape(&httpd, "http://a", escapes[i]);
    }
    files_stop(&httpd);
}

/* Names that are longer than the system's, and paths of many parts. */
TEST_PROCS(long_paths)
{
    struct program httpd;
    struct reply reply;
    static char request[8000];
    files_start(&httpd);
    static const char *const parts[] = {"a", "a/", "./", "../", "sub/../", "%41", "//"};
    static const int sizes[] = {250, 255, 256, 1000, 4090, 4096, 5000, 7000};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
            struct client client = client_open(&httpd);
            size_t at = (size_t)sprintf(request, "GET /files/");
            while (at < (size_t)sizes[j])
                at += (size_t)sprintf(request + at, "%s", parts[i]);
            sprintf(request + at, "/secret HTTP/1.1\r\nHost: a\r\n\r\n");
            client_say(&client, request);
            must_reply(&client, false, &reply);
            if (reply.status != 404 && reply.status != 400 && reply.status != 403 &&
                reply.status != 414)
                FAIL("status %d for %d bytes of %s", reply.status, sizes[j], parts[i]);
            client_close(&client);
        }
    files_stop(&httpd);
}

static const struct exchange types[] = {
    {FILE_("page.html"), .status = 200, .body = "<p>"},
    {"HEAD /files/page.html HTTP/1.1\r\nHost: a\r\n\r\n", .status = 200},
};

TEST_PROCS(content_types)
{
    struct program httpd;
    files_start(&httpd);
    for (int i = 0; i < 2; i++) {
        char value[512];
        struct reply reply;
        struct client client = client_open(&httpd);
        client_say(&client, types[i].request);
        must_reply(&client, i == 1, &reply);
        CHECK(reply_field(&reply, "Content-Type", value) != NULL);
        CHECK_EQ(strncmp(value, "text/html", 9), 0);
        client_close(&client);
    }
    files_stop(&httpd);
}

/* ---- A file of more than a socket holds ---- */

enum { BIG = 8 * 1024 * 1024 + 3 };

static char *big; /* the content of big.bin */

static void big_start(struct program *httpd)
{
    files_start(httpd);
    big = malloc(BIG);
    CHECK(big != NULL);
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)(i * 7 + i / 4096);
    folder_write(&folder, "root/big.bin", big, BIG);
}

static void big_stop(struct program *httpd)
{
    files_stop(httpd);
    free(big);
}

TEST_PROCS(a_big_file_arrives_whole)
{
    struct program httpd;
    struct reply reply;
    big_start(&httpd);
    struct client client = client_open(&httpd);
    client_say(&client, FILE_("big.bin") FILE_("ten.txt") FILE_("big.bin"));
    must_reply(&client, false, &reply);
    CHECK_EQ(reply.size, BIG);
    CHECK_EQ(memcmp(reply.body, big, BIG), 0);
    must_reply(&client, false, &reply);
    CHECK_EQ(reply.size, 10);
    must_reply(&client, false, &reply);
    CHECK_EQ(reply.size, BIG);
    CHECK_EQ(memcmp(reply.body, big, BIG), 0);
    client_say(&client,
               "GET /files/big.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=4097-8000000\r\n\r\n");
    must_reply(&client, false, &reply);
    CHECK_EQ(reply.status, 206);
    CHECK_EQ(reply.size, 8000000 - 4097 + 1);
    CHECK_EQ(memcmp(reply.body, big + 4097, reply.size), 0);
    client_must_be_kept(&client);
    client_close(&client);
    big_stop(&httpd);
}

/* The file shrinks while it is sent: the promised length cannot be kept, so the connection ends
 * early, where the client can tell. */
TEST_PROCS(a_file_that_shrinks)
{
    struct program httpd;
    big_start(&httpd);
    struct client client = client_open(&httpd);
    CHECK_EQ(setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &(int){64 * 1024}, sizeof(int)), 0);
    client_say(&client, FILE_("big.bin"));
    CHECK(client_more(&client));
    int file = openat(folder.fd, "root/big.bin", O_WRONLY | O_CLOEXEC);
    CHECK_GE(file, 0);
    CHECK_EQ(ftruncate(file, 1000), 0);
    close(file);
    while (client_more(&client)) {
    }
    CHECK_LT(client.size, BIG);
    client_close(&client);
    client = client_open(&httpd);
    client_must_be_kept(&client);
    client_close(&client);
    big_stop(&httpd);
}
