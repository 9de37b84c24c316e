/* SPDX-License-Identifier: MIT
 *
 * Making and reusing goroutines.
 *
 * They are cut from slabs that are never given back. Each P keeps some free ones; batches move between
 * it and a shared list. The first slab is small, for small programs; later ones ask for huge pages:
 * a million goroutines touch their structures twice, and 4 KiB pages cost 14 ns each in TLB misses
 * alone [spawn, run, join: 26 ns against 40 ns].
 */
#include "core/g.h"

#include "core/lock.h"
#include "core/sched.h"
#include "os/os.h"

_Static_assert(sizeof(struct wi_g) % WI_CACHE_LINE == 0, "goroutines do not share cache lines");
#if !defined(WI_ASAN) && !defined(WI_TSAN)
_Static_assert(sizeof(struct wi_g) <= 256, "a million queued goroutines fit 256 MiB");
#endif

enum { BATCH = 64, CACHE_MAX = 2 * BATCH, ID_BATCH = 256 };
#define FIRST_SLAB ((size_t)128 << 10)
#define SLAB       ((size_t)2 << 20)

/* Heads a slab; the goroutines follow. */
struct slab {
    _Alignas(WI_CACHE_LINE) struct slab *next;
    uint32_t capacity;
    uint32_t used; /* cut so far */
};

static struct wi_lock lock;
static struct slab *slabs;         /* guarded by lock; the first is the one being cut */
static struct wi_glist shared;     /* guarded by lock */
static uint64_t next_id = 1;       /* atomic */

static bool add_slab(void)
{
    size_t size = slabs ? SLAB : FIRST_SLAB;
    struct slab *slab = wi_os_reserve(size, size);
    if (!slab)
        return false;
    if (size == SLAB)
        wi_os_huge_pages(slab, size, true);
    slab->capacity = (uint32_t)((size - sizeof *slab) / sizeof(struct wi_g));
    slab->next = slabs;
    slabs = slab;
    return true;
}

static struct wi_g *slab_g(struct slab *slab, uint32_t index)
{
    return (struct wi_g *)(void *)(slab + 1) + index;
}

/* lock is held. */
static struct wi_g *take(void)
{
    struct wi_g *gp = wi_glist_pop(&shared);
    if (gp)
        return gp;
    if ((!slabs || slabs->used == slabs->capacity) && !add_slab())
        return NULL;
    return slab_g(slabs, slabs->used++);
}

static void refill(struct wi_p *pp)
{
    wi_lock(&lock);
    for (int i = 0; i < BATCH; i++) {
        struct wi_g *gp = take();
        if (!gp)
            break;
        gp->next = pp->free_gs.head;
        pp->free_gs.head = gp;
        pp->free_gs.count++;
    }
    wi_unlock(&lock);
}

static void initialise(struct wi_g *gp, uint64_t id)
{
    gp->id = id;
    gp->saved_errno = 0;
    gp->fp = wi_sched.fp;
    gp->timed_out = false;
    gp->user_mode = WI_MODE_USER;
    gp->pins = 0;
    gp->blocking = 0;
    gp->locked_m = NULL;
    gp->cxa[0] = gp->cxa[1] = NULL;
}

struct wi_g *wi_g_new(struct wi_p *pp)
{
    if (!pp) {
        wi_lock(&lock);
        struct wi_g *gp = take();
        wi_unlock(&lock);
        if (gp)
            initialise(gp, wi_fetch_add_relaxed(&next_id, 1));
        return gp;
    }
    if (wi_unlikely(!pp->free_gs.head))
        refill(pp);
    struct wi_g *gp = pp->free_gs.head;
    if (wi_unlikely(!gp))
        return NULL;
    pp->free_gs.head = gp->next;
    pp->free_gs.count--;
    if (wi_unlikely(pp->next_id == pp->last_id)) {
        pp->next_id = wi_fetch_add_relaxed(&next_id, ID_BATCH);
        pp->last_id = pp->next_id + ID_BATCH;
    }
    initialise(gp, pp->next_id++);
    return gp;
}

/* Moves count of the P's free goroutines, the ones used last, to the shared list. */
static void give(struct wi_p *pp, uint32_t count)
{
    wi_lock(&lock);
    while (count-- > 0 && pp->free_gs.head) {
        struct wi_g *gp = pp->free_gs.head;
        pp->free_gs.head = gp->next;
        pp->free_gs.count--;
        gp->next = shared.head;
        shared.head = gp;
        if (!shared.tail)
            shared.tail = gp;
        shared.count++;
    }
    wi_unlock(&lock);
}

/* A P's free goroutines are a stack: head only. */
void wi_g_free(struct wi_p *pp, struct wi_g *gp)
{
    if (pp) {
        gp->next = pp->free_gs.head;
        pp->free_gs.head = gp;
        if (wi_unlikely(++pp->free_gs.count >= CACHE_MAX))
            give(pp, BATCH);
        return;
    }
    wi_lock(&lock);
    wi_glist_push(&shared, gp);
    wi_unlock(&lock);
}

void wi_g_flush(struct wi_p *pp)
{
    give(pp, pp->free_gs.count);
}

void wi_g_each(void (*visit)(struct wi_g *gp, void *arg), void *arg)
{
    wi_lock(&lock);
    struct slab *first = slabs;
    wi_unlock(&lock);
    for (struct slab *slab = first; slab; slab = slab->next)
        for (uint32_t i = 0; i < wi_load_relaxed(&slab->used); i++)
            visit(slab_g(slab, i), arg);
}

const char *wi_wait_name(enum wi_wait wait)
{
    static const char *const names[WI_WAIT_KINDS] = {
        [WI_WAIT_NONE] = "runnable",
        [WI_WAIT_SLEEP] = "sleep",
        [WI_WAIT_CHAN_SEND] = "chan send",
        [WI_WAIT_CHAN_RECV] = "chan receive",
        [WI_WAIT_MUTEX] = "mutex lock",
        [WI_WAIT_WAITGROUP] = "waitgroup wait",
        [WI_WAIT_READ] = "read",
        [WI_WAIT_WRITE] = "write",
        [WI_WAIT_CLOSE] = "close",
        [WI_WAIT_FOREVER] = "sleep for ever",
    };
    return names[wait];
}
