/* SPDX-License-Identifier: MIT
 *
 * A chat room that listens to all its members at once: a select with a case a member. A deadline
 * says when nobody has spoken for a while, and a select that does not wait (Go's default case)
 * whether there is something to say at all. A member who leaves closes the channel; a case without
 * a channel is never ready, so the room goes on with the others.
 *
 *     make examples && build/default/examples/select [lines]
 */
#include <weft.h>

#include "tour.h"

enum { MEMBERS = 3 };

static const char *const names[MEMBERS] = {"Ada", "Grace", "Edsger"};
static const int64_t silence = 5 * WEFT_MILLISECOND;
static weft_chan *question; /* closed to ask: "Is anybody still there?" */

struct line {
    int number;
    char text[60];
};

struct member {
    weft_chan *chan;
    const char *name;
    long lines;
};

/* Says some lines one after another, says good-bye when asked, and leaves. */
static void member(void *arg)
{
    struct member *self = arg;
    struct line line;
    for (line.number = 1; line.number <= self->lines; line.number++) {
        bool last = line.number == self->lines;
        if (last)
            weft_chan_recv(question, NULL); /* parks until it is closed */
        snprintf(line.text, sizeof line.text, "%s: %s", self->name, last ? "good-bye" : "well ...");
        weft_chan_send(self->chan, &line);
    }
    weft_chan_close(self->chan);
    weft_chan_unref(self->chan);
}

struct counts {
    long lines, nothing_now, silences;
};

/* Listens until all have left. */
static struct counts listen_to(weft_case *cases, struct line *line)
{
    struct counts seen = {0};
    long heard[MEMBERS] = {0};
    for (int present = MEMBERS; present > 0;) {
        int who = weft_select(cases, MEMBERS, WEFT_NOWAIT);
        if (who == -EAGAIN) {
            seen.nothing_now++;
            who = weft_select(cases, MEMBERS, weft_after(silence));
        }
        if (who == -ETIMEDOUT) {
            if (++seen.silences == 1)
                weft_chan_close(question);
        } else if (cases[who].result == -EPIPE) {
            printf("  %s has left after %ld lines\n", names[who], heard[who]);
            weft_chan_unref(cases[who].chan);
            cases[who].chan = NULL;
            present--;
        } else {
            seen.lines++;
            check(line->number == ++heard[who], "%s: line %d in its turn", names[who],
                  line->number);
            check(strncmp(line->text, names[who], strlen(names[who])) == 0, "%s said: %s",
                  names[who], line->text);
        }
    }
    return seen;
}

static int main_goroutine(int argc, char **argv)
{
    long lines = argument(argc, argv, 1, 1000);
    struct line line;
    weft_case cases[MEMBERS];
    question = weft_chan_new(0, 0);
    expect(question == NULL ? -ENOMEM : 0, "weft_chan_new");
    for (int i = 0; i < MEMBERS; i++) {
        struct member member_i = {weft_chan_new(sizeof line, 0), names[i], lines};
        expect(member_i.chan == NULL ? -ENOMEM : 0, "weft_chan_new");
        cases[i] = (weft_case){.chan = weft_chan_ref(member_i.chan), .recv = &line};
        expect(weft_go_copy(member, &member_i, sizeof member_i), "weft_go_copy");
    }
    struct counts seen = listen_to(cases, &line);
    printf("heard %ld lines of %d members; nothing to hear at once %ld times, and %ld times for "
           "%.0f ms\n",
           seen.lines, MEMBERS, seen.nothing_now, seen.silences, (double)silence / 1e6);
    weft_chan_unref(question);
    check(seen.lines == lines * MEMBERS, "every line was heard");
    check(seen.silences > 0 && seen.nothing_now >= seen.silences, "there was silence");
    return tour_status;
}

int main(int argc, char **argv)
{
    return expect(weft_run(main_goroutine, argc, argv), "weft_run");
}
