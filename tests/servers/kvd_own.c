/* SPDX-License-Identifier: MIT
 *
 * kvd: what clients ask of the server itself, of which redis-server says more, or something else.
 */
#include "servers/kvd_test.h"

static const char *const own_replies[][2] = {
    {"COMMAND", "*0~"},
    {"COMMAND DOCS", "*0~"},
    {"CONFIG GET save", "*2~$4~save~$0~~"},
    {"CONFIG GET nosuch", "*0~"},
    {"SELECT 1", "-ERR DB index is out of range~"},
};

KVD_TEST(own_replies)
{
    struct program kvd;
    kvd_start(&kvd, NULL);
    int fd = program_dial(&kvd);
    for (size_t i = 0; i < sizeof own_replies / sizeof own_replies[0]; i++)
        kvd_ask(fd, own_replies[i][0], own_replies[i][1]);
    program_hang_up(fd);
    kvd_stop(&kvd);
}

/* Refused in some words, and no more than that. */
KVD_TEST(refusals)
{
    static const char *const commands[] = {
        "SHUTDOWN",      "SHUTDOWN NOSAVE", "CONFIG SET maxmemory 1",
        "CONFIG",        "CONFIG NOSUCH x", "CLIENT",
        "CLIENT NOSUCH", "CLIENT SETNAME",  "CLIENT GETNAME x"};
    struct program kvd;
    kvd_start(&kvd, NULL);
    int fd = program_dial(&kvd);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        struct bytes reply = kvd_reply(fd, commands[i]);
        if (strncmp(reply.data, "-ERR ", 5) != 0)
            FAIL("%s: %s", commands[i], reply.data);
        bytes_free(&reply);
    }
    kvd_ask(fd, "PING", "+PONG~");
    program_hang_up(fd);
    kvd_stop(&kvd);
}

/* A long pattern on a long key would take minutes, in which nobody is served. */
KVD_TEST(long_pattern)
{
    static char text[1024 * 1024];
    struct program kvd;
    struct bytes out = {0};
    kvd_start(&kvd, NULL);
    int fd = program_dial(&kvd);
    memset(text, 'a', sizeof text);
    text[0] = '*';
    for (size_t size = 256; size <= 257; size++) {
        bytes_add_text(&out, "*2~$4~KEYS~");
        bytes_add_bulk(&out, text, size);
        kvd_send(fd, &out);
        kvd_expect(fd, "KEYS", size == 256 ? "*0~" : "-ERR pattern of more than 256 bytes~");
    }
    bytes_add_text(&out, "*3~$3~SET~");
    bytes_add_bulk(&out, text, sizeof text / 2);
    bytes_add_text(&out, "$1~x~*2~$4~KEYS~");
    bytes_add_bulk(&out, text, sizeof text / 2);
    kvd_send(fd, &out);
    kvd_expect(fd, "KEYS", "+OK~-ERR pattern of more than 256 bytes~");
    program_hang_up(fd);
    kvd_stop(&kvd);
}

KVD_TEST(info)
{
    struct program kvd;
    kvd_start(&kvd, NULL);
    int fd = program_dial(&kvd);
    struct bytes reply = kvd_reply(fd, "INFO");
    CHECK(strstr(reply.data, "# Server\r\n") != NULL);
    CHECK(strstr(reply.data, "connected_clients:1\r\n") != NULL);
    CHECK(strstr(reply.data, "used_memory:") != NULL);
    bytes_free(&reply);
    reply = kvd_reply(fd, "INFO server");
    CHECK_EQ(reply.data[0], '$');
    bytes_free(&reply);
    kvd_ask(fd, "PING", "+PONG~");
    program_hang_up(fd);
    kvd_stop(&kvd);
}

/* HELLO gives an array of names and values; what the values are is the server's. */
KVD_TEST(hello)
{
    static const char *const commands[] = {"HELLO 2", "HELLO", "HELLO 2 SETNAME weaver"};
    struct program kvd;
    kvd_start(&kvd, NULL);
    int fd = program_dial(&kvd);
    kvd_ask(fd, "HELLO 3", "-NOPROTO unsupported protocol version~");
    for (int i = 0; i < 3; i++) {
        struct bytes reply = kvd_reply(fd, commands[i]);
        CHECK_EQ(reply.data[0], '*');
        CHECK(strstr(reply.data, "$5\r\nproto\r\n:2\r\n") != NULL);
        bytes_free(&reply);
    }
    kvd_ask(fd, "CLIENT GETNAME", "$6~weaver~");
    program_hang_up(fd);
    kvd_stop(&kvd);
}

KVD_TEST(client_ids_differ)
{
    struct bytes ids[2];
    struct program kvd;
    kvd_start(&kvd, NULL);
    for (int i = 0; i < 2; i++) {
        int fd = program_dial(&kvd);
        ids[i] = kvd_reply(fd, "CLIENT ID");
        CHECK_EQ(ids[i].data[0], ':');
        kvd_ask(fd, "CLIENT SETINFO LIB-NAME weave", "+OK~");
        program_hang_up(fd);
    }
    CHECK_NE(strcmp(ids[0].data, ids[1].data), 0);
    bytes_free(&ids[0]), bytes_free(&ids[1]);
    kvd_stop(&kvd);
}

/* What was sent before it is answered, and nothing after it. */
KVD_TEST(quit)
{
    struct program kvd;
    kvd_start(&kvd, NULL);
    int fd = program_dial(&kvd);
    kvd_text(fd, "*1~$4~PING~*1~$4~QUIT~*3~$3~SET~$1~a~$1~1~");
    kvd_expect(fd, "QUIT", "+PONG~+OK~");
    kvd_expect_end(fd);
    fd = program_dial(&kvd);
    kvd_ask(fd, "EXISTS a", ":0~");
    program_hang_up(fd);
    kvd_stop(&kvd);
}
