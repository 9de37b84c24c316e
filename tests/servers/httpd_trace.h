/* SPDX-License-Identifier: MIT
 *
 * What examples/httpd makes of bytes, as text, so that it can be compared: one line an event. For
 * its unit tests and its fuzz target; no process, no sockets.
 */
#ifndef HTTPD_TRACE_H
#define HTTPD_TRACE_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "httpd/request.h"

struct trace {
    char *text; /* cut off at size */
    size_t size, length;
    uint64_t hash;                                                         /* of all of it */
    void (*each)(const struct request *request, enum request_event event); /* may be NULL */
};

__attribute__((format(printf, 2, 3))) static inline void trace_add(struct trace *trace,
                                                                   const char *format, ...)
{
    va_list arguments;
    size_t rest = trace->size - trace->length;
    va_start(arguments, format);
    int length = vsnprintf(trace->text + trace->length, rest, format, arguments);
    va_end(arguments);
    trace->length += (size_t)length < rest ? (size_t)length : rest - 1;
}

static inline void trace_number(struct trace *trace, uint64_t number)
{
    trace->hash = (trace->hash ^ number) * UINT64_C(0x100000001B3);
}

/* Bytes that are not printable as \xx. */
static inline void trace_text(struct trace *trace, struct text text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        trace_number(trace, byte);
        if (trace->size - trace->length > 4)
            trace_add(trace, byte < 0x20 || byte > 0x7e ? "\\%02x" : "%c", byte);
    }
    trace_number(trace, text.size);
}

static const char *const trace_methods[METHODS] = {"GET",    "HEAD",  "POST",   "PUT",
                                                   "DELETE", "PATCH", "OPTIONS"};

/* head POST /echo 1.1 keep continue {host=a|x=y} */
static inline void trace_request(struct trace *trace, const struct request *request)
{
    trace_add(trace, " %s ", trace_methods[request->method]);
    trace_text(trace, request->target);
    trace_add(trace, " 1.%d %s%s {", request->minor, request->keep_alive ? "keep" : "close",
              request->expects_continue ? " continue" : "");
    for (int i = 0; i < request->field_count; i++) {
        trace_add(trace, i > 0 ? "|" : "");
        trace_text(trace, request->fields[i].name);
        trace_add(trace, "=");
        trace_text(trace, request->fields[i].value);
    }
    trace_add(trace, "}");
}

static inline void trace_event(struct trace *trace, const struct request *request,
                               enum request_event event)
{
    if (trace->each != NULL)
        trace->each(request, event);
    trace_number(trace, event);
    trace_number(trace, request->method);
    if (event == REQUEST_BAD) {
        trace_number(trace, (uint64_t)request->status);
        trace_add(trace, "bad %d", request->status);
    } else {
        trace_number(trace, (uint64_t)request->minor << 2 | request->keep_alive << 1 |
                                request->expects_continue);
        trace_add(trace, event == REQUEST_HEAD ? "head" : "done");
        trace_request(trace, request);
    }
    if (event == REQUEST_DONE) {
        trace_add(trace, " ");
        trace_text(trace, request->body);
    }
    trace_add(trace, "\n");
}

/* Takes out what the bytes amount to so far; false after an error. */
static inline bool trace_next(struct trace *trace, struct request *request)
{
    enum request_event event;
    while ((event = request_next(request)) != REQUEST_MORE) {
        trace_event(trace, request, event);
        if (event == REQUEST_BAD)
            return false;
    }
    return true;
}

/* Puts the bytes in, in pieces of first, then of step bytes at most; ends at an error. How many
 * were put in. */
static inline size_t trace_bytes(struct trace *trace, const struct request_limits *limits,
                                 const char *bytes, size_t size, size_t first, size_t step)
{
    static struct request request;
    size_t capacity = request_capacity(limits), at = 0;
    char *input = malloc(capacity);
    bool goes_on = true;
    trace->length = 0;
    trace->hash = UINT64_C(0xCBF29CE484222325);
    trace->text[0] = '\0';
    memset(&request, 0x5a, sizeof request); /* init is to leave nothing to chance */
    request_init(&request, limits, input, capacity);
    goes_on = trace_next(trace, &request);
    while (goes_on && at < size) {
        size_t room, piece = at == 0 ? first : step;
        char *where = request_room(&request, &room);
        if (room == 0) {
            trace_add(trace, "no room\n");
            break;
        }
        piece = piece < size - at ? piece : size - at;
        piece = piece < room ? piece : room;
        memcpy(where, bytes + at, piece);
        request_filled(&request, piece);
        at += piece;
        goes_on = trace_next(trace, &request);
    }
    if (trace->each != NULL && !goes_on)
        for (int i = 0; i < 3; i++)
            trace->each(&request, request_next(&request)); /* always the same */
    request_end(&request);
    free(input);
    return at;
}

#endif
