/* SPDX-License-Identifier: MIT
 *
 * kvd: what is stored comes back, whatever bytes it is made of and however much there is of it.
 */
#include "servers/kvd_test.h"

/* A command of which every word may hold anything. */
static void add_binary(struct bytes *bytes, int count, const struct bytes *words)
{
    bytes_print(bytes, "*%d\r\n", count);
    for (int i = 0; i < count; i++)
        bytes_add_bulk(bytes, words[i].data, words[i].size);
}

static struct bytes word(const char *text)
{
    struct bytes bytes = {0};
    bytes_add(&bytes, text, strlen(text));
    return bytes;
}

static struct bytes random_word(size_t size)
{
    struct bytes bytes = {0};
    bytes_add(&bytes, "", 1);
    bytes.size = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)test_random();
        bytes_add(&bytes, test_random_below(4) > 0 ? (char *)&c : &"\0\r\n$"[c % 4], 1);
    }
    return bytes;
}

/* Sets a key to a value and gets it back, and the first one that was set. */
static void round_trip(int fd, struct bytes *key, struct bytes *value)
{
    struct bytes set = word("SET"), get = word("GET"), out = {0}, want = {0};
    add_binary(&out, 3, (struct bytes[]){set, *key, *value});
    add_binary(&out, 2, (struct bytes[]){get, *key});
    bytes_add(&want, "+OK\r\n", 5);
    bytes_add_bulk(&want, value->data, value->size);
    kvd_send(fd, &out);
    kvd_expect_bytes(fd, "SET and GET", want.data, want.size);
    bytes_free(&set), bytes_free(&get), bytes_free(&want);
}

KVD_TEST(any_bytes)
{
    struct program kvd;
    kvd_start(&kvd, NULL);
    int fd = program_dial(&kvd);
    for (int i = 0; i < 200; i++) {
        struct bytes key = random_word(test_random_below(40));
        struct bytes value = random_word(test_random_below(i < 100 ? 40 : 2000));
        round_trip(fd, &key, &value);
        bytes_free(&key), bytes_free(&value);
    }
    program_hang_up(fd);
    kvd_stop(&kvd);
}

/* Keys that are alike up to a NUL, or to a CRLF, are different ones. */
KVD_TEST(nul_and_crlf_in_keys)
{
    struct program kvd;
    kvd_start(&kvd, NULL);
    int fd = program_dial(&kvd);
    static const char keys[4][4] = {"a\0b", "a\0c", "a\r\n", "a\r\r"};
    for (int i = 0; i < 4; i++) {
        struct bytes out = {0};
        bytes_add_text(&out, "*3~$3~SET~");
        bytes_add_bulk(&out, keys[i], 3);
        bytes_print(&out, "$1\r\n%d\r\n", i);
        kvd_send(fd, &out);
        kvd_expect(fd, "SET", "+OK~");
    }
    kvd_ask(fd, "DBSIZE", ":4~");
    kvd_ask(fd, "GET a", "$-1~");
    for (int i = 0; i < 4; i++) {
        struct bytes out = {0};
        bytes_add_text(&out, "*2~$3~GET~");
        bytes_add_bulk(&out, keys[i], 3);
        kvd_send(fd, &out);
        char want[16];
        snprintf(want, sizeof want, "$1~%d~", i);
        kvd_expect(fd, "GET", want);
    }
    program_hang_up(fd);
    kvd_stop(&kvd);
}

KVD_TEST(big_values)
{
    struct program kvd;
    kvd_start(&kvd, NULL);
    int fd = program_dial(&kvd);
    for (size_t size = 1000; size <= 1000 * 1000; size *= 10) {
        struct bytes key = word("big"), value = {0};
        for (size_t i = 0; i < size; i++)
            bytes_add(&value, &"weft and warp"[i % 13], 1);
        round_trip(fd, &key, &value);
        bytes_free(&key), bytes_free(&value);
    }
    kvd_ask(fd, "STRLEN big", ":1000000~");
    kvd_ask(fd, "APPEND big x", ":1000001~");
    kvd_ask(fd, "DEL big", ":1~");
    program_hang_up(fd);
    kvd_stop(&kvd);
}

enum { BATCH = 500 };

/* For each key of the batch the command and its reply; without one, the reply is the key's number,
 * which is also what SET sets it to. */
static void for_batch(int fd, int batch, const char *command, const char *reply)
{
    struct bytes out = {0}, want = {0};
    for (int i = batch * BATCH; i < (batch + 1) * BATCH; i++) {
        char number[16], text[64];
        int length = snprintf(number, sizeof number, "%d", i);
        bool sets = strcmp(command, "SET") == 0;
        snprintf(text, sizeof text, sets ? "%s key:%d %d" : "%s key:%d", command, i, i);
        bytes_add_command(&out, text);
        if (reply != NULL)
            bytes_add_text(&want, reply);
        else
            bytes_add_bulk(&want, number, (size_t)length);
    }
    kvd_send(fd, &out);
    kvd_expect_bytes(fd, command, want.data, want.size);
    bytes_free(&want);
}

/* Enough keys that the table grows many times, while all of them stay reachable. */
KVD_TEST(many_keys, .timeout = 120)
{
    int batches = 200 / test_scale();
    char count[32];
    struct program kvd;
    kvd_start(&kvd, NULL);
    int fd = program_dial(&kvd);
    for (int batch = 0; batch < batches; batch++) {
        for_batch(fd, batch, "SET", "+OK~");
        for_batch(fd, (int)test_random_below((uint64_t)batch + 1), "GET", NULL);
    }
    snprintf(count, sizeof count, ":%d~", batches * BATCH);
    kvd_ask(fd, "DBSIZE", count);
    for (int batch = 0; batch < batches; batch++)
        for_batch(fd, batch, "GET", NULL);
    for (int batch = 0; batch < batches; batch++)
        for_batch(fd, batch, "DEL", ":1~");
    kvd_ask(fd, "DBSIZE", ":0~");
    program_hang_up(fd);
    kvd_stop(&kvd);
}
