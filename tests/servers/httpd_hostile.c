/* SPDX-License-Identifier: MIT
 *
 * examples/httpd against clients that mean no good: a hundred thousand connections, each of which
 * does one of the things that such clients do, many of them at once. Afterwards it has no more
 * descriptors, threads and memory than after the first few thousand, and it answers as before.
 */
#include <stdatomic.h>

#include "servers/folder.h"
#include "servers/httpd_test.h"

enum {
    AT_ONCE = 128,
    MORE_THREADS = 8,       /* which the runtime may have started meanwhile, whatever comes */
    MORE_MEMORY = 4 * 1024, /* KiB: malloc's arenas, which fill up by and by */
    FILE_SIZE = 512 * 1024,
};

static struct program httpd;
static atomic_int attacks;

/* Requests in order and not, to be cut, damaged and put together. */
static const char *const texts[] = {
    HELLO,
    "GET /files/big HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /files/../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD /files/big HTTP/1.1\r\nHost: a\r\nRange: bytes=-5\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n01234567890123456789",
    ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
     "5;x=y\r\nhello\r\n0\r\nTrailer: x\r\n\r\n"),
    "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
    "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n",
    "GET /sleep/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET /\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\x16\x03\x01\x02\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
};

enum { TEXTS = sizeof texts / sizeof texts[0] };

/* What a client may do to the server fails at will: it may have been cut off by then. */
static void try_to_say(int fd, const char *text, size_t size)
{
    weft_write(fd, text, size);
}

/* Reads a little, or all that comes before the end. */
static void take(int fd, size_t most)
{
    char buffer[4096];
    size_t taken = 0;
    ssize_t size;
    while (taken < most && (size = weft_read(fd, buffer, sizeof buffer)) > 0)
        taken += (size_t)size;
}

static const char *any_text(void)
{
    return texts[test_random_below(TEXTS)];
}

static void say_nothing(int fd)
{
    (void)fd;
}

static void break_off(int fd)
{
    const char *text = any_text();
    try_to_say(fd, text, test_random_below(strlen(text)));
}

static void damage(int fd)
{
    char copy[512];
    size_t size = strlen(strcpy(copy, any_text()));
    for (int i = 0; i < 3; i++)
        copy[test_random_below(size)] = (char)test_random_below(256);
    try_to_say(fd, copy, size);
    weft_shutdown(fd, SHUT_WR);
    take(fd, 16 * 1024);
}

static void flood(int fd)
{
    char line[8 * 1024];
    memset(line, 'x', sizeof line);
    try_to_say(fd, "GET / HTTP/1.1\r\nHost: a\r\nX: ", 28);
    for (int i = 0; i < 4; i++)
        try_to_say(fd, line, sizeof line);
    take(fd, sizeof line);
}

static void pour_garbage(int fd)
{
    char garbage[2048];
    for (size_t i = 0; i < sizeof garbage; i += 8)
        memcpy(garbage + i, &(uint64_t){test_random()}, 8);
    try_to_say(fd, HELLO, strlen(HELLO));
    try_to_say(fd, garbage, sizeof garbage);
    take(fd, 64);
}

static void pipeline(int fd)
{
    for (int i = 0; i < 10; i++) {
        const char *text = any_text();
        try_to_say(fd, text, strlen(text));
    }
    take(fd, test_random_below(20 * 1024));
}

static void half_close(int fd)
{
    const char *text = any_text();
    try_to_say(fd, text, test_random_below(strlen(text) + 1));
    weft_shutdown(fd, SHUT_WR);
    take(fd, 32 * 1024);
}

static void drip(int fd)
{
    const char *text = any_text();
    for (size_t i = 0; i < 5 && text[i] != '\0'; i++) {
        try_to_say(fd, text + i, 1);
        weft_sleep(WEFT_MILLISECOND);
    }
}

/* Makes the kernel take little for a client that does not read. */
static void narrow(int fd)
{
    CHECK_EQ(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int)), 0);
}

static void leave_a_download(int fd)
{
    narrow(fd);
    try_to_say(fd, texts[1], strlen(texts[1]));
    take(fd, 1 + test_random_below(64 * 1024));
}

static void never_read(int fd)
{
    narrow(fd);
    for (int i = 0; i < 3; i++)
        try_to_say(fd, texts[1], strlen(texts[1]));
    weft_sleep(2 * WEFT_MILLISECOND);
}

static void cut_a_body_short(int fd)
{
    static const char text[] = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n0123";
    try_to_say(fd, text, strlen(text));
    weft_sleep(WEFT_MILLISECOND);
}

/* Long enough to become a connection without a goroutine, now and then. */
static void stay_idle(int fd)
{
    try_to_say(fd, HELLO, strlen(HELLO));
    take(fd, 14);
    weft_sleep((int64_t)test_random_below(test_random_below(50) == 0 ? 1500 : 5) *
               WEFT_MILLISECOND);
}

static void (*const kinds[])(int fd) = {say_nothing,      break_off,  damage,           flood,
                                        pour_garbage,     pipeline,   half_close,       drip,
                                        leave_a_download, never_read, cut_a_body_short, stay_idle};

static void attack(void)
{
    int fd = program_dial(&httpd);
    kinds[test_random_below(sizeof kinds / sizeof kinds[0])](fd);
    if (test_random_below(16) == 0)
        CHECK_EQ(weft_close(fd), 0);
    else
        program_hang_up(fd);
}

static void attacker(void *index)
{
    (void)index;
    while (atomic_fetch_sub(&attacks, 1) > 0)
        attack();
}

static void attack_times(int count)
{
    atomic_store(&attacks, count);
    test_each(AT_ONCE, attacker);
}

/* A connection that the server knows is a descriptor of it. */
static void wait_until_all_have_left(int files)
{
    CHECK_SOON(program_files(&httpd) <= files);
    struct client client = client_open(&httpd);
    client_must_be_kept(&client);
    client_close(&client);
    CHECK_SOON(program_files(&httpd) <= files);
}

/* After the first clients, which make it take what it keeps, and after the others. */
static void compare(int first, int count)
{
    int files = program_files(&httpd);
    attack_times(first);
    wait_until_all_have_left(files);
    long threads = program_status(&httpd, "Threads"), memory = program_status(&httpd, "RssAnon");
    int64_t start = weft_now();
    attack_times(count);
    wait_until_all_have_left(files);
    long memory_after = program_status(&httpd, "RssAnon");
    printf("%d connections in %.1f s; %ld KiB before, %ld KiB after\n", count,
           (double)(weft_now() - start) / WEFT_SECOND, memory, memory_after);
    CHECK_LE(program_files(&httpd), files);
    CHECK_LE(program_status(&httpd, "Threads"), threads + MORE_THREADS);
    if (!TEST_ASAN && !TEST_TSAN) /* which keep what was freed, for a while */
        CHECK_LE(memory_after, memory + MORE_MEMORY);
}

static void attacked(int first, int count)
{
    struct folder folder;
    folder_make(&folder);
    folder_write_zeros(&folder, "big", FILE_SIZE);
    HTTPD_START(&httpd, "--files", folder.path, "--head-time", "2", "--body-time", "2", "--idle",
                "3", "--write-time", "2");
    compare(first, count);
    httpd_stop(&httpd);
    folder_remove(&folder);
}

static void many(void)
{
    int count = TEST_TSAN ? 5000 : TEST_ASAN ? 20 * 1000 : 100 * 1000;
    attacked(count / 10, count);
}

TEST(hundred_thousand_connections, .timeout = 300)
{
    test_in_runtime(0, many);
}

TEST_PROCS(a_few_thousand_connections, .timeout = 300)
{
    attacked(2000, 4000);
}
