/* SPDX-License-Identifier: MIT
 *
 * The room of a chat: who is in it, and a queue of lines for each.
 *
 * A line is stored once, however many queues it is in, and counts its references. All queues are
 * filled under one mutex, so everybody sees the lines in the same order. Nobody waits for a slow
 * reader: once its queue is full it misses lines, until it has read those in the queue; in the
 * place of what it missed it gets a notice of how many lines that were.
 */
#ifndef CHAT_ROOM_H
#define CHAT_ROOM_H

#include <stdatomic.h>
#include <stdbool.h>

#include <weft.h>

enum { NAME_SIZE = 17 };

struct client {
    int fd, place; /* in the room */
    char name[NAME_SIZE];
    weft_chan *queue; /* of struct line *; NULL stands in the place of lines that were missed */
    long missed;      /* since that NULL was queued */
};

struct room {
    weft_mutex mutex; /* of the clients, and to fill their queues */
    struct client **clients;
    int count;
    int64_t limit, queue, write_time; /* clients, lines in a queue, time for the lines of a write */
    atomic_long delivered, missed, stalled;
};

/* The queue of a client that is to enter, or NULL. */
weft_chan *room_queue(const struct room *room);

/* Lets it in under that name. The number of others, or -1: it is no name, or somebody else's. */
int room_enter(struct room *room, struct client *client, const char *name);

/* The number of those who are left. Nobody queues lines for the client any more. */
int room_leave(struct room *room, const struct client *client);

/* Queues the line that the three make together for everybody, or for one. */
void room_say(struct room *room, struct client *only, const char *a, const char *b, const char *c);

/* Writes what comes into the client's queue until that is closed and empty. One that takes nothing
 * for too long is dropped: its connection ends, and what comes then is thrown away. */
void room_write(struct room *room, struct client *client);

#endif
