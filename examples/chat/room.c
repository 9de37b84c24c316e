/* SPDX-License-Identifier: MIT
 *
 * The room of a chat (room.h).
 */
#include "room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 32 /* lines that go out in one write */ };

static const char name_characters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_";

struct line {
    atomic_int references;
    int size;
    char text[];
};

static void drop(struct line *line)
{
    if (line != NULL && atomic_fetch_sub(&line->references, 1) == 1)
        free(line);
}

weft_chan *room_queue(const struct room *room)
{
    return weft_chan_new(sizeof(struct line *), (size_t)room->queue + 1); /* and a NULL */
}

/* ---- Who is there ---- */

static bool is_name(const char *name)
{
    size_t length = strlen(name);
    return length > 0 && length < NAME_SIZE && strspn(name, name_characters) == length;
}

int room_enter(struct room *room, struct client *client, const char *name)
{
    if (!is_name(name))
        return -1;
    weft_mutex_lock(&room->mutex);
    int others = room->count < room->limit ? room->count : -1;
    for (int i = 0; i < room->count && others >= 0; i++)
        if (strcmp(room->clients[i]->name, name) == 0)
            others = -1;
    if (others >= 0) {
        strcpy(client->name, name);
        client->place = room->count++;
        room->clients[client->place] = client;
    }
    weft_mutex_unlock(&room->mutex);
    return others;
}

int room_leave(struct room *room, const struct client *client)
{
    weft_mutex_lock(&room->mutex);
    int others = --room->count;
    struct client *last = room->clients[others];
    last->place = client->place;
    room->clients[last->place] = last;
    weft_mutex_unlock(&room->mutex);
    return others;
}

/* ---- Into the queues ---- */

/* With the mutex, so that there is room once it was seen. */
static void queue_line(const struct room *room, struct client *client, struct line *line)
{
    if (client->missed > 0 || (int64_t)weft_chan_len(client->queue) >= room->queue) {
        if (client->missed++ == 0)
            weft_chan_send_until(client->queue, &(struct line *){NULL}, WEFT_NOWAIT);
        return;
    }
    atomic_fetch_add(&line->references, 1);
    weft_chan_send_until(client->queue, &line, WEFT_NOWAIT);
}

static struct line *new_line(const char *a, const char *b, const char *c)
{
    size_t size = strlen(a) + strlen(b) + strlen(c) + 1;
    struct line *line = malloc(sizeof *line + size + 1);
    if (line != NULL) {
        atomic_init(&line->references, 1);
        line->size = (int)size;
        snprintf(line->text, size + 1, "%s%s%s\n", a, b, c);
    }
    return line;
}

void room_say(struct room *room, struct client *only, const char *a, const char *b, const char *c)
{
    struct line *line = new_line(a, b, c);
    if (line == NULL)
        return; /* out of memory: the line is lost, the chat goes on */
    weft_mutex_lock(&room->mutex);
    if (only != NULL)
        queue_line(room, only, line);
    for (int i = 0; only == NULL && i < room->count; i++)
        queue_line(room, room->clients[i], line);
    weft_mutex_unlock(&room->mutex);
    drop(line);
}

/* ---- Out of a queue ---- */

/* What the line that was taken from the queue says. */
static struct iovec text_of(struct room *room, struct client *client, struct line *line,
                            char notice[64])
{
    if (line != NULL)
        return (struct iovec){line->text, (size_t)line->size};
    weft_mutex_lock(&room->mutex);
    long missed = client->missed;
    client->missed = 0; /* from here on lines are queued again */
    weft_mutex_unlock(&room->mutex);
    atomic_fetch_add(&room->missed, missed);
    return (struct iovec){notice, (size_t)snprintf(notice, 64, "* you missed %ld lines\n", missed)};
}

/* Takes what is queued, and waits if that is nothing. 0 once the queue is closed and empty. */
static int take(const struct client *client, struct line *lines[BATCH])
{
    int count = 0;
    int64_t deadline = WEFT_FOREVER;
    while (count < BATCH && weft_chan_recv_until(client->queue, &lines[count], deadline) == 0) {
        deadline = WEFT_NOWAIT;
        count++;
    }
    return count;
}

static ssize_t write_batch(struct room *room, struct client *client, const struct iovec *parts,
                           int count)
{
    weft_set_write_deadline(client->fd, weft_after(room->write_time));
    ssize_t result = weft_writev_all(client->fd, parts, count);
    if (result < 0)
        weft_shutdown(client->fd, SHUT_RDWR); /* who reads there sees it, and leaves */
    atomic_fetch_add(&room->delivered, result < 0 ? 0 : count);
    atomic_fetch_add(&room->stalled, result == -ETIMEDOUT);
    return result;
}

void room_write(struct room *room, struct client *client)
{
    struct line *lines[BATCH];
    struct iovec parts[BATCH];
    char notice[64]; /* after a NULL nothing is queued, so a batch has one at most, at its end */
    ssize_t result = 0;
    for (int count; (count = take(client, lines)) > 0;) {
        for (int i = 0; i < count; i++)
            parts[i] = text_of(room, client, lines[i], notice);
        if (result >= 0)
            result = write_batch(room, client, parts, count);
        for (int i = 0; i < count; i++)
            drop(lines[i]);
    }
}
