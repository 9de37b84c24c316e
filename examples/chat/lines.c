/* SPDX-License-Identifier: MIT
 *
 * Lines of text from a connection (lines.h).
 */
#include "lines.h"

#include <errno.h>
#include <string.h>

#include <weft.h>

/* The octets up to end become a string that does nothing to a terminal. In UTF-8 there are control
 * characters of two octets too, U+0080 to U+009F. */
static void clean(char *text, char *end)
{
    if (end > text && end[-1] == '\r')
        end--;
    *end = '\0';
    for (char *at = text; at < end; at++) {
        unsigned char octet = (unsigned char)at[0], next = (unsigned char)at[1];
        bool is_pair = octet == 0xC2 && next >= 0x80 && next < 0xA0;
        if (is_pair)
            at[1] = ' ';
        if (is_pair || octet < ' ' || octet == 0x7F)
            at[0] = ' ';
    }
}

/* Moves what is left to the start of the buffer and reads more. As weft_read. */
static ssize_t read_more(struct lines *in)
{
    in->end -= in->first;
    memmove(in->buffer, in->buffer + in->first, in->end);
    in->first = 0;
    if (in->end == in->capacity) {
        in->skipping = true;
        in->end = 0;
    }
    ssize_t size = weft_read(in->fd, in->buffer + in->end, in->capacity - in->end);
    in->end += size > 0 ? (size_t)size : 0;
    return size;
}

int lines_next(struct lines *in, char **line)
{
    for (;;) {
        char *start = in->buffer + in->first, *end = memchr(start, '\n', in->end - in->first);
        if (end != NULL) {
            bool skipped = in->skipping;
            in->first = (size_t)(end + 1 - in->buffer);
            in->skipping = false;
            clean(start, end);
            *line = start;
            return skipped ? -EMSGSIZE : 1;
        }
        ssize_t size = read_more(in);
        if (size <= 0)
            return (int)size;
    }
}
