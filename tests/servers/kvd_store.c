/* SPDX-License-Identifier: MIT
 *
 * kvd's store and lists from inside: the table grows in small steps, keys whose time is over are
 * swept out, and whatever memory cannot be had, the structures stay sound.
 */
#include "harness/test.h"
#include "servers/kvd_parts.h"

static int64_t now;

static int64_t clock_of_test(void)
{
    return now;
}

static struct store store;

static void open_store(void)
{
    const uint64_t secret[2] = {test_random(), test_random()};
    CHECK(store_init(&store, clock_of_test, secret));
}

/* What there is was counted, and counts to nothing once it has gone. */
static void close_store(void)
{
    check_store(&store);
    store_clear(&store);
    check_store(&store);
    CHECK_EQ(store.keys, 0);
    CHECK_EQ(store.expiring, 0);
    CHECK_EQ(store.memory, 0);
    store_free(&store);
}

/* A key's name in text; its size. */
static size_t name(char text[24], int key)
{
    return (size_t)snprintf(text, 24, "key:%d", key);
}

static struct entry **set(int key, const char *value)
{
    char text[24];
    return store_set(&store, text, name(text, key), value, strlen(value));
}

static struct entry **find(int key)
{
    char text[24];
    return store_find(&store, text, name(text, key));
}

/* ---- Growth ---- */

TEST(grows_in_steps)
{
    enum { KEYS = 20000 };
    int growths = 0;
    open_store();
    for (int key = 0; key < KEYS; key++) {
        bool growing = store.old.buckets != NULL;
        size_t moved = store.moved;
        CHECK(set(key, "value") != NULL);
        growths += !growing && store.old.buckets != NULL;
        if (growing && store.old.buckets != NULL)
            CHECK_LE(store.moved - moved, 64);
        CHECK_LE(store.keys, 2 * (store.table.mask + 1)); /* it keeps pace */
        if (key % 500 == 0)
            check_store(&store);
        CHECK(find((int)test_random_below((uint64_t)key + 1)) != NULL);
        CHECK(find(key + 1) == NULL);
    }
    CHECK_GE(growths, 4);
    for (int key = 0; key < KEYS; key++)
        CHECK(find(key) != NULL);
    close_store();
}

/* While it grows keys are changed, deleted, found and listed as always. */
static void count_key(const struct entry *entry, void *arg)
{
    CHECK(entry->key_size > 4);
    ++*(int *)arg;
}

TEST(works_while_it_grows)
{
    enum { KEYS = 5000 };
    static bool there[KEYS];
    int count = 0, seen = 0, while_growing = 0;
    open_store();
    for (int i = 0; i < 20 * KEYS; i++) {
        int key = (int)test_random_below(KEYS);
        struct entry **link = find(key);
        CHECK_EQ(link != NULL, there[key]);
        if (link != NULL && test_random_below(5) == 0) {
            store_remove(&store, link);
            there[key] = false;
            count--;
        } else {
            CHECK(set(key, &"some value"[test_random_below(10)]) != NULL);
            count += !there[key];
            there[key] = true;
        }
        CHECK_EQ(store.keys, count);
        while_growing += store.old.buckets != NULL;
        if (i % 1000 == 0 || (store.old.buckets != NULL && while_growing % 100 == 0)) {
            seen = 0;
            store_each(&store, count_key, &seen);
            CHECK_EQ(seen, count);
            check_store(&store);
        }
    }
    CHECK_GT(while_growing, 1000);
    close_store();
}

/* All is forgotten while keys are in both tables. */
TEST(cleared_while_it_grows)
{
    open_store();
    for (int key = 0; store.old.buckets == NULL || store.moved < 100; key++)
        CHECK(set(key, "value") != NULL);
    close_store();
}

/* ---- Time ---- */

TEST(expired_keys_do_not_exist)
{
    int seen = 0;
    open_store();
    now = 1000;
    CHECK(set(1, "a") != NULL);
    store_expire(&store, find(1), 1010);
    CHECK(set(2, "b") != NULL);
    now = 1009;
    CHECK(find(1) != NULL);
    now = 1010;
    store_each(&store, count_key, &seen);
    CHECK_EQ(seen, 1);
    CHECK(find(1) == NULL);
    CHECK_EQ(store.keys, 1);
    CHECK_EQ(store.expiring, 0);
    CHECK(set(1, "c") != NULL); /* it does not expire again */
    now = 2000;
    CHECK(find(1) != NULL);
    close_store();
}

/* Who is over goes without being looked for, a few buckets at a time; the others stay. */
TEST(sweeps)
{
    enum { KEYS = 3000, SWEPT = 64 };
    open_store();
    now = 0;
    for (int key = 0; key < KEYS; key++) {
        CHECK(set(key, "value") != NULL);
        if (key % 3 > 0)
            store_expire(&store, find(key), key % 3 == 1 ? 10 : 1000);
    }
    now = 10;
    int64_t most = 0;
    for (size_t i = 0; store.old.buckets != NULL || i <= store.table.mask / SWEPT; i++) {
        size_t keys = store.keys;
        bool growing = store.old.buckets != NULL;
        store_sweep(&store, SWEPT);
        i = growing ? 0 : i;
        most = (int64_t)(keys - store.keys) > most ? (int64_t)(keys - store.keys) : most;
        CHECK_LT(i, 100000);
    }
    CHECK_EQ(store.keys, KEYS - KEYS / 3);
    CHECK_EQ(store.expiring, KEYS / 3);
    CHECK_EQ(store.expired, KEYS / 3);
    CHECK_LT(most, 4 * SWEPT);
    now = 1000;
    for (size_t i = 0; i <= store.table.mask / SWEPT; i++)
        store_sweep(&store, SWEPT);
    CHECK_EQ(store.expiring, 0);
    CHECK_EQ(store.keys, KEYS / 3);
    close_store();
}

/* A table that grows, which nobody uses any more, is swept all the same, within so many buckets as
 * there are. */
TEST(sweeps_what_grew)
{
    enum { SWEPT = 64 };
    size_t left = 0;
    open_store();
    now = 0;
    for (int key = 0; left == 0; key++) {
        store_expire(&store, set(key, "value"), 10);
        if (store.old.buckets != NULL && key > 10000)
            left = store.old.mask + 1 + store.table.mask + 1;
    }
    now = 10;
    for (; left > SWEPT; left -= SWEPT)
        store_sweep(&store, SWEPT);
    CHECK_EQ(store.keys, 0);
    close_store();
}

/* ---- Replies ---- */

/* Up to the limit, whatever memory was taken for the replies before. */
TEST(replies_keep_to_their_limit)
{
    for (size_t limit = 10; limit < 5000; limit += 7) {
        struct output out = {.limit = limit};
        size_t count = 0, each = bulk_size(5);
        for (; !out.failed; count++)
            reply_bulk(&out, "value", 5);
        CHECK_EQ(count - 1, limit / each);
        CHECK_EQ(out.size, limit / each * each);
        output_free(&out);
    }
}

/* ---- Without memory ---- */

static int allocations_left = -1; /* -1: any number */

static bool no_memory(void)
{
    if (allocations_left > 0)
        allocations_left--;
    return allocations_left == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);

void *__wrap_malloc(size_t size)
{
    return no_memory() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return no_memory() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return no_memory() ? NULL : __real_realloc(block, size);
}

static const char *const commands_with_memory[] = {
    "SET a 1",
    "SET a 12345678901234567890",
    "APPEND a 123456789",
    "MSET a 1 b 2 c 3",
    "RPUSH l a b c",
    "LPUSH l a b c",
    "RPOP l",
    "INCR n",
    "GETSET a other",
    "LRANGE l 0 -1",
    "KEYS *",
    "CLIENT SETNAME me",
    "FLUSHALL",
    "GET a",
    "EXPIRE a 10",
    "RPOP l 100",
    "NOSUCH a b c",
    "INFO",
    "HELLO 2",
    "LPUSH l other",
};

/* Runs the line; whether a whole reply came of it. */
static bool run_line(struct database *database, struct client *client, const char *line)
{
    struct input in = {.limit = 100000};
    struct output out = {.limit = 100000};
    size_t room;
    int left = allocations_left; /* what brings it here is not what is tried */
    allocations_left = -1;
    char *place = input_room(&in, &room);
    CHECK(place != NULL && room > 100);
    input_add(&in, (size_t)sprintf(place, "%s\r\n", line));
    CHECK_GT(input_next(&in), 0);
    allocations_left = left;
    command_run(database, client, in.args, in.count, &out);
    left = allocations_left;
    allocations_left = -1;
    bool whole = !out.failed;
    if (whole)
        CHECK(reply_end(out.data, out.data + out.size) == out.data + out.size);
    input_free(&in);
    output_free(&out);
    allocations_left = left;
    return whole;
}

/* Each allocation of each command fails in turn, with keys and without. */
TEST(out_of_memory)
{
    enum { COMMANDS = sizeof commands_with_memory / sizeof commands_with_memory[0] };
    int failed = 0;
    for (int i = 0; i < COMMANDS * 12; i++) {
        struct client client = {.id = 1};
        struct database database = {.max_memory = SIZE_MAX};
        CHECK(store_init(&database.store, clock_of_test, (const uint64_t[2]){1, 2}));
        for (int key = 0; key < i % 4; key++) {
            run_line(&database, &client, "SET a value");
            run_line(&database, &client, "RPUSH l a b c d e f g h i j k l m n o p q r s t u v");
        }
        allocations_left = 1 + i / 4 % 3;
        run_line(&database, &client, commands_with_memory[i / 12]);
        failed += allocations_left == 0;
        allocations_left = -1;
        check_store(&database.store);
        CHECK(run_line(&database, &client, "FLUSHALL"));
        CHECK_EQ(database.store.memory, 0);
        CHECK_EQ(database.store.keys, 0);
        store_free(&database.store);
        free(client.name);
    }
    CHECK_GT(failed, COMMANDS * 3);
}

/* The table that cannot grow does its work as it is. */
TEST(no_memory_to_grow)
{
    open_store();
    for (int key = 0; store.keys <= store.table.mask; key++)
        CHECK(set(key, "value") != NULL);
    allocations_left = 1;
    store_set(&store, "other", 5, "value", 5);
    allocations_left = -1;
    check_store(&store);
    CHECK(find(0) != NULL);
    close_store();
}
