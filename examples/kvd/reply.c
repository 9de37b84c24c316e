/* SPDX-License-Identifier: MIT
 *
 * Replies: bytes that are collected to be sent. See resp.h.
 */
#include "resp.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUTPUT_MIN = 1024 }; /* bytes of memory at first */

/* ---- Numbers and strings ---- */

char *number_write(char *at, int64_t number)
{
    char digits[NUMBER_SIZE];
    int count = 0;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    if (number < 0)
        *at++ = '-';
    do
        digits[count++] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

size_t bulk_size(size_t size)
{
    size_t digits = 1;
    for (size_t rest = size; rest >= 10; rest /= 10)
        digits++;
    return 1 + digits + 2 + size + 2;
}

static char *end_line(char *at)
{
    memcpy(at, "\r\n", 2);
    return at + 2;
}

char *bulk_write(char *at, const char *data, size_t size)
{
    *at++ = '$';
    at = end_line(number_write(at, (int64_t)size));
    memcpy(at, data, size);
    return end_line(at + size);
}

/* ---- Memory ---- */

static bool grow(struct output *out, size_t size)
{
    size_t capacity = out->capacity > 0 ? out->capacity : OUTPUT_MIN;
    if (out->failed || size > out->limit || out->size > out->limit - size)
        return false;
    while (capacity - out->size < size)
        capacity *= 2;
    capacity = capacity < out->limit ? capacity : out->limit; /* what is in it need not be asked */
    char *data = realloc(out->data, capacity);
    if (data == NULL)
        return false;
    out->data = data;
    out->capacity = capacity;
    return true;
}

char *reply_room(struct output *out, size_t size)
{
    if (out->capacity - out->size < size && !grow(out, size)) {
        out->failed = true;
        out->capacity = out->size; /* no room for shorter ones either */
        return NULL;
    }
    char *room = out->data + out->size;
    out->size += size;
    return room;
}

void output_free(struct output *out)
{
    free(out->data);
    *out = (struct output){.limit = out->limit};
}

/* ---- Replies ---- */

/* A line: a character that says of what kind the reply is, and a text. */
static void add_line(struct output *out, char kind, const char *text, size_t size)
{
    char *at = reply_room(out, 1 + size + 2);
    if (at == NULL)
        return;
    *at++ = kind;
    memcpy(at, text, size);
    end_line(at + size);
}

static void add_number(struct output *out, char kind, int64_t number)
{
    char text[NUMBER_SIZE];
    add_line(out, kind, text, (size_t)(number_write(text, number) - text));
}

void reply_status(struct output *out, const char *text)
{
    add_line(out, '+', text, strlen(text));
}

void reply_error(struct output *out, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (char *at = text; *at != '\0'; at++)
        if (*at == '\r' || *at == '\n')
            *at = ' ';
    add_line(out, '-', text, strlen(text));
}

void reply_number(struct output *out, int64_t number)
{
    add_number(out, ':', number);
}

void reply_array(struct output *out, int64_t count)
{
    add_number(out, '*', count);
}

void reply_nil(struct output *out)
{
    add_line(out, '$', "-1", 2);
}

void reply_bulk(struct output *out, const char *data, size_t size)
{
    char *at = reply_room(out, bulk_size(size));
    if (at != NULL)
        bulk_write(at, data, size);
}
