/* SPDX-License-Identifier: MIT
 *
 * What the tests of examples/httpd share: the server as a process, with as many slots as the test
 * has; a client that writes bytes as they are and reads replies strictly; and tables of what a
 * request must get. From goroutines.
 */
#ifndef HTTPD_TEST_H
#define HTTPD_TEST_H

#include <ctype.h>
#include <strings.h>

#include "servers/program.h"

#define HELLO      "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define HELLO_BODY "Hello, World!\n"

/* ---- The server ---- */

/* options: pairs of --name and value, then NULL; or NULL. */
static inline void httpd_start(struct program *httpd, const char *const *options)
{
    program_start_with(httpd, "httpd", options != NULL ? options : (const char *const[]){NULL});
}

#define HTTPD_START(httpd, ...) httpd_start(httpd, (const char *const[]){__VA_ARGS__, NULL})

/* Reads what it says until its end, which must be in order. */
static inline void httpd_must_end(struct program *httpd)
{
    CHECK_EQ(program_end(httpd), 0);
    CHECK(strstr(httpd->output, "\nstopped: ") != NULL);
}

static inline void httpd_stop(struct program *httpd)
{
    CHECK_EQ(weft_process_kill(&httpd->process, SIGTERM), 0);
    httpd_must_end(httpd);
}

/* ---- A client ---- */

struct client {
    int fd;
    int error; /* why reading ended: 0 for the end of the stream, or negative */
    char *data;
    size_t size, room;
    size_t taken; /* of data, by the last reply */
};

struct reply {
    int status;
    const char *head; /* ends with an empty line; it and the body last until the next reply */
    size_t head_size;
    const char *body;
    size_t size;
};

static inline struct client client_open(const struct program *httpd)
{
    struct client client = {.fd = program_dial(httpd), .room = 4096};
    client.data = malloc(client.room);
    CHECK(client.data != NULL);
    return client;
}

/* By a reset. */
static inline void client_close(struct client *client)
{
    program_hang_up(client->fd);
    free(client->data);
}

static inline void client_send(struct client *client, const void *data, size_t size)
{
    CHECK_EQ(weft_write_all(client->fd, data, size), size);
}

static inline void client_say(struct client *client, const char *text)
{
    client_send(client, text, strlen(text));
}

/* Reads on; false once there is no more. */
static inline bool client_more(struct client *client)
{
    if (client->size == client->room) {
        client->room *= 2;
        client->data = realloc(client->data, client->room);
        CHECK(client->data != NULL);
    }
    ssize_t size = weft_read(client->fd, client->data + client->size, client->room - client->size);
    client->size += size > 0 ? (size_t)size : 0;
    client->error = size < 0 ? (int)size : 0;
    return size > 0;
}

/* Whether the server ends the connection in order, and has said nothing more. A reset, which might
 * have destroyed a reply on its way, is no such end. */
static inline void client_must_end(struct client *client)
{
    if (client_more(client) || client->size > client->taken)
        FAIL("more than was asked for: \"%.200s\"", client->data + client->taken);
    CHECK_EQ(client->error, 0);
}

/* ---- Replies ---- */

/* The value of the reply's field of that name in the buffer, or NULL. It may be there once. */
static inline const char *reply_field(const struct reply *reply, const char *name, char value[512])
{
    size_t length = strlen(name);
    const char *found = NULL, *line = memchr(reply->head, '\n', reply->head_size);
    for (; line[1] != '\r'; line = strchr(line + 1, '\n')) {
        if (strncasecmp(line + 1, name, length) != 0 || line[1 + length] != ':')
            continue;
        if (found != NULL)
            FAIL("%s twice in: %.*s", name, (int)reply->head_size, reply->head);
        const char *text = line + length + 3;
        snprintf(value, 512, "%.*s", (int)strcspn(text, "\r"), text);
        found = value;
    }
    return found;
}

static inline void reply_must_say(const struct reply *reply, const char *name, const char *value)
{
    char buffer[512];
    const char *found = reply_field(reply, name, buffer);
    if (found == NULL ? value != NULL : value == NULL || strcmp(found, value) != 0)
        FAIL("%s is %s, not %s, in: %.*s", name, found, value, (int)reply->head_size, reply->head);
}

/* Whether the reply says that the connection ends with it. */
static inline bool reply_closes(const struct reply *reply)
{
    char value[512];
    const char *connection = reply_field(reply, "Connection", value);
    return connection != NULL && strcasecmp(connection, "close") == 0;
}

/* A status line, and fields as RFC 9112 has them, each of one line. */
static inline void check_head(const struct reply *reply)
{
    char date[512];
    const char *line = reply->head;
    int status = strncmp(line, "HTTP/1.1 ", 9) == 0 ? atoi(line + 9) : 0;
    size_t end = strcspn(line, "\r\n");
    if (status < 100 || status > 599 || line[12] != ' ' || strncmp(line + end, "\r\n", 2) != 0)
        FAIL("no status line: \"%.100s\"", line);
    for (line += end + 2; *line != '\r'; line = strchr(line, '\n') + 1) {
        size_t name = strcspn(line, ":\r\n \t"), all = strcspn(line, "\r\n");
        if (name == 0 || line[name] != ':' || line[name + 1] != ' ' || line[all] != '\r')
            FAIL("no field: \"%.100s\"", line);
    }
    if (status >= 200 && reply_field(reply, "Date", date) == NULL)
        FAIL("no Date: %.*s", (int)reply->head_size, reply->head);
    if (status >= 200)
        CHECK_EQ(strlen(date), strlen("Sun, 06 Nov 1994 08:49:37 GMT"));
}

/* Reads up to the end of the head; false if the connection ends instead. */
static inline bool read_head(struct client *client)
{
    char *end = NULL;
    while ((end = memmem(client->data, client->size, "\r\n\r\n", 4)) == NULL)
        if (!client_more(client)) {
            if (client->size > 0)
                FAIL("ends within a head: \"%.*s\"", (int)client->size, client->data);
            return false;
        }
    client->taken = (size_t)(end + 4 - client->data);
    return true;
}

/* Reads the next reply. to_head: it answers a HEAD, and has no body whatever it says. False if the
 * connection has ended instead. */
static inline bool read_reply(struct client *client, bool to_head, struct reply *reply)
{
    char value[512];
    memmove(client->data, client->data + client->taken, client->size - client->taken);
    client->size -= client->taken;
    client->taken = 0;
    if (!read_head(client))
        return false;
    size_t head = client->taken;
    *reply = (struct reply){.head = client->data, .head_size = head};
    check_head(reply);
    sscanf(reply->head, "HTTP/1.1 %d", &reply->status);
    const char *length = reply_field(reply, "Content-Length", value);
    bool none = reply->status < 200 || reply->status == 204 || reply->status == 304;
    if (length == NULL && !none)
        FAIL("no Content-Length: %.*s", (int)head, reply->head);
    if (!none && !to_head)
        reply->size = strtoul(length, NULL, 10);
    while (client->size < head + reply->size)
        if (!client_more(client))
            FAIL("ends within a body: %zu of %zu, %d", client->size - head, reply->size,
                 client->error);
    reply->head = client->data; /* it may have moved */
    reply->body = client->data + head;
    client->taken = head + reply->size;
    return true;
}

static inline void must_reply(struct client *client, bool to_head, struct reply *reply)
{
    if (!read_reply(client, to_head, reply))
        FAIL("no reply: %d", client->error);
}

/* The next reply, to anything but HEAD, has that status. */
static inline void must_answer(struct client *client, int status)
{
    struct reply reply;
    must_reply(client, false, &reply);
    CHECK_EQ(reply.status, status);
}

/* The connection is as good as new. */
static inline void client_must_be_kept(struct client *client)
{
    struct reply reply;
    client_say(client, HELLO);
    must_reply(client, false, &reply);
    CHECK_EQ(reply.status, 200);
    CHECK_EQ(reply.size, strlen(HELLO_BODY));
    CHECK_EQ(memcmp(reply.body, HELLO_BODY, reply.size), 0);
}

/* ---- Tables ---- */

enum after { KEPT, CLOSED, EITHER };

/* ERROR: any status from 400 to 599. */
enum { ERROR = 1 };

struct exchange {
    const char *request;
    size_t size;     /* of the request; 0: it is a text */
    int status, or ; /* this, or if there is one, or: where RFC 9110 or 9112 leave it open */
    enum after after;
    const char *body;  /* NULL: any */
    const char *field; /* "Name: value", which the head must have; NULL: none */
};

#define BYTES(text) .request = (text), .size = sizeof(text) - 1

static inline bool is_status(int status, int wanted)
{
    return wanted == ERROR ? status >= 400 && status <= 599 : status == wanted;
}

static inline void check_reply(const struct exchange *row, const struct reply *reply)
{
    if (!is_status(reply->status, row->status) && !is_status(reply->status, row->or))
        FAIL("status %d, not %d, for: %.300s", reply->status, row->status, row->request);
    if (row->body != NULL &&
        (reply->size != strlen(row->body) || memcmp(reply->body, row->body, reply->size) != 0))
        FAIL("body \"%.*s\", not \"%s\", for: %.300s", (int)reply->size, reply->body, row->body,
             row->request);
    if (row->field != NULL) {
        char name[64];
        size_t length = strcspn(row->field, ":");
        snprintf(name, sizeof name, "%.*s", (int)length, row->field);
        reply_must_say(reply, name, row->field[length] ? row->field + length + 2 : NULL);
    }
}

static inline void check_after(const struct exchange *row, struct client *client, bool closes)
{
    if (row->after == CLOSED && !closes)
        FAIL("does not say that it closes after: %.300s", row->request);
    if (row->after == KEPT && closes)
        FAIL("says that it closes after: %.300s", row->request);
    if (closes)
        client_must_end(client);
    else
        client_must_be_kept(client);
}

/* Asks on a connection of its own. 100 Continue is passed over. */
static inline void run_exchange(const struct program *httpd, const struct exchange *row)
{
    struct client client = client_open(httpd);
    struct reply reply;
    bool to_head = strncmp(row->request, "HEAD ", 5) == 0;
    client_send(&client, row->request, row->size > 0 ? row->size : strlen(row->request));
    do
        if (!read_reply(&client, to_head, &reply))
            FAIL("no reply (%d) to: %.300s", client.error, row->request);
    while (reply.status == 100);
    check_reply(row, &reply);
    check_after(row, &client, reply_closes(&reply));
    client_close(&client);
}

static inline void run_exchanges(const struct program *httpd, const struct exchange *rows,
                                 size_t count)
{
    for (size_t i = 0; i < count; i++)
        run_exchange(httpd, &rows[i]);
}

#define RUN_EXCHANGES(httpd, rows) run_exchanges(httpd, rows, sizeof(rows) / sizeof((rows)[0]))

#endif
