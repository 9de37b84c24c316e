/* SPDX-License-Identifier: MIT
 *
 * The table of poll descriptors, and the life of one: begin, end, close.
 *
 * The number is the kernel's until close(2) and may be somebody else's a moment later. So close(2)
 * is the last thing that happens to it, when nobody is left who could use it, and a successor's
 * first use waits for that:
 *
 * begin:
 *    1. state is OPEN and not CLOSING: CAS to one operation more (acquire; pairs with 3).
 *    2. state is CLOSING: -ECANCELED.
 *    3. state is 0: under the lock, fcntl tells whether the number is open and makes it
 *       non-blocking; the fields are reset; OPEN and one operation are stored (release).
 * end:
 *    4. one operation less (release, pairs with the acquire of whoever finishes). Whoever takes the
 *       count to 0 when CLOSING is set, and that is exactly one, finishes.
 * finish, under the lock:
 *    5. epoll and the timers forget the descriptor,
 *    6. state becomes 0,
 *    7. close(2),
 *    8. the closer, if there is one, gets the result and is readied.
 * close:
 *    9. under the lock: sets CLOSING and counts itself as an operation, so that nobody finishes
 *       yet; takes all waiters from the queues with -ECANCELED. From here operations that are under
 *       way do not begin to wait, as they look for CLOSING under the lock (netpoll.c).
 *   10. readies them.
 *   11. under the lock: ends its operation as in 4. Either it was the last and finishes itself, or
 *       it leaves a wi_poll_closer and parks until 8.
 *
 * Steps 6 and 7 must not be seen apart. A first use between them would find the old file still
 * open, and take the number for one of its own; a successor, in the kernel from 7 on, must not meet
 * the old CLOSING. Step 3 is therefore under the lock that 5 to 8 hold. The price: a close(2) that
 * lingers (SO_LINGER) holds up the first use of the same number by a successor.
 *
 * Rejected: the closer alone finishes, as it could be a goroutine that the end of a run discards,
 * with operations of foreign threads still under way.
 */
#include "core/polldesc.h"

#include <errno.h>

#include "core/park.h"
#include "os/os.h"
#include "os/socket.h"

/* Two levels, so that a few descriptors take little and 16 million (the kernel's default limit is
 * one million) are possible. Chunks are made when needed and never freed. */
enum { CHUNK_SHIFT = 10, CHUNK_SIZE = 1 << CHUNK_SHIFT, CHUNKS = 1 << 14 };

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

static uint64_t one_operation(struct wi_g *gp)
{
    return gp->foreign ? WI_POLL_FOREIGN_OP : WI_POLL_OP;
}

/* Step 3. The lock is held. */
static int open_desc(struct wi_poll_desc *desc, int fd, uint64_t operations)
{
    int err = wi_os_fd_set_nonblock(fd);
    if (err)
        return err;
    desc->fd = fd;
    for (int i = 0; i < WI_DIRECTIONS; i++)
        wi_store_relaxed(&desc->deadline[i], WEFT_FOREVER);
    wi_store_relaxed(&desc->not_socket, false);
    wi_store_relaxed(&desc->pollable, false);
    wi_store_release(&desc->state, WI_POLL_OPEN | operations);
    return 0;
}

/* Steps 1 and 2. 0, -ECANCELED, or 1 if it is not open yet. */
static int join(struct wi_g *gp, struct wi_poll_desc *desc)
{
    uint64_t state = wi_load_relaxed(&desc->state);
    while ((state & (WI_POLL_OPEN | WI_POLL_CLOSING)) == WI_POLL_OPEN)
        if (wi_cas_acquire(&desc->state, &state, state + one_operation(gp)))
            return 0;
    return state & WI_POLL_CLOSING ? -ECANCELED : 1;
}

static WI_NOINLINE int begin_first(struct wi_g *gp, int fd, struct wi_poll_desc **result)
{
    struct wi_poll_desc *desc;
    int err = find_or_make(fd, &desc);
    if (err)
        return err;
    wi_lock(&desc->lock);
    err = join(gp, desc);
    if (err == 1)
        err = open_desc(desc, fd, one_operation(gp));
    wi_unlock(&desc->lock);
    if (err == 0)
        *result = desc;
    return err;
}

int wi_poll_begin(struct wi_g *gp, int fd, struct wi_poll_desc **result)
{
    struct wi_poll_desc *desc = wi_poll_desc_find(fd);
    int err = wi_likely(desc != NULL) ? join(gp, desc) : 1;
    if (wi_unlikely(err == 1))
        return begin_first(gp, fd, result);
    if (err == 0)
        *result = desc;
    return err;
}

static bool is_over(uint64_t state)
{
    return (state & WI_POLL_CLOSING) && !(state & WI_POLL_ALL_OPS);
}

/* Steps 5 to 8. The lock is held. What close(2) says. */
static int finish(struct wi_poll_desc *desc, struct wi_poll_wake *wake)
{
    wi_poll_unregister(desc);
    wi_poll_deadline_disarm(desc, WI_READ | WI_WRITE);
    wi_store_release(&desc->state, 0);
    wi_sanitize_acquire(desc);
    int result = wi_os_fd_close(desc->fd);
    if (desc->closer) {
        desc->closer->result = result;
        wi_glist_push(&wake->list, desc->closer->gp);
        desc->closer = NULL;
    }
    return result;
}

static WI_NOINLINE void finish_for_closer(struct wi_g *gp, struct wi_poll_desc *desc)
{
    struct wi_poll_wake wake = {0};
    wi_lock(&desc->lock);
    finish(desc, &wake);
    wi_poll_unlock(desc, &wake, gp->foreign);
}

void wi_poll_end(struct wi_g *gp, struct wi_poll_desc *desc)
{
    uint64_t one = one_operation(gp);
    wi_sanitize_release(desc);
    if (wi_unlikely(is_over(wi_fetch_sub_acq_rel(&desc->state, one) - one)))
        finish_for_closer(gp, desc);
}

/* ---- Close ---- */

/* Step 9, or the whole of it if weft has not used the number. 1: go on. The lock is held. */
static int begin_close(struct wi_g *gp, struct wi_poll_desc *desc, int fd,
                       struct wi_poll_wake *wake)
{
    uint64_t state = wi_load_relaxed(&desc->state);
    if (!(state & WI_POLL_OPEN))
        return wi_os_fd_close(fd);
    if (state & WI_POLL_CLOSING)
        return -ECANCELED;
    wi_fetch_add_acq_rel(&desc->state, WI_POLL_CLOSING + one_operation(gp));
    wi_poll_wake(desc, WI_READ | WI_WRITE, -ECANCELED, wake);
    return 1;
}

/* Step 11. */
static int end_close(struct wi_g *gp, struct wi_poll_desc *desc)
{
    struct wi_poll_wake nobody = {0};
    uint64_t one = one_operation(gp);
    wi_sanitize_release(desc);
    wi_lock(&desc->lock);
    if (is_over(wi_fetch_sub_acq_rel(&desc->state, one) - one)) {
        int result = finish(desc, &nobody);
        wi_unlock(&desc->lock);
        return result;
    }
    struct wi_poll_closer closer = {.gp = gp};
    desc->closer = &closer;
    wi_park(gp, &desc->lock, WI_WAIT_CLOSE);
    return closer.result;
}

int wi_poll_close(struct wi_g *gp, int fd)
{
    struct wi_poll_desc *desc;
    int result = find_or_make(fd, &desc);
    if (result)
        return result == -ENOMEM ? wi_os_fd_close(fd) : result;
    struct wi_poll_wake wake = {0};
    wi_lock(&desc->lock);
    result = begin_close(gp, desc, fd, &wake);
    wi_poll_unlock(desc, &wake, gp->foreign);
    return result == 1 ? end_close(gp, desc) : result;
}

void wi_poll_desc_forget_run(struct wi_poll_desc *desc, struct wi_poll_wake *wake)
{
    uint64_t state = wi_fetch_and_acq_rel(&desc->state, ~WI_POLL_OPS) & ~WI_POLL_OPS;
    if (desc->closer && !desc->closer->gp->foreign)
        desc->closer = NULL;
    if (is_over(state))
        finish(desc, wake);
}
