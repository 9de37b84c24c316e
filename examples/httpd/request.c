/* SPDX-License-Identifier: MIT
 *
 * The input's life: a head is looked through line by line as it comes, until the empty line that
 * ends it (scan); the parser then takes it apart, and what its fields mean for the connection is
 * found out (message.c). Bytes of the body go to the parser as they come, and their place in the
 * input is used again.
 */
#include "request.h"

#include <stdlib.h>

#include "message.h"

enum phase { PHASE_HEAD, PHASE_BODY, PHASE_DONE, PHASE_BAD };

enum { BODY_FIRST = 4096 }; /* bytes of memory for a body whose length is not known */

static enum request_event bad(struct request *request, int status)
{
    request->phase = PHASE_BAD;
    request->status = status;
    return REQUEST_BAD;
}

/* ---- Input ---- */

void request_init(struct request *request, const struct request_limits *limits, char *input,
                  size_t capacity)
{
    request->limits = *limits;
    request->input = input;
    request->capacity = capacity;
    request->start = request->filled = 0;
    request->body_bytes = NULL;
    request->phase = PHASE_DONE;
    request->head_end = 0;
}

void request_end(struct request *request)
{
    free(request->body_bytes);
    request->body_bytes = NULL;
}

char *request_room(struct request *request, size_t *room)
{
    *room = request->capacity - request->filled;
    return request->input + request->filled;
}

void request_filled(struct request *request, size_t size)
{
    request->filled += size;
}

bool request_begun(const struct request *request)
{
    return request->filled > request->start;
}

static void begin(struct request *request)
{
    request_end(request);
    request->body = (struct text){"", 0};
    request->body_capacity = 0;
    request->method = METHOD_GET;
    request->field_count = 0;
    request->phase = PHASE_HEAD;
    request->scanned = request->start;
    request->head_end = 0;
}

/* ---- Head ---- */

/* Empty lines before a request are passed over. A head that begins in the first half of the input
 * has room there up to its limit, and a byte of its body too. */
static void find_start(struct request *request)
{
    while (request->filled - request->start >= 2 &&
           memcmp(request->input + request->start, "\r\n", 2) == 0)
        request->start += 2;
    if (request->start == request->filled)
        request->start = request->filled = 0;
    if (request->start > request->capacity / 2) {
        request->filled -= request->start;
        memmove(request->input, request->input + request->start, request->filled);
        request->start = 0;
    }
    request->scanned = request->line = request->start;
}

/* A line is complete. 0, or the status for what is wrong with it. */
static int end_line(struct request *request, size_t end)
{
    struct text line = {request->input + request->line, end - request->line};
    if (request->line == request->start)
        return message_request_line(request, line);
    return line.size > 0 && (line.at[0] == ' ' || line.at[0] == '\t') ? 400 : 0; /* folded */
}

/* Looks at the bytes that have come up to that limit: every line must end in CR LF, and there are
 * no other control characters. Sets head_end if the head ends there. 0, or a status. */
static int scan(struct request *request, size_t limit)
{
    const char *input = request->input;
    for (; request->scanned < limit; request->scanned++) {
        size_t at = request->scanned;
        unsigned char byte = (unsigned char)input[at];
        if ((byte >= ' ' && byte != 0x7f) || (byte == '\t' && request->line > request->start))
            continue;
        if (byte != '\r')
            return 400;
        if (at + 1 == limit)
            return 0; /* what follows CR is yet to come */
        if (input[at + 1] != '\n')
            return 400;
        int status = end_line(request, at);
        if (status != 0)
            return status;
        if (request->line == at) {
            request->head_end = at + 2;
            return 0;
        }
        request->line = at + 2;
        request->scanned++;
    }
    return 0;
}

static enum request_event next_in_head(struct request *request)
{
    if (request->scanned == request->start)
        find_start(request);
    size_t most = request->start + request->limits.head;
    int status = scan(request, most < request->filled ? most : request->filled);
    if (status != 0)
        return bad(request, status);
    if (request->head_end == 0) {
        if (most <= request->filled)
            return bad(request, request->line == request->start ? 414 : 431);
        return REQUEST_MORE;
    }
    status = message_head(request);
    if (status != 0)
        return bad(request, status);
    bool has_body = request->chunked || request->length > 0;
    request->phase = has_body ? PHASE_BODY : PHASE_DONE;
    request->line = request->head_end; /* of the body: what was not decoded yet */
    request->framing = 0;
    return has_body ? REQUEST_HEAD : REQUEST_DONE;
}

/* ---- Body ---- */

/* Called by the parser with the next piece of the body. Not 0: it cannot be taken, status says
 * why. */
int request_add_body(struct request *request, const char *bytes, size_t size)
{
    size_t total = request->body.size + size;
    if (total > request->limits.body) {
        request->status = 413;
        return -1;
    }
    if (total > request->body_capacity) {
        size_t most = request->chunked ? request->limits.body : request->length;
        size_t more = request->chunked ? 2 * total + BODY_FIRST : most;
        size_t wanted = more < most ? more : most;
        char *grown = realloc(request->body_bytes, wanted);
        if (grown == NULL) {
            request->status = 500;
            return -1;
        }
        request->body_bytes = grown;
        request->body_capacity = wanted;
    }
    memcpy(request->body_bytes + request->body.size, bytes, size);
    request->body = (struct text){request->body_bytes, total};
    return 0;
}

/* Bytes that frame the body are limited too, to those that a body in chunks of one byte has, and
 * some for extensions and trailers. No more than the limit allows is parsed at a time, so that it
 * is the same byte that is one too many, however they come. */
static enum request_event next_in_body(struct request *request)
{
    size_t most = request->limits.head + 5 * request->limits.body;
    while (request->line < request->filled) {
        size_t left = request->filled - request->line, room = most - request->framing + 1;
        size_t used, before = request->body.size;
        request->status = 400;
        enum parser_result result = message_body(request, left < room ? left : room, &used);
        if (result == PARSER_BAD)
            return bad(request, request->status);
        request->line += used;
        request->framing += used - (request->body.size - before);
        if (request->framing > most)
            return bad(request, 413);
        if (result == PARSER_DONE) {
            request->phase = PHASE_DONE;
            return REQUEST_DONE;
        }
    }
    request->line = request->filled = request->head_end;
    return REQUEST_MORE;
}

enum request_event request_next(struct request *request)
{
    switch (request->phase) {
    case PHASE_DONE:
        if (request->head_end > 0)
            request->start = request->line;
        begin(request);
        return next_in_head(request);
    case PHASE_HEAD:
        return next_in_head(request);
    case PHASE_BODY:
        return next_in_body(request);
    default:
        return REQUEST_BAD;
    }
}
