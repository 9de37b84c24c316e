/* SPDX-License-Identifier: MIT
 *
 * Reading small files of the kernel's: see file.h.
 */
#include "os/linux/file.h"
#include "base/compiler.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Not inlined: see futex.c. */
static WI_NOINLINE int open_to_read(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* Bytes read, 0 at the end, or -errno. Not inlined either. */
static WI_NOINLINE long read_some(int fd, char *buffer, size_t size)
{
    ssize_t count;
    do
        count = read(fd, buffer, size);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

long wi_os_file_read(const char *path, char *buffer, size_t size)
{
    int fd = open_to_read(path);
    if (fd < 0)
        return fd;
    size_t length = 0;
    long count;
    do {
        count = read_some(fd, buffer + length, size - 1 - length);
        if (count > 0)
            length += (size_t)count;
    } while (count > 0 && length < size - 1);
    close(fd);
    if (count < 0)
        return count;
    buffer[length] = '\0';
    return (long)length;
}

int wi_os_lines_open(struct wi_os_lines *lines, const char *path)
{
    lines->fd = open_to_read(path);
    lines->in_overlong = false;
    lines->begin = lines->end = 0;
    return lines->fd < 0 ? lines->fd : 0;
}

/* Moves what is left to the front and reads behind it; false at the end of the file and on an
 * error. One byte stays free for a NUL. */
static bool refill(struct wi_os_lines *lines)
{
    lines->end -= lines->begin;
    memmove(lines->buffer, lines->buffer + lines->begin, lines->end);
    lines->begin = 0;
    long count =
        read_some(lines->fd, lines->buffer + lines->end, sizeof lines->buffer - 1 - lines->end);
    if (count <= 0)
        return false;
    lines->end += (size_t)count;
    return true;
}

/* Takes the next piece out of the buffer: a line, or, when *whole is false, as much of one as the
 * buffer or the file holds. */
static char *next_piece(struct wi_os_lines *lines, bool *whole)
{
    for (;;) {
        char *start = lines->buffer + lines->begin;
        size_t length = lines->end - lines->begin;
        char *newline = memchr(start, '\n', length);
        if (newline != NULL) {
            *newline = '\0';
            lines->begin += (size_t)(newline - start) + 1;
            *whole = true;
            return start;
        }
        bool full = length == sizeof lines->buffer - 1;
        if (full || !refill(lines)) {
            start = lines->buffer + lines->begin;
            start[length] = '\0';
            lines->begin = lines->end;
            *whole = false;
            return length == 0 ? NULL : start;
        }
    }
}

char *wi_os_lines_next(struct wi_os_lines *lines)
{
    for (;;) {
        bool rest = lines->in_overlong;
        bool whole;
        char *piece = next_piece(lines, &whole);
        if (piece == NULL)
            return NULL;
        lines->in_overlong = !whole;
        if (!rest)
            return piece;
    }
}

void wi_os_lines_close(struct wi_os_lines *lines)
{
    close(lines->fd);
}
