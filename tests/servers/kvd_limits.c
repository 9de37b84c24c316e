/* SPDX-License-Identifier: MIT
 *
 * kvd: limits of time, size and number, and what becomes of clients that go beyond them.
 */
#include "servers/kvd_test.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

/* ---- Time ---- */

/* One byte every so often, until somebody at the other end has had enough; the bytes that went. */
static size_t drip(int fd, const char *text, int64_t pause)
{
    struct bytes bytes = {0};
    size_t at = 0;
    CHECK_EQ(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    bytes_add_text(&bytes, text);
    while (at < bytes.size && weft_write(fd, bytes.data + at, 1) == 1) {
        at++;
        if (weft_wait(fd, POLLIN, weft_after(pause)) >= 0) /* the end, or an answer */
            break;
    }
    bytes_free(&bytes);
    return at;
}

/* A command must be complete in time, however its bytes drip in. */
KVD_TEST(slow_command_is_cut)
{
    static const char *const commands[] = {"*2~$4~ECHO~$30~012345678901234567890123456789~",
                                           "ECHO 012345678901234567890123456789~"};
    struct program kvd;
    kvd_start(&kvd, "--request-time", "0.4", NULL);
    for (int i = 0; i < 2; i++) {
        int fd = program_dial(&kvd);
        int64_t began = weft_now();
        CHECK_LT(drip(fd, commands[i], 80 * WEFT_MILLISECOND), 25);
        CHECK_GE(weft_now() - began, 390 * WEFT_MILLISECOND);
        while (weft_read(fd, (char[64]){0}, 64) > 0) /* it may say why */
            continue;
        kvd_expect_end(fd);
    }
    kvd_check_alive(&kvd);
    kvd_stop(&kvd);
}

/* The time is a command's, not the connection's: it begins anew with each, and not before. */
KVD_TEST(slow_commands_in_time)
{
    struct program kvd;
    kvd_start(&kvd, "--request-time", "2", NULL);
    int fd = program_dial(&kvd);
    weft_sleep(2200 * WEFT_MILLISECOND);
    for (int i = 0; i < 6; i++) {
        kvd_text(fd, "*2~$4~ECHO~$5~he");
        weft_sleep(400 * WEFT_MILLISECOND);
        kvd_text(fd, "llo~");
        kvd_expect(fd, "a slow ECHO", "$5~hello~");
    }
    weft_sleep(2200 * WEFT_MILLISECOND);
    kvd_ask(fd, "PING", "+PONG~");
    program_hang_up(fd);
    kvd_stop(&kvd);
}

/* One whose beginning came together with a command before it. */
KVD_TEST(slow_command_behind_another)
{
    struct program kvd;
    kvd_start(&kvd, "--request-time", "0.3", NULL);
    int fd = program_dial(&kvd);
    kvd_text(fd, "*1~$4~PING~*2~$4~ECHO~$5~he");
    kvd_expect(fd, "PING", "+PONG~");
    while (weft_read(fd, (char[64]){0}, 64) > 0)
        continue;
    kvd_expect_end(fd);
    kvd_stop(&kvd);
}

KVD_TEST(idle_connection_is_closed)
{
    struct program kvd;
    kvd_start(&kvd, "--idle", "1", NULL);
    int fd = program_dial(&kvd), silent = program_dial(&kvd);
    kvd_ask(fd, "PING", "+PONG~");
    kvd_expect_end(fd);
    kvd_expect_end(silent);
    kvd_check_alive(&kvd);
    kvd_stop(&kvd);
}

/* ---- Clients that do not read ---- */

enum { ELEMENTS = 1000, ELEMENT = 1000, RANGE = 7 + ELEMENTS * (7 + ELEMENT + 2) };

/* A list that takes about a MB to send. */
static void make_list(int fd)
{
    static char value[ELEMENT];
    struct bytes out = {0};
    memset(value, 'v', sizeof value);
    bytes_print(&out, "*%d\r\n", 2 + ELEMENTS);
    bytes_add_text(&out, "$5~RPUSH~$1~l~");
    for (int i = 0; i < ELEMENTS; i++)
        bytes_add_bulk(&out, value, sizeof value);
    kvd_send(fd, &out);
    kvd_expect(fd, "RPUSH", ":1000~");
}

static void ask_for_ranges(int fd, int count)
{
    struct bytes out = {0};
    for (int i = 0; i < count; i++)
        bytes_add_command(&out, "LRANGE l 0 -1");
    kvd_send(fd, &out);
}

/* 200 MB are asked for in one write, and nobody takes them. */
KVD_TEST(client_that_never_reads)
{
    struct program kvd;
    kvd_start(&kvd, "--write-time", "1", NULL);
    int fd = program_dial(&kvd), greedy = program_dial(&kvd);
    make_list(fd);
    int files = program_files(&kvd);
    long memory = program_status(&kvd, "RssAnon");
    ask_for_ranges(greedy, 200);
    while (program_files(&kvd) == files) {
        CHECK_LT(program_status(&kvd, "RssAnon"), memory + 64 * 1024);
        kvd_ask(fd, "PING", "+PONG~");
        weft_sleep(10 * WEFT_MILLISECOND);
    }
    program_hang_up(greedy);
    CHECK_LT(program_status(&kvd, "RssAnon"), memory + 32 * 1024);
    program_hang_up(fd);
    kvd_stop(&kvd);
}

/* Takes a little now and then, and needs much longer than --write-time for all of it. */
KVD_TEST(slow_reader_is_not_cut)
{
    enum { ASKED = 16, PART = 200 * 1000 };
    static char part[PART];
    struct program kvd;
    kvd_start(&kvd, "--write-time", "2", NULL);
    int fd = program_dial(&kvd);
    make_list(fd);
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){100 * 1000}, sizeof(int)), 0);
    ask_for_ranges(fd, ASKED);
    for (size_t left = (size_t)ASKED * RANGE; left > 0;) {
        size_t size = left < PART ? left : PART;
        CHECK_EQ(weft_read_full(fd, part, size), size);
        left -= size;
        weft_sleep(50 * WEFT_MILLISECOND);
    }
    kvd_ask(fd, "PING", "+PONG~");
    weft_sleep(2200 * WEFT_MILLISECOND); /* no bound is left over from when it was slow */
    kvd_ask(fd, "PING", "+PONG~");
    program_hang_up(fd);
    kvd_stop(&kvd);
}

/* ---- Memory ---- */

static const char out_of_memory[] = "-OOM command not allowed when used memory > 'maxmemory'.~";

/* Sets keys of 1000 bytes until the server will take no more. How many it took. */
static int fill(int fd)
{
    char text[1100];
    int count = 0;
    for (char sign = '+'; sign == '+'; count += sign == '+') {
        memset(text, 'v', sizeof text);
        text[snprintf(text, sizeof text, "SET key:%d ", count)] = 'v';
        text[1050] = '\0';
        kvd_command(fd, text);
        CHECK_EQ(weft_read(fd, &sign, 1), 1);
        kvd_expect(fd, "SET", sign == '+' ? "OK~" : out_of_memory + 1);
        CHECK_LT(count, 2000);
    }
    return count;
}

KVD_TEST(max_memory)
{
    static const char *const writes[] = {"SET a 1",    "MSET a 1 b 2",  "APPEND key:1 x",
                                         "LPUSH l a",  "RPUSH l a",     "INCR n",
                                         "DECRBY n 2", "GETSET key:1 x"};
    struct program kvd;
    kvd_start(&kvd, "--max-memory", "1000000", NULL);
    int fd = program_dial(&kvd);
    kvd_ask(fd, "RPUSH list a b c", ":3~");
    int count = fill(fd);
    CHECK_GT(count, 500);
    CHECK_LT(count, 1000);
    for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++)
        kvd_ask(fd, writes[i], out_of_memory);
    kvd_ask(fd, "EXISTS a b l n key:1", ":1~");
    kvd_ask(fd, "STRLEN key:1", ":1040~");
    kvd_ask(fd, "LRANGE list 0 -1", "*3~$1~a~$1~b~$1~c~");
    kvd_ask(fd, "LPOP list", "$1~a~");
    kvd_ask(fd, "EXPIRE key:2 100", ":1~");
    kvd_ask(fd, "DEL key:1 key:2 key:3 key:4", ":4~");
    kvd_ask(fd, "SET a 1", "+OK~");
    kvd_ask(fd, "FLUSHALL", "+OK~");
    CHECK_GE(fill(fd), count); /* nothing of what was there before is counted */
    program_hang_up(fd);
    kvd_stop(&kvd);
}

/* Commands in which "V" stands for a value of 5000 bytes. */
static void add_with_value(struct bytes *out, const char *words)
{
    static char text[16 * 1024];
    size_t size = 0;
    for (; *words != '\0'; words++) {
        size_t part = *words == 'V' ? 5000 : 1;
        CHECK_LT(size + part, sizeof text);
        memset(text + size, *words, part);
        size += part;
    }
    text[size] = '\0';
    bytes_add_command(out, text);
}

/* What is deleted, overwritten, popped and has expired is no longer counted: each of these a
 * hundred times would take five times the memory there is. */
KVD_TEST(memory_is_given_back)
{
    enum { STEPS = 3 };
    static const char *const rounds[][STEPS] = {
        {"SET a V", "DEL a"},         {"SET a V", "SET a x"},    {"APPEND b V", "DEL b"},
        {"RPUSH l V", "LPOP l"},      {"LPUSH l V", "RPOP l"},   {"GETSET a V", "GETSET a x"},
        {"MSET a V b V", "DEL a b"},  {"RPUSH m V V", "DEL m"},  {"RPUSH m V", "SET m x", "DEL m"},
        {"SET a V EX 9", "FLUSHALL"}, {"SET a V", "EXPIRE a 0"},
    };
    struct program kvd;
    kvd_start(&kvd, "--max-memory", "100000", NULL);
    int fd = program_dial(&kvd);
    for (size_t round = 0; round < sizeof rounds / sizeof rounds[0]; round++) {
        for (int i = 0; i < 100 * STEPS; i++) {
            const char *command = rounds[round][i % STEPS];
            if (command == NULL)
                continue;
            struct bytes out = {0}, reply = {0};
            add_with_value(&out, command);
            kvd_send(fd, &out);
            kvd_read_reply(fd, &reply);
            if (reply.data[0] == '-')
                FAIL("%s: %s", command, reply.data);
            bytes_free(&reply);
        }
    }
    program_hang_up(fd);
    kvd_stop(&kvd);
}

/* ---- Sizes ---- */

/* Sends a command of an array of that many bytes, or a line; whether it was answered. */
static bool takes_command(const struct program *kvd, size_t size, bool line)
{
    struct bytes out = {0};
    static char value[4 * 1024 * 1024];
    memset(value, 'v', sizeof value);
    if (line) {
        bytes_add_text(&out, "ECHO ");
        bytes_add(&out, value, size - 7);
        bytes_add_text(&out, "~");
    } else {
        bytes_add_text(&out, "*2~$4~ECHO~");
        bytes_add_bulk(&out, value, size - 30);
    }
    int fd = program_dial(kvd);
    ssize_t sent = weft_write_all(fd, out.data, out.size); /* it may hang up meanwhile */
    CHECK(sent > 0 || sent == -EPIPE || sent == -ECONNRESET);
    char first = '\0';
    ssize_t got = weft_read(fd, &first, 1);
    CHECK(got == 1 || got == -ECONNRESET);
    CHECK(got < 0 || first == '$' || first == '-');
    bytes_free(&out);
    program_hang_up(fd);
    return first == '$';
}

KVD_TEST(max_request)
{
    struct program kvd;
    kvd_start(&kvd, "--max-request", "2000", NULL);
    for (int line = 0; line < 2; line++) {
        CHECK(takes_command(&kvd, 1900, line));
        CHECK(!takes_command(&kvd, 2200, line));
        CHECK(!takes_command(&kvd, 60000, line));
    }
    kvd_stop(&kvd);
    kvd_start(&kvd, NULL);
    CHECK(takes_command(&kvd, 1024 * 1024, false));
    CHECK(takes_command(&kvd, 60000, true));
    CHECK(!takes_command(&kvd, 2 * 1024 * 1024, false));
    CHECK(!takes_command(&kvd, 2 * 1024 * 1024, true));
    kvd_check_alive(&kvd);
    kvd_stop(&kvd);
}

/* Many arguments that make up more than the limit, each of them small. */
KVD_TEST(max_request_of_many_arguments)
{
    struct program kvd;
    struct bytes out = {0};
    kvd_start(&kvd, "--max-request", "10000", NULL);
    int fd = program_dial(&kvd);
    bytes_add_text(&out, "*1600~$3~DEL~");
    for (int i = 1; i < 1600; i++)
        bytes_add_text(&out, "$1~k~");
    kvd_send(fd, &out);
    kvd_expect(fd, "DEL", "-ERR Protocol error: ");
    program_hang_up(fd);
    kvd_check_alive(&kvd);
    kvd_stop(&kvd);
}

/* What a command says it will be takes no memory before it comes. */
KVD_TEST(promises_take_no_memory)
{
    enum { COUNT = 300 };
    int fds[COUNT];
    struct program kvd;
    kvd_start(&kvd, NULL);
    kvd_check_alive(&kvd);
    long memory = program_status(&kvd, "RssAnon");
    for (int i = 0; i < COUNT; i++) {
        fds[i] = program_dial(&kvd);
        kvd_text(fds[i], i % 2 == 0 ? "PING~*2~$4~ECHO~$1000000~v" : "PING~*100000~$4~MGET~");
        kvd_expect(fds[i], "PING", "+PONG~");
    }
    if (test_scale() == 1)
        CHECK_LT(program_status(&kvd, "RssAnon"), memory + COUNT * 64);
    for (int i = 0; i < COUNT; i++)
        program_hang_up(fds[i]);
    kvd_check_alive(&kvd);
    kvd_stop(&kvd);
}

/* ---- Connections ---- */

/* Those over the limit wait until others have left. */
KVD_TEST(max_connections)
{
    enum { LIMIT = 5 };
    int fds[LIMIT + 1];
    char byte;
    struct program kvd;
    kvd_start(&kvd, "--max-connections", "5", NULL);
    for (int i = 0; i <= LIMIT; i++) {
        fds[i] = program_dial(&kvd);
        kvd_command(fds[i], "INCR n");
        char reply[16];
        snprintf(reply, sizeof reply, ":%d~", i + 1);
        if (i < LIMIT)
            kvd_expect(fds[i], "INCR", reply);
    }
    CHECK_EQ(weft_set_read_deadline(fds[LIMIT], weft_after(100 * WEFT_MILLISECOND)), 0);
    CHECK_EQ(weft_read(fds[LIMIT], &byte, 1), -ETIMEDOUT);
    kvd_ask(fds[0], "GET n", "$1~5~");
    CHECK_EQ(weft_close(fds[2]), 0);
    CHECK_EQ(weft_set_read_deadline(fds[LIMIT], weft_after(60 * WEFT_SECOND)), 0);
    kvd_expect(fds[LIMIT], "INCR", ":6~");
    for (int i = 0; i <= LIMIT; i++)
        if (i != 2)
            program_hang_up(fds[i]);
    kvd_stop(&kvd);
}
