/* SPDX-License-Identifier: MIT
 *
 * Channels and select against a model. Random programs of a few operations run on several
 * goroutines or threads; what they did is recorded, and a search looks for an order in which the
 * model does the same (linearizability).
 *
 * In the model an operation arrives at one instant between its call and its return. There it does
 * what it can, together with the partner that has waited longest, or it begins to wait, until a
 * later arrival, or time, ends its wait. An operation that has returned before another was called
 * is over before the other arrives.
 */
#include "harness/test.h"

#include <pthread.h>

/* The unit tests include this file and take fewer rounds. */
#ifndef STRESS_SHARE
#define STRESS_SHARE 1
#endif
#define ROUNDS(n) (1 + (n) / STRESS_SHARE / test_scale())

enum {
    CHANS = 3,
    CAPACITY_MAX = 3,
    WORKERS = 3,
    OPS_EACH = 4,
    OPS_MAX = WORKERS * OPS_EACH + CHANS, /* in the end all channels are closed */
    OP_CASES = 4,
    NOTHING = -77,
    SEARCH_MAX = 2000000,
};

struct op_case {
    int chan;   /* or -1 */
    bool sends; /* value; else receives it */
    bool drops; /* receives, and does not say what */
    int value;
};

/* An operation, and what came of it. */
struct op {
    enum { SEND, RECV, SELECT, CLOSE } kind;
    int64_t deadline;
    int n;
    struct op_case cases[OP_CASES];

    int called; /* numbers from one counter */
    int returned;
    int chosen;   /* a case, -EAGAIN, -ETIMEDOUT */
    int result;   /* of the case that was chosen, or of the close */
    int received; /* or NOTHING */
};

struct history {
    int capacity[CHANS];
    struct op ops[OPS_MAX];
    int count;
    int searched;
};

/* ---- The model ---- */

struct model {
    struct {
        bool closed;
        int count;
        int ring[CAPACITY_MAX + 1]; /* one more for a moment, when a sender waits */
    } chans[CHANS];
    enum { AWAY, WAITING, OVER } state[OPS_MAX];
    int waiting[OPS_MAX]; /* the longest first */
    int waiting_count;
};

/* The operation ends so. False: this is not what it did. */
static bool ends(const struct history *h, struct model *m, int i, int chosen, int result,
                 int received)
{
    const struct op *op = &h->ops[i];
    for (int j = 0; j < m->waiting_count; j++)
        if (m->waiting[j] == i) {
            m->waiting_count--;
            memmove(&m->waiting[j], &m->waiting[j + 1], sizeof(int) * (m->waiting_count - j));
        }
    m->state[i] = OVER;
    if (op->chosen != chosen || op->result != result)
        return false;
    return op->received == (chosen >= 0 && op->cases[chosen].drops ? NOTHING : received);
}

/* Who has waited longest on that side of the channel, or -1, and with which case. */
static int waiter(const struct history *h, const struct model *m, int chan, bool sends, int *place)
{
    for (int j = 0; j < m->waiting_count; j++) {
        const struct op *op = &h->ops[m->waiting[j]];
        for (*place = 0; *place < op->n; ++*place)
            if (op->cases[*place].chan == chan && op->cases[*place].sends == sends)
                return m->waiting[j];
    }
    return -1;
}

static bool ready(const struct history *h, const struct model *m, const struct op_case *c)
{
    int place;
    if (c->chan < 0)
        return false;
    if (m->chans[c->chan].closed || waiter(h, m, c->chan, !c->sends, &place) >= 0)
        return true;
    return m->chans[c->chan].count != (c->sends ? h->capacity[c->chan] : 0);
}

/* The case is ready. */
static bool do_case(const struct history *h, struct model *m, int i, int place)
{
    const struct op_case *c = &h->ops[i].cases[place];
    int *ring = m->chans[c->chan].ring, *count = &m->chans[c->chan].count;
    int other_place, other = waiter(h, m, c->chan, !c->sends, &other_place);
    bool closed = m->chans[c->chan].closed;
    if (closed && (c->sends || *count == 0))
        return ends(h, m, i, place, -EPIPE, NOTHING);
    if (c->sends && other < 0)
        ring[(*count)++] = c->value;
    if (c->sends)
        return ends(h, m, i, place, 0, NOTHING) &&
               (other < 0 || ends(h, m, other, other_place, 0, c->value));
    if (other >= 0)
        ring[(*count)++] = h->ops[other].cases[other_place].value;
    int value = ring[0];
    memmove(&ring[0], &ring[1], sizeof(int) * --*count);
    return ends(h, m, i, place, 0, value) &&
           (other < 0 || ends(h, m, other, other_place, 0, NOTHING));
}

static bool close_chan(const struct history *h, struct model *m, int i)
{
    int chan = h->ops[i].cases[0].chan, other, place;
    if (m->chans[chan].closed)
        return ends(h, m, i, 0, -EPIPE, NOTHING);
    m->chans[chan].closed = true;
    while ((other = waiter(h, m, chan, false, &place)) >= 0 ||
           (other = waiter(h, m, chan, true, &place)) >= 0)
        if (!ends(h, m, other, place, -EPIPE, NOTHING))
            return false;
    return ends(h, m, i, 0, 0, NOTHING);
}

static bool arrives(const struct history *h, struct model *m, int i)
{
    const struct op *op = &h->ops[i];
    if (op->kind == CLOSE)
        return close_chan(h, m, i);
    bool any = false;
    for (int place = 0; place < op->n; place++)
        any = any || ready(h, m, &op->cases[place]);
    if (any)
        return op->chosen >= 0 && ready(h, m, &op->cases[op->chosen]) &&
               do_case(h, m, i, op->chosen);
    if (op->deadline == WEFT_NOWAIT)
        return ends(h, m, i, -EAGAIN, NOTHING, NOTHING);
    m->state[i] = WAITING;
    m->waiting[m->waiting_count++] = i;
    return true;
}

/* ---- The search ---- */

static bool explained(struct history *h, const struct model *m)
{
    int first_return = INT32_MAX, over = 0;
    for (int i = 0; i < h->count; i++) {
        over += m->state[i] == OVER;
        if (m->state[i] != OVER && h->ops[i].returned < first_return)
            first_return = h->ops[i].returned;
    }
    if (over == h->count)
        return true;
    for (int i = 0; i < h->count; i++) {
        struct model next = *m;
        bool possible = false;
        if (m->state[i] == AWAY && h->ops[i].called < first_return)
            possible = arrives(h, &next, i);
        else if (m->state[i] == WAITING && h->ops[i].chosen == -ETIMEDOUT)
            possible = ends(h, &next, i, -ETIMEDOUT, NOTHING, NOTHING);
        if (possible && ++h->searched < SEARCH_MAX && explained(h, &next))
            return true;
    }
    return false;
}

static void print_history(const struct history *h)
{
    static const char *const names[] = {"send", "recv", "select", "close"};
    for (int i = 0; i < CHANS; i++)
        printf("capacity of %d: %d\n", i, h->capacity[i]);
    for (int i = 0; i < h->count; i++) {
        const struct op *op = &h->ops[i];
        printf("%3d to %3d: %s", op->called, op->returned, names[op->kind]);
        for (int j = 0; j < op->n; j++)
            printf(op->cases[j].sends ? " %d<-%d" : " <-%d", op->cases[j].chan, op->cases[j].value);
        if (op->deadline != WEFT_FOREVER)
            printf(op->deadline == WEFT_NOWAIT ? " at once" : " in time");
        printf(": case %d, %d, received %d\n", op->chosen, op->result, op->received);
    }
}

static void check_history(struct history *h)
{
    static const struct model start;
    h->searched = 0;
    if (explained(h, &start))
        return;
    print_history(h);
    FAIL(h->searched < SEARCH_MAX ? "no order explains this" : "no order was found in time");
}

/* ---- Random programs ---- */

static struct op_case some_case(int value)
{
    struct op_case c = {.chan = (int)test_random_below(CHANS), .value = value};
    c.sends = test_random_below(2);
    c.drops = !c.sends && test_random_below(8) == 0;
    return c;
}

static int64_t some_patience(void)
{
    switch (test_random_below(8)) {
    case 0:
        return 0; /* has passed */
    case 1:
        return (int64_t)test_random_below(20) * WEFT_MICROSECOND; /* from the call on */
    case 2:
    case 3:
    case 4:
        return WEFT_NOWAIT;
    default:
        return WEFT_FOREVER;
    }
}

/* Values are unique: they begin with value. */
static struct op some_op(int value)
{
    struct op op = {.kind = SELECT, .n = 1, .deadline = some_patience()};
    op.cases[0] = some_case(value);
    switch (test_random_below(16)) {
    case 0:
        op.kind = CLOSE;
        break;
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
        op.kind = op.cases[0].sends ? SEND : RECV;
        break;
    default:
        op.n = 1 + (int)test_random_below(OP_CASES);
        for (int i = 1; i < op.n; i++) {
            op.cases[i] = some_case(value + i);
            if (test_random_below(10) == 0)
                op.cases[i].chan = -1;
        }
    }
    return op;
}

static int do_select(struct op *op, weft_chan *const *chans, int64_t deadline)
{
    weft_case cases[OP_CASES];
    int received[OP_CASES];
    for (int i = 0; i < op->n; i++) {
        const struct op_case *c = &op->cases[i];
        received[i] = NOTHING;
        cases[i] = (weft_case){.chan = c->chan < 0 ? NULL : chans[c->chan], .result = NOTHING};
        if (c->sends)
            cases[i].send = &c->value;
        else if (!c->drops)
            cases[i].recv = &received[i];
    }
    int chosen = weft_select(cases, op->n, deadline);
    CHECK_LT(chosen, op->n);
    for (int i = 0; i < op->n; i++) {
        if (i != chosen) {
            CHECK_EQ(cases[i].result, NOTHING);
            CHECK_EQ(received[i], NOTHING);
        } else {
            op->result = cases[i].result;
            op->received = received[i];
        }
    }
    return chosen;
}

static int do_plain(struct op *op, weft_chan *const *chans, int64_t deadline)
{
    const struct op_case *c = &op->cases[0];
    weft_chan *chan = chans[c->chan];
    int result;
    if (op->kind == CLOSE)
        result = weft_chan_close(chan);
    else if (op->kind == SEND)
        result = weft_chan_send_until(chan, &c->value, deadline);
    else
        result = weft_chan_recv_until(chan, c->drops ? NULL : &op->received, deadline);
    if (result == -EAGAIN || result == -ETIMEDOUT)
        return result;
    op->result = result;
    return 0;
}

static void perform(struct op *op, weft_chan *const *chans, int *clock)
{
    int64_t deadline = op->deadline;
    if (deadline >= 0 && deadline != WEFT_FOREVER)
        deadline = deadline ? weft_after(deadline) : 0;
    op->result = op->received = NOTHING;
    op->called = __atomic_fetch_add(clock, 1, __ATOMIC_SEQ_CST);
    int chosen =
        op->kind == SELECT ? do_select(op, chans, deadline) : do_plain(op, chans, deadline);
    op->returned = __atomic_fetch_add(clock, 1, __ATOMIC_SEQ_CST);
    op->chosen = chosen;
}

/* ---- One alone, at once: each result is the one possible ---- */

static void alone(void)
{
    int clock = 0;
    for (int round = ROUNDS(4000); round > 0; round--) {
        weft_chan *chans[CHANS];
        struct history h = {.count = 1};
        struct model m = {0};
        for (int i = 0; i < CHANS; i++) {
            h.capacity[i] = (int)test_random_below(CAPACITY_MAX + 1);
            chans[i] = weft_chan_new(sizeof(int), (size_t)h.capacity[i]);
        }
        for (int i = 0; i < 100; i++) {
            h.ops[0] = some_op(i * OP_CASES);
            if (h.ops[0].kind == CLOSE && test_random_below(8))
                continue;
            h.ops[0].deadline = WEFT_NOWAIT;
            perform(&h.ops[0], chans, &clock);
            if (!arrives(&h, &m, 0)) {
                print_history(&h);
                FAIL("the model does otherwise");
            }
            for (int j = 0; j < CHANS; j++)
                CHECK_EQ(weft_chan_len(chans[j]), m.chans[j].count);
        }
        for (int i = 0; i < CHANS; i++)
            weft_chan_unref(chans[i]);
    }
}

TEST(alone_on_a_thread)
{
    alone();
}

TEST_PROCS(alone_on_a_goroutine)
{
    alone();
}

/* ---- Several at the same time ---- */

struct stage {
    struct history history;
    weft_chan *chans[CHANS];
    weft_chan *begin[WORKERS]; /* a token for each round */
    weft_chan *end;
    int clock;                     /* atomic */
    int begun;                     /* atomic: workers, in all rounds */
    int pauses[WORKERS][OPS_EACH]; /* how often to yield before each operation */
};

struct worker {
    struct stage *stage;
    int number;
};

/* Waits a moment, so that those who run at the same time begin at the same time. */
static void begin_together(struct stage *stage)
{
    int all = __atomic_add_fetch(&stage->begun, 1, __ATOMIC_ACQ_REL);
    all += WORKERS - 1 - (all - 1) % WORKERS;
    for (int i = 0; i < 300; i++)
        if (__atomic_load_n(&stage->begun, __ATOMIC_ACQUIRE) >= all)
            return;
}

static void work(void *arg)
{
    struct worker *worker = arg;
    struct stage *stage = worker->stage;
    while (weft_chan_recv(stage->begin[worker->number], NULL) == 0) {
        begin_together(stage);
        for (int i = 0; i < OPS_EACH; i++) {
            for (int pause = stage->pauses[worker->number][i]; pause > 0; pause--)
                weft_yield();
            perform(&stage->history.ops[worker->number * OPS_EACH + i], stage->chans,
                    &stage->clock);
        }
        CHECK_EQ(weft_chan_send(stage->end, NULL), 0);
    }
    CHECK_EQ(weft_chan_send(stage->end, NULL), 0);
}

static void *work_thread(void *arg)
{
    work(arg);
    return NULL;
}

static void set_stage(struct stage *stage)
{
    struct history *h = &stage->history;
    h->count = OPS_MAX;
    for (int i = 0; i < WORKERS * OPS_EACH; i++) {
        h->ops[i] = some_op(i * OP_CASES);
        stage->pauses[i / OPS_EACH][i % OPS_EACH] = (int)test_random_below(6) - 2;
    }
    for (int i = 0; i < CHANS; i++) {
        h->ops[WORKERS * OPS_EACH + i] =
            (struct op){.kind = CLOSE, .deadline = WEFT_FOREVER, .n = 1, .cases[0].chan = i};
        h->capacity[i] = (int)test_random_below(2) * (int)test_random_below(CAPACITY_MAX + 1);
        stage->chans[i] = weft_chan_new(sizeof(int), (size_t)h->capacity[i]);
    }
    stage->clock = 0;
}

/* One round: after a while all channels are closed, so that everybody comes to an end. */
static void perform_round(struct stage *stage)
{
    set_stage(stage);
    int64_t patience = weft_after((int64_t)test_random_below(20) * WEFT_MICROSECOND);
    int finished = 0;
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(weft_chan_send(stage->begin[i], NULL), 0);
    for (int i = 0; finished < WORKERS && (i < 30 || weft_now() < patience); i++) {
        weft_yield();
        finished += weft_chan_recv_until(stage->end, NULL, WEFT_NOWAIT) == 0;
    }
    for (int i = 0; i < CHANS; i++)
        perform(&stage->history.ops[WORKERS * OPS_EACH + i], stage->chans, &stage->clock);
    for (; finished < WORKERS; finished++)
        CHECK_EQ(weft_chan_recv(stage->end, NULL), 0);
    check_history(&stage->history);
    for (int i = 0; i < CHANS; i++)
        weft_chan_unref(stage->chans[i]);
}

static void together(int threads, int rounds)
{
    static struct stage stage;
    struct worker workers[WORKERS];
    pthread_t ids[WORKERS];
    int64_t start = weft_now(), searched = 0;
    stage = (struct stage){0};
    stage.end = weft_chan_new(0, WORKERS);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){&stage, i};
        stage.begin[i] = weft_chan_new(0, 1);
        if (i < threads)
            CHECK_EQ(pthread_create(&ids[i], NULL, work_thread, &workers[i]), 0);
        else
            CHECK_EQ(weft_go(work, &workers[i]), 0);
    }
    for (int round = 0; round < rounds; round++) {
        perform_round(&stage);
        searched += stage.history.searched;
    }
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(weft_chan_close(stage.begin[i]), 0);
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(weft_chan_recv(stage.end, NULL), 0);
    for (int i = 0; i < WORKERS; i++)
        weft_chan_unref(stage.begin[i]);
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    weft_chan_unref(stage.end);
    printf("%d histories, %.0f in a second, %.1f steps each\n", rounds,
           rounds * 1e9 / (double)(weft_now() - start), (double)searched / rounds);
}

TEST_PROCS(goroutines)
{
    together(0, ROUNDS(40000));
}

TEST_PROCS(goroutines_and_a_thread)
{
    together(1, ROUNDS(15000));
}

TEST(threads)
{
    together(WORKERS, ROUNDS(15000));
}
