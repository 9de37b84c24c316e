/* SPDX-License-Identifier: MIT
 *
 * What goes to a client. It is gathered, and written once there is enough of it or nothing else to
 * do. A client may take its time, as long as it takes some bytes now and then.
 */
#ifndef HTTPD_OUTPUT_H
#define HTTPD_OUTPUT_H

#include <sys/types.h>

#include "date.h"
#include "text.h"

enum { OUTPUT_SIZE = 32 * 1024 };

struct output {
    int fd;
    int error; /* negative: the connection is of no use any more, and nothing is written */
    size_t size;
    struct date_cache date; /* kept from one client to the next */
    char bytes[OUTPUT_SIZE];
};

static inline void output_init(struct output *output, int fd)
{
    output->fd = fd;
    output->error = 0;
    output->size = 0;
}

/* Takes more bytes; many of them are written at once. */
void output_add(struct output *output, const char *bytes, size_t size);
void output_number(struct output *output, uint64_t number);

/* So many bytes, at most OUTPUT_SIZE, to be filled by the caller. */
char *output_space(struct output *output, size_t size);

/* Writes what was gathered. */
void output_flush(struct output *output);

/* Writes what was gathered, and a part of a file after it. */
void output_file(struct output *output, int file, off_t offset, size_t size);

static inline void output_text(struct output *output, const char *string)
{
    output_add(output, string, strlen(string));
}

#endif
