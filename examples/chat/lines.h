/* SPDX-License-Identifier: MIT
 *
 * Lines of text from a connection, one at a time, of a bounded size.
 */
#ifndef CHAT_LINES_H
#define CHAT_LINES_H

#include <stdbool.h>
#include <stddef.h>

struct lines {
    int fd;
    size_t capacity;   /* of the buffer: the longest line, with its end */
    size_t first, end; /* octets of the buffer that are not yet given out */
    bool skipping;     /* in a line that is too long */
    char *buffer;      /* the caller's */
};

/* The next line, without its end, and with spaces in the place of control characters; it lasts
 * until the next call. 1; 0 at the end of file; -EMSGSIZE for a line that is too long, after which
 * the next can be read; or why nothing can be read. */
int lines_next(struct lines *in, char **line);

#endif
