/* SPDX-License-Identifier: MIT
 *
 * examples/chat: who hears what, names, limits, times, and its end.
 */
#include <poll.h>

#include "servers/chat_test.h"

TEST_PROCS(everybody_hears_everybody)
{
    PROGRAM(chat, "chat", "--grace", "5");
    struct guest ada = guest_enter(&chat, "ada");
    hears_next(&ada, "* ada is here");
    struct guest bob = guest_enter(&chat, "bob");
    hears_next(&bob, "* bob is here");
    hears_next(&ada, "* bob is here");
    tell(&ada, "hello\n");
    hears_next(&ada, "ada: hello");
    hears_next(&bob, "ada: hello");
    tell(&bob, "hello\n\nthat was an empty line\n");
    hears_next(&ada, "bob: hello");
    hears_next(&ada, "bob: ");
    hears_next(&ada, "bob: that was an empty line");
    guest_leave(&bob);
    hears_next(&ada, "* bob has left");
    guest_leave(&ada);
    chat_stop(&chat);
    CHECK_EQ(program_figure(&chat, " lines said"), 4);
}

TEST_PROCS(names)
{
    static const char *const bad[] = {"ada",  "",      "Ada",   "a b",    "12345678901234567", "*",
                                      "ada ", "a\tda", "\033c", "ad\xc3", "../../etc"};
    PROGRAM(chat, "chat", "--grace", "5");
    struct guest ada = guest_enter(&chat, "ada"), bob = guest_dial(&chat);
    hears_next(&bob, "* your name?");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        tell(&bob, bad[i]);
        tell(&bob, "\n");
        hears_next(&bob, "* your name?");
    }
    tell(&bob, "1234567890123456\r\n");
    hears_next(&bob, "* welcome, 1234567890123456");
    guest_leave(&ada);
    hears(&bob, "* ada has left");
    ada = guest_enter(&chat, "ada"); /* the name is free again */
    guest_leave(&ada);
    guest_leave(&bob);
    chat_stop(&chat);
}

/* Terminals see no escape sequences, whatever is said. */
TEST_PROCS(control_characters)
{
    static const char said[] = "a\033[2Jb\rc\0d\177e\xc3\xa4\xc2\x9bJ\xc2\xa9\xc2\r\n";
    PROGRAM(chat, "chat", "--grace", "5");
    struct guest ada = guest_enter(&chat, "ada");
    hears_next(&ada, "* ada is here");
    CHECK_GT(weft_write_all(ada.fd, said, sizeof said - 1), 0);
    hears_next(&ada, "ada: a [2Jb c d e\xc3\xa4  J\xc2\xa9\xc2");
    guest_leave(&ada);
    chat_stop(&chat);
}

TEST_PROCS(lines_that_are_too_long)
{
    char line[600], heard[620];
    memset(line, 'x', sizeof line);
    PROGRAM(chat, "chat", "--max-line", "100");
    struct guest ada = guest_dial(&chat);
    hears_next(&ada, "* your name?");
    line[200] = '\0';
    tell(&ada, line);
    tell(&ada, "\n");
    hears_next(&ada, "* your name?");
    tell(&ada, "ada\n");
    hears(&ada, "* ada is here");
    for (int size = 98; size <= 101; size++) {
        snprintf(heard, sizeof heard, "ada: %.*s", size, line);
        snprintf(line, sizeof line, "%.*s\n", size, heard + strlen("ada: "));
        tell(&ada, line);
        hears_next(&ada, size < 100 ? heard : "* that line is too long");
        memset(line, 'x', sizeof line);
    }
    guest_leave(&ada);
    chat_stop(&chat);
    CHECK_EQ(program_figure(&chat, " too long"), 2);
}

/* ---- Times ---- */

/* A guest who says something now and then, but no name, is not let in. */
TEST_PROCS(no_name_in_time)
{
    PROGRAM(chat, "chat", "--name-time", "1.2");
    int64_t begin = weft_now();
    struct guest silent = guest_dial(&chat), busy = guest_dial(&chat);
    while (weft_write_all(busy.fd, "NO NAME\n", 8) > 0)
        weft_sleep(20 * WEFT_MILLISECOND);
    CHECK_GE(weft_now() - begin, 1200 * WEFT_MILLISECOND);
    hears_next(&silent, "* your name?");
    CHECK(next_line(&silent) == NULL);
    CHECK_EQ(silent.result, 0);
    guest_leave(&silent);
    guest_leave(&busy);
    chat_stop(&chat);
    CHECK_EQ(program_figure(&chat, " without a name"), 2);
}

TEST_PROCS(says_nothing)
{
    PROGRAM(chat, "chat", "--idle", "0.4");
    int64_t begin = weft_now();
    struct guest ada = guest_enter(&chat, "ada");
    tell(&ada, "half a li"); /* which is no line */
    hears(&ada, "* you have said nothing for too long");
    CHECK_GE(weft_now() - begin, 400 * WEFT_MILLISECOND);
    CHECK(next_line(&ada) == NULL);
    CHECK_EQ(ada.result, 0);
    guest_leave(&ada);
    chat_stop(&chat);
    CHECK_EQ(program_figure(&chat, " idle"), 1);
}

/* ---- The limit on connections ---- */

TEST_PROCS(over_the_limit)
{
    PROGRAM(chat, "chat", "--max-connections", "2");
    struct guest ada = guest_enter(&chat, "ada"), bob = guest_enter(&chat, "bob");
    struct guest eve = guest_dial(&chat);
    CHECK_EQ(weft_wait(eve.fd, POLLIN, weft_after(50 * WEFT_MILLISECOND)), -ETIMEDOUT);
    guest_leave(&bob);
    hears_next(&eve, "* your name?");
    tell(&eve, "eve\n");
    hears(&eve, "* eve is here");
    guest_leave(&ada);
    guest_leave(&eve);
    chat_stop(&chat);
}

/* ---- Who does not read ---- */

enum { LINE = 400 };

/* Says so many lines, hears each, and returns. */
static void say_lines(struct guest *guest, const char *name, int count)
{
    char line[LINE + 1], heard[LINE + 20];
    for (int i = 0; i < count; i++) {
        snprintf(line, sizeof line, "%d %0*d\n", i, LINE / 2, 0);
        tell(guest, line);
        snprintf(heard, sizeof heard, "%s: %d %0*d", name, i, LINE / 2, 0);
        hears(guest, heard);
    }
}

static void shrink_buffer(const struct guest *guest)
{
    CHECK_EQ(setsockopt(guest->fd, SOL_SOCKET, SO_RCVBUF, &(int){32 * 1024}, sizeof(int)), 0);
}

/* It misses lines, and is told how many; and those that it hears are in order. */
TEST_PROCS(a_slow_reader)
{
    enum { LINES = 2000 };
    PROGRAM(chat, "chat", "--write-time", "60", "--queue", "16");
    struct guest ada = guest_enter(&chat, "ada"), slow = guest_enter(&chat, "slow");
    shrink_buffer(&slow);
    say_lines(&ada, "ada", LINES);
    int heard = 0, missed = 0, last = -1, number, gap;
    while (heard + missed < LINES) {
        char *line = next_line(&slow);
        CHECK(line != NULL);
        if (sscanf(line, "* you missed %d lines", &gap) == 1) {
            missed += gap;
        } else if (sscanf(line, "ada: %d", &number) == 1) {
            CHECK_GT(number, last);
            CHECK_EQ(number, heard + missed);
            last = number;
            heard++;
        }
    }
    CHECK_GT(missed, 0);
    CHECK_GT(heard, 0);
    tell(&ada, "now?\n");
    hears_next(&slow, "ada: now?");
    guest_leave(&ada);
    guest_leave(&slow);
    chat_stop(&chat);
    CHECK_EQ(program_figure(&chat, " missed by slow readers"), missed);
}

TEST_PROCS(a_stuck_reader)
{
    char line[LINE + 1], *heard;
    memset(line, 'x', sizeof line - 2);
    memcpy(line + sizeof line - 2, "\n", 2);
    PROGRAM(chat, "chat", "--write-time", "0.4");
    struct guest ada = guest_enter(&chat, "ada"), deaf = guest_enter(&chat, "deaf");
    shrink_buffer(&deaf);
    hears(&ada, "* deaf is here");
    do {
        tell(&ada, line);
        heard = next_line(&ada);
        CHECK(heard != NULL);
    } while (strcmp(heard, "* deaf has left") != 0);
    while (next_line(&deaf) != NULL)
        continue;
    guest_leave(&deaf);
    guest_leave(&ada);
    chat_stop(&chat);
    CHECK_EQ(program_figure(&chat, " of which were dropped"), 1);
}

/* ---- The end ---- */

/* What is queued when the signal comes is still delivered: more than the kernel's buffers hold. */
TEST_PROCS(delivers_what_is_queued)
{
    enum { LINES = 1500 };
    PROGRAM(chat, "chat", "--queue", "3000", "--grace", "30", "--write-time", "30");
    struct guest ada = guest_enter(&chat, "ada"), slow = guest_enter(&chat, "slow");
    shrink_buffer(&slow);
    say_lines(&ada, "ada", LINES);
    CHECK_EQ(weft_process_kill(&chat.process, SIGTERM), 0);
    CHECK(next_line(&ada) == NULL); /* its end, now */
    CHECK_EQ(ada.result, 0);
    hears_next(&slow, "* slow is here");
    for (int i = 0, number; i < LINES; i++) {
        char *line = next_line(&slow);
        CHECK(line != NULL && sscanf(line, "ada: %d", &number) == 1);
        CHECK_EQ(number, i);
    }
    CHECK(next_line(&slow) == NULL);
    CHECK_EQ(slow.result, 0);
    guest_leave(&ada);
    guest_leave(&slow);
    CHECK_EQ(program_end(&chat), 0);
    CHECK_EQ(program_figure(&chat, " cut at the end"), 0);
}

TEST_PROCS(cuts_who_takes_too_long)
{
    PROGRAM(chat, "chat", "--queue", "3000", "--grace", "1.5", "--write-time", "60");
    struct guest ada = guest_enter(&chat, "ada"), deaf = guest_enter(&chat, "deaf");
    shrink_buffer(&deaf);
    say_lines(&ada, "ada", 1500);
    CHECK_EQ(program_stop(&chat, SIGTERM), 0);
    CHECK_EQ(program_figure(&chat, " cut at the end"), 1);
    guest_leave(&ada);
    guest_leave(&deaf);
}
