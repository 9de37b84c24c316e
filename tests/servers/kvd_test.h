/* SPDX-License-Identifier: MIT
 *
 * What the tests of kvd share: commands in the form in which clients send them, and replies
 * compared byte by byte. In the texts of both '~' stands for CRLF, and "''" for an empty word.
 */
#ifndef KVD_TEST_H
#define KVD_TEST_H

#include <stdarg.h>

#include "servers/program.h"

enum { KVD_TEXT_MAX = 4096 };

/* Starts it with those options, ("--max-memory", "1000", NULL), at the test's maxprocs. */
static inline void kvd_start(struct program *kvd, const char *option, ...)
{
    const char *argv[16] = {"kvd", "127.0.0.1:0"};
    char procs[16];
    int count = 2;
    snprintf(procs, sizeof procs, "%d", weft_maxprocs(0));
    CHECK_EQ(setenv("WEFT_MAXPROCS", procs, 1), 0);
    va_list options;
    va_start(options, option);
    for (; option != NULL && count < 15; option = va_arg(options, const char *))
        argv[count++] = option;
    va_end(options);
    program_start(kvd, argv);
}

/* Ends it, which must go well. */
static inline void kvd_stop(struct program *kvd)
{
    CHECK_EQ(program_stop(kvd, SIGTERM), 0);
    if (strstr(kvd->output, "\nstopped: ") == NULL)
        FAIL("its last words: \"%s\"", kvd->output);
}

/* ---- Bytes ---- */

struct bytes {
    char *data;
    size_t size, capacity;
};

static inline void bytes_add(struct bytes *bytes, const void *data, size_t size)
{
    if (bytes->capacity - bytes->size < size) {
        bytes->capacity = 2 * (bytes->size + size);
        bytes->data = realloc(bytes->data, bytes->capacity);
        CHECK(bytes->data != NULL);
    }
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

static inline void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

__attribute__((format(printf, 2, 3))) static inline void bytes_print(struct bytes *bytes,
                                                                     const char *format, ...)
{
    char text[KVD_TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    CHECK(size >= 0 && size < (int)sizeof text);
    bytes_add(bytes, text, (size_t)size);
}

/* The text, with CRLF for every '~'. */
static inline void bytes_add_text(struct bytes *bytes, const char *text)
{
    for (; *text != '\0'; text++)
        bytes_add(bytes, *text == '~' ? "\r\n" : text, *text == '~' ? 2 : 1);
}

static inline void bytes_add_bulk(struct bytes *bytes, const void *data, size_t size)
{
    bytes_print(bytes, "$%zu\r\n", size);
    bytes_add(bytes, data, size);
    bytes_add(bytes, "\r\n", 2);
}

/* The words, which single spaces separate, as an array of bulk strings. */
static inline void bytes_add_command(struct bytes *bytes, const char *words)
{
    int count = 1;
    for (const char *at = words; *at != '\0'; at++)
        count += *at == ' ';
    bytes_print(bytes, "*%d\r\n", count);
    for (; count > 0; count--) {
        size_t length = strcspn(words, " ");
        bytes_add_bulk(bytes, words,
                       length == 2 && words[0] == '\'' && words[1] == '\'' ? 0 : length);
        words += length + (words[length] == ' ');
    }
}

/* ---- Traffic ---- */

static inline void kvd_send(int fd, struct bytes *bytes)
{
    CHECK_EQ(weft_write_all(fd, bytes->data, bytes->size), bytes->size);
    bytes_free(bytes);
}

static inline void kvd_command(int fd, const char *words)
{
    struct bytes bytes = {0};
    bytes_add_command(&bytes, words);
    kvd_send(fd, &bytes);
}

/* Sends the text as it is, but for '~'. */
static inline void kvd_text(int fd, const char *text)
{
    struct bytes bytes = {0};
    bytes_add_text(&bytes, text);
    kvd_send(fd, &bytes);
}

/* Stops the test with what came, in quotes, and what it was the answer to. */
static inline _Noreturn void kvd_differs(const char *question, const char *want, size_t want_size,
                                         const char *got, size_t size)
{
    struct bytes text = {0};
    for (int side = 0; side < 2; side++) {
        size_t shown = side == 0 ? want_size : size;
        bytes_print(&text, side == 0 ? "wanted \"" : "\", got \"");
        for (size_t i = 0; i < shown && i < 300; i++) {
            unsigned char c = (unsigned char)(side == 0 ? want : got)[i];
            bytes_print(&text, c < ' ' || c > '~' || c == '"' ? "\\x%02x" : "%c", c);
        }
    }
    bytes_add(&text, "\"", 2);
    FAIL("%s: %s", question, text.data);
}

/* The next bytes are those; otherwise the test fails, naming the question. */
static inline void kvd_expect_bytes(int fd, const char *question, const void *want,
                                    size_t want_size)
{
    char *got = malloc(want_size + 1);
    CHECK(got != NULL);
    size_t size = 0;
    while (size < want_size) {
        ssize_t part = weft_read(fd, got + size, want_size - size);
        if (part <= 0)
            break;
        size += (size_t)part;
        if (memcmp(got, want, size) != 0) /* what else has come belongs to the message */
            break;
    }
    if (size != want_size || memcmp(got, want, want_size) != 0)
        kvd_differs(question, want, want_size, got, size);
    free(got);
}

/* The next bytes are that text, with CRLF for '~'. */
static inline void kvd_expect(int fd, const char *question, const char *reply)
{
    struct bytes want = {0};
    bytes_add_text(&want, reply);
    kvd_expect_bytes(fd, question, want.data, want.size);
    bytes_free(&want);
}

static inline void kvd_ask(int fd, const char *words, const char *reply)
{
    kvd_command(fd, words);
    kvd_expect(fd, words, reply);
}

/* Adds the next reply, an array with its elements, and a NUL that is not counted. */
static inline void kvd_read_reply(int fd, struct bytes *reply)
{
    size_t start = reply->size;
    do {
        char c;
        CHECK_EQ(weft_read(fd, &c, 1), 1);
        bytes_add(reply, &c, 1);
    } while (reply->data[reply->size - 1] != '\n');
    bytes_add(reply, "", 1);
    reply->size--;
    char kind = reply->data[start];
    long number = strtol(reply->data + start + 1, NULL, 10);
    for (; kind == '*' && number > 0; number--)
        kvd_read_reply(fd, reply);
    for (size_t left = kind == '$' && number >= 0 ? (size_t)number + 2 : 0; left > 0;) {
        char part[4096];
        ssize_t size = weft_read(fd, part, left < sizeof part ? left : sizeof part);
        CHECK_GT(size, 0);
        bytes_add(reply, part, (size_t)size);
        left -= (size_t)size;
    }
    bytes_add(reply, "", 1);
    reply->size--;
}

/* Asks, and gives the reply, whatever it is. To be freed. */
static inline struct bytes kvd_reply(int fd, const char *words)
{
    struct bytes reply = {0};
    kvd_command(fd, words);
    kvd_read_reply(fd, &reply);
    return reply;
}

/* The connection has ended: no byte more comes. */
static inline void kvd_expect_end(int fd)
{
    char byte;
    ssize_t size = weft_read(fd, &byte, 1);
    if (size > 0 || (size < 0 && size != -ECONNRESET && size != -EPIPE))
        FAIL("no end of the connection: read gave %zd", size);
    program_hang_up(fd);
}

/* It still answers. */
static inline void kvd_check_alive(const struct program *kvd)
{
    int fd = program_dial(kvd);
    kvd_ask(fd, "PING alive", "$5~alive~");
    program_hang_up(fd);
}

/* ---- Exchanges ---- */

/* A command and its reply, as kvd_ask has them. */
struct kvd_exchange {
    const char *command, *reply;
};

#define NO_INTEGER  "-ERR value is not an integer or out of range~"
#define ARITY(name) "-ERR wrong number of arguments for '" name "' command~"

/* Has the exchanges, up to one without a command, on an empty store: all in one write, so that no
 * time to speak of passes between them. */
static inline void kvd_converse(const struct kvd_exchange *exchanges)
{
    struct program kvd;
    kvd_start(&kvd, NULL);
    int fd = program_dial(&kvd);
    struct bytes out = {0};
    for (int i = 0; exchanges[i].command != NULL; i++)
        bytes_add_command(&out, exchanges[i].command);
    kvd_send(fd, &out);
    for (int i = 0; exchanges[i].command != NULL; i++)
        kvd_expect(fd, exchanges[i].command, exchanges[i].reply);
    program_hang_up(fd);
    kvd_stop(&kvd);
}

/* A test that has two processors, and so has the server. */
#define KVD_TEST(name_, ...)                                                                       \
    static void test_##name_(void);                                                                \
    TEST_PROCS_(name_, 2, __VA_ARGS__)                                                             \
    static void test_##name_(void)

#endif
