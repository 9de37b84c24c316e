/* SPDX-License-Identifier: MIT
 *
 * kvd: a hundred thousand connections of clients that mean no good, a hundred at once. Afterwards
 * it has as many descriptors and threads and as much memory as before, and answers.
 *
 * They end by reset, but for a few, so that the kernel need not remember them (TIME_WAIT).
 */
#include "servers/kvd_test.h"

enum { CONNECTIONS = 100 * 1000, AT_ONCE = 100 };

static struct program kvd;

/* Sends the text; that nobody may be there any more is no fault. */
static void throw(int fd, const char *text)
{
    struct bytes bytes = {0};
    bytes_add_text(&bytes, text);
    weft_write_all(fd, bytes.data, bytes.size);
    bytes_free(&bytes);
}

/* One of the texts. */
#define THROW_ONE_OF(fd, ...)                                                                      \
    do {                                                                                           \
        static const char *const texts[] = {__VA_ARGS__};                                          \
        throw(fd, texts[test_random_below(sizeof texts / sizeof texts[0])]);                       \
    } while (0)

static void says_nothing(int fd)
{
    (void)fd;
}

static void leaves_in_the_middle(int fd)
{
    THROW_ONE_OF(fd, "*", "*3~", "*3~$", "*3~$3~SE", "*3~$3~SET~$1~k~$1000~v", "PIN", "SET k 'v",
                 "*2~$4~MGET~", "*1~$4~PING\r", "\r", "*100000~$4~MGET~$1~k~");
}

static void breaks_the_protocol(int fd)
{
    THROW_ONE_OF(fd, "*x~", "*1~+PING~", "*999999999~", "*1~$-1~", "*1~$999999999999~",
                 "*1~$1~PING~", "ECHO 'a~", "*1~$4~PINGxx", "GET / HTTP/1.1~Host: kvd~~",
                 "\x16\x03\x01\x02~", "*-5~*0~*-9223372036854775809~");
    weft_read(fd, (char[64]){0}, 64);
}

/* A line that does not end. */
static void sends_a_huge_line(int fd)
{
    static const char filling[70 * 1000] = {'E', 'C', 'H', 'O', ' '};
    weft_write_all(fd, filling, sizeof filling);
    weft_read(fd, (char[64]){0}, 64);
}

/* One command more than --max-request. */
static void sends_a_huge_command(int fd)
{
    static const char filling[50 * 1000];
    throw(fd, "*3~$3~SET~$1~k~$100000~");
    weft_write_all(fd, filling, sizeof filling);
    weft_write_all(fd, filling, sizeof filling);
    weft_read(fd, (char[64]){0}, 64);
}

static void abandons_a_pipeline(int fd)
{
    struct bytes out = {0};
    for (int i = (int)test_random_below(200); i >= 0; i--)
        bytes_add_command(&out, i % 3 == 0 ? "LRANGE l 0 -1" : i % 3 == 1 ? "INCR n" : "GET big");
    weft_write_all(fd, out.data, out.size);
    if (test_random_below(2) == 0)
        weft_read(fd, (char[64]){0}, 64);
    bytes_free(&out);
}

static void calls_commands_wrongly(int fd)
{
    THROW_ONE_OF(fd, "GET~", "INCR l~", "LPUSH big x~", "SET k v EX x~", "NOSUCH a b c~",
                 "HELLO 3~", "SHUTDOWN~", "CONFIG SET save x~", "LRANGE l x y~", "SELECT 99~",
                 "CLIENT~");
    weft_read(fd, (char[64]){0}, 64);
}

/* The list is pushed to and popped from, and keys come and go. */
static void changes_data(int fd)
{
    THROW_ONE_OF(fd, "LPUSH l 1 2 3~LPOP l 3~", "RPUSH m a~DEL m~", "SET k v PX 1~SET j v PX 2~",
                 "APPEND a xyz~DEL a~", "MSET a 1 b 2~DEL a b~",
                 "CLIENT SETNAME somebody~QUIT~PING~");
}

/* A few of these only: the client's end is remembered. */
static void closes_its_half(int fd)
{
    if (test_random_below(10) == 0) {
        THROW_ONE_OF(fd, "", "PING~", "*2~$4~ECHO~$5~he", "*1~$4~PING~*1~");
        CHECK_EQ(weft_shutdown(fd, SHUT_WR), 0);
        while (weft_read(fd, (char[64]){0}, 64) > 0)
            continue;
    }
}

static void drips(int fd)
{
    static const char text[] = "*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n";
    for (size_t i = test_random_below(sizeof text - 1); i > 0; i--) {
        weft_write(fd, &text[sizeof text - 1 - i], 1);
        weft_yield();
    }
}

static void (*const attacks[])(int fd) = {
    says_nothing,           leaves_in_the_middle,
    breaks_the_protocol,    sends_a_huge_line,
    sends_a_huge_command,   abandons_a_pipeline,
    calls_commands_wrongly, changes_data,
    closes_its_half,        drips,
    says_nothing,           leaves_in_the_middle,
    breaks_the_protocol,    calls_commands_wrongly,
    changes_data,           drips,
};

static int attacks_each;

static void attack(void *arg)
{
    (void)arg;
    for (int i = 0; i < attacks_each; i++) {
        int fd = program_dial(&kvd);
        attacks[test_random_below(sizeof attacks / sizeof attacks[0])](fd);
        program_hang_up(fd);
    }
}

/* What it holds once all of them have gone. */
struct holdings {
    int files;
    long threads, memory;
};

static struct holdings attack_and_look(int count, int files)
{
    attacks_each = count / AT_ONCE + 1;
    test_each(AT_ONCE, attack);
    CHECK_SOON(program_files(&kvd) <= files);
    return (struct holdings){.files = program_files(&kvd),
                             .threads = program_status(&kvd, "Threads"),
                             .memory = program_status(&kvd, "RssAnon")};
}

/* Data that attacks ask for. */
static void prepare(void)
{
    static char value[20 * 1000];
    struct bytes out = {0};
    int fd = program_dial(&kvd);
    bytes_add_text(&out, "*3~$3~SET~$3~big~");
    bytes_add_bulk(&out, value, sizeof value);
    bytes_add_command(&out, "RPUSH l a b c d e f g h");
    kvd_send(fd, &out);
    kvd_expect(fd, "SET and RPUSH", "+OK~:8~");
    program_hang_up(fd);
}

KVD_TEST(hostile_connections, .timeout = 240)
{
    kvd_start(&kvd, "--max-request", "60000", "--request-time", "10", "--write-time", "10", NULL);
    int files = program_files(&kvd), count = CONNECTIONS / test_scale() / test_scale();
    prepare();
    struct holdings before = attack_and_look(count / 5, files);
    struct holdings after = attack_and_look(count, files);
    printf("%d connections: descriptors %d and %d, threads %ld and %ld, KiB %ld and %ld\n", count,
           before.files, after.files, before.threads, after.threads, before.memory, after.memory);
    CHECK_LE(after.files, before.files);
    CHECK_LE(after.threads, before.threads + 4);
    if (test_scale() == 1)
        CHECK_LE(after.memory, before.memory + 4 * 1024);
    kvd_check_alive(&kvd);
    int fd = program_dial(&kvd);
    kvd_ask(fd, "STRLEN big", ":20000~");
    kvd_ask(fd, "FLUSHALL", "+OK~");
    program_hang_up(fd);
    kvd_stop(&kvd);
}
