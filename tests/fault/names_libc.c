/* SPDX-License-Identifier: MIT
 *
 * Lookups by a getaddrinfo that blocks, fails, or has no memory left; in a program without c-ares
 * (mk/tests.mk, by its name).
 */
#include "harness/test.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>

enum { PLACES = 4 };

/* Counts of calls: all, those inside, the most there were inside at a time. Atomic. */
static int calls, inside, most_inside, freed;
static int status; /* that calls return; 0: two addresses */
static bool block; /* atomic: calls wait for the semaphore */
static sem_t semaphore;
static int no_addresses; /* atomic: so many calls return an address of another kind */

static void enter(void)
{
    __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    int now = __atomic_add_fetch(&inside, 1, __ATOMIC_RELAXED);
    int most = __atomic_load_n(&most_inside, __ATOMIC_RELAXED);
    while (now > most && !__atomic_compare_exchange_n(&most_inside, &most, now, false,
                                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    if (__atomic_load_n(&block, __ATOMIC_RELAXED))
        while (sem_wait(&semaphore) != 0) {
        }
    __atomic_sub_fetch(&inside, 1, __ATOMIC_RELAXED);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

static struct addrinfo *info(int last_byte, int type)
{
    struct addrinfo *info = __real_calloc(1, sizeof *info);
    struct sockaddr_in *v4 = __real_calloc(1, sizeof *v4);
    CHECK(info && v4);
    v4->sin_family = AF_INET;
    v4->sin_addr.s_addr = htonl(0x7F000000u | (unsigned)last_byte);
    info->ai_family = AF_INET;
    info->ai_socktype = type;
    info->ai_addr = (struct sockaddr *)v4;
    info->ai_addrlen = sizeof *v4;
    return info;
}

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **list);
void __wrap_freeaddrinfo(struct addrinfo *list);

int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **list)
{
    CHECK_STR(host, "host.test");
    CHECK(!service);
    enter();
    if (status) {
        errno = EBUSY;
        return status;
    }
    *list = info(1, hints->ai_socktype);
    (*list)->ai_next = info(2, hints->ai_socktype);
    for (struct addrinfo *p = *list; no_addresses && p; p = p->ai_next)
        p->ai_addr->sa_family = AF_UNIX;
    return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *list)
{
    for (struct addrinfo *next; list; list = next) {
        next = list->ai_next;
        free(list->ai_addr);
        free(list);
    }
    __atomic_add_fetch(&freed, 1, __ATOMIC_RELAXED);
}

static int fail_at; /* atomic: the call of calloc that fails, counted down; 0: none */

/* weft's. In a program that is linked statically the C library's come here too, which start threads
 * and have smaller elements. */
void *__wrap_calloc(size_t count, size_t size)
{
    if (size >= 64 && __atomic_load_n(&fail_at, __ATOMIC_RELAXED) > 0 &&
        __atomic_sub_fetch(&fail_at, 1, __ATOMIC_RELAXED) == 0)
        return NULL;
    return __real_calloc(count, size);
}

static int look_up(weft_addr *addrs, int max, int64_t deadline)
{
    return weft_resolve("tcp", "host.test:80", addrs, max, deadline);
}

static int load(int *count)
{
    return __atomic_load_n(count, __ATOMIC_RELAXED);
}

static void release(int count)
{
    while (count-- > 0)
        CHECK_EQ(sem_post(&semaphore), 0);
}

/* ---- Results ---- */

TEST_PROCS(results)
{
    static const struct {
        int status, result;
    } cases[] = {{0, 2},
                 {EAI_NONAME, -ENOENT},
                 {EAI_SERVICE, -ENOENT},
                 {EAI_NODATA, -ENODATA},
                 {EAI_ADDRFAMILY, -ENODATA},
                 {EAI_AGAIN, -EREMOTEIO},
                 {EAI_FAIL, -EREMOTEIO},
                 {EAI_MEMORY, -ENOMEM},
                 {EAI_SYSTEM, -EBUSY}};
    weft_addr addr;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        status = cases[i].status;
        CHECK_EQ(look_up(&addr, 1, WEFT_FOREVER), cases[i].result);
        CHECK_EQ(look_up(&addr, 1, weft_after(60 * WEFT_SECOND)), cases[i].result);
    }
    status = 0;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&addr.addr;
    CHECK_EQ(ntohs(v4->sin_port), 80);
    CHECK_EQ(ntohl(v4->sin_addr.s_addr), INADDR_LOOPBACK);
    no_addresses = 1;
    CHECK_EQ(look_up(&addr, 1, WEFT_FOREVER), -ENODATA);
    no_addresses = 0;
    CHECK_EQ(load(&freed), 3);
}

TEST(foreign_thread)
{
    CHECK_EQ(look_up(NULL, 0, weft_after(60 * WEFT_SECOND)), 2);
    status = EAI_NONAME;
    CHECK_EQ(look_up(NULL, 0, WEFT_FOREVER), -ENOENT);
    status = 0;
}

/* ---- Calls that block ---- */

static void look_up_two(void *index)
{
    (void)index;
    CHECK_EQ(look_up(NULL, 0, WEFT_FOREVER), 2);
}

static void let_them_go(void *arg)
{
    int *count = arg;
    for (int i = 0; i < *count; i++) {
        CHECK_SOON(load(&inside) > 0);
        release(1);
    }
}

/* All are served, a few at a time. */
TEST_PROCS(bounded)
{
    int lookups = 200;
    CHECK_EQ(sem_init(&semaphore, 0, 0), 0);
    block = true;
    CHECK_EQ(weft_go(let_them_go, &lookups), 0);
    test_each(lookups, look_up_two);
    CHECK_EQ(load(&calls), lookups);
    CHECK_LE(load(&most_inside), PLACES);
    CHECK_EQ(load(&freed), lookups);
}

static void time_out(void *index)
{
    (void)index;
    CHECK_EQ(look_up(NULL, 0, weft_after(50 * WEFT_MILLISECOND)), -ETIMEDOUT);
}

/* A caller goes when its time is up; its call keeps its place until it ends by itself. */
TEST_PROCS(abandoned)
{
    CHECK_EQ(sem_init(&semaphore, 0, 0), 0);
    __atomic_store_n(&block, true, __ATOMIC_RELAXED);
    test_each(PLACES, time_out);
    CHECK_SOON(load(&inside) == PLACES);
    test_each(20, time_out); /* these do not even begin */
    CHECK_EQ(load(&calls), PLACES);
    int64_t deadline = weft_after(20 * WEFT_MILLISECOND);
    CHECK_EQ(look_up(NULL, 0, deadline), -ETIMEDOUT);
    CHECK_GE(weft_now(), deadline);
    __atomic_store_n(&block, false, __ATOMIC_RELAXED);
    release(1);
    look_up_two(NULL);
    CHECK_EQ(load(&inside), PLACES - 1);
    release(PLACES - 1);
    CHECK_SOON(load(&freed) == PLACES + 1);
    CHECK_SOON(weft_num_goroutine() == 1);
}

static void look_up_for_ever(void *arg)
{
    (void)arg;
    look_up(NULL, 0, WEFT_FOREVER);
    FAIL("a lookup of a run that is over goes on");
}

static void end_in_the_middle(void)
{
    int before = load(&calls);
    for (int i = 0; i < 20; i++)
        CHECK_EQ(weft_go(look_up_for_ever, NULL), 0);
    CHECK_SOON(load(&calls) == before + PLACES);
}

static void look_up_again(void)
{
    test_each(20, look_up_two);
}

/* Their calls do not keep those of the next run waiting, and end when they are done. What their
 * callers owned is lost. */
TEST(run_ends_in_the_middle, .leaks = TEST_LEAKS_MEMORY)
{
    CHECK_EQ(sem_init(&semaphore, 0, 0), 0);
    for (int i = 1; i <= 3; i++) {
        __atomic_store_n(&block, true, __ATOMIC_RELAXED);
        test_in_runtime(i, end_in_the_middle);
        __atomic_store_n(&block, false, __ATOMIC_RELAXED);
        CHECK_EQ(load(&inside), PLACES * i);
        test_in_runtime(i, look_up_again);
    }
    release(3 * PLACES);
    CHECK_SOON(load(&freed) == 3 * (PLACES + 20));
}

/* ---- No memory ---- */

TEST_PROCS(no_memory)
{
    int result = -ENOMEM;
    int failures = 0;
    while (result == -ENOMEM) {
        __atomic_store_n(&fail_at, failures + 1, __ATOMIC_RELAXED);
        result = look_up(NULL, 0, WEFT_FOREVER);
        failures += result == -ENOMEM;
        CHECK_LT(failures, 10);
    }
    __atomic_store_n(&fail_at, 0, __ATOMIC_RELAXED);
    CHECK_EQ(result, 2);
    CHECK_GE(failures, 1);
    for (int i = 0; i < 2 * PLACES; i++) /* no place was lost */
        CHECK_EQ(look_up(NULL, 0, weft_after(60 * WEFT_SECOND)), 2);
}
