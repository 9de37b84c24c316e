/* SPDX-License-Identifier: MIT
 *
 * Reading and writing bytes: files, pipes, sockets and whatever else has a descriptor. message.c
 * has what is for sockets only.
 */
#include <weft/net.h>

#include <limits.h>
#include <string.h>

#include "api/attempt.h"
#include "os/socket.h"

/* Arguments: an iovec for the calls with one buffer, and for those with several: */
struct vector {
    const struct iovec *parts;
    int count;
};

/* The kernel says so too, but for sockets it has another name for it. */
static bool is_count(int count)
{
    return count >= 0 && count <= IOV_MAX;
}

/* ---- Reading ---- */

/* recv(2) takes a shorter way through the kernel than read(2) [150 ns of 7400 in an echo]; but it
 * would take an empty read for one of a datagram. */
static ssize_t try_read(struct wi_poll_desc *desc, uint32_t seen, int fd, const struct iovec *part)
{
    if (!wi_poll_is_socket(desc) || part->iov_len == 0)
        return wi_os_fd_read(fd, part->iov_base, part->iov_len);
    if (wi_poll_skips_read(desc, seen))
        return -EAGAIN;
    ssize_t count = wi_os_recv(fd, part->iov_base, part->iov_len);
    wi_poll_has_read(desc, seen, part->iov_len, count);
    return count;
}

static WI_ALWAYS_INLINE ssize_t read_some(struct wi_g *gp, struct wi_poll_desc *desc, int fd,
                                          void *to)
{
    ssize_t result;
    TRY_UNTIL_READY(gp, desc, WI_READ, result, try_read(desc, seen, fd, to));
    return result;
}

ssize_t weft_read(int fd, void *buffer, size_t size)
{
    if (size > SSIZE_MAX)
        return -EINVAL;
    return wi_call(fd, WI_READ, read_some, &(struct iovec){buffer, size});
}

static ssize_t read_parts(struct wi_g *gp, struct wi_poll_desc *desc, int fd, void *to)
{
    const struct vector *vector = to;
    ssize_t result;
    TRY_UNTIL_READY(gp, desc, WI_READ, result, wi_os_fd_readv(fd, vector->parts, vector->count));
    return result;
}

ssize_t weft_readv(int fd, const struct iovec *parts, int count)
{
    if (!is_count(count))
        return -EINVAL;
    return wi_call(fd, WI_READ, read_parts, &(struct vector){parts, count});
}

/* Reads once even if the size is 0: what that means is the kernel's to say. */
static ssize_t read_full(struct wi_g *gp, struct wi_poll_desc *desc, int fd, void *to)
{
    struct iovec left = *(struct iovec *)to;
    size_t done = 0;
    do {
        ssize_t count = read_some(gp, desc, fd, &left);
        if (count < 0)
            return count;
        if (count == 0)
            break;
        done += (size_t)count;
        left.iov_base = (char *)left.iov_base + count;
        left.iov_len -= (size_t)count;
    } while (left.iov_len > 0);
    return (ssize_t)done;
}

ssize_t weft_read_full(int fd, void *buffer, size_t size)
{
    if (size > SSIZE_MAX)
        return -EINVAL;
    return wi_call(fd, WI_READ, read_full, &(struct iovec){buffer, size});
}

/* ---- Writing ---- */

static ssize_t try_write(struct wi_poll_desc *desc, int fd, const struct iovec *part)
{
    return wi_poll_is_socket(desc) ? wi_os_send(fd, part->iov_base, part->iov_len)
                                   : wi_os_fd_write(fd, part->iov_base, part->iov_len);
}

static WI_ALWAYS_INLINE ssize_t write_some(struct wi_g *gp, struct wi_poll_desc *desc, int fd,
                                           void *from)
{
    ssize_t result;
    TRY_UNTIL_READY(gp, desc, WI_WRITE, result, try_write(desc, fd, from));
    return result;
}

ssize_t weft_write(int fd, const void *buffer, size_t size)
{
    if (size > SSIZE_MAX)
        return -EINVAL;
    return wi_call(fd, WI_WRITE, write_some, &(struct iovec){(void *)buffer, size});
}

/* Writes once even if the size is 0. */
static ssize_t write_all(struct wi_g *gp, struct wi_poll_desc *desc, int fd, void *from)
{
    struct iovec left = *(struct iovec *)from;
    size_t done = 0;
    do {
        ssize_t count = write_some(gp, desc, fd, &left);
        if (count < 0)
            return count;
        if (count == 0 && left.iov_len > 0)
            return -EIO; /* no progress and no error: some drivers do so */
        done += (size_t)count;
        left.iov_base = (char *)left.iov_base + count;
        left.iov_len -= (size_t)count;
    } while (left.iov_len > 0);
    return (ssize_t)done;
}

ssize_t weft_write_all(int fd, const void *buffer, size_t size)
{
    if (size > SSIZE_MAX)
        return -EINVAL;
    return wi_call(fd, WI_WRITE, write_all, &(struct iovec){(void *)buffer, size});
}

/* ---- Writing from several buffers ---- */

static ssize_t try_writev(struct wi_poll_desc *desc, int fd, const struct vector *vector)
{
    if (!wi_poll_is_socket(desc))
        return wi_os_fd_writev(fd, vector->parts, vector->count);
    struct msghdr message = {.msg_iov = (struct iovec *)vector->parts,
                             .msg_iovlen = (size_t)vector->count};
    return wi_os_sendmsg(fd, &message, 0);
}

static ssize_t write_parts(struct wi_g *gp, struct wi_poll_desc *desc, int fd, void *from)
{
    ssize_t result;
    TRY_UNTIL_READY(gp, desc, WI_WRITE, result, try_writev(desc, fd, from));
    return result;
}

ssize_t weft_writev(int fd, const struct iovec *parts, int count)
{
    if (!is_count(count))
        return -EINVAL;
    return wi_call(fd, WI_WRITE, write_parts, &(struct vector){parts, count});
}

/* What is not written yet: the parts that are left, and how much of the first is done. */
struct rest {
    struct vector vector;
    size_t offset;
};

/* Afterwards nothing is left, or the first part has something left. */
static void advance(struct rest *rest, size_t written)
{
    struct vector *vector = &rest->vector;
    while (vector->count > 0 && written >= vector->parts->iov_len - rest->offset) {
        written -= vector->parts->iov_len - rest->offset;
        rest->offset = 0;
        vector->parts++;
        vector->count--;
    }
    rest->offset += written;
}

/* The caller's array serves wherever a part begins. From the middle of one a copy of the next few
 * is used, which may be shorter than the rest: it only has to lead to the beginning of a part. */
static ssize_t write_rest(struct wi_g *gp, struct wi_poll_desc *desc, int fd, struct rest *rest)
{
    enum { WINDOW = 8 };
    struct iovec window[WINDOW];
    if (rest->offset == 0)
        return write_parts(gp, desc, fd, &rest->vector);
    int count = rest->vector.count < WINDOW ? rest->vector.count : WINDOW;
    memcpy(window, rest->vector.parts, (size_t)count * sizeof window[0]);
    window[0].iov_base = (char *)window[0].iov_base + rest->offset;
    window[0].iov_len -= rest->offset;
    return write_parts(gp, desc, fd, &(struct vector){window, count});
}

/* Writes once even if there is nothing. The kernel has seen the array before we look into it. That
 * the sizes add up to more than there are numbers needs no care: there is no time to write it. */
static ssize_t write_all_parts(struct wi_g *gp, struct wi_poll_desc *desc, int fd, void *from)
{
    struct rest rest = {.vector = *(struct vector *)from};
    size_t done = 0;
    do {
        ssize_t count = write_rest(gp, desc, fd, &rest);
        if (count < 0)
            return count;
        done += (size_t)count;
        advance(&rest, (size_t)count);
        if (count == 0 && rest.vector.count > 0)
            return -EIO;
    } while (rest.vector.count > 0);
    return (ssize_t)done;
}

ssize_t weft_writev_all(int fd, const struct iovec *parts, int count)
{
    if (!is_count(count))
        return -EINVAL;
    return wi_call(fd, WI_WRITE, write_all_parts, &(struct vector){parts, count});
}
