/* SPDX-License-Identifier: MIT
 *
 * Clients of examples/httpd that take their time: each limit ends what it is for, and nothing else.
 */
#include "servers/folder.h"
#include "servers/httpd_test.h"

#define POST "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"

/* Sends the text at a byte every 50 ms until the server has answered or ended: whether it did so
 * before the text was over. */
static bool drip(struct client *client, const char *text)
{
    for (; *text != '\0'; text++) {
        CHECK_EQ(weft_set_read_deadline(client->fd, weft_after(WEFT_SECOND / 20)), 0);
        if (client_more(client) || client->error != -ETIMEDOUT)
            break;
        weft_write(client->fd, text, 1);
    }
    CHECK_EQ(weft_set_read_deadline(client->fd, weft_after(30 * WEFT_SECOND)), 0);
    return *text != '\0';
}

static void must_time_out(struct client *client)
{
    struct reply reply;
    must_reply(client, false, &reply);
    CHECK_EQ(reply.status, 408);
    CHECK(reply_closes(&reply));
    client_must_end(client);
}

/* 10 s of header fields. */
static const char slow[] =
    "GET / HTTP/1.1\r\nHost: a\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

TEST_PROCS(a_head_that_drips)
{
    struct program httpd;
    HTTPD_START(&httpd, "--head-time", "1.5");
    struct client client = client_open(&httpd);
    CHECK(drip(&client, slow));
    must_time_out(&client);
    client_close(&client);

    client = client_open(&httpd); /* the second request of a connection */
    client_must_be_kept(&client);
    CHECK(drip(&client, slow));
    must_time_out(&client);
    client_close(&client);

    client = client_open(&httpd); /* one that comes to a halt */
    client_say(&client, "GET / HTTP/1.1\r\nHost:");
    must_time_out(&client);
    client_close(&client);
    httpd_stop(&httpd);
}

/* A connection that says nothing at all is closed without a word. */
TEST_PROCS(a_silent_connection)
{
    struct program httpd;
    HTTPD_START(&httpd, "--head-time", "0.5");
    struct client client = client_open(&httpd);
    client_must_end(&client);
    client_close(&client);

    client = client_open(&httpd); /* empty lines are nothing */
    int lines = 0;
    while (lines < 400 && weft_write(client.fd, "\r\n", 2) > 0) {
        weft_sleep(WEFT_SECOND / 20);
        lines++;
    }
    CHECK_LT(lines, 400);
    client_close(&client);
    httpd_stop(&httpd);
}

TEST_PROCS(a_body_that_drips)
{
    struct program httpd;
    HTTPD_START(&httpd, "--body-time", "0.5", "--head-time", "60");
    struct client client = client_open(&httpd);
    client_say(&client, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    CHECK(drip(&client, slow));
    must_time_out(&client);
    client_close(&client);

    client = client_open(&httpd);
    client_say(&client, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    CHECK(drip(&client,
               "1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n"
               "1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n"));
    must_time_out(&client);
    client_close(&client);
    httpd_stop(&httpd);
}

/* Neither limit counts what it is not for: the time between requests, and that of the answer. */
TEST_PROCS(time_that_is_not_limited)
{
    struct program httpd;
    HTTPD_START(&httpd, "--head-time", "1", "--body-time", "1", "--write-time", "1");
    struct client client = client_open(&httpd);
    client_must_be_kept(&client);
    weft_sleep(3 * WEFT_SECOND / 2);
    client_must_be_kept(&client);
    int64_t start = weft_now();
    client_say(&client, "GET /sleep/1500 HTTP/1.1\r\nHost: a\r\n\r\n");
    must_answer(&client, 200);
    CHECK_GE(weft_now() - start, 3 * WEFT_SECOND / 2);
    client_must_be_kept(&client);
    client_close(&client);
    httpd_stop(&httpd);
}

TEST_PROCS(an_idle_connection)
{
    struct program httpd;
    HTTPD_START(&httpd, "--idle", "1.5");
    struct client client = client_open(&httpd);
    int64_t start = weft_now();
    client_must_be_kept(&client);
    client_must_end(&client);
    CHECK_GE(weft_now() - start, 3 * WEFT_SECOND / 2);
    client_close(&client);

    client = client_open(&httpd); /* busy for longer than that, in turns */
    for (int i = 0; i < 8; i++) {
        weft_sleep(WEFT_SECOND / 4);
        client_must_be_kept(&client);
    }
    client_close(&client);
    httpd_stop(&httpd);
}

/* Connections come and go in idleness, with and without a goroutine of their own. */
TEST_PROCS(idle_and_back)
{
    struct program httpd;
    static const int pauses[] = {0, 1, 10, 50, 99, 100, 101, 200, 500, 1000, 1100};
    httpd_start(&httpd, NULL);
    struct client client = client_open(&httpd);
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        weft_sleep(pauses[i] * WEFT_MILLISECOND);
        client_must_be_kept(&client);
    }
    weft_sleep(2 * WEFT_SECOND);
    client_say(&client, HELLO "GET / HT");
    must_answer(&client, 200);
    weft_sleep(2 * WEFT_SECOND); /* what has come of a request is not lost */
    client_say(&client, "TP/1.1\r\nHost: a\r\n\r\n");
    must_answer(&client, 200);
    client_close(&client);
    httpd_stop(&httpd);
}

/* A client that asks for more than sockets hold and takes nothing is cut; its connection is gone,
 * and what it finds later is less than was promised. */
TEST_PROCS(a_client_that_does_not_read, .timeout = 120)
{
    struct program httpd;
    struct folder folder;
    folder_make(&folder);
    folder_write_zeros(&folder, "big", 64 * 1024 * 1024);
    HTTPD_START(&httpd, "--files", folder.path, "--write-time", "0.5");
    int before = program_files(&httpd);
    struct client client = client_open(&httpd);
    client_say(&client, "GET /files/big HTTP/1.1\r\nHost: a\r\n\r\n");
    CHECK(client_more(&client)); /* it has been accepted, and sends */
    CHECK_SOON(program_files(&httpd) == before);
    while (client_more(&client)) {
    }
    CHECK_LT(client.size, 64 * 1024 * 1024);
    client_close(&client);
    httpd_stop(&httpd);
    folder_remove(&folder);
}
