/* SPDX-License-Identifier: MIT
 *
 * The typed forms of channels and of go. What must not compile is in tests/typed_errors.sh.
 */
#include "harness/test.h"

#include <weft/typed.h>

struct point {
    double x, y;
    char name[24];
};

typedef int (*operation)(int);

WEFT_CHAN_OF(ints, int);
WEFT_CHAN_OF(bytes, unsigned char);
WEFT_CHAN_OF(strings, const char *);
WEFT_CHAN_OF(points, struct point);
WEFT_CHAN_OF(operations, operation);
WEFT_CHAN_OF(requests, ints); /* a channel of channels */

static const struct point here = {1.5, -2.5, "here"};

static void check_same(struct point a, struct point b)
{
    CHECK(a.x == b.x && a.y == b.y);
    CHECK_STR(a.name, b.name);
}

TEST_PROCS(int_channel)
{
    ints chan = ints_new(2);
    CHECK(chan.chan);
    CHECK_EQ(weft_chan_cap(chan.chan), 2);
    CHECK_EQ(ints_send(chan, 7), 0);
    CHECK_EQ(ints_send_until(chan, -8, WEFT_NOWAIT), 0);
    CHECK_EQ(ints_send_until(chan, 9, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(ints_send_until(chan, 9, weft_after(WEFT_MILLISECOND)), -ETIMEDOUT);
    CHECK_EQ(ints_len(chan), 2);
    int value = 0;
    CHECK_EQ(ints_recv(chan, &value), 0);
    CHECK_EQ(value, 7);
    CHECK_EQ(ints_recv_until(chan, &value, WEFT_NOWAIT), 0);
    CHECK_EQ(value, -8);
    CHECK_EQ(ints_recv_until(chan, &value, WEFT_NOWAIT), -EAGAIN);
    CHECK_EQ(ints_recv_until(chan, &value, weft_after(WEFT_MILLISECOND)), -ETIMEDOUT);
    CHECK_EQ(ints_send(chan, 10), 0);
    CHECK_EQ(ints_close(chan), 0);
    CHECK_EQ(ints_close(chan), -EPIPE);
    CHECK_EQ(ints_send(chan, 11), -EPIPE);
    CHECK_EQ(ints_recv(chan, NULL), 0);
    CHECK_EQ(ints_recv(chan, &value), -EPIPE);
    CHECK_EQ(value, -8);
    ints_unref(chan);
}

TEST(no_channel)
{
    ints none = {NULL};
    int value = 5;
    CHECK_EQ(ints_send(none, 1), -EINVAL);
    CHECK_EQ(ints_recv(none, &value), -EINVAL);
    CHECK_EQ(ints_close(none), -EINVAL);
    CHECK_EQ(ints_len(none), 0);
    CHECK(ints_ref(none).chan == NULL);
    ints_unref(none);
    CHECK_EQ(value, 5);
    CHECK(points_new(SIZE_MAX / 2).chan == NULL); /* as weft_chan_new: the product overflows */
}

TEST(references)
{
    ints chan = ints_new(1), other = ints_ref(chan);
    CHECK(other.chan == chan.chan);
    ints_unref(chan);
    CHECK_EQ(ints_send(other, 1), 0);
    ints_unref(other);
}

TEST_PROCS(pointers_structs_and_functions)
{
    strings text = strings_new(1);
    points place = points_new(1);
    operations todo = operations_new(1);
    bytes small = bytes_new(1);

    const char *word = NULL;
    CHECK_EQ(strings_send(text, "word"), 0);
    CHECK_EQ(strings_recv(text, &word), 0);
    CHECK_STR(word, "word");

    struct point got = {0};
    CHECK_EQ(points_send(place, here), 0);
    CHECK_EQ(points_recv(place, &got), 0);
    check_same(got, here);

    operation what = NULL;
    CHECK_EQ(operations_send(todo, abs), 0);
    CHECK_EQ(operations_recv(todo, &what), 0);
    CHECK_EQ(what(-3), 3);

    unsigned char byte = 0;
    CHECK_EQ(bytes_send(small, 200), 0);
    CHECK_EQ(bytes_recv(small, &byte), 0);
    CHECK_EQ(byte, 200);

    strings_unref(text);
    points_unref(place);
    operations_unref(todo);
    bytes_unref(small);
}

WEFT_GO_OF(go_requests, requests);

/* Answers each request, which is the channel to answer on, with its number. */
static void server(requests queue)
{
    ints reply;
    for (int n = 1; requests_recv(queue, &reply) == 0; n++)
        CHECK_EQ(ints_send(reply, n), 0);
    requests_unref(queue);
}

TEST_PROCS(channel_of_channels)
{
    requests queue = requests_new(0);
    CHECK_EQ(go_requests(server, requests_ref(queue)), 0);
    for (int n = 1; n <= 100; n++) {
        ints reply = ints_new(0);
        int answer = 0;
        CHECK_EQ(requests_send(queue, reply), 0);
        CHECK_EQ(ints_recv(reply, &answer), 0);
        CHECK_EQ(answer, n);
        ints_unref(reply);
    }
    CHECK_EQ(requests_close(queue), 0);
    requests_unref(queue);
    CHECK_SOON(weft_num_goroutine() == 1);
}

struct job {
    ints out;
    int from, to;
};

WEFT_GO_OF(go_int, int);
WEFT_GO_OF(go_pointer, int *);
WEFT_GO_OF(go_job, struct job);

static weft_waitgroup running;
static ints results;

static void send_square(int n)
{
    CHECK_EQ(ints_send(results, n * n), 0);
}

static void increment(int *counter)
{
    ++*counter;
    weft_waitgroup_done(&running);
}

static void count(struct job job)
{
    for (int i = job.from; i < job.to; i++)
        CHECK_EQ(ints_send(job.out, i), 0);
    CHECK_EQ(ints_close(job.out), 0);
    ints_unref(job.out);
}

TEST_PROCS(go_with_an_int)
{
    results = ints_new(0);
    for (int n = 1; n <= 10; n++) /* a copy each: the loop goes on before they run */
        CHECK_EQ(go_int(send_square, n), 0);
    int sum = 0;
    for (int i = 0, square; i < 10; i++) {
        CHECK_EQ(ints_recv(results, &square), 0);
        sum += square;
    }
    CHECK_EQ(sum, 385);
    ints_unref(results);
    CHECK_SOON(weft_num_goroutine() == 1);
}

TEST_PROCS(go_with_a_pointer)
{
    int counter = 0;
    for (int i = 1; i <= 10; i++) {
        weft_waitgroup_add(&running, 1);
        CHECK_EQ(go_pointer(increment, &counter), 0);
        weft_waitgroup_wait(&running);
        CHECK_EQ(counter, i);
    }
    CHECK_SOON(weft_num_goroutine() == 1);
}

TEST_PROCS(go_with_a_struct)
{
    ints out = ints_new(3);
    struct job job = {ints_ref(out), 5, 50};
    CHECK_EQ(go_job(count, job), 0);
    job.from = job.to = 0; /* it has its own */
    int value, expected = 5;
    while (ints_recv(out, &value) == 0)
        CHECK_EQ(value, expected++);
    CHECK_EQ(expected, 50);
    ints_unref(out);
    CHECK_SOON(weft_num_goroutine() == 1);
}

TEST_PROCS(go_without_a_function)
{
    CHECK_EQ(go_int(NULL, 1), -EINVAL);
}

TEST(go_without_a_runtime)
{
    CHECK_EQ(go_int(send_square, 1), -EPERM);
}

TEST_PROCS(select_cases)
{
    ints numbers = ints_new(1);
    points places = points_new(1);
    int number = 4;
    struct point place = {0};

    weft_case send[] = {ints_send_case(numbers, &number), points_recv_case(places, &place)};
    CHECK_EQ(weft_select(send, 2, WEFT_FOREVER), 0);
    CHECK_EQ(send[0].result, 0);
    CHECK_EQ(weft_select(send, 2, WEFT_NOWAIT), -EAGAIN);

    number = 0;
    weft_case recv[] = {points_send_case(places, &here), ints_recv_case(numbers, &number)};
    int seen = 1 << weft_select(recv, 2, WEFT_FOREVER);
    seen |= 1 << weft_select(recv, 2, WEFT_FOREVER);
    CHECK_EQ(seen, 3);
    CHECK_EQ(number, 4);
    CHECK_EQ(points_recv(places, &place), 0);
    check_same(place, here);

    CHECK_EQ(points_close(places), 0);
    weft_case closed[] = {ints_recv_case(numbers, NULL), points_recv_case(places, NULL)};
    CHECK_EQ(weft_select(closed, 2, WEFT_FOREVER), 1);
    CHECK_EQ(closed[1].result, -EPIPE);

    ints_unref(numbers);
    points_unref(places);
}
