/* SPDX-License-Identifier: MIT
 *
 * RESP2, the protocol of Redis (https://redis.io/docs/latest/develop/reference/protocol-spec/):
 * commands out of bytes that come in any pieces, and replies into bytes that are to be sent. No I/O
 * and nothing of weft.
 *
 *     struct input in = {.limit = 1024 * 1024};
 *     size_t room;
 *     char *place = input_room(&in, &room);          where the next bytes go: up to room of them
 *     input_add(&in, bytes_put_there);
 *     while ((count = input_next(&in)) > 0)          in.args[0 .. count - 1] are a command
 *         ...
 *     input_free(&in);
 */
#ifndef KVD_RESP_H
#define KVD_RESP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Commands in ---- */

/* An argument: bytes of the input, any bytes, without an end mark. */
struct arg {
    const char *data;
    uint32_t size;
    uint32_t offset; /* of data, from the command's first byte */
};

/* What has been received and how far it has been parsed, which is never done twice for a byte. Zero
 * but for the limit is a new one. */
struct input {
    char *data;
    size_t first, end, capacity; /* the bytes from first to end have not been given out */
    bool filled;                 /* what came last took all the room: more of it next time */

    size_t at;       /* from first: so far the command is parsed */
    int32_t missing; /* arguments of it that are still to come; 0: it has not begun */
    int32_t bulk;    /* 1 + the size of the one that comes next; 0: not known */

    struct arg *args; /* the command, until the next call for this input */
    int32_t count, args_capacity;
    size_t limit; /* bytes of one command, from 64 to 1 GiB. They take at most twice as much memory,
                   * their arguments up to six times as much, and none of it before they come. */
    char error[64]; /* why the input cannot be read any further, a text without "-ERR " */
};

/* Where bytes can be put, and how many, at least 1; NULL: no memory. Call it once input_next has
 * returned 0. */
char *input_room(struct input *in, size_t *room);

/* So many bytes have been put there. */
void input_add(struct input *in, size_t size);

/* The number of arguments of the next command, at least 1; 0: its rest has not come yet; -1: the
 * input breaks the protocol or a limit (error says how) and means nothing any more. */
int input_next(struct input *in);

/* Whether a command has begun to come and is not complete. Once input_next has returned 0. */
bool input_pending(const struct input *in);

/* Frees its memory, and with that forgets what it holds; it can be used again. */
void input_free(struct input *in);

/* ---- Replies out ---- */

/* Replies to be sent: data[0 .. size - 1]. Zero but for the limit is an empty one. A reply that
 * would make it longer than the limit, or for which there is no memory, is left out, sets failed,
 * and nothing is added any more: the connection should end, for it has no answer. */
struct output {
    char *data;
    size_t size, capacity, limit;
    bool failed;
};

void reply_status(struct output *out, const char *text); /* +text */
void reply_error(struct output *out, const char *format, ...)
    __attribute__((format(printf, 2, 3))); /* -text; \r and \n in it become spaces */
void reply_number(struct output *out, int64_t number);
void reply_bulk(struct output *out, const char *data, size_t size);
void reply_nil(struct output *out);
void reply_array(struct output *out, int64_t count); /* the elements follow */

/* Room for size bytes at the end, which the caller fills; NULL: failed. */
char *reply_room(struct output *out, size_t size);

/* Frees its memory and forgets the replies. */
void output_free(struct output *out);

/* ---- Numbers and strings ---- */

enum { NUMBER_SIZE = 20 }; /* digits of a number at most, with its sign */

/* Writes the number in decimal: the end of it. */
char *number_write(char *at, int64_t number);

/* Reads a number as Redis wants them: nothing around it, no + and no leading zeros. */
bool number_read(const char *data, size_t size, int64_t *number);

/* A string as it is in a reply, "$3\r\nabc\r\n": what it takes, and its end once written. */
size_t bulk_size(size_t size);
char *bulk_write(char *at, const char *data, size_t size);

#endif
