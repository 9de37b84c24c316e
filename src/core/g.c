/* SPDX-License-Identifier: MIT
 *
 * Making and reusing goroutines.
 *
 * They are cut from slabs that are never given back. Each P keeps some free ones; batches move
 * between it and a shared stack, both arrays of pointers, so that only the goroutine that is used
 * is touched, and the next ones can be prefetched [linked lists: 60 ns more for each of a million].
 * Slabs begin small, for small programs, and double; those of full size ask for huge pages: a
 * million goroutines touch their structures twice, and 4 KiB pages cost 14 ns each in TLB misses
 * alone [spawn, run, join: 26 ns against 40 ns].
 */
#include "core/g.h"

#include <string.h>

#include "core/array.h"
#include "core/lock.h"
#include "core/sched.h"
#include "os/os.h"

_Static_assert(sizeof(struct wi_g) % WI_CACHE_LINE == 0, "goroutines do not share cache lines");
#if !defined(WI_ASAN) && !defined(WI_TSAN)
_Static_assert(sizeof(struct wi_g) <= 256, "a million queued goroutines fit 256 MiB");
#endif

enum { BATCH = WI_G_CACHE / 2, ID_BATCH = 256, PREFETCH_AHEAD = 4 };
#define FIRST_SLAB ((size_t)128 << 10)
#define SLAB       ((size_t)2 << 20)

/* Heads a slab; the goroutines follow. */
struct slab {
    _Alignas(WI_CACHE_LINE) struct slab *next;
    uint32_t capacity;
    uint32_t used; /* atomic, written under lock: cut so far */
};

static struct wi_lock lock;
static struct slab *slabs;            /* guarded by lock; the first is the one being cut */
static size_t next_size = FIRST_SLAB; /* guarded by lock: of the slab that is made next */
static struct wi_array free_gs;       /* guarded by lock: the free ones that no P has, a stack */
static uint64_t next_id = 1;          /* atomic */

static bool add_slab(void)
{
    size_t size = next_size;
    struct slab *slab = wi_os_reserve(size, size);
    if (!slab)
        return false;
    if (size == SLAB)
        wi_os_huge_pages(slab, size, true);
    else
        next_size *= 2;
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
    if (free_gs.count > 0)
        return free_gs.items[--free_gs.count];
    if ((!slabs || slabs->used == slabs->capacity) && !add_slab())
        return NULL;
    struct wi_g *gp = slab_g(slabs, slabs->used);
    wi_store_release(&slabs->used, slabs->used + 1);
    return gp;
}

static void refill(struct wi_g_cache *cache)
{
    wi_lock(&lock);
    struct wi_g *gp;
    while (cache->count < BATCH && (gp = take()))
        cache->free[cache->count++] = gp;
    wi_unlock(&lock);
}

static void initialise(struct wi_g *gp, uint64_t id)
{
    gp->id = id;
    gp->saved_errno = 0;
    gp->fp = wi_sched.fp;
    gp->user_mode = WI_MODE_USER;
    gp->pins = 0;
    gp->blocking_depth = 0;
    gp->locked_m = NULL;
}

static struct wi_g *new_without_p(void)
{
    wi_lock(&lock);
    struct wi_g *gp = take();
    wi_unlock(&lock);
    if (gp)
        initialise(gp, wi_fetch_add_relaxed(&next_id, 1));
    return gp;
}

struct wi_g *wi_g_new(struct wi_p *pp)
{
    if (wi_unlikely(!pp))
        return new_without_p();
    struct wi_g_cache *cache = &pp->free_gs;
    if (wi_unlikely(cache->count == 0)) {
        refill(cache);
        if (cache->count == 0)
            return NULL;
    }
    struct wi_g *gp = cache->free[--cache->count];
    if (cache->count >= PREFETCH_AHEAD)
        wi_g_prefetch(cache->free[cache->count - PREFETCH_AHEAD]);
    if (wi_unlikely(pp->next_id == pp->last_id)) {
        pp->next_id = wi_fetch_add_relaxed(&next_id, ID_BATCH);
        pp->last_id = pp->next_id + ID_BATCH;
    }
    initialise(gp, pp->next_id++);
    return gp;
}

/* Appends to the shared stack. */
static void give(struct wi_g **items, uint32_t count)
{
    wi_lock(&lock);
    if (free_gs.count + count > free_gs.capacity)
        wi_fatal("more than %zu free goroutines", free_gs.capacity);
    wi_sanitize_hide();
    memcpy(free_gs.items + free_gs.count, items, count * sizeof *items);
    wi_sanitize_show();
    free_gs.count += count;
    wi_unlock(&lock);
}

/* The older half of the P's free goroutines; the ones used last stay. */
static WI_NOINLINE void give_half(struct wi_g_cache *cache)
{
    give(cache->free, BATCH);
    cache->count -= BATCH;
    wi_sanitize_hide();
    memmove(cache->free, cache->free + BATCH, cache->count * sizeof *cache->free);
    wi_sanitize_show();
}

void wi_g_free(struct wi_p *pp, struct wi_g *gp)
{
    if (wi_unlikely(!pp)) {
        give(&gp, 1);
        return;
    }
    struct wi_g_cache *cache = &pp->free_gs;
    cache->free[cache->count++] = gp;
    if (wi_unlikely(cache->count == WI_G_CACHE))
        give_half(cache);
}

void wi_g_flush(struct wi_p *pp)
{
    give(pp->free_gs.free, pp->free_gs.count);
    pp->free_gs.count = 0;
}

int wi_g_init(void)
{
    return wi_array_init(&free_gs, WI_GOROUTINES_MAX);
}

void wi_g_each(void (*visit)(struct wi_g *gp, void *arg), void *arg)
{
    wi_lock(&lock);
    struct slab *first = slabs;
    wi_unlock(&lock);
    for (struct slab *slab = first; slab; slab = slab->next) {
        uint32_t used = wi_load_acquire(&slab->used);
        for (uint32_t i = 0; i < used; i++)
            visit(slab_g(slab, i), arg);
    }
}

const char *wi_wait_name(enum wi_wait wait)
{
    static const char *const names[WI_WAIT_KINDS] = {
        [WI_WAIT_NONE] = "runnable",
        [WI_WAIT_SLEEP] = "sleep",
        [WI_WAIT_CHAN_SEND] = "chan send",
        [WI_WAIT_CHAN_RECV] = "chan receive",
        [WI_WAIT_SELECT] = "select",
        [WI_WAIT_MUTEX] = "mutex lock",
        [WI_WAIT_RWMUTEX_READ] = "rwmutex rdlock",
        [WI_WAIT_RWMUTEX_WRITE] = "rwmutex wrlock",
        [WI_WAIT_COND] = "cond wait",
        [WI_WAIT_ONCE] = "once",
        [WI_WAIT_WAITGROUP] = "waitgroup wait",
        [WI_WAIT_SEM] = "semaphore acquire",
        [WI_WAIT_READ] = "read",
        [WI_WAIT_WRITE] = "write",
        [WI_WAIT_CLOSE] = "close",
        [WI_WAIT_FOREVER] = "sleep for ever",
    };
    return names[wait];
}
