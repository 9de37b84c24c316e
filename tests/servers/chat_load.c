/* SPDX-License-Identifier: MIT
 *
 * examples/chat under load: a crowd that hears all lines in one order, guests who mean no good, and
 * tens of thousands of connections that are dropped in every state, which leave nothing.
 */
#include <stdatomic.h>

#include "servers/chat_test.h"
#include "stress/stress.h"

static struct program *chat;

/* ---- A crowd ---- */

enum { CROWD = 1200, SPEAKERS = 10, ROUNDS = 20 };

static weft_waitgroup all_in, all_heard;
static atomic_ulong common; /* a hash of all that is said, as everybody hears it */

static void say_round(const struct guest *guest, int index, int round)
{
    char text[64];
    snprintf(text, sizeof text, "%d of m%d\n", round, index);
    tell(guest, text);
}

/* A speaker says the next line when it has heard its last one, so nobody lags far behind. */
static void run_member(void *arg)
{
    char name[16], own[20];
    int index = test_index(arg), heard = 0, round = 0;
    unsigned long hash = 0, other = 0;
    snprintf(name, sizeof name, "m%d", index);
    snprintf(own, sizeof own, "m%d: ", index);
    struct guest guest = guest_enter(chat, name);
    weft_waitgroup_done(&all_in);
    weft_waitgroup_wait(&all_in);
    if (index < SPEAKERS)
        say_round(&guest, index, round++);
    while (heard < SPEAKERS * ROUNDS) {
        char *line = next_line(&guest);
        CHECK(line != NULL);
        if (line[0] == '*') /* who comes */
            continue;
        heard++;
        if (index < SPEAKERS && round < ROUNDS && strncmp(line, own, strlen(own)) == 0)
            say_round(&guest, index, round++);
        for (; *line != '\0'; line++)
            hash = (hash ^ (unsigned char)*line) * 16777619;
    }
    CHECK(atomic_compare_exchange_strong(&common, &other, hash) || other == hash);
    weft_waitgroup_done(&all_heard);
    CHECK(next_line(&guest) == NULL); /* the chat has stopped */
    CHECK_EQ(guest.result, 0);
    guest_leave(&guest);
}

static int members;

/* The one who is no member stops the chat once all was said and heard. */
static void run_one_of_all(void *index)
{
    if (test_index(index) < members) {
        run_member(index);
        return;
    }
    weft_waitgroup_wait(&all_heard);
    CHECK_EQ(program_stop(chat, SIGTERM), 0);
}

TEST_PROCS(all_hear_the_same, .timeout = 120)
{
    PROGRAM(program, "chat", "--queue", "1000", "--name-time", "60");
    chat = &program;
    members = CROWD / (TEST_TSAN ? 4 : 1);
    weft_waitgroup_add(&all_in, members);
    weft_waitgroup_add(&all_heard, members);
    test_each(members + 1, run_one_of_all);
    CHECK_EQ(program_figure(&program, " lines said"), SPEAKERS * ROUNDS);
    CHECK_EQ(program_figure(&program, " missed"), 0);
    CHECK_EQ(program_figure(&program, " cut at the end"), 0);
}

/* ---- Guests who mean no good ---- */

static atomic_int tickets; /* connections to be made in this round */

/* The chat may end the connection meanwhile. */
static void put(int fd, const char *bytes, size_t size)
{
    ssize_t result = weft_write_all(fd, bytes, size);
    CHECK(result == (ssize_t)size || result == -ECONNRESET || result == -EPIPE ||
          result == -ETIMEDOUT);
}

static void says_nothing(int fd)
{
    (void)fd;
}

static void half_a_name(int fd)
{
    put(fd, "abc", 3);
}

static void noise(int fd)
{
    char bytes[5000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)test_random();
    put(fd, bytes, 1 + test_random_below(sizeof bytes));
}

static void empty_lines(int fd)
{
    char bytes[2000];
    memset(bytes, '\n', sizeof bytes);
    put(fd, bytes, sizeof bytes);
}

static void endless_line(int fd)
{
    char bytes[20000];
    memset(bytes, 'x', sizeof bytes);
    put(fd, "\n", 1);
    put(fd, bytes, sizeof bytes);
}

static void enter(int fd)
{
    static atomic_int number;
    char name[32];
    int size = snprintf(name, sizeof name, "g%d\n", atomic_fetch_add(&number, 1));
    put(fd, name, (size_t)size);
}

static void says_a_lot_and_hears_nothing(int fd)
{
    enter(fd);
    for (int i = 0; i < 20; i++)
        put(fd, "and another thing: ...\n", 23);
}

static void half_closed(int fd)
{
    char buffer[4096];
    enter(fd);
    CHECK_EQ(weft_shutdown(fd, SHUT_WR), 0);
    while (weft_read(fd, buffer, sizeof buffer) > 0)
        continue;
}

static void waits_for_its_welcome(int fd)
{
    char heard[256] = "";
    size_t size = 0;
    enter(fd);
    while (size < sizeof heard - 1 && strstr(heard, "* welcome, ") == NULL) {
        ssize_t more = weft_read(fd, heard + size, sizeof heard - 1 - size);
        CHECK_GT(more, 0);
        size += (size_t)more;
    }
}

static void (*const states[])(int fd) = {
    says_nothing, half_a_name,  noise,
    empty_lines,  endless_line, says_a_lot_and_hears_nothing,
    enter,        half_closed,  waits_for_its_welcome,
};

enum { STATES = sizeof states / sizeof states[0] };

static void drop_connections(void *index)
{
    (void)index;
    while (atomic_fetch_sub(&tickets, 1) > 0) {
        int fd = program_dial(chat);
        states[test_random_below(STATES)](fd);
        if (by_chance(2))
            program_hang_up(fd);
        else
            CHECK_EQ(weft_close(fd), 0);
    }
}

/* ---- Nothing is left ---- */

enum {
    DIALLERS = 64,
    LIMIT = 2 * DIALLERS,
    CONNECTIONS = 24000,
    ROUNDS_OF_DROPS = 6,
    WARM_UP = 2,
    GROWTH_MAX = 1536 /* KiB */
};

/* As many at once as there can be: their stacks are kept for the connections that follow. */
static void fill_up(void *index)
{
    char name[32];
    snprintf(name, sizeof name, "first%d", test_index(index));
    struct guest guest = guest_enter(chat, name);
    weft_waitgroup_done(&all_in);
    weft_waitgroup_wait(&all_in);
    guest_leave(&guest);
}

static void drop_many(int rounds)
{
    for (int i = 0; i < rounds; i++) {
        tickets = share(CONNECTIONS) / ROUNDS_OF_DROPS;
        test_each(DIALLERS, drop_connections);
    }
}

TEST_PROCS(nothing_is_left, .timeout = 120)
{
    PROGRAM(program, "chat", "--max-connections", "128", "--write-time", "2");
    chat = &program;
    int descriptors = program_files(chat);
    weft_waitgroup_add(&all_in, LIMIT);
    test_each(LIMIT, fill_up);
    drop_many(WARM_UP);
    CHECK_SOON(program_files(chat) == descriptors);
    long before = program_status(chat, "RssAnon");
    drop_many(ROUNDS_OF_DROPS - WARM_UP);
    CHECK_SOON(program_files(chat) == descriptors);
    long growth = program_status(chat, "RssAnon") - before;
    if (!TEST_ASAN && !TEST_TSAN)
        CHECK_LE(growth, GROWTH_MAX);
    struct guest ada = guest_enter(chat, "ada"); /* it still works */
    tell(&ada, "hello?\n");
    hears(&ada, "ada: hello?");
    guest_leave(&ada);
    chat_stop(chat);
}
