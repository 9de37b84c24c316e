/* SPDX-License-Identifier: MIT
 *
 * examples/chat as a process of its own, and guests who talk to it.
 */
#ifndef CHAT_TEST_H
#define CHAT_TEST_H

#include "servers/program.h"

struct guest {
    int fd;
    size_t first, end; /* of what was read and not yet given out */
    ssize_t result;    /* why no line came: 0, or an error */
    char text[4096];
};

static inline struct guest guest_dial(const struct program *chat)
{
    return (struct guest){.fd = program_dial(chat)};
}

static inline void tell(const struct guest *guest, const char *text)
{
    size_t size = strlen(text);
    CHECK_EQ(weft_write_all(guest->fd, text, size), (ssize_t)size);
}

/* The next line, without its end; NULL if none comes. */
static inline char *next_line(struct guest *guest)
{
    for (;;) {
        char *start = guest->text + guest->first;
        char *end = memchr(start, '\n', guest->end - guest->first);
        if (end != NULL) {
            *end = '\0';
            guest->first = (size_t)(end + 1 - guest->text);
            return start;
        }
        guest->end -= guest->first;
        guest->first = 0;
        memmove(guest->text, start, guest->end);
        CHECK_LT(guest->end, sizeof guest->text);
        guest->result =
            weft_read(guest->fd, guest->text + guest->end, sizeof guest->text - guest->end);
        if (guest->result <= 0)
            return NULL;
        guest->end += (size_t)guest->result;
    }
}

/* The next line is that. */
static inline void hears_next(struct guest *guest, const char *text)
{
    char *line = next_line(guest);
    if (line == NULL)
        FAIL("%zd, not \"%s\"", guest->result, text);
    CHECK_STR(line, text);
}

/* That line comes, after others. */
static inline void hears(struct guest *guest, const char *text)
{
    char *line;
    while ((line = next_line(guest)) != NULL && strcmp(line, text) != 0)
        continue;
    if (line == NULL)
        FAIL("%zd, and no \"%s\"", guest->result, text);
}

static inline struct guest guest_enter(const struct program *chat, const char *name)
{
    char text[64];
    struct guest guest = guest_dial(chat);
    snprintf(text, sizeof text, "%s\n", name);
    tell(&guest, text);
    snprintf(text, sizeof text, "* welcome, %s", name);
    hears(&guest, text);
    return guest;
}

static inline void guest_leave(const struct guest *guest)
{
    CHECK_EQ(weft_close(guest->fd), 0);
}

/* With status 0, and nobody cut. */
static inline void chat_stop(struct program *chat)
{
    CHECK_EQ(program_stop(chat, SIGTERM), 0);
    CHECK_EQ(program_figure(chat, " cut at the end"), 0);
}

#endif
