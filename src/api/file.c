/* SPDX-License-Identifier: MIT
 *
 * Files on disk; see weft/file.h.
 *
 * Each call is an operation on its descriptor, so that the number is not closed and given to
 * somebody else under it, and a blocking region, whatever kind of file it is. It needs no turn:
 * each says for itself where in the file it reads or writes.
 *
 * sendfile has two descriptors. It needs its turn on the one that it writes to; it waits there as
 * write_all does, with the file held. A close of the file waits for that: the next piece is not
 * sent then, but nothing ends a wait for the other side.
 */
#include <weft/file.h>

#include <limits.h>

#include "api/attempt.h"
#include "os/disk.h"
#include "os/socket.h"

int weft_open(const char *path, int flags, mode_t mode)
{
    if (!path)
        return -EINVAL;
    struct wi_g *gp = wi_enter();
    wi_block_begin(gp);
    int fd = wi_os_open(path, flags, mode);
    wi_block_end(gp);
    wi_leave(gp);
    return fd;
}

/* ---- One call on one file ---- */

struct disk_call {
    struct wi_g *gp;
    struct wi_poll_desc *desc;
};

/* 0: the call may be made, and end_call must follow; or an error. */
static int begin_call(struct disk_call *call, int fd)
{
    call->gp = wi_enter();
    int err = wi_poll_begin(call->gp, fd, 0, &call->desc);
    if (err == 0)
        wi_block_begin(call->gp);
    else
        wi_leave(call->gp);
    return err;
}

static void end_call(const struct disk_call *call)
{
    wi_block_end(call->gp);
    wi_poll_end(call->gp, call->desc, 0);
    wi_leave(call->gp);
}

ssize_t weft_pread(int fd, void *buffer, size_t size, off_t offset)
{
    struct disk_call call;
    if (size > SSIZE_MAX || offset < 0)
        return -EINVAL;
    ssize_t result = begin_call(&call, fd);
    if (result == 0) {
        result = wi_os_pread(fd, buffer, size, offset);
        end_call(&call);
    }
    return result;
}

ssize_t weft_pwrite(int fd, const void *buffer, size_t size, off_t offset)
{
    struct disk_call call;
    if (size > SSIZE_MAX || offset < 0)
        return -EINVAL;
    ssize_t result = begin_call(&call, fd);
    if (result == 0) {
        result = wi_os_pwrite(fd, buffer, size, offset);
        end_call(&call);
    }
    return result;
}

int weft_fsync(int fd)
{
    struct disk_call call;
    int result = begin_call(&call, fd);
    if (result == 0) {
        result = wi_os_fsync(fd);
        end_call(&call);
    }
    return result;
}

/* ---- Sendfile ---- */

struct transfer {
    struct wi_poll_desc *out;
    struct wi_poll_desc *in;
    int out_fd;
    int in_fd;
    off_t *offset;
};

/* Between two pieces deadlines and closing are looked at; a file could go on for long. */
enum { PIECE_MAX = 1 << 20 };

static ssize_t try_piece(struct wi_g *gp, const struct transfer *transfer, size_t size)
{
    if (size > PIECE_MAX)
        size = PIECE_MAX;
    bool socket = wi_poll_is_socket(transfer->out);
    off_t offset = *transfer->offset;
    wi_block_begin(gp);
    ssize_t result = socket
                         ? wi_os_sendfile_socket(transfer->out_fd, transfer->in_fd, &offset, size)
                         : wi_os_sendfile(transfer->out_fd, transfer->in_fd, &offset, size);
    wi_block_end(gp);
    if (result > 0)
        *transfer->offset = offset;
    return result;
}

/* What was sent of one piece, waiting for the first byte; 0 at the end of the file; or an error. */
static ssize_t send_piece(struct wi_g *gp, const struct transfer *transfer, size_t size)
{
    for (;;) {
        uint32_t seen, unused;
        ssize_t result = wi_poll_prepare(transfer->in, 0, &unused);
        if (result == 0)
            result = wi_poll_prepare(transfer->out, WI_WRITE, &seen);
        if (result == 0)
            result = try_piece(gp, transfer, size);
        if (result != -EAGAIN)
            return result;
        result = wi_poll_wait(gp, transfer->out, WI_WRITE, seen, WEFT_FOREVER);
        if (result != 0)
            return result;
    }
}

static ssize_t send_all(struct wi_g *gp, const struct transfer *transfer, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t count = send_piece(gp, transfer, size - done);
        if (count < 0)
            return count;
        if (count == 0)
            break;
        done += (size_t)count;
    }
    return (ssize_t)done;
}

ssize_t weft_sendfile(int out_fd, int in_fd, off_t *offset, size_t size)
{
    if (!offset || *offset < 0 || size > SSIZE_MAX)
        return -EINVAL;
    struct transfer transfer = {.out_fd = out_fd, .in_fd = in_fd, .offset = offset};
    struct wi_g *gp = wi_enter();
    ssize_t result = wi_poll_begin(gp, out_fd, WI_WRITE, &transfer.out);
    if (result == 0) {
        result = wi_poll_begin(gp, in_fd, 0, &transfer.in);
        if (result == 0) {
            result = send_all(gp, &transfer, size);
            wi_poll_end(gp, transfer.in, 0);
        }
        wi_poll_end(gp, transfer.out, WI_WRITE);
    }
    wi_leave(gp);
    return result;
}
