/* SPDX-License-Identifier: MIT
 *
 * Goroutine stacks.
 *
 * A window of 32 KiB << class bytes of address space, its lowest 16 KiB a guard. Windows are cut
 * from large arenas that are reserved without commitment, so that neighbouring arenas melt into one
 * mapping and a parked goroutine costs the pages it touched. Guards come from the ladder in os.h;
 * the rung is chosen once, and on the mprotect rung, where each guard costs two of the process's
 * mappings, stacks past half of the limit fall to the canary rung.
 *
 * Free stacks of the default class are kept hot in the Ps, last in first out; batches move between
 * them and the class's pool. Memory of deep stacks goes back to the system when a check finds them:
 * on every 1024th put, on every put while the checks find some, and on one of a batch that goes to
 * the pool. That of all stacks goes back when they lie in the pool unused between two trims, or all
 * Ps have been idle for a second.
 *
 * Locks: a pool's lock is a leaf.
 */
#include "core/stack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weft/go.h>

#include "arch/sanitize.h"
#include "base/atomic.h"
#include "core/env.h"
#include "core/lock.h"
#include "core/sched.h"
#include "os/os.h"

enum { BATCH = WI_STACK_CACHE / 2, DEEP_CHECK_PERIOD = 1024, CANARY_WORDS = 8 };
#define ARENA_MAX   ((size_t)1 << 30)
#define ARENA_MIN   ((size_t)1 << 24)
#define SHALLOW     ((size_t)32 << 10) /* a stack that keeps no more than this is left alone */
#define CANARY_WORD UINT64_C(0x7765667420677264)

/* All of one class. Guarded by lock. */
struct pool {
    struct wi_lock lock;
    struct wi_stack *warm;  /* may hold memory */
    struct wi_stack *clean; /* hold none */
    uint32_t warm_count;    /* atomic to read */
    uint32_t clean_count;   /* atomic to read */
    uint32_t warm_low;      /* least warm_count since the last trim */
    char *arena;            /* where the next window is cut */
    char *arena_end;
    struct wi_stack *records; /* unused records of a block */
    uint32_t records_left;
    uint64_t made; /* atomic to read */
};

uint8_t wi_stack_class_default;
static struct pool pools[WI_STACK_CLASSES];
static enum wi_os_guard rung;    /* constant once initialised */
static bool strict;              /* constant: no canaries */
static uint64_t mprotect_guards; /* atomic */
static uint64_t mprotect_limit;  /* constant */

static const char *const rung_names[WI_OS_GUARD_RUNGS] = {
    [WI_OS_GUARD_MADVISE] = "madvise",
    [WI_OS_GUARD_USERFAULTFD] = "userfaultfd",
    [WI_OS_GUARD_MPROTECT] = "mprotect",
    [WI_OS_GUARD_CANARY] = "canary",
};

static uint8_t class_of_window(size_t window)
{
    uint8_t class = 0;
    while ((WI_STACK_WINDOW_MIN << class) < window)
        class ++;
    return class;
}

uint8_t wi_stack_class_for(size_t size)
{
    return class_of_window(size + WI_STACK_GUARD);
}

/* ---- Start ---- */

static int choose_rung(void)
{
    const char *wanted = wi_env_text("WEFT_STACK_GUARD");
    enum wi_os_guard first = WI_OS_GUARD_MADVISE;
    if (wanted && strcmp(wanted, "strict") == 0) {
        strict = true;
    } else if (wanted) {
        while (first < WI_OS_GUARD_RUNGS && strcmp(wanted, rung_names[first]) != 0)
            first++;
        if (first == WI_OS_GUARD_RUNGS) {
            wi_env_ignored("WEFT_STACK_GUARD", "madvise, userfaultfd, mprotect, canary or strict");
            first = WI_OS_GUARD_MADVISE;
        } else if (!wi_os_guard_works(first)) {
            wi_print("weft: WEFT_STACK_GUARD=%s does not work on this kernel\n", wanted);
            return -ENOTSUP;
        }
    }
    for (rung = first; rung < WI_OS_GUARD_CANARY && !wi_os_guard_works(rung); rung++)
        continue;
    if (rung == WI_OS_GUARD_CANARY && strict) {
        wi_print("weft: no guard pages to be had, and WEFT_STACK_GUARD=strict\n");
        return -ENOTSUP;
    }
    return 0;
}

int wi_stack_init(void)
{
    wi_stack_class_default = wi_stack_class_for(
        wi_env_size("WEFT_STACK_SIZE", WEFT_STACK_MIN, WEFT_STACK_MAX, WEFT_STACK_DEFAULT));
    mprotect_limit = (uint64_t)wi_os_map_limit() / 4; /* two mappings each: half of the limit */
    return choose_rung();
}

/* ---- Guards ---- */

static uint64_t *canary_of(const struct wi_stack *stack)
{
    return (uint64_t *)(void *)(stack->low + WI_STACK_GUARD);
}

static bool set_canary(struct wi_stack *stack)
{
    static uint32_t said; /* atomic */
    if (strict)
        return false;
    if (wi_exchange_acquire(&said, 1) == 0)
        wi_print("weft: no guard pages for (some) goroutine stacks: overflows are found late\n");
    stack->guard = WI_OS_GUARD_CANARY;
    for (int i = 0; i < CANARY_WORDS; i++)
        canary_of(stack)[i] = CANARY_WORD;
    return true;
}

static bool set_guard(struct wi_stack *stack)
{
    enum wi_os_guard guard = rung;
    if (guard == WI_OS_GUARD_MPROTECT &&
        wi_fetch_add_relaxed(&mprotect_guards, 1) >= mprotect_limit)
        guard = WI_OS_GUARD_CANARY;
    if (guard == WI_OS_GUARD_CANARY)
        return set_canary(stack);
    stack->guard = (uint8_t)guard;
    if (wi_os_guard_install(guard, stack->low, WI_STACK_GUARD) == 0)
        return true;
    return guard == WI_OS_GUARD_MPROTECT && set_canary(stack);
}

/* The pattern lies above where a guard would be, so that what damages it has not yet left the
 * window. */
bool wi_stack_canary_hit(const struct wi_stack *stack, const void *sp)
{
    const uint64_t *canary = canary_of(stack);
    if ((const char *)sp < (const char *)(canary + CANARY_WORDS))
        return true;
    for (int i = 0; i < CANARY_WORDS; i++)
        if (canary[i] != CANARY_WORD)
            return true;
    return false;
}

/* ---- Making; the pool's lock is held ---- */

static bool new_arena(struct pool *pool, size_t window)
{
    size_t size = window > ARENA_MAX ? window : ARENA_MAX;
    char *arena;
    while (!(arena = wi_os_reserve(size, wi_os_page_size()))) {
        size /= 4;
        if (size < window || size < ARENA_MIN)
            return false;
    }
    wi_os_huge_pages(arena, size, false);
    if (wi_os_guard_register(rung, arena, size) != 0) {
        wi_os_unreserve(arena, size);
        return false;
    }
    pool->arena = arena;
    pool->arena_end = arena + size;
    return true;
}

static struct wi_stack *new_record(struct pool *pool)
{
    enum { RECORDS = 128 };
    if (pool->records_left == 0) {
        pool->records = malloc(RECORDS * sizeof *pool->records);
        if (!pool->records)
            return NULL;
        pool->records_left = RECORDS;
    }
    return &pool->records[--pool->records_left];
}

static struct wi_stack *make(struct pool *pool, uint8_t class)
{
    size_t window = WI_STACK_WINDOW_MIN << class;
    if ((size_t)(pool->arena_end - pool->arena) < window && !new_arena(pool, window))
        return NULL;
    struct wi_stack *stack = new_record(pool);
    if (!stack)
        return NULL;
    *stack = (struct wi_stack){.low = pool->arena, .class = class};
    if (!set_guard(stack)) {
        pool->records_left++;
        return NULL;
    }
    pool->arena += window;
    wi_store_relaxed(&pool->made, pool->made + 1);
    wi_sanitize_stack(stack->low + WI_STACK_GUARD, wi_stack_high(stack));
    return stack;
}

static struct wi_stack *take(struct pool *pool, uint8_t class)
{
    struct wi_stack *stack = pool->warm;
    if (stack) {
        pool->warm = stack->next;
        wi_store_relaxed(&pool->warm_count, pool->warm_count - 1);
        if (pool->warm_count < pool->warm_low)
            pool->warm_low = pool->warm_count;
        return stack;
    }
    stack = pool->clean;
    if (!stack)
        return make(pool, class);
    pool->clean = stack->next;
    wi_store_relaxed(&pool->clean_count, pool->clean_count - 1);
    return stack;
}

static void put(struct pool *pool, struct wi_stack *stack)
{
    stack->next = pool->warm;
    pool->warm = stack;
    wi_store_relaxed(&pool->warm_count, pool->warm_count + 1);
}

/* ---- Giving memory back ---- */

/* Where the guard and the canary end, counted from the low end of the window. */
static size_t usable_from(const struct wi_stack *stack)
{
    return WI_STACK_GUARD + (stack->guard == WI_OS_GUARD_CANARY ? wi_os_page_size() : 0);
}

#if defined(WI_TSAN_EDGES)
/* Few stacks went deep, and the cost grows with the size. */
void wi_stack_forget(struct wi_stack *stack)
{
    enum { LOOK_MAX = 1 << 20 };
    char *low = stack->low + usable_from(stack);
    char *high = wi_stack_high(stack);
    char *shallow = high - SHALLOW;
    if (shallow > low && shallow - low <= LOOK_MAX &&
        wi_os_resident_pages(low, (size_t)(shallow - low)) == 0)
        low = shallow;
    wi_os_renew(low, (size_t)(high - low));
    wi_os_huge_pages(low, (size_t)(high - low), false);
}
#endif

/* Everything but the guard, the canary, and the hot bytes at the top. */
static void release_pages(struct wi_stack *stack, size_t keep)
{
    size_t low = usable_from(stack);
    wi_os_discard(stack->low + low, wi_stack_window(stack) - low - keep);
}

/* Looks at the part of the stack just below what is left alone, which a deep stack has touched,
 * save for frames larger than the part. True: it was deep. */
static bool release_if_deep(struct wi_stack *stack)
{
    size_t usable = wi_stack_window(stack) - WI_STACK_GUARD;
    if (usable <= SHALLOW)
        return false;
    size_t part = usable - SHALLOW < SHALLOW ? usable - SHALLOW : SHALLOW;
    char *low = wi_stack_high(stack) - SHALLOW - part;
    if (wi_os_resident_pages(low, part) <= 0)
        return false;
    release_pages(stack, SHALLOW);
    return true;
}

/* ---- Getting and putting ---- */

static struct wi_stack *pool_get(uint8_t class)
{
    struct pool *pool = &pools[class];
    wi_lock(&pool->lock);
    struct wi_stack *stack = take(pool, class);
    wi_unlock(&pool->lock);
    return stack;
}

static void pool_put(struct wi_stack *stack)
{
    struct pool *pool = &pools[stack->class];
    wi_lock(&pool->lock);
    put(pool, stack);
    wi_unlock(&pool->lock);
}

static void refill(struct wi_stack_cache *cache)
{
    struct pool *pool = &pools[wi_stack_class_default];
    wi_lock(&pool->lock);
    for (int i = 0; i < BATCH; i++) {
        if (!pool->warm && !pool->clean && i > 0)
            break; /* make one at a time: each is a system call */
        struct wi_stack *stack = take(pool, wi_stack_class_default);
        if (!stack)
            break;
        stack->next = cache->first;
        cache->first = stack;
        wi_owner_add(&cache->count, 1);
    }
    wi_unlock(&pool->lock);
}

struct wi_stack *wi_stack_get_slow(struct wi_stack_cache *cache, uint8_t class)
{
    if (!cache || class != wi_stack_class_default)
        return pool_get(class);
    refill(cache);
    return cache->first ? wi_stack_get(cache, class) : NULL;
}

/* The check for a deep stack is a system call: one of a batch is looked at, and the others only if
 * that one was deep. */
static void give(struct wi_stack_cache *cache, uint32_t count)
{
    struct pool *pool = &pools[wi_stack_class_default];
    bool deep = cache->first && release_if_deep(cache->first);
    wi_lock(&pool->lock);
    while (count-- > 0 && cache->first) {
        struct wi_stack *stack = cache->first;
        cache->first = stack->next;
        wi_owner_add(&cache->count, -1);
        if (deep)
            release_if_deep(stack);
        put(pool, stack);
    }
    wi_unlock(&pool->lock);
}

void wi_stack_put_slow(struct wi_stack_cache *cache, struct wi_stack *stack)
{
    bool pooled = stack->class != wi_stack_class_default || !cache;
    bool due = pooled || cache->puts == 0;
    bool deep = due && release_if_deep(stack);
    if (pooled) {
        pool_put(stack);
        return;
    }
    if (cache->count >= WI_STACK_CACHE)
        give(cache, BATCH);
    if (due)
        cache->puts = deep ? 1 : DEEP_CHECK_PERIOD;
    wi_stack_put(cache, stack);
}

void wi_stack_flush(struct wi_stack_cache *cache)
{
    give(cache, cache->count);
}

/* Takes the stacks that nobody needed since the last trim, the oldest, or all, off the warm list. */
static struct wi_stack *detach_unused(struct pool *pool, bool all)
{
    wi_lock(&pool->lock);
    uint32_t keep = all ? 0 : pool->warm_count - pool->warm_low;
    struct wi_stack **link = &pool->warm;
    for (uint32_t i = 0; i < keep; i++)
        link = &(*link)->next;
    struct wi_stack *unused = *link;
    *link = NULL;
    wi_store_relaxed(&pool->warm_count, keep);
    pool->warm_low = keep;
    wi_unlock(&pool->lock);
    return unused;
}

void wi_stack_trim(bool all)
{
    for (int class = 0; class < WI_STACK_CLASSES; class ++) {
        struct pool *pool = &pools[class];
        struct wi_stack *next;
        for (struct wi_stack *stack = detach_unused(pool, all); stack; stack = next) {
            next = stack->next;
            release_pages(stack, 0);
            wi_lock(&pool->lock);
            stack->next = pool->clean;
            pool->clean = stack;
            wi_store_relaxed(&pool->clean_count, pool->clean_count + 1);
            wi_unlock(&pool->lock);
        }
    }
}

/* ---- Reporting ---- */

const char *wi_stack_guard_name(void)
{
    return rung_names[rung];
}

uint64_t wi_stack_made(void)
{
    return wi_load_relaxed(&pools[wi_stack_class_default].made);
}

uint64_t wi_stack_pooled(void)
{
    struct pool *pool = &pools[wi_stack_class_default];
    return (uint64_t)wi_load_relaxed(&pool->warm_count) + wi_load_relaxed(&pool->clean_count);
}
