/* SPDX-License-Identifier: MIT
 *
 * The table of poll descriptors, and the life of one: begin, end, close.
 *
 * The number is the kernel's until close(2) and may be somebody else's a moment later. So close(2)
 * is the last thing that happens to it, when nobody is left who could use it, and a successor's
 * first use waits for that:
 *
 * begin:
 *    1. state is OPEN and not CLOSING: CAS to one operation more (acquire; pairs with 3), and to the
 *       turn taken, if the operation needs one (pollturn.c).
 *    2. state is CLOSING: -ECANCELED. It is CLOSED: wait until it is 0.
 *    3. state is 0: under the lock, fstat tells whether the number is open and of what kind the file
 *       is, fcntl makes it non-blocking; the fields are reset; OPEN and one operation are stored
 *       (release). A descriptor that weft has just made is opened like that, without asking the
 *       kernel (adopt).
 * end:
 *    4. one operation less (release, pairs with the acquire of the closer). If now nobody is left
 *       but the closer, it is readied, under the lock.
 * close:
 *    5. under the lock: sets CLOSING and counts itself as an operation; takes all waiters from the
 *       queues with -ECANCELED. From here operations that are under way do not begin to wait, as
 *       they look for CLOSING under the lock.
 *    6. waits until it is the only operation: parked as desc->closer.
 *    7. under the lock: epoll and the timers forget the descriptor; the state becomes CLOSED.
 *    8. without the lock, in a blocking region unless it is a socket that does not linger: close(2),
 *       then state becomes 0 (release; pairs with the acquire of who finds it 0 or CLOSED).
 *
 * The state is CLOSED from before close(2) frees the number until the call has returned. A first
 * use before that would find the old file still open and take the number for one of its own; a
 * successor, in the kernel while close(2) is under way, must not meet the old CLOSING. It yields,
 * and later sleeps, until close(2), which may linger (SO_LINGER), is over.
 *
 * 8 stores to the state in the blocking region, since its goroutine may be discarded by the end of
 * the run while it is there. A goroutine that is discarded in 6 leaves CLOSING behind: then the end
 * of the run, or the last foreign thread to end its operation, does 7 and 8.
 *
 * Rejected: close(2) under the lock, by whoever ends the last operation. A close that lingers held
 * up everybody who wanted the lock, and a P; and its price was paid by a reader.
 */
#include "core/polldesc.h"

#include <errno.h>

#include "core/blocking.h"
#include "core/park.h"
#include "os/os.h"
#include "os/socket.h"

/* Two levels, so that a few descriptors take little and 16 million (the kernel's default limit is
 * one million) are possible. Chunks are made when needed and never freed. */
enum { CHUNK_SHIFT = 10, CHUNK_SIZE = 1 << CHUNK_SHIFT, CHUNKS = 1 << 14 };

/* How long a first use yields, and how often it looks after that, until close(2) is over. */
#define YIELD_FOR  (50 * WEFT_MICROSECOND)
#define LOOK_AGAIN WEFT_MILLISECOND

static struct wi_poll_desc *chunks[CHUNKS]; /* atomic, written once each */
static uint32_t chunks_end;                 /* atomic: no chunk was made at or after it */

/* ---- The table ---- */

struct wi_poll_desc *wi_poll_desc_find(int fd)
{
    unsigned number = (unsigned)fd;
    if (number >= (unsigned)CHUNKS << CHUNK_SHIFT)
        return NULL;
    struct wi_poll_desc *chunk = wi_load_acquire(&chunks[number >> CHUNK_SHIFT]);
    return wi_likely(chunk != NULL) ? &chunk[number & (CHUNK_SIZE - 1)] : NULL;
}

/* Sequentially consistent, as wi_netpoll_fini may look for chunks at the same time: either it sees
 * this one, or who uses it sees that no run is on. */
static int make_chunk(unsigned number)
{
    size_t size = CHUNK_SIZE * sizeof(struct wi_poll_desc);
    struct wi_poll_desc *chunk = wi_os_reserve(size, WI_CACHE_LINE);
    if (!chunk)
        return -ENOMEM;
    wi_os_huge_pages(chunk, size, false); /* mostly a few descriptors are used */
    uint32_t end = wi_load_relaxed(&chunks_end);
    while (end <= number && !wi_cas_seq_cst(&chunks_end, &end, number + 1)) {
    }
    struct wi_poll_desc *none = NULL;
    if (!wi_cas_seq_cst(&chunks[number], &none, chunk))
        wi_os_unreserve(chunk, size); /* another thread was faster */
    return 0;
}

/* The descriptor of an open file, made if need be. */
static int find_or_make(int fd, struct wi_poll_desc **desc)
{
    if (!(*desc = wi_poll_desc_find(fd))) {
        int err = wi_os_fd_check(fd);
        if (err)
            return err;
        if (fd >> CHUNK_SHIFT >= CHUNKS)
            return -ENOMEM;
        err = make_chunk((unsigned)fd >> CHUNK_SHIFT);
        if (err)
            return err;
        *desc = wi_poll_desc_find(fd);
    }
    return 0;
}

void wi_poll_desc_each(void (*visit)(struct wi_poll_desc *desc))
{
    uint32_t end = wi_load_seq_cst(&chunks_end);
    for (uint32_t i = 0; i < end; i++) {
        struct wi_poll_desc *chunk = wi_load_seq_cst(&chunks[i]);
        for (int j = 0; chunk && j < CHUNK_SIZE; j++)
            visit(&chunk[j]);
    }
}

/* ---- Begin and end ---- */

/* What an operation adds to the state, and its end takes away. */
static inline uint64_t one_operation(const struct wi_g *gp, unsigned direction)
{
    if (wi_unlikely(gp->foreign))
        return WI_POLL_FOREIGN_OP + WI_POLL_FOREIGN_TURN(direction);
    return WI_POLL_OP + WI_POLL_TURN(direction);
}

static bool is_over(uint64_t state)
{
    return (state & WI_POLL_CLOSING) && !(state & WI_POLL_ALL_OPS);
}

/* Nobody is left but the one who closes. */
static bool only_closer(uint64_t state)
{
    uint64_t operations = state & WI_POLL_ALL_OPS;
    return (state & WI_POLL_CLOSING) &&
           (operations == WI_POLL_OP || operations == WI_POLL_FOREIGN_OP);
}

/* The lock is held, and the number is not in use. The descriptor as it is when it begins. */
static void open_desc(struct wi_poll_desc *desc, int fd, enum wi_fd_kind kind, uint64_t operations)
{
    desc->fd = fd;
    desc->kind = (uint8_t)kind;
    wi_store_relaxed(&desc->drained_at, wi_load_relaxed(&desc->events) - 1);
    wi_store_relaxed(&desc->special, false);
    for (int i = 0; i < WI_DIRECTIONS; i++)
        wi_store_relaxed(&desc->deadline[i], WEFT_FOREVER);
    wi_store_relaxed(&desc->pollable, false);
    uint64_t flags = WI_POLL_OPEN | (kind == WI_FD_FILE ? WI_POLL_NO_TURNS : 0);
    wi_store_release(&desc->state, flags | operations);
}

/* Step 7. The lock is held. */
static void retire(struct wi_poll_desc *desc)
{
    wi_poll_unregister(desc);
    wi_poll_deadline_disarm(desc, WI_READ | WI_WRITE);
    wi_sanitize_acquire(desc);
    wi_store_release(&desc->state, WI_POLL_CLOSED);
}

enum { NOT_OPEN = 1, TAKE_TURNS = 2 };

/* Steps 1 and 2. 0; -ECANCELED; NOT_OPEN; TAKE_TURNS: it has begun, and must wait for its turn. */
static int join(struct wi_g *gp, struct wi_poll_desc *desc, unsigned direction)
{
    uint64_t state = wi_load_relaxed(&desc->state);
    for (;;) {
        if (wi_unlikely((state & (WI_POLL_OPEN | WI_POLL_CLOSING)) != WI_POLL_OPEN))
            return state & WI_POLL_CLOSING ? -ECANCELED : NOT_OPEN;
        unsigned turn = state & WI_POLL_NO_TURNS ? 0 : direction;
        bool wait = state & wi_poll_turn_taken(turn);
        if (wi_cas_acquire(&desc->state, &state, state + one_operation(gp, wait ? 0 : turn)))
            return wait ? TAKE_TURNS : 0;
    }
}

/* Step 3, the lock is held. */
static int begin_open(struct wi_g *gp, struct wi_poll_desc *desc, int fd, unsigned direction)
{
    wi_sanitize_acquire(desc);
    int kind = wi_os_fd_kind(fd);
    int err = kind < 0 ? kind : wi_os_fd_set_nonblock(fd);
    wi_sanitize_release(desc); /* what it did to the number, even if that is not open */
    if (err)
        return err;
    open_desc(desc, fd, (enum wi_fd_kind)kind,
              one_operation(gp, kind == WI_FD_FILE ? 0 : direction));
    return 0;
}

/* Step 2, without the lock. */
static void await_closed(struct wi_g *gp, struct wi_poll_desc *desc)
{
    if (wi_likely(wi_load_acquire(&desc->state) != WI_POLL_CLOSED))
        return;
    int64_t start = wi_os_now();
    while (wi_load_acquire(&desc->state) == WI_POLL_CLOSED)
        if (wi_os_now() - start < YIELD_FOR)
            wi_yield(gp);
        else
            wi_sleep_until(gp, wi_os_now() + LOOK_AGAIN);
}

static WI_NOINLINE int begin_first(struct wi_g *gp, int fd, unsigned direction,
                                   struct wi_poll_desc **result)
{
    struct wi_poll_desc *desc;
    int err = find_or_make(fd, &desc);
    if (err)
        return err;
    do {
        await_closed(gp, desc);
        wi_lock(&desc->lock);
        err = join(gp, desc, direction);
        if (err == NOT_OPEN && wi_load_acquire(&desc->state) != WI_POLL_CLOSED)
            err = begin_open(gp, desc, fd, direction);
        wi_unlock(&desc->lock);
    } while (err == NOT_OPEN);
    *result = desc;
    return err;
}

void wi_poll_adopt(struct wi_g *gp, int fd, enum wi_fd_kind kind)
{
    struct wi_poll_desc *desc;
    if (find_or_make(fd, &desc) != 0)
        return;
    struct wi_poll_wake wake = {0};
    wi_lock(&desc->lock);
    uint64_t state = wi_load_acquire(&desc->state);
    bool stale = (state & WI_POLL_OPEN) && !(state & (WI_POLL_CLOSING | WI_POLL_ALL_OPS));
    if (stale && wi_cas_acquire(&desc->state, &state, WI_POLL_CLOSED)) {
        wi_poll_cancel(desc, &wake);
        retire(desc);
        state = 0;
    }
    if (state == 0)
        open_desc(desc, fd, kind, 0);
    wi_poll_unlock(desc, &wake, gp->foreign);
}

static WI_NOINLINE int begin_slow(struct wi_g *gp, int fd, unsigned direction,
                                  struct wi_poll_desc **result)
{
    struct wi_poll_desc *desc = wi_poll_desc_find(fd);
    int err = desc ? join(gp, desc, direction) : NOT_OPEN;
    if (err == NOT_OPEN)
        err = begin_first(gp, fd, direction, &desc);
    if (err == TAKE_TURNS && (err = wi_poll_await_turn(gp, desc, direction)) != 0)
        wi_poll_end(gp, desc, 0);
    if (err == 0)
        *result = desc;
    return err;
}

/* The usual case, no stranger and nobody else in the direction, without calls. */
int wi_poll_begin(struct wi_g *gp, int fd, unsigned direction, struct wi_poll_desc **result)
{
    struct wi_poll_desc *desc = wi_poll_desc_find(fd);
    uint64_t unusual = WI_POLL_CLOSING | WI_POLL_NO_TURNS | wi_poll_turn_taken(direction);
    if (wi_likely(desc != NULL)) {
        uint64_t state = wi_load_relaxed(&desc->state);
        if (wi_likely((state & (WI_POLL_OPEN | unusual)) == WI_POLL_OPEN) &&
            wi_likely(wi_cas_acquire(&desc->state, &state, state + one_operation(gp, direction)))) {
            *result = desc;
            return 0;
        }
    }
    return begin_slow(gp, fd, direction, result);
}

/* Step 8. To ask a socket costs less than a region that has sysmon look every 20 us. */
int wi_poll_close_file(struct wi_g *gp, struct wi_poll_desc *desc)
{
    bool block = gp && wi_os_fd_close_waits(desc->fd);
    if (block)
        wi_block_begin(gp);
    int result = wi_os_fd_close(desc->fd);
    wi_sanitize_release(desc);
    wi_store_release(&desc->state, 0);
    if (block)
        wi_block_end(gp);
    return result;
}

/* Step 4, when the operation was the last: of all, or but the closer's. */
static void wake_closer(struct wi_g *gp, struct wi_poll_desc *desc)
{
    struct wi_poll_wake wake = {0};
    wi_lock(&desc->lock);
    uint64_t state = wi_load_acquire(&desc->state);
    bool close_file = is_over(state);
    if (close_file) {
        retire(desc);
    } else if (desc->closer && only_closer(state)) {
        wi_glist_push(&wake.list, desc->closer);
        desc->closer = NULL;
    }
    wi_poll_unlock(desc, &wake, gp->foreign);
    if (close_file)
        wi_poll_close_file(gp, desc);
}

static WI_NOINLINE void end_slow(struct wi_g *gp, struct wi_poll_desc *desc, unsigned direction,
                                 uint64_t state)
{
    if (state & WI_POLL_QUEUE(direction))
        wi_poll_pass_turn(gp, desc, direction);
    if (only_closer(state) || is_over(state))
        wake_closer(gp, desc);
}

void wi_poll_end(struct wi_g *gp, struct wi_poll_desc *desc, unsigned direction)
{
    if (wi_load_relaxed(&desc->state) & WI_POLL_NO_TURNS)
        direction = 0;
    uint64_t one = one_operation(gp, direction);
    wi_sanitize_release(desc);
    uint64_t state = wi_fetch_sub_acq_rel(&desc->state, one) - one;
    if (wi_unlikely(state & (WI_POLL_QUEUE(direction) | WI_POLL_CLOSING)))
        end_slow(gp, desc, direction, state);
}

/* ---- Close ---- */

enum { CLOSE_NOW = 1, CLOSE_LATER = 2, CLOSE_AGAIN = 3 };

/* Step 5, the lock is held. Whether the file can be closed now, or after others have left. */
static int begin_close(struct wi_g *gp, struct wi_poll_desc *desc, int fd,
                       struct wi_poll_wake *wake)
{
    uint64_t state = wi_load_acquire(&desc->state);
    if (state & WI_POLL_CLOSING)
        return -ECANCELED;
    if (state & WI_POLL_CLOSED)
        return CLOSE_AGAIN;
    if (!(state & WI_POLL_OPEN)) {
        wi_sanitize_acquire(desc);
        desc->fd = fd;
        wi_store_release(&desc->state, WI_POLL_CLOSED);
        return CLOSE_NOW;
    }
    uint64_t added = WI_POLL_CLOSING + one_operation(gp, 0);
    state = wi_fetch_add_acq_rel(&desc->state, added) + added;
    wi_poll_cancel(desc, wake);
    if (!only_closer(state))
        return CLOSE_LATER;
    retire(desc);
    return CLOSE_NOW;
}

/* Steps 6 and 7. */
static void await_others(struct wi_g *gp, struct wi_poll_desc *desc)
{
    wi_lock(&desc->lock);
    if (!only_closer(wi_load_acquire(&desc->state))) {
        desc->closer = gp;
        wi_park(gp, &desc->lock, WI_WAIT_CLOSE);
        wi_lock(&desc->lock);
    }
    retire(desc);
    wi_unlock(&desc->lock);
}

int wi_poll_close(struct wi_g *gp, int fd)
{
    struct wi_poll_desc *desc;
    int result = find_or_make(fd, &desc);
    if (result)
        return result == -ENOMEM ? wi_os_fd_close(fd) : result;
    do {
        struct wi_poll_wake wake = {0};
        await_closed(gp, desc);
        wi_lock(&desc->lock);
        result = begin_close(gp, desc, fd, &wake);
        wi_poll_unlock(desc, &wake, gp->foreign);
    } while (result == CLOSE_AGAIN);
    if (result < 0)
        return result;
    if (result == CLOSE_LATER)
        await_others(gp, desc);
    return wi_poll_close_file(gp, desc);
}

/* ---- The end of a run ---- */

bool wi_poll_desc_forget_run(struct wi_poll_desc *desc, struct wi_poll_wake *wake)
{
    uint64_t gone = WI_POLL_OPS | WI_POLL_TURN(WI_READ | WI_WRITE);
    uint64_t state = wi_fetch_and_acq_rel(&desc->state, ~gone) & ~gone;
    if (desc->closer && !desc->closer->foreign)
        desc->closer = NULL;
    if (desc->closer && only_closer(state)) {
        wi_glist_push(&wake->list, desc->closer);
        desc->closer = NULL;
    }
    if (!is_over(state))
        return false;
    retire(desc);
    return true;
}
