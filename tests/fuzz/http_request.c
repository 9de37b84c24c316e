/* SPDX-License-Identifier: MIT
 *
 * Fuzz target: what examples/httpd makes of the bytes of a connection. However they are split the
 * outcome is the same; limits hold; nothing but the error comes after an error; and what comes out
 * has nothing in it by which a reply or a path could be broken up.
 */
#ifdef HTTPD_LLHTTP

#include "fuzz/fuzz.h"

#include "httpd/message.c"
#include "httpd/request.c"
#include "servers/httpd_trace.h"

static const struct request_limits *limits;
static int ended_with; /* the status of the error that has come, or 0 */

static void check_text(struct text text, const char *allowed)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        fuzz_must(byte != '\r' && byte != '\n' && byte != '\0', "no line ends in a text");
        fuzz_must(allowed == NULL || strchr(allowed, byte) != NULL || (byte > 0x20 && byte < 0x7f),
                  "a target or a name is printable");
    }
}

/* A head with what stands around its parts: "G / HTTP/1.0", CR LF, and ":", CR LF for each field. */
static void check_head(const struct request *request)
{
    size_t size = request->target.size + 15;
    fuzz_must((unsigned)request->method < METHODS, "the method is one");
    fuzz_must(request->minor == 0 || request->minor == 1, "the version is one");
    fuzz_must(request->field_count >= 0 && request->field_count <= REQUEST_FIELDS_MAX,
              "the fields have room");
    fuzz_must(request->target.size > 0 &&
                  (request->target.at[0] == '/' || text_is(request->target, "*")),
              "the target is a path, or *");
    check_text(request->target, "");
    for (int i = 0; i < request->field_count; i++) {
        fuzz_must(request->fields[i].name.size > 0, "a field has a name");
        check_text(request->fields[i].name, "");
        check_text(request->fields[i].value, NULL);
        size += request->fields[i].name.size + request->fields[i].value.size + 3;
    }
    fuzz_must(size <= limits->head + 8, "a head is not over the limit"); /* "http://h" is cut off */
    fuzz_must(request->minor == 0 || request_field(request, "host").at != NULL, "there is a host");
    fuzz_must(request_field(request, "transfer-encoding").at == NULL ||
                  request_field(request, "content-length").at == NULL,
              "a message has one framing");
}

static void each(const struct request *request, enum request_event event)
{
    fuzz_must(ended_with == 0 || (event == REQUEST_BAD && request->status == ended_with),
              "after an error there is the same error");
    if (event == REQUEST_BAD) {
        fuzz_must(request->status >= 400 && request->status <= 599, "an error has a status");
        fuzz_must((unsigned)request->method < METHODS, "the method of an error is one");
        ended_with = request->status;
    } else {
        check_head(request);
    }
    fuzz_must(event != REQUEST_DONE || request->body.size <= limits->body,
              "a body is not over the limit");
}

enum { TEXT = 4096 };

static char texts[2][TEXT];

/* Parses all at once, and split otherwise. */
static void compare(const char *bytes, size_t size, size_t first, size_t step)
{
    struct trace whole = {.text = texts[0], .size = TEXT, .each = each};
    struct trace split = {.text = texts[1], .size = TEXT, .each = each};
    ended_with = 0;
    trace_bytes(&whole, limits, bytes, size, size, size);
    ended_with = 0;
    trace_bytes(&split, limits, bytes, size, first, step);
    bool same = whole.hash == split.hash && strcmp(whole.text, split.text) == 0;
    if (!same)
        fprintf(stderr, "whole:\n%s\nin pieces of %zu, then %zu:\n%s\n", whole.text, first, step,
                split.text);
    fuzz_must(same, "the outcome does not depend on how bytes are split");
    fuzz_must(strstr(split.text, "no room\n") == NULL, "there is room when more is wanted");
}

static void fuzz(const uint8_t *data, size_t size)
{
    static const struct request_limits all_limits[] = {{16384, 1024 * 1024}, {512, 1000}, {64, 16}};
    const char *bytes = (const char *)data;
    size_t sum = size;
    for (size_t i = 0; i < size; i++)
        sum += data[i];
    limits = &all_limits[sum % (sizeof all_limits / sizeof all_limits[0])];
    compare(bytes, size, 1, 1);
    compare(bytes, size, size > 0 ? 1 + sum % size : 1, size);
    compare(bytes, size, 1 + sum % 7, 1 + sum % 41);
}

#else

#define FUZZ_NEEDS "llhttp or http_parser"
#include "fuzz/fuzz.h"

#endif
