/* SPDX-License-Identifier: MIT
 *
 * Every call that takes a descriptor, with everything that can be wrong about it: a table of calls
 * and what each must return for each kind of misuse; and a close while the call waits.
 */
#include "api/net_test.h"

#include <limits.h>

/* What a call gets. Most use only some of it. With more buffers than one, all but the first are
 * empty; such calls find something to do and do not wait, so the array can be shared. */
struct args {
    int fd;
    void *buffer;
    size_t size;
    int count; /* of buffers */
    int flags;
};

static struct iovec *parts_of(const struct args *args)
{
    static struct iovec parts[IOV_MAX + 1];
    parts[0] = (struct iovec){args->buffer, args->size};
    return parts;
}

static struct msghdr message_of(const struct args *args, struct iovec *part)
{
    *part = (struct iovec){args->buffer, args->size};
    return (struct msghdr){.msg_iov = args->count == 1 ? part : parts_of(args),
                           .msg_iovlen = (size_t)args->count};
}

static long do_accept(const struct args *args)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    bool without_size = !args->buffer; /* the one pointer that must not be NULL */
    int fd = weft_accept(args->fd, (struct sockaddr *)&addr, without_size ? NULL : &len);
    if (fd >= 0)
        CHECK_EQ(weft_close(fd), 0);
    return fd >= 0 ? 1 : fd;
}

static long do_read(const struct args *args)
{
    return weft_read(args->fd, args->buffer, args->size);
}

static long do_write(const struct args *args)
{
    return weft_write(args->fd, args->buffer, args->size);
}

static long do_readv(const struct args *args)
{
    struct iovec part = {args->buffer, args->size};
    return weft_readv(args->fd, args->count == 1 ? &part : parts_of(args), args->count);
}

static long do_writev(const struct args *args)
{
    struct iovec part = {args->buffer, args->size};
    return weft_writev(args->fd, args->count == 1 ? &part : parts_of(args), args->count);
}

static long do_read_full(const struct args *args)
{
    return weft_read_full(args->fd, args->buffer, args->size);
}

static long do_write_all(const struct args *args)
{
    return weft_write_all(args->fd, args->buffer, args->size);
}

static long do_writev_all(const struct args *args)
{
    struct iovec part = {args->buffer, args->size};
    return weft_writev_all(args->fd, args->count == 1 ? &part : parts_of(args), args->count);
}

static long do_recvfrom(const struct args *args)
{
    return weft_recvfrom(args->fd, args->buffer, args->size, args->flags, NULL, NULL);
}

static long do_sendto(const struct args *args)
{
    return weft_sendto(args->fd, args->buffer, args->size, args->flags, NULL, 0);
}

static long do_recvmsg(const struct args *args)
{
    struct iovec part;
    struct msghdr message = message_of(args, &part);
    return weft_recvmsg(args->fd, &message, args->flags);
}

static long do_sendmsg(const struct args *args)
{
    struct iovec part;
    struct msghdr message = message_of(args, &part);
    return weft_sendmsg(args->fd, &message, args->flags);
}

static long do_set_deadline(const struct args *args)
{
    return weft_set_deadline(args->fd, WEFT_FOREVER, WEFT_FOREVER);
}

static long do_wait(const struct args *args)
{
    int events = weft_wait(args->fd, POLLIN, WEFT_FOREVER);
    CHECK(events < 0 || events == POLLIN);
    return events < 0 ? events : 1;
}

static long do_shutdown(const struct args *args)
{
    return weft_shutdown(args->fd, SHUT_RDWR);
}

static long do_close(const struct args *args)
{
    int result = weft_close(args->fd);
    CHECK_NE(result, -ECANCELED); /* nobody else closes */
    return result;
}

/* ---- The table ---- */

enum traits {
    READS = 1,   /* waits for bytes, or a connection */
    WRITES = 2,  /* waits for room */
    SIZED = 4,   /* takes a buffer and its size */
    COUNTED = 8, /* takes buffers and their number */
    FLAGS = 16,  /* takes MSG_DONTWAIT */
    LISTENER = 32,
};

static const struct row {
    const char *name;
    long (*call)(const struct args *args);
    unsigned traits;
    long on_file; /* with a byte in it */
    long on_pipe; /* at the end where it can work, with a byte in it */
    long null;    /* a NULL buffer, where something can be done */
} rows[] = {
    {"accept", do_accept, READS | LISTENER, -ENOTSOCK, -ENOTSOCK, -EFAULT},
    {"read", do_read, READS | SIZED, 1, 1, -EFAULT},
    {"write", do_write, WRITES | SIZED, 1, 1, -EFAULT},
    {"readv", do_readv, READS | SIZED | COUNTED, 1, 1, -EFAULT},
    {"writev", do_writev, WRITES | SIZED | COUNTED, 1, 1, -EFAULT},
    {"read_full", do_read_full, READS | SIZED, 1, 1, -EFAULT},
    {"write_all", do_write_all, WRITES | SIZED, 1, 1, -EFAULT},
    {"writev_all", do_writev_all, WRITES | SIZED | COUNTED, 1, 1, -EFAULT},
    {"recvfrom", do_recvfrom, READS | SIZED | FLAGS, -ENOTSOCK, -ENOTSOCK, -EFAULT},
    {"sendto", do_sendto, WRITES | SIZED | FLAGS, -ENOTSOCK, -ENOTSOCK, -EFAULT},
    {"recvmsg", do_recvmsg, READS | SIZED | COUNTED | FLAGS, -ENOTSOCK, -ENOTSOCK, -EFAULT},
    {"sendmsg", do_sendmsg, WRITES | SIZED | COUNTED | FLAGS, -ENOTSOCK, -ENOTSOCK, -EFAULT},
    {"set_deadline", do_set_deadline, 0, 0, 0, 0},
    {"wait", do_wait, READS, -EPERM, 1, 1},
    {"shutdown", do_shutdown, 0, -ENOTSOCK, -ENOTSOCK, 0},
    {"close", do_close, 0, 0, 0, 0},
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static void expect(const struct row *row, const char *what, long result, long expected)
{
    if (result != expected)
        FAIL("%s, %s: %ld, not %ld", row->name, what, result, expected);
}

/* What a call works on: fds[0], of which fds[1] is the other side. */
static void open_subject(const struct row *row, int fds[2])
{
    if (row->traits & LISTENER) {
        struct endpoint at = endpoint_listen(KIND_ABSTRACT, 1);
        fds[0] = at.fd;
        fds[1] = endpoint_dial(&at);
    } else {
        pair_unix(fds);
        CHECK_EQ(weft_write(fds[1], "x", 1), 1);
    }
}

/* Takes away what makes it ready. */
static void make_unready(const struct row *row, int fds[2])
{
    char byte;
    if (row->traits & LISTENER)
        CHECK_EQ(weft_close(weft_accept(fds[0], NULL, NULL)), 0);
    else
        CHECK_EQ(weft_read(fds[0], &byte, 1), 1);
    if (row->traits & WRITES) {
        fill_up(fds[0]);
    }
}

static void close_subject(const struct row *row, int fds[2])
{
    CHECK_EQ(weft_close(fds[0]), row->call == do_close ? -EBADF : 0);
    CHECK_EQ(weft_close(fds[1]), 0);
}

/* ---- The columns ---- */

static void not_open(const struct row *row)
{
    static const int numbers[] = {-1, INT_MIN, INT_MAX, 900, 1 << 20, 1 << 24};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char byte;
        struct args args = {.fd = numbers[i], .buffer = &byte, .size = 1, .count = 1};
        expect(row, "not open", row->call(&args), -EBADF);
        args.size = 0;
        expect(row, "not open, size 0", row->call(&args), -EBADF);
    }
}

/* A file has no deadlines. */
static void regular_file(const struct row *row)
{
    for (int i = 0; i < 2; i++) {
        char path[] = "/tmp/weft-test-XXXXXX", byte = 'x';
        int fd = mkstemp(path);
        CHECK_GE(fd, 0);
        CHECK_EQ(unlink(path), 0);
        CHECK_EQ(write(fd, "x", 1), 1);
        CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
        if (i == 1)
            CHECK_EQ(weft_set_deadline(fd, 1, 1), 0);
        struct args args = {.fd = fd, .buffer = &byte, .size = 1, .count = 1};
        expect(row, "regular file", row->call(&args), row->on_file);
        CHECK_EQ(weft_close(fd), row->call == do_close ? -EBADF : 0);
    }
}

static void pipe_end(const struct row *row)
{
    int ends[2];
    char byte = 'x';
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    int fd = ends[row->traits & WRITES ? 1 : 0];
    struct args args = {.fd = fd, .buffer = &byte, .size = 1, .count = 1};
    expect(row, "pipe", row->call(&args), row->on_pipe);
    CHECK_EQ(weft_close(fd), row->call == do_close ? -EBADF : 0);
    CHECK_EQ(weft_close(ends[row->traits & WRITES ? 0 : 1]), 0);
}

static void size_too_large(const struct row *row)
{
    int fds[2];
    char byte;
    if (!(row->traits & SIZED))
        return;
    open_subject(row, fds);
    struct args args = {.fd = fds[0], .buffer = &byte, .size = SIZE_MAX, .count = 1};
    expect(row, "SIZE_MAX", row->call(&args), -EINVAL);
    args.size = (size_t)SSIZE_MAX + 1;
    expect(row, "over SSIZE_MAX", row->call(&args), -EINVAL);
    close_subject(row, fds);
}

static void count_out_of_range(const struct row *row)
{
    static const int counts[] = {-1, INT_MIN, IOV_MAX + 1, INT_MAX};
    int fds[2];
    char byte;
    if (!(row->traits & COUNTED))
        return;
    open_subject(row, fds);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct args args = {.fd = fds[0], .buffer = &byte, .size = 1, .count = counts[i]};
        expect(row, "count out of range", row->call(&args), -EINVAL);
    }
    struct args args = {.fd = fds[0], .buffer = &byte, .size = 1, .count = IOV_MAX};
    expect(row, "IOV_MAX", row->call(&args), 1);
    close_subject(row, fds);
}

static void null_buffer(const struct row *row)
{
    int fds[2];
    open_subject(row, fds);
    struct args args = {.fd = fds[0], .size = 1, .count = 1};
    expect(row, "NULL", row->call(&args), row->null);
    close_subject(row, fds);
}

/* Although something could be done. */
static void deadline_passed(const struct row *row)
{
    static const int64_t past[] = {1, 0, -1, INT64_MIN + 1};
    for (size_t i = 0; i < sizeof past / sizeof past[0]; i++) {
        int fds[2];
        char byte;
        open_subject(row, fds);
        CHECK_EQ(weft_set_deadline(fds[0], past[i], past[i]), 0);
        struct args args = {.fd = fds[0], .buffer = &byte, .size = 1, .count = 1};
        bool waits = row->traits & (READS | WRITES);
        expect(row, "deadline passed", row->call(&args), waits ? -ETIMEDOUT : 0);
        close_subject(row, fds);
    }
}

static void would_wait(const struct row *row)
{
    int fds[2];
    char byte;
    open_subject(row, fds);
    make_unready(row, fds);
    struct args args = {
        .fd = fds[0], .buffer = &byte, .size = 1, .count = 1, .flags = MSG_DONTWAIT};
    if (row->traits & FLAGS)
        expect(row, "MSG_DONTWAIT", row->call(&args), -EAGAIN);
    CHECK_EQ(weft_set_deadline(fds[0], WEFT_NOWAIT, WEFT_NOWAIT), 0);
    args.flags = 0;
    bool waits = row->traits & (READS | WRITES);
    expect(row, "WEFT_NOWAIT", row->call(&args), waits ? -EAGAIN : 0);
    CHECK_EQ(net_waiters(), 0);
    close_subject(row, fds);
}

static void all_columns(void)
{
    static void (*const columns[])(const struct row *row) = {
        not_open,           regular_file, pipe_end,        size_too_large,
        count_out_of_range, null_buffer,  deadline_passed, would_wait,
    };
    for (int i = 0; i < ROWS; i++)
        for (size_t j = 0; j < sizeof columns / sizeof columns[0]; j++)
            columns[j](&rows[i]);
}

TEST_PROCS(table)
{
    all_columns();
}

TEST(table_without_a_run)
{
    all_columns();
}

/* ---- Close during every call ---- */

struct row_call {
    struct call call;
    const struct row *row;
};

static long call_row(struct call *call)
{
    char byte = 0;
    struct args args = {.fd = call->fd, .buffer = &byte, .size = 1, .count = 1};
    return ((struct row_call *)call)->row->call(&args);
}

static void close_during(const struct row *row, int64_t deadline)
{
    int fds[2];
    open_subject(row, fds);
    make_unready(row, fds);
    CHECK_EQ(weft_set_deadline(fds[0], deadline, deadline), 0);
    struct row_call call = {.call = {.fd = fds[0], .fn = call_row}, .row = row};
    call_start(&call.call, 1);
    CHECK_EQ(weft_close(fds[0]), 0);
    expect(row, "closed meanwhile", call_join(&call.call), -ECANCELED);
    CHECK_EQ(net_waiters(), 0);
    CHECK_EQ(weft_close(fds[1]), 0);
}

TEST_PROCS(close_during_every_call)
{
    for (int i = 0; i < ROWS; i++) {
        if (!(rows[i].traits & (READS | WRITES)))
            continue;
        close_during(&rows[i], WEFT_FOREVER);
        close_during(&rows[i], weft_after(600 * WEFT_SECOND));
    }
}
