/* SPDX-License-Identifier: MIT
 *
 * kvd: several clients at once, each with keys of its own whose every reply a model predicts, and
 * with keys that they share.
 */
#include "servers/kvd_test.h"

enum { CLIENTS = 8, KEYS = 12, ELEMENTS_MAX = 60 };

static struct program kvd;

/* ---- Keys of one's own ---- */

/* What a key holds: nothing, a string, or a list of numbers. */
struct value {
    enum { NOTHING, STRING, LIST } kind;
    struct bytes string;
    int elements[ELEMENTS_MAX], count;
};

struct client {
    struct value values[KEYS];
    int index, fd;
    struct bytes out, want; /* a pipeline, and what must come back */
    uint64_t random;
};

/* Of several goroutines each has random numbers of its own. */
static int below(struct client *client, int bound)
{
    client->random ^= client->random << 13;
    client->random ^= client->random >> 7;
    client->random ^= client->random << 17;
    return (int)(client->random % (uint64_t)bound);
}

static void forget(struct value *value)
{
    bytes_free(&value->string);
    value->kind = NOTHING;
    value->count = 0;
}

/* Adds a command on the client's key of that number: its name, the key, and up to two numbers. */
__attribute__((format(printf, 3, 4))) static void say(struct client *client, int key,
                                                      const char *format, ...)
{
    char text[256], words[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t name = strcspn(text, " ");
    snprintf(words, sizeof words, "%.*s client:%d:%d%s", (int)name, text, client->index, key,
             text + name);
    bytes_add_command(&client->out, words);
}

static const char wrong_type[] =
    "-WRONGTYPE Operation against a key holding the wrong kind of value~";

static void want_element(struct client *client, int element)
{
    char text[16];
    bytes_add_bulk(&client->want, text, (size_t)snprintf(text, sizeof text, "%d", element));
}

static void set(struct client *client, int key, struct value *value)
{
    char text[32];
    bool new_only = below(client, 3) == 0, exists = value->kind != NOTHING;
    int length = snprintf(text, sizeof text, "%d", below(client, 1000));
    say(client, key, "SET %s%s", text, new_only ? " NX" : "");
    bytes_add_text(&client->want, new_only && exists ? "$-1~" : "+OK~");
    if (new_only && exists)
        return;
    forget(value);
    value->kind = STRING;
    bytes_add(&value->string, text, (size_t)length);
}

static void get(struct client *client, int key, struct value *value)
{
    say(client, key, "GET");
    if (value->kind == STRING)
        bytes_add_bulk(&client->want, value->string.data, value->string.size);
    else
        bytes_add_text(&client->want, value->kind == LIST ? wrong_type : "$-1~");
}

static void append(struct client *client, int key, struct value *value)
{
    char text[32];
    int length = snprintf(text, sizeof text, "%d", below(client, 1000));
    say(client, key, "APPEND %s", text);
    if (value->kind == LIST) {
        bytes_add_text(&client->want, wrong_type);
        return;
    }
    value->kind = STRING;
    bytes_add(&value->string, text, (size_t)length);
    bytes_print(&client->want, ":%zu\r\n", value->string.size);
}

static void erase(struct client *client, int key, struct value *value)
{
    say(client, key, "DEL");
    bytes_add_text(&client->want, value->kind != NOTHING ? ":1~" : ":0~");
    forget(value);
}

static void expire(struct client *client, int key, struct value *value)
{
    say(client, key, "EXPIRE 0"); /* at once */
    bytes_add_text(&client->want, value->kind != NOTHING ? ":1~" : ":0~");
    forget(value);
}

static void push(struct client *client, int key, struct value *value)
{
    int element = below(client, 100000);
    bool left = below(client, 2) == 0;
    if (value->count == ELEMENTS_MAX)
        return;
    say(client, key, left ? "LPUSH %d" : "RPUSH %d", element);
    if (value->kind == STRING) {
        bytes_add_text(&client->want, wrong_type);
        return;
    }
    value->kind = LIST;
    if (left)
        memmove(value->elements + 1, value->elements, (size_t)value->count * sizeof(int));
    value->elements[left ? 0 : value->count] = element;
    bytes_print(&client->want, ":%d\r\n", ++value->count);
}

static void pop(struct client *client, int key, struct value *value)
{
    bool left = below(client, 2) == 0;
    say(client, key, left ? "LPOP" : "RPOP");
    if (value->kind != LIST) {
        bytes_add_text(&client->want, value->kind == STRING ? wrong_type : "$-1~");
        return;
    }
    want_element(client, value->elements[left ? 0 : value->count - 1]);
    value->count--;
    if (left)
        memmove(value->elements, value->elements + 1, (size_t)value->count * sizeof(int));
    if (value->count == 0)
        forget(value);
}

static void range(struct client *client, int key, struct value *value)
{
    int from = below(client, ELEMENTS_MAX), to = from + below(client, 10);
    say(client, key, "LRANGE %d %d", from, to);
    if (value->kind == STRING) {
        bytes_add_text(&client->want, wrong_type);
        return;
    }
    to = to < value->count ? to : value->count - 1;
    bytes_print(&client->want, "*%d\r\n", from <= to ? to - from + 1 : 0);
    for (int i = from; i <= to; i++)
        want_element(client, value->elements[i]);
}

static void type(struct client *client, int key, struct value *value)
{
    static const char *const types[] = {"+none~", "+string~", "+list~"};
    say(client, key, "TYPE");
    bytes_add_text(&client->want, types[value->kind]);
}

static void (*const operations[])(struct client *client, int key, struct value *value) = {
    set, get, append, erase, expire, push, push, push, pop, range, type,
};

/* Random commands in pipelines of any length. */
static void run_client(void *index)
{
    struct client client = {.index = test_index(index), .fd = program_dial(&kvd)};
    client.random = test_random() | 1;
    for (int left = 20000 / test_scale(); left > 0;) {
        int length = 1 + below(&client, below(&client, 8) == 0 ? 200 : 4);
        for (int i = 0; i < length; i++) {
            int key = below(&client, KEYS);
            int operation = below(&client, (int)(sizeof operations / sizeof operations[0]));
            operations[operation](&client, key, &client.values[key]);
        }
        kvd_send(client.fd, &client.out);
        kvd_expect_bytes(client.fd, "a pipeline of random commands", client.want.data,
                         client.want.size);
        client.want.size = 0;
        left -= length;
    }
    for (int key = 0; key < KEYS; key++)
        forget(&client.values[key]);
    bytes_free(&client.want);
    program_hang_up(client.fd);
}

TEST_PROCS(keys_of_ones_own, .timeout = 120)
{
    kvd_start(&kvd, NULL);
    test_each(CLIENTS, run_client);
    kvd_stop(&kvd);
}

/* ---- Keys that are shared ---- */

enum { COUNTERS = 3, INCREMENTS = 3000 };

/* What it sees of a counter never goes back. */
static void increment(void *index)
{
    char text[32];
    int fd = program_dial(&kvd), count = INCREMENTS / test_scale(), batch = 1 + test_index(index);
    long long seen[COUNTERS] = {0};
    for (int i = 0; i < count; i += batch) {
        struct bytes out = {0};
        int size = batch < count - i ? batch : count - i;
        for (int n = i; n < i + size; n++) {
            snprintf(text, sizeof text, n % 2 == 0 ? "INCR n:%d" : "INCRBY n:%d 3", n % COUNTERS);
            bytes_add_command(&out, text);
        }
        kvd_send(fd, &out);
        for (int n = i; n < i + size; n++) {
            struct bytes reply = {0};
            kvd_read_reply(fd, &reply);
            CHECK_EQ(reply.data[0], ':');
            CHECK_GT(strtoll(reply.data + 1, NULL, 10), seen[n % COUNTERS]);
            seen[n % COUNTERS] = strtoll(reply.data + 1, NULL, 10);
            bytes_free(&reply);
        }
    }
    program_hang_up(fd);
}

TEST_PROCS(shared_counters, .timeout = 120)
{
    long long sum = 0;
    kvd_start(&kvd, NULL);
    test_each(CLIENTS, increment);
    int fd = program_dial(&kvd), count = INCREMENTS / test_scale();
    for (int i = 0; i < COUNTERS; i++) {
        char text[32];
        snprintf(text, sizeof text, "INCRBY n:%d 0", i);
        struct bytes reply = kvd_reply(fd, text);
        sum += strtoll(reply.data + 1, NULL, 10);
        bytes_free(&reply);
    }
    CHECK_EQ(sum, CLIENTS * (count + 2LL * (count / 2)));
    program_hang_up(fd);
    kvd_stop(&kvd);
}

static uint32_t writing;

/* Even ones write four keys at once, odd ones read them at once. */
static void set_or_get_all(void *index)
{
    char text[128];
    int fd = program_dial(&kvd);
    bool writes = test_index(index) % 2 == 0;
    for (int i = 0;
         writes ? i < 2000 / test_scale() : __atomic_load_n(&writing, __ATOMIC_ACQUIRE) > 0; i++) {
        int n = test_index(index) * 100000 + i;
        snprintf(text, sizeof text, "MSET a %d b %d c %d d %d", n, n, n, n);
        struct bytes reply = kvd_reply(fd, writes ? text : "MGET a b c d");
        char *elements = strchr(reply.data, '\n') + 1;
        size_t size = (reply.size - (size_t)(elements - reply.data)) / 4;
        for (size_t k = 1; !writes && k < 4; k++)
            if (memcmp(elements, elements + k * size, size) != 0)
                FAIL("half of an MSET is seen: %s", reply.data);
        bytes_free(&reply);
    }
    if (writes)
        __atomic_fetch_sub(&writing, 1, __ATOMIC_RELEASE);
    program_hang_up(fd);
}

TEST_PROCS(mset_is_atomic, .timeout = 120)
{
    kvd_start(&kvd, NULL);
    writing = CLIENTS / 2;
    test_each(CLIENTS, set_or_get_all);
    kvd_stop(&kvd);
}

/* What one pushes another pops, once. */
enum { PUSHED = 4000 };

static uint8_t popped[CLIENTS / 2][PUSHED];
static uint32_t left_to_pop;

static void push_or_pop(void *index)
{
    char text[64];
    int fd = program_dial(&kvd), self = test_index(index), last[CLIENTS / 2];
    memset(last, -1, sizeof last);
    for (int i = 0; self % 2 == 0 && i < PUSHED / test_scale(); i++) {
        snprintf(text, sizeof text, "LPUSH queue %d:%d", self / 2, i);
        struct bytes reply = kvd_reply(fd, text);
        CHECK_EQ(reply.data[0], ':');
        bytes_free(&reply);
    }
    while (self % 2 == 1 && __atomic_load_n(&left_to_pop, __ATOMIC_RELAXED) > 0) {
        int producer, number;
        struct bytes reply = kvd_reply(fd, "RPOP queue");
        if (sscanf(reply.data, "$%*d\r\n%d:%d\r\n", &producer, &number) == 2) {
            CHECK_GT(number, last[producer]); /* of one they come in order */
            last[producer] = number;
            CHECK_EQ(__atomic_fetch_add(&popped[producer][number], 1, __ATOMIC_RELAXED), 0);
            __atomic_fetch_sub(&left_to_pop, 1, __ATOMIC_RELAXED);
        }
        bytes_free(&reply);
    }
    program_hang_up(fd);
}

TEST_PROCS(shared_queue, .timeout = 120)
{
    kvd_start(&kvd, NULL);
    left_to_pop = CLIENTS / 2 * (PUSHED / test_scale());
    test_each(CLIENTS, push_or_pop);
    int fd = program_dial(&kvd);
    kvd_ask(fd, "EXISTS queue", ":0~");
    program_hang_up(fd);
    kvd_stop(&kvd);
}
