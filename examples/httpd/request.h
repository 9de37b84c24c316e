/* SPDX-License-Identifier: MIT
 *
 * Bytes of a connection become requests. No I/O, and nothing of weft: whoever has bytes puts them
 * in and takes requests out, so this is what the tests and the fuzzer feed.
 *
 *     request_room, request_filled    bytes that have come, any number at a time
 *     request_next                    what they amount to, until that is REQUEST_MORE
 *
 * What comes out, events, fields, bodies and statuses, depends on the bytes alone, not on how they
 * were split. The head of a request (its request line and fields) is kept in the input until it is
 * whole, and is then given to the parser in one piece; a fault in a line is found when the line is
 * complete at the latest. A body is decoded as it comes. (request.c, message.c.)
 */
#ifndef HTTPD_REQUEST_H
#define HTTPD_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "parser.h"
#include "text.h"

/* Methods that this server knows; a request with another one is bad, with status 501. */
enum method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_POST,
    METHOD_PUT,
    METHOD_DELETE,
    METHOD_PATCH,
    METHOD_OPTIONS,
    METHODS
};

enum request_event {
    REQUEST_MORE, /* more bytes are needed; there is room for them */
    REQUEST_HEAD, /* a head, whose body follows: only where there is one */
    REQUEST_DONE, /* a whole request */
    REQUEST_BAD,  /* the request cannot be had: status says why, and the connection is of no use */
};

struct request_limits {
    size_t head; /* bytes of request line and fields; over it: 414 in the request line, else 431 */
    size_t body; /* bytes; over it: 413 */
};

struct request_field {
    struct text name, value; /* the value without white space around it */
};

enum { REQUEST_FIELDS_MAX = 64 }; /* over it: 431 */

struct request {
    /* What was sent. From REQUEST_HEAD or REQUEST_DONE on, until the request_next that follows
     * REQUEST_DONE. With REQUEST_BAD: the method if it is known, otherwise GET, and the status. */
    enum method method;
    int minor;             /* the version is HTTP/1.minor: 0 or 1 */
    bool keep_alive;       /* the client does not want the connection closed afterwards */
    bool expects_continue; /* the client waits for 100 before it sends the body */
    int status;            /* why the request is bad: 400, 413, 414, 417, 431, 500, 501, 505 */
    struct text target; /* printable ASCII; "/path?query" also if it was "http://host/path?..." */
    struct text body;   /* with REQUEST_DONE */
    int field_count;
    struct request_field fields[REQUEST_FIELDS_MAX];

    /* Private. Of the input [start, filled) is not used up; the head is [start, head_end). */
    struct request_limits limits;
    char *input;
    size_t capacity, filled;
    size_t start, line, scanned, head_end;
    int phase;
    bool chunked, in_body;
    size_t length;        /* of the body, if it was given */
    size_t framing;       /* bytes of the body as it came that are not in the body */
    size_t body_capacity; /* of the memory that the body is in */
    char *body_bytes;
    struct parser parser;
};

/* Capacity is that of the input, at least request_capacity. end frees what next has allocated. */
void request_init(struct request *request, const struct request_limits *limits, char *input,
                  size_t capacity);
void request_end(struct request *request);

static inline size_t request_capacity(const struct request_limits *limits)
{
    return 2 * (limits->head + 1);
}

/* Where bytes can be put, and how many: at least one after REQUEST_MORE, which is when they may be
 * put there. filled says how many were. */
char *request_room(struct request *request, size_t *room);
void request_filled(struct request *request, size_t size);

/* The next event. After REQUEST_BAD always the same. */
enum request_event request_next(struct request *request);

/* After REQUEST_MORE: whether a request has begun (empty lines before one do not count). */
bool request_begun(const struct request *request);

/* The value of a field, of the first of that name; .at is NULL if there is none. The name in lower
 * case. */
struct text request_field(const struct request *request, const char *name);

#endif
