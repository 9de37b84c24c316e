/* SPDX-License-Identifier: MIT
 *
 * kvd: the bytes of commands, whole and broken, in one piece and in many.
 */
#include "servers/kvd_test.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

/* ---- In any pieces ---- */

static const char session[] = "PING~*1~$4~PING~"
                              "set a 'one two'~*2~$3~GET~$1~a~"
                              "*3~$3~SET~$2~~~$3~x~~~*2~$3~GET~$2~~~"
                              "~*0~*-1~*2~$7~RPUSH~~$1~l~"
                              "echo \"\\x41\\n\\\"\"\n*5~$5~LPUSH~$1~l~$0~~$1~b~$10~0123456789~"
                              "*4~$6~LRANGE~$1~l~$1~0~$2~-1~flushall~";

static const char session_replies[] =
    "+PONG~+PONG~"
    "+OK~$7~one two~"
    "+OK~$3~x~~"
    "-ERR unknown command 'RPUSH  ', with args beginning with: 'l' ~"
    "$3~A\n\"~:3~"
    "*3~$10~0123456789~$1~b~$0~~+OK~";

static int dial_without_delay(const struct program *kvd)
{
    int fd = program_dial(kvd);
    CHECK_EQ(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    return fd;
}

static void send_part(int fd, const struct bytes *bytes, size_t from, size_t to)
{
    CHECK_EQ(weft_write_all(fd, bytes->data + from, to - from), to - from);
    weft_sleep(WEFT_MILLISECOND); /* most parts so come alone */
}

KVD_TEST(split_at_every_byte)
{
    struct program kvd;
    struct bytes in = {0};
    kvd_start(&kvd, NULL);
    bytes_add_text(&in, session);
    for (size_t at = 1; at < in.size; at++) {
        int fd = dial_without_delay(&kvd);
        send_part(fd, &in, 0, at);
        send_part(fd, &in, at, in.size);
        kvd_expect(fd, "a session in two parts", session_replies);
        program_hang_up(fd);
    }
    bytes_free(&in);
    kvd_stop(&kvd);
}

KVD_TEST(byte_by_byte)
{
    struct program kvd;
    struct bytes in = {0};
    kvd_start(&kvd, NULL);
    bytes_add_text(&in, session);
    int fd = dial_without_delay(&kvd);
    for (size_t at = 0; at < in.size; at++)
        send_part(fd, &in, at, at + 1);
    kvd_expect(fd, "a session byte by byte", session_replies);
    program_hang_up(fd);
    bytes_free(&in);
    kvd_stop(&kvd);
}

/* The session again and again in parts of any size. */
KVD_TEST(random_parts)
{
    struct program kvd;
    struct bytes in = {0}, want = {0};
    kvd_start(&kvd, NULL);
    for (int i = 0; i < 200; i++) {
        bytes_add_text(&in, session);
        bytes_add_text(&want, session_replies);
    }
    int fd = dial_without_delay(&kvd);
    for (size_t at = 0; at < in.size;) {
        size_t part = 1 + test_random_below(800), rest = in.size - at;
        send_part(fd, &in, at, at + (part < rest ? part : rest));
        at += part < rest ? part : rest;
    }
    kvd_expect_bytes(fd, "sessions in parts", want.data, want.size);
    program_hang_up(fd);
    bytes_free(&in), bytes_free(&want);
    kvd_stop(&kvd);
}

/* ---- Pipelines ---- */

static void pipeline(int fd, int from, int count)
{
    struct bytes out = {0}, want = {0};
    for (int i = from; i < from + count; i++) {
        bytes_add_command(&out, "INCR n");
        bytes_print(&want, ":%d\r\n", i + 1);
    }
    kvd_send(fd, &out);
    kvd_expect_bytes(fd, "a pipeline", want.data, want.size);
    bytes_free(&want);
}

KVD_TEST(pipelines)
{
    struct program kvd;
    kvd_start(&kvd, NULL);
    int fd = program_dial(&kvd);
    pipeline(fd, 0, 1);
    pipeline(fd, 1, 16);
    pipeline(fd, 17, 10 * 1000);
    pipeline(fd, 10017, 1);
    program_hang_up(fd);
    kvd_stop(&kvd);
}

struct writing {
    int fd;
    struct bytes bytes;
    weft_waitgroup done;
};

static void write_all(void *arg)
{
    struct writing *writing = arg;
    kvd_send(writing->fd, &writing->bytes);
    weft_waitgroup_done(&writing->done);
}

/* More than the buffers of both sockets hold, in both directions at once. */
KVD_TEST(pipeline_of_big_replies)
{
    struct program kvd;
    kvd_start(&kvd, NULL);
    struct writing writing = {.fd = program_dial(&kvd)};
    struct bytes want = {0};
    static char value[10 * 1000];
    for (int i = 0; i < 2000 / test_scale(); i++) {
        memset(value, 'a' + i % 26, sizeof value);
        bytes_add_text(&writing.bytes, "*2~$4~ECHO~");
        bytes_add_bulk(&writing.bytes, value, sizeof value - (size_t)i % 100);
        bytes_add_bulk(&want, value, sizeof value - (size_t)i % 100);
    }
    weft_waitgroup_add(&writing.done, 1);
    CHECK_EQ(weft_go(write_all, &writing), 0);
    kvd_expect_bytes(writing.fd, "a pipeline of ECHO", want.data, want.size);
    weft_waitgroup_wait(&writing.done);
    program_hang_up(writing.fd);
    bytes_free(&want);
    kvd_stop(&kvd);
}

/* The client has said all that it will; what it asked is answered, and then the end comes. */
KVD_TEST(half_closed)
{
    struct program kvd;
    kvd_start(&kvd, NULL);
    int fd = program_dial(&kvd);
    struct bytes out = {0}, want = {0};
    for (int i = 0; i < 1000; i++) {
        bytes_add_command(&out, "ECHO hello");
        bytes_add_text(&want, "$5~hello~");
    }
    kvd_send(fd, &out);
    CHECK_EQ(weft_shutdown(fd, SHUT_WR), 0);
    kvd_expect_bytes(fd, "a pipeline before the end", want.data, want.size);
    kvd_expect_end(fd);
    bytes_free(&want);
    fd = program_dial(&kvd);
    kvd_text(fd, "PING~*2~$4~ECHO~$5~hel"); /* one that can never be complete */
    CHECK_EQ(weft_shutdown(fd, SHUT_WR), 0);
    kvd_expect(fd, "PING", "+PONG~");
    kvd_expect_end(fd);
    kvd_stop(&kvd);
}

/* ---- Inline commands ---- */

static const struct {
    const char *text, *reply;
} inlines[] = {
    {"PING~", "+PONG~"},
    {"PING\n", "+PONG~"},
    {"  PING   x  ~", "$1~x~"},
    {"\tPING\tx~", "$1~x~"},
    {"~\n  ~PING~", "+PONG~"},
    {"ECHO 'a b'~", "$3~a b~"},
    {"ECHO \"a b\"~", "$3~a b~"},
    {"ECHO ''~", "$0~~"},
    {"ECHO \"\"~", "$0~~"},
    {"ECHO 'it\\'s'~", "$4~it's~"},
    {"ECHO 'a\\nb'~", "$4~a\\nb~"},
    {"ECHO \"\\r\\n\\t\\a\\b\\\\\\\"\"~", "$7~\r\n\t\a\b\\\"~"},
    {"ECHO \"\\x00\\xff\\x4g\"~", NULL},
    {"ECHO a\\nb~", "$4~a\\nb~"},
    {"ECHO a'b~", "-ERR Protocol error: unbalanced quotes in request~"},
    {"echo *1~", "$2~*1~"},
    {"$4~", "-ERR unknown command '$4', with args beginning with: ~"},
};

KVD_TEST(inline_commands)
{
    struct program kvd;
    kvd_start(&kvd, NULL);
    for (size_t i = 0; i < sizeof inlines / sizeof inlines[0]; i++) {
        int fd = program_dial(&kvd);
        kvd_text(fd, inlines[i].text);
        if (inlines[i].reply != NULL)
            kvd_expect(fd, inlines[i].text, inlines[i].reply);
        else
            kvd_expect_bytes(fd, inlines[i].text, "$5\r\n\0\xffx4g\r\n", 11);
        program_hang_up(fd);
    }
    kvd_stop(&kvd);
}

/* ---- What no client sends ---- */

/* The connection ends with a line that begins so, and nothing follows it. */
static void expect_last_line(int fd, const char *question, const char *start)
{
    char text[512];
    size_t size = 0;
    ssize_t part;
    while ((part = weft_read(fd, text + size, sizeof text - 1 - size)) > 0)
        size += (size_t)part;
    if (part < 0)
        FAIL("%s: the error was destroyed by a reset: %zd", question, part);
    text[size] = '\0';
    if (strncmp(text, start, strlen(start)) != 0 || size < 2 ||
        strchr(text, '\r') != text + size - 2 || text[size - 1] != '\n')
        kvd_differs(question, start, strlen(start), text, size);
    program_hang_up(fd);
}

static const struct {
    const char *text, *error; /* error: what follows "-ERR Protocol error: " */
} malformed[] = {
    {"*1~PING~", "expected '$', got 'P'"},
    {"*1~*1~$4~PING~", "expected '$', got '*'"},
    {"*1~~", "expected '$', got "},
    {"*x~", "invalid multibulk length"},
    {"*~", "invalid multibulk length"},
    {"*1x~", "invalid multibulk length"},
    {"*+1~", "invalid multibulk length"},
    {"*99999999999999999999~", "invalid multibulk length"},
    {"*2147483648~", "invalid multibulk length"},
    {"*999999999~", ""},
    {"*1~$-1~", "invalid bulk length"},
    {"*1~$x~", "invalid bulk length"},
    {"*1~$~", "invalid bulk length"},
    {"*1~$4 ~PING~", "invalid bulk length"},
    {"*1~$999999999999~", "invalid bulk length"},
    {"*1~$99999999999999999999999~", "invalid bulk length"},
    {"*2~$4~ECHO~$-5~", "invalid bulk length"},
    {"*1~$4~PINGxx", ""},
    {"*1~$4~PING\rx", ""},
    {"*2~$4~ECHO~$1~ab~", ""},
    {"ECHO 'a~", "unbalanced quotes in request"},
    {"ECHO \"a~", "unbalanced quotes in request"},
    {"ECHO 'a'b~", "unbalanced quotes in request"},
    {"ECHO \"a\"b~", "unbalanced quotes in request"},
    {"ECHO \"a\\\"~", "unbalanced quotes in request"},
};

KVD_TEST(malformed_input)
{
    struct program kvd;
    kvd_start(&kvd, NULL);
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        char error[128];
        int fd = program_dial(&kvd);
        struct bytes out = {0};
        bytes_add_text(&out, "PING~");
        bytes_add_text(&out, malformed[i].text);
        bytes_add_text(&out, "SET after 1~"); /* is never run */
        kvd_send(fd, &out);
        kvd_expect(fd, malformed[i].text, "+PONG~");
        snprintf(error, sizeof error, "-ERR Protocol error: %s", malformed[i].error);
        expect_last_line(fd, malformed[i].text, error);
    }
    int fd = program_dial(&kvd);
    kvd_ask(fd, "EXISTS after", ":0~");
    program_hang_up(fd);
    kvd_stop(&kvd);
}

/* The error also reaches a client that is still sending, and is not destroyed by a reset. */
KVD_TEST(error_before_all_is_sent)
{
    static char filling[100 * 1000];
    struct program kvd;
    kvd_start(&kvd, NULL);
    for (int i = 0; i < 20; i++) {
        int fd = program_dial(&kvd);
        struct bytes out = {0};
        bytes_add_text(&out, "*x~");
        bytes_add(&out, filling, sizeof filling);
        kvd_send(fd, &out);
        weft_sleep(10 * WEFT_MILLISECOND);
        expect_last_line(fd, "*x", "-ERR Protocol error: invalid multibulk length");
    }
    kvd_stop(&kvd);
}

/* Lines that do not end, and lengths that say more than comes. */
KVD_TEST(endless_lines)
{
    static const char *const starts[] = {"", "*", "*1~$", "*1", "ECHO '", "*2~$4~ECHO~$1"};
    static char filling[256 * 1024];
    struct program kvd;
    kvd_start(&kvd, NULL);
    memset(filling, '1', sizeof filling);
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        int fd = program_dial(&kvd);
        kvd_text(fd, starts[i]);
        weft_write_all(fd, filling, sizeof filling); /* of which the end may find nobody */
        char first[22] = "";
        if (weft_read_full(fd, first, 21) == 21) /* a reset may have destroyed it */
            CHECK_STR(first, "-ERR Protocol error: ");
        while (weft_read(fd, first, 1) > 0)
            continue;
        kvd_expect_end(fd);
    }
    kvd_check_alive(&kvd);
    kvd_stop(&kvd);
}

/* Clients that leave in the middle. */
KVD_TEST(truncated)
{
    struct program kvd;
    struct bytes in = {0};
    kvd_start(&kvd, NULL);
    int files = program_files(&kvd);
    bytes_add_text(&in, session);
    for (size_t at = 0; at < in.size; at++) {
        int fd = program_dial(&kvd);
        CHECK_EQ(weft_write_all(fd, in.data, at), at);
        if (at % 2 == 0)
            CHECK_EQ(weft_close(fd), 0);
        else
            program_hang_up(fd);
    }
    bytes_free(&in);
    CHECK_SOON(program_files(&kvd) <= files);
    kvd_check_alive(&kvd);
    kvd_stop(&kvd);
}
