/* SPDX-License-Identifier: MIT
 *
 * kvd: long lists, pushed and popped at both ends, against a model: an array with room on both
 * sides.
 */
#include "servers/kvd_test.h"

enum { ROOM = 400 * 1000 };

static int model[2 * ROOM];
static int first = ROOM, last = ROOM; /* elements from first to before last */

static void add_element(struct bytes *bytes, int element)
{
    char text[16];
    bytes_add_bulk(bytes, text, (size_t)snprintf(text, sizeof text, "%d", element));
}

/* Pushes count elements at an end by one command. */
static void push(struct bytes *out, struct bytes *want, bool left, int count)
{
    static int next;
    bytes_print(out, "*%d\r\n", 2 + count);
    bytes_add_text(out, left ? "$5~LPUSH~$1~l~" : "$5~RPUSH~$1~l~");
    for (; count > 0; count--) {
        add_element(out, ++next);
        model[left ? --first : last++] = next;
    }
    bytes_print(want, ":%d\r\n", last - first);
}

static void pop(struct bytes *out, struct bytes *want, bool left)
{
    bytes_add_command(out, left ? "LPOP l" : "RPOP l");
    if (first == last)
        bytes_add_text(want, "$-1~");
    else
        add_element(want, model[left ? first++ : --last]);
}

/* That element's number, from either end. */
static int index_of(int i)
{
    int length = last - first;
    return i < 0 || (i < length && test_random_below(2) == 0) ? i - length : i;
}

/* A range from anywhere to some way on, also beyond the ends. */
static void range(struct bytes *out, struct bytes *want)
{
    char text[64];
    int length = last - first;
    int from = (int)test_random_below((uint64_t)length + 20) - 10;
    int to = from + (int)test_random_below(100) - 5;
    snprintf(text, sizeof text, "LRANGE l %d %d", index_of(from), index_of(to));
    bytes_add_command(out, text);
    from = from < 0 ? 0 : from;
    to = to < length ? to : length - 1;
    bytes_print(want, "*%d\r\n", from <= to ? to - from + 1 : 0);
    for (int i = from; i <= to; i++)
        add_element(want, model[first + i]);
}

static void element(struct bytes *out, struct bytes *want)
{
    char text[64];
    int length = last - first, at = (int)test_random_below((uint64_t)length + 20) - 10;
    snprintf(text, sizeof text, "LINDEX l %d", index_of(at));
    bytes_add_command(out, text);
    if (at < 0 || at >= length)
        bytes_add_text(want, "$-1~");
    else
        add_element(want, model[first + at]);
}

/* Some hundred commands in one write; pushes in 100 of which so many are pushes. */
static void batch(int fd, int pushes)
{
    struct bytes out = {0}, want = {0};
    for (int i = 0; i < 200; i++) {
        int kind = (int)test_random_below(100);
        if (kind < pushes)
            push(&out, &want, kind % 2 == 0, 1 + (int)test_random_below(20));
        else if (kind < 96)
            pop(&out, &want, kind % 2 == 0);
        else if (kind < 98)
            range(&out, &want);
        else
            element(&out, &want);
    }
    kvd_send(fd, &out);
    kvd_expect_bytes(fd, "a batch of list commands", want.data, want.size);
    bytes_free(&want);
}

/* The whole list at once. */
static void compare_all(int fd)
{
    struct bytes want = {0};
    bytes_print(&want, "*%d\r\n", last - first);
    for (int i = first; i < last; i++)
        add_element(&want, model[i]);
    kvd_ask(fd, "EXISTS l", first < last ? ":1~" : ":0~");
    kvd_command(fd, "LRANGE l 0 -1");
    kvd_expect_bytes(fd, "LRANGE l 0 -1", want.data, want.size);
    bytes_free(&want);
}

/* Grows to 10^5 elements, shrinks to none and grows again. */
KVD_TEST(long_list, .timeout = 120)
{
    int most = 100 * 1000 / test_scale();
    struct program kvd;
    kvd_start(&kvd, NULL);
    int fd = program_dial(&kvd);
    for (int round = 0; round < 2; round++) {
        while (last - first < most)
            batch(fd, 70);
        compare_all(fd);
        while (last - first > most / 2)
            batch(fd, 2);
        compare_all(fd);
        while (last - first > 0)
            batch(fd, 0);
        compare_all(fd);
    }
    program_hang_up(fd);
    kvd_stop(&kvd);
}

/* A queue: in at one end, out at the other, for longer than the list ever is. */
KVD_TEST(queue)
{
    struct program kvd;
    kvd_start(&kvd, NULL);
    int fd = program_dial(&kvd);
    for (int i = 0; i < 300; i++) {
        struct bytes out = {0}, want = {0};
        bool left = i < 150;
        push(&out, &want, left, 300);
        for (int n = i == 0 ? 1 : 0; n < 300; n++)
            pop(&out, &want, !left);
        kvd_send(fd, &out);
        kvd_expect_bytes(fd, "a batch of a queue", want.data, want.size);
        bytes_free(&want);
    }
    compare_all(fd);
    program_hang_up(fd);
    kvd_stop(&kvd);
}
