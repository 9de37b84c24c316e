/* SPDX-License-Identifier: MIT
 *
 * Dialling several addresses at once: RFC 8305, Happy Eyeballs.
 *
 * The addresses come sorted, and are tried with the families in turn, the first one's first. An
 * attempt is begun every 250 ms, or as soon as one has failed; the first to connect is returned and
 * the others are closed.
 *
 * It is all done by the one who dials: it begins attempts, which takes no time, and waits for
 * whatever comes first of the sockets, which are in a set of their own (os/watch.h), the next
 * beginning, and the deadline. So there is nothing to be cancelled, counted or left behind, on a
 * foreign thread and at the end of a run no more than with one socket. The set is made for the
 * first attempt that has to be waited for; on the loopback interface none has.
 *
 * Rejected: a goroutine for each attempt, with the outcome in shared, counted memory. It needs
 * cancellation, a rule for who closes what, and a second way for threads that have no runtime.
 *
 * At most WIDTH attempts are under way; further ones wait until one fails.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>

#include <weft/net.h>
#include <weft/time.h>

#include "api/dial.h"
#include "os/os.h"
#include "os/socket.h"
#include "os/watch.h"

enum { WIDTH = 8 };

#define ATTEMPT_DELAY (250 * WEFT_MILLISECOND)

struct race {
    const struct wi_address *list;
    int count;
    int begun;      /* addresses that were tried */
    int next[2];    /* where to look for the next: of the first's family, of others */
    int set;        /* of the sockets under way; negative: none */
    int open;       /* how many those are */
    int fds[WIDTH]; /* those */
    int winner;     /* or -1 */
    int error;      /* of the first address to fail, or 0 */
};

/* The first that follows in the list and is (not) of the first one's family; count if there is
 * none. */
static int find(const struct race *race, int i, bool other)
{
    while (i < race->count && (race->list[i].any.sa_family != race->list[0].any.sa_family) != other)
        i++;
    return i;
}

/* There is one left. */
static const struct wi_address *next_address(struct race *race)
{
    bool other = race->begun++ & 1;
    int i = find(race, race->next[other], other);
    if (i == race->count) {
        other = !other;
        i = find(race, race->next[other], other);
    }
    race->next[other] = i + 1;
    return &race->list[i];
}

static void failed(struct race *race, int err)
{
    if (race->error == 0)
        race->error = err;
}

/* The attempt is decided, and not among those under way. A connection of a socket with itself is
 * one that was refused (dial.c). */
static void decide(struct race *race, int fd, int err)
{
    if (err == 0 && wi_os_connected_to_itself(fd))
        err = -ECONNREFUSED;
    if (err == 0) {
        race->winner = fd;
        return;
    }
    weft_close(fd);
    failed(race, err);
}

static int watch(struct race *race, int fd)
{
    if (race->set < 0)
        race->set = wi_os_watch_open();
    return race->set < 0 ? race->set : wi_os_watch(race->set, fd, POLLOUT);
}

/* Whether it is under way, and not decided at once. */
static bool begin_next(struct race *race)
{
    int fd = -1;
    int err = wi_dial_begin(next_address(race), &fd);
    if (err && err != -EINPROGRESS) {
        failed(race, err);
        return false;
    }
    if (err)
        err = wi_os_connect_result(fd);
    if (err == -EINPROGRESS && (err = watch(race, fd)) == 0) {
        race->fds[race->open++] = fd;
        return true;
    }
    decide(race, fd, err);
    return false;
}

static void remove_open(struct race *race, int fd)
{
    int i = 0;
    while (race->fds[i] != fd)
        i++;
    race->fds[i] = race->fds[--race->open];
    wi_os_watch(race->set, fd, 0);
}

/* Waits until something is decided (1) or until then (0). A foreign thread is sent away when a run
 * ends, and comes back. */
static int wait_until(struct race *race, int64_t until)
{
    struct wi_os_watched ready[WIDTH];
    int result;
    do
        result = weft_wait(race->set, POLLIN, until);
    while (result == -ECANCELED);
    if (result < 0)
        return result == -ETIMEDOUT ? 0 : result;
    int count = wi_os_watch_ready(race->set, ready, WIDTH);
    bool any = false;
    for (int i = 0; i < count && race->winner < 0; i++) {
        int err = wi_os_connect_result(ready[i].fd);
        if (err == -EINPROGRESS)
            continue;
        remove_open(race, ready[i].fd);
        decide(race, ready[i].fd, err);
        any = true;
    }
    return count < 0 ? count : any;
}

/* 0 once there is a winner, or why there is none. */
static int run(struct race *race, int64_t deadline)
{
    int64_t begin_at = 0;
    while (race->winner < 0) {
        bool more = race->begun < race->count && race->open < WIDTH;
        if (!more && race->open == 0)
            return race->error;
        if (more && (race->open == 0 || begin_at <= wi_os_now())) {
            begin_at = begin_next(race) ? wi_os_now() + ATTEMPT_DELAY : 0;
            continue;
        }
        bool wait_for_next = more && begin_at < deadline;
        int result = wait_until(race, wait_for_next ? begin_at : deadline);
        if (result < 0)
            return result;
        if (result > 0)
            begin_at = 0;
        else if (!wait_for_next)
            return -ETIMEDOUT;
    }
    return 0;
}

int wi_dial_race(const struct wi_address *list, int count, int64_t deadline)
{
    struct race race = {.list = list, .count = count, .set = -1, .winner = -1};
    int err = run(&race, deadline);
    for (int i = 0; i < race.open; i++)
        weft_close(race.fds[i]);
    if (race.set >= 0)
        weft_close(race.set);
    return err ? err : race.winner;
}
