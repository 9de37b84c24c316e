/* SPDX-License-Identifier: MIT
 *
 * kvd: keys that expire. The replies are those of redis-server 7.
 */
#include "servers/kvd_test.h"

static const struct kvd_exchange expiry_exchanges[] = {
    {"TTL k", ":-2~"},
    {"PTTL k", ":-2~"},
    {"EXPIRE k 10", ":0~"},
    {"PERSIST k", ":0~"},
    {"SET k v", "+OK~"},
    {"TTL k", ":-1~"},
    {"PTTL k", ":-1~"},
    {"PERSIST k", ":0~"},
    {"EXPIRE k 100", ":1~"},
    {"TTL k", ":100~"},
    {"PERSIST k", ":1~"},
    {"TTL k", ":-1~"},
    {"PEXPIRE k 200000", ":1~"},
    {"TTL k", ":200~"},
    {"APPEND k w", ":2~"},
    {"TTL k", ":200~"},
    {"GETSET k v", "$2~vw~"},
    {"TTL k", ":-1~"},
    {"EXPIRE k x", NO_INTEGER},
    {"EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command~"},
    {"PEXPIRE k 9223372036854775807", "-ERR invalid expire time in 'pexpire' command~"},
    {"EXPIRE k", ARITY("expire")},
    {"PEXPIRE k", ARITY("pexpire")},
    {"TTL", ARITY("ttl")},
    {"PTTL", ARITY("pttl")},
    {"PERSIST", ARITY("persist")},
    {"EXPIRE k 100", ":1~"},
    {"MSET k v", "+OK~"},
    {"TTL k", ":-1~"},
    {"EXPIRE k 0", ":1~"},
    {"GET k", "$-1~"},
    {"EXISTS k", ":0~"},
    {"SET k v EX 50", "+OK~"},
    {"EXPIRE k -1", ":1~"},
    {"DBSIZE", ":0~"},
    {"RPUSH l a b", ":2~"},
    {"EXPIRE l 100", ":1~"},
    {"RPUSH l c", ":3~"},
    {"TTL l", ":100~"},
    {"LPOP l 3", "*3~$1~a~$1~b~$1~c~"},
    {"RPUSH l a", ":1~"},
    {"TTL l", ":-1~"},
    {NULL, NULL},
};

KVD_TEST(expiry)
{
    kvd_converse(expiry_exchanges);
}

/* Sleeping for too long is no harm here, so that nothing depends on how fast this is. */
KVD_TEST(keys_expire)
{
    struct program kvd;
    kvd_start(&kvd, NULL);
    int fd = program_dial(&kvd);
    kvd_ask(fd, "SET a v PX 30", "+OK~");
    kvd_ask(fd, "SET b v", "+OK~");
    kvd_ask(fd, "PEXPIRE b 30", ":1~");
    kvd_ask(fd, "RPUSH c v", ":1~");
    kvd_ask(fd, "PEXPIRE c 30", ":1~");
    kvd_ask(fd, "SET stays v PX 100000", "+OK~");
    weft_sleep(50 * WEFT_MILLISECOND);
    kvd_ask(fd, "GET a", "$-1~");
    kvd_ask(fd, "EXISTS a b c stays", ":1~");
    kvd_ask(fd, "TTL b", ":-2~");
    kvd_ask(fd, "TYPE c", "+none~");
    kvd_ask(fd, "SET b v XX", "$-1~");
    kvd_ask(fd, "DEL a b c", ":0~");
    kvd_ask(fd, "KEYS *", "*1~$5~stays~");
    kvd_ask(fd, "RPUSH c w", ":1~");
    kvd_ask(fd, "INCR a", ":1~");
    kvd_ask(fd, "TTL a", ":-1~");
    program_hang_up(fd);
    kvd_stop(&kvd);
}

static bool is_empty(int fd)
{
    struct bytes reply = kvd_reply(fd, "DBSIZE");
    bool empty = strcmp(reply.data, ":0\r\n") == 0;
    bytes_free(&reply);
    return empty;
}

/* Keys that nobody looks for any more, while a table grows: they are swept out sooner or later. */
KVD_TEST(expired_keys_are_swept)
{
    enum { KEYS = 4200 };
    char text[64];
    struct program kvd;
    struct bytes out = {0}, want = {0};
    kvd_start(&kvd, NULL);
    int fd = program_dial(&kvd);
    for (int i = 0; i < KEYS; i++) {
        snprintf(text, sizeof text, "SET key:%d v PX 20", i);
        bytes_add_command(&out, text);
        bytes_add_text(&want, "+OK~");
    }
    kvd_send(fd, &out);
    kvd_expect_bytes(fd, "SET", want.data, want.size);
    CHECK_SOON(is_empty(fd));
    program_hang_up(fd);
    bytes_free(&want);
    kvd_stop(&kvd);
}
