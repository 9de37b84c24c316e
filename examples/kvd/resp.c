/* SPDX-License-Identifier: MIT
 *
 * A command is an array of bulk strings, "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", or a line of words,
 * "GET k\r\n". See resp.h.
 *
 * The parser goes through the bytes of a command once. What it has of one that is not complete is
 * in the input: how many arguments are missing, where those that have come are, and how long the
 * next one is. Only the few bytes of a header that is not complete are looked at again. A header
 * says how much is to come, but memory is taken only for what has: the buffer doubles once it has
 * been filled, and so does the array of arguments.
 */
#include "resp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BUFFER_MIN = 1024,     /* of input, at first, */
    BUFFER = 16 * 1024,    /* and for what comes in large pieces */
    LINE_MAX_SIZE = 65536, /* of a command that is a line of words; as in Redis */
    HEADER_MAX = 32,       /* "*", a number, "\r\n" */
    ARGS = 8,              /* at first */
    ARG_MIN = 6,           /* bytes of an argument at least: "$0\r\n\r\n" */
};

bool number_read(const char *data, size_t size, int64_t *number)
{
    bool negative = size > 0 && data[0] == '-';
    size_t at = negative, digits = size - at;
    if (digits < 1 || digits > NUMBER_SIZE - 1 || (data[at] == '0' && size > 1))
        return false;
    uint64_t value = 0; /* 19 digits fit */
    for (; at < size; at++) {
        if (data[at] < '0' || data[at] > '9')
            return false;
        value = value * 10 + (uint64_t)(data[at] - '0');
    }
    if (value > (uint64_t)INT64_MAX + negative)
        return false;
    *number = (int64_t)(negative ? -value : value);
    return true;
}

/* ---- Memory ---- */

/* Moves what has not been given out to the front, or doubles the buffer. What is moved is part of
 * one command, once: a command that has been moved stays at the front until it is complete. */
char *input_room(struct input *in, size_t *room)
{
    if (in->first == in->end)
        in->first = in->end = 0;
    if (in->end == 0 && in->capacity > BUFFER)
        input_free(in); /* there was a large command */
    if (in->first > 0 && in->end > in->capacity / 2) {
        memmove(in->data, in->data + in->first, in->end - in->first);
        in->end -= in->first;
        in->first = 0;
    }
    if (in->end == in->capacity || in->filled) {
        size_t capacity = in->capacity > 0 ? 2 * in->capacity : BUFFER_MIN;
        char *data = realloc(in->data, capacity);
        if (data == NULL)
            return NULL;
        in->data = data;
        in->capacity = capacity;
        in->filled = false;
    }
    *room = in->capacity - in->end;
    return in->data + in->end;
}

void input_add(struct input *in, size_t size)
{
    in->end += size;
    in->filled = in->end == in->capacity && in->capacity < BUFFER;
}

bool input_pending(const struct input *in)
{
    return in->first < in->end;
}

void input_free(struct input *in)
{
    free(in->data);
    free(in->args);
    *in = (struct input){.limit = in->limit};
}

static int refuse(struct input *in, const char *text)
{
    snprintf(in->error, sizeof in->error, "Protocol error: %s", text);
    return -1;
}

/* Notes the next argument. */
static bool add_arg(struct input *in, size_t offset, size_t size)
{
    if (in->count == in->args_capacity) {
        int32_t capacity = in->count > 0 ? 2 * in->count : ARGS;
        struct arg *args = realloc(in->args, (size_t)capacity * sizeof *args);
        if (args == NULL)
            return false;
        in->args = args;
        in->args_capacity = capacity;
    }
    in->args[in->count++] = (struct arg){.size = (uint32_t)size, .offset = (uint32_t)offset};
    return true;
}

/* The command is complete, and will not be moved any more: 1. What follows returns as this does, 0
 * if more bytes must come first, or -1. */
static int give_out(struct input *in)
{
    char *command = in->data + in->first;
    for (int i = 0; i < in->count; i++)
        in->args[i].data = command + in->args[i].offset;
    in->first += in->at;
    in->at = 0;
    return 1;
}

/* ---- A line of words ---- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character that a backslash in double quotes stands for. */
static char unescape(char **from, const char *end)
{
    static const char codes[] = "n\nr\rt\tb\ba\a";
    char *at = *from;
    if (end - at >= 3 && at[0] == 'x' && hex(at[1]) >= 0 && hex(at[2]) >= 0) {
        *from = at + 3;
        return (char)(hex(at[1]) * 16 + hex(at[2]));
    }
    *from = at + 1;
    for (const char *code = codes; *code != '\0'; code += 2)
        if (*at == *code)
            return code[1];
    return *at;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == '\0';
}

/* Takes the word at *from, which may be quoted as in Redis, "a\r\x00" or 'a', and puts what it
 * means in its place, which is not longer. The word's end; NULL: its quotes are not balanced. */
static char *read_word(char **from, const char *end)
{
    char *at = *from, *to = at, quote = '\0';
    while (at < end && (quote != '\0' || !is_space(*at))) {
        char c = *at++;
        if (quote == '\0' && (c == '"' || c == '\'')) {
            quote = c;
        } else if (quote != '\0' && c == quote) {
            if (at < end && !is_space(*at))
                return NULL;
            quote = '\0';
        } else if (quote == '"' && c == '\\' && at < end) {
            *to++ = unescape(&at, end);
        } else if (quote == '\'' && c == '\\' && at < end && *at == '\'') {
            *to++ = *at++;
        } else {
            *to++ = c;
        }
    }
    *from = at;
    return quote == '\0' ? to : NULL;
}

/* Until the line is complete, at is how far its end has been looked for. */
static int next_line(struct input *in)
{
    char *line = in->data + in->first;
    size_t size = in->end - in->first;
    char *end = memchr(line + in->at, '\n', size - in->at);
    size_t most = in->limit < LINE_MAX_SIZE ? in->limit : LINE_MAX_SIZE;
    if ((end != NULL ? (size_t)(end - line) : size) > most)
        return refuse(in, "too big inline request");
    in->at = end != NULL ? (size_t)(end + 1 - line) : size;
    if (end == NULL)
        return 0;
    for (char *at = line;;) {
        while (at < end && is_space(*at))
            at++;
        if (at == end)
            return give_out(in);
        char *word = at, *word_end = read_word(&at, end);
        if (word_end == NULL)
            return refuse(in, "unbalanced quotes in request");
        if (!add_arg(in, (size_t)(word - line), (size_t)(word_end - word)))
            return refuse(in, "out of memory");
    }
}

/* ---- An array of bulk strings ---- */

/* Reads the header at in->at, a character, a number and \r\n. 1: it is complete; 0: not yet; -1: it
 * is none. */
static int read_header(struct input *in, int64_t *number)
{
    const char *header = in->data + in->first + in->at;
    size_t left = in->end - in->first - in->at, size = 1;
    size_t most = left < HEADER_MAX ? left : HEADER_MAX;
    while (size < most && header[size] != '\r')
        size++;
    if (size + 1 >= most)
        return most == HEADER_MAX ? -1 : 0;
    if (header[size + 1] != '\n' || !number_read(header + 1, size - 1, number))
        return -1;
    in->at += size + 2;
    return 1;
}

/* The array's header. As in Redis, an empty array, even one of negative length, is no command. */
static int begin_array(struct input *in)
{
    int64_t count;
    int found = read_header(in, &count);
    if (found < 0 || (found > 0 && count > (int64_t)(in->limit / ARG_MIN)))
        return refuse(in, "invalid multibulk length");
    if (found > 0)
        in->missing = count > 0 ? (int32_t)count : 0;
    return found;
}

static int begin_bulk(struct input *in)
{
    int64_t size;
    char first = in->data[in->first + in->at];
    if (first != '$') {
        snprintf(in->error, sizeof in->error, "Protocol error: expected '$', got '%c'", first);
        return -1;
    }
    int found = read_header(in, &size);
    if (found < 0 || (found > 0 && (size < 0 || size + 2 > (int64_t)in->limit)))
        return refuse(in, "invalid bulk length");
    if (found > 0 && in->at + (size_t)size + 2 > in->limit)
        return refuse(in, "too big request");
    if (found > 0)
        in->bulk = (int32_t)size + 1;
    return found;
}

static int end_bulk(struct input *in)
{
    size_t size = (size_t)in->bulk - 1;
    if (in->end - in->first - in->at < size + 2)
        return 0;
    const char *end = in->data + in->first + in->at + size;
    if (end[0] != '\r' || end[1] != '\n')
        return refuse(in, "expected the end of a bulk string");
    if (!add_arg(in, in->at, size))
        return refuse(in, "out of memory");
    in->at += size + 2;
    in->bulk = 0;
    in->missing--;
    return 1;
}

static int next_array(struct input *in)
{
    int done = in->at > 0 ? 1 : begin_array(in);
    while (done > 0 && in->missing > 0) {
        if (in->first + in->at == in->end)
            return 0;
        done = in->bulk > 0 ? 1 : begin_bulk(in);
        if (done > 0)
            done = end_bulk(in);
    }
    return done > 0 ? give_out(in) : done;
}

int input_next(struct input *in)
{
    int done = 1;
    while (done > 0 && in->first < in->end) {
        if (in->at == 0)
            in->count = 0;
        done = in->data[in->first] == '*' ? next_array(in) : next_line(in);
        if (done > 0 && in->count > 0) /* an empty one is passed over */
            return in->count;
    }
    return done < 0 ? -1 : 0;
}
