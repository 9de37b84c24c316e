/* SPDX-License-Identifier: MIT
 *
 * A timer is set only once a write has to wait.
 */
#include "output.h"

#include <errno.h>

#include <weft.h>

#include "httpd.h"

/* One write: what it can, but something. */
static ssize_t write_some(int fd, struct iovec *parts, size_t count, int flags)
{
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t size = weft_sendmsg(fd, &message, flags | MSG_DONTWAIT);
    if (size == -EAGAIN) {
        weft_set_write_deadline(fd, weft_after(settings.write_time));
        size = weft_sendmsg(fd, &message, flags);
        weft_set_write_deadline(fd, WEFT_FOREVER);
    }
    return size;
}

/* Writes what was gathered, and then those bytes. */
static void write_all(struct output *output, const char *bytes, size_t size, int flags)
{
    struct iovec parts[2] = {{output->bytes, output->size}, {(void *)(uintptr_t)bytes, size}};
    size_t left = output->size + size;
    output->size = 0;
    while (left > 0 && output->error == 0) {
        ssize_t written = write_some(output->fd, parts, 2, flags);
        if (written < 0) {
            output->error = (int)written;
            return;
        }
        left -= (size_t)written;
        for (int i = 0; i < 2; i++) {
            size_t done = (size_t)written < parts[i].iov_len ? (size_t)written : parts[i].iov_len;
            parts[i].iov_base = (char *)parts[i].iov_base + done;
            parts[i].iov_len -= done;
            written -= (ssize_t)done;
        }
    }
}

void output_flush(struct output *output)
{
    write_all(output, NULL, 0, 0);
}

void output_add(struct output *output, const char *bytes, size_t size)
{
    if (size > OUTPUT_SIZE - output->size) {
        write_all(output, bytes, size, 0);
        return;
    }
    memcpy(output->bytes + output->size, bytes, size);
    output->size += size;
}

char *output_space(struct output *output, size_t size)
{
    if (size > OUTPUT_SIZE - output->size)
        output_flush(output);
    char *space = output->bytes + output->size;
    output->size += size;
    return space;
}

void output_number(struct output *output, uint64_t number)
{
    char digits[20], *at = digits + sizeof digits;
    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    output_add(output, at, (size_t)(digits + sizeof digits - at));
}

/* What was gathered waits in the kernel for the file's first bytes (MSG_MORE). The deadline is for
 * as much as the client takes in that time, be it little. */
void output_file(struct output *output, int file, off_t offset, size_t size)
{
    off_t end = offset + (off_t)size;
    write_all(output, NULL, 0, size > 0 ? MSG_MORE : 0);
    while (output->error == 0 && offset < end) {
        off_t before = offset;
        weft_set_write_deadline(output->fd, weft_after(settings.write_time));
        ssize_t sent = weft_sendfile(output->fd, file, &offset, (size_t)(end - offset));
        if (offset == before) /* or the file has become shorter, and the response cannot be ended */
            output->error = sent < 0 ? (int)sent : -EIO;
    }
    weft_set_write_deadline(output->fd, WEFT_FOREVER);
}
