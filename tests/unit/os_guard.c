/* SPDX-License-Identifier: MIT
 *
 * Guard pages on every rung of the ladder that works here.
 */
#include "harness/test.h"
#include "os/os.h"

#include <sys/syscall.h>
#include <sys/wait.h>

#define WINDOW ((size_t)64 * 1024)

/* ---- A kernel that refuses a rung ---- */

static bool refuse_uffd, refuse_guard_install;

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __real_syscall(long number, ...);
int __wrap_madvise(void *address, size_t size, int advice);
int __real_madvise(void *address, size_t size, int advice);

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    if (refuse_uffd && number == SYS_userfaultfd) {
        errno = EPERM;
        return -1;
    }
    return __real_syscall(number, a, b, c, d, e, f);
}

int __wrap_madvise(void *address, size_t size, int advice)
{
    enum { GUARD_INSTALL = 102 };
    if (refuse_guard_install && advice == GUARD_INSTALL) {
        errno = EINVAL;
        return -1;
    }
    return __real_madvise(address, size, advice);
}

/* ---- Helpers ---- */

static void need(enum wi_os_guard rung)
{
    static const char *const names[] = {"MADV_GUARD_INSTALL (Linux 6.13)",
                                        "userfaultfd with WP_UNPOPULATED (Linux 6.4)", "mprotect",
                                        "canary"};
    if (!wi_os_guard_works(rung))
        SKIP("no %s here", names[rung]);
}

/* Whether the kernel refuses to write there; another way than the one the product uses. */
static bool refuses(void *address)
{
    int ends[2];
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(write(ends[1], "x", 1), 1);
    ssize_t count = read(ends[0], address, 1);
    int error = errno;
    close(ends[0]);
    close(ends[1]);
    if (count == 1)
        return false;
    CHECK_EQ(count, -1);
    CHECK_EQ(error, EFAULT);
    return true;
}

static int count_mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    CHECK(maps != NULL);
    int lines = 0;
    for (int c; (c = fgetc(maps)) != EOF;)
        lines += c == '\n';
    fclose(maps);
    return lines;
}

static char *reserve(enum wi_os_guard rung, size_t size)
{
    char *memory = wi_os_reserve(size, WINDOW);
    CHECK(memory != NULL);
    CHECK_EQ(wi_os_guard_register(rung, memory, size), 0);
    return memory;
}

/* ---- One guard ---- */

static void check_one_guard(enum wi_os_guard rung)
{
    need(rung);
    size_t page = wi_os_page_size();
    char *memory = reserve(rung, 16 * WINDOW);
    char *guard = memory + 3 * WINDOW;
    guard[4 * page] = 1; /* a neighbour that is in use already */
    CHECK_EQ(wi_os_guard_install(rung, guard, 4 * page), 0);
    /* Markers are not counted as memory. (A hit may allocate the page, on userfaultfd.) */
    CHECK_EQ(wi_os_resident_pages(memory, 16 * WINDOW), 1);
    for (size_t i = 0; i < 4; i++)
        CHECK(refuses(guard + i * page));
    CHECK(refuses(guard));
    CHECK(refuses(guard + 4 * page - 1));
    CHECK(!refuses(guard - 1));
    CHECK(!refuses(guard + 4 * page));
    guard[-1] = 7;
    guard[4 * page] = 8;
    CHECK_EQ(guard[-1] + guard[4 * page], 15);
    /* What a stack does when it is cached. */
    wi_os_discard(guard + 4 * page, WINDOW - 4 * page);
    wi_os_discard(memory, 3 * WINDOW);
    CHECK_EQ(guard[-1], 0);
    CHECK_EQ(guard[4 * page], 0);
    CHECK(refuses(guard));
    CHECK(refuses(guard + 4 * page - 1));
    wi_os_unreserve(memory, 16 * WINDOW);
}

TEST(madvise_guards)
{
    check_one_guard(WI_OS_GUARD_MADVISE);
}

TEST(userfaultfd_guards)
{
    check_one_guard(WI_OS_GUARD_USERFAULTFD);
}

TEST(mprotect_guards)
{
    check_one_guard(WI_OS_GUARD_MPROTECT);
}

TEST(canary_protects_nothing)
{
    CHECK(wi_os_guard_works(WI_OS_GUARD_CANARY));
    char *memory = reserve(WI_OS_GUARD_CANARY, WINDOW);
    CHECK_EQ(wi_os_guard_install(WI_OS_GUARD_CANARY, memory, WINDOW), 0);
    CHECK(!refuses(memory));
    CHECK_EQ(memory[1], 0);
    wi_os_unreserve(memory, WINDOW);
}

TEST(no_such_rung)
{
    CHECK(!wi_os_guard_works(WI_OS_GUARD_RUNGS));
    CHECK_EQ(wi_os_guard_install(WI_OS_GUARD_RUNGS, NULL, 0), -EINVAL);
}

/* A test that is skipped everywhere would prove nothing. */
TEST(mprotect_works_everywhere)
{
    CHECK(wi_os_guard_works(WI_OS_GUARD_MPROTECT));
}

TEST(madvise_survives_discard_and_fork)
{
    need(WI_OS_GUARD_MADVISE);
    char *memory = reserve(WI_OS_GUARD_MADVISE, WINDOW);
    CHECK_EQ(wi_os_guard_install(WI_OS_GUARD_MADVISE, memory, wi_os_page_size()), 0);
    wi_os_discard(memory, WINDOW);
    CHECK(refuses(memory));
    pid_t pid = fork();
    CHECK_GE(pid, 0);
    if (pid == 0)
        _exit(refuses(memory) ? 0 : 1);
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    wi_os_unreserve(memory, WINDOW);
}

/* ---- A hit from user code ---- */

static char *hit_guard;

static bool report_hit(void *address)
{
    size_t offset = (size_t)((char *)address - hit_guard);
    const char *text = offset < wi_os_page_size() ? "guard hit\n" : "hit elsewhere\n";
    wi_os_write(STDERR_FILENO, text, strlen(text));
    wi_os_exit(2);
}

static void hit(enum wi_os_guard rung)
{
    need(rung);
    char *memory = reserve(rung, 4 * WINDOW);
    hit_guard = memory + WINDOW;
    CHECK_EQ(wi_os_guard_install(rung, hit_guard, wi_os_page_size()), 0);
    wi_os_fault_init(report_hit);
    hit_guard[-1] = 1;
    hit_guard[wi_os_page_size()] = 1;
    *(volatile char *)(hit_guard + 100) = 1;
}

DEATH_TEST(madvise_hit, 2, "guard hit")
{
    hit(WI_OS_GUARD_MADVISE);
}

DEATH_TEST(userfaultfd_hit, 2, "guard hit")
{
    hit(WI_OS_GUARD_USERFAULTFD);
}

DEATH_TEST(mprotect_hit, 2, "guard hit")
{
    hit(WI_OS_GUARD_MPROTECT);
}

/* ---- Many guards ---- */

/* How many mappings so many guards cost. */
static int mappings_for(enum wi_os_guard rung, size_t guards)
{
    char *memory = reserve(rung, guards * WINDOW);
    wi_os_huge_pages(memory, guards * WINDOW, false);
    int before = count_mappings();
    for (size_t i = 0; i < guards; i++)
        CHECK_EQ(wi_os_guard_install(rung, memory + i * WINDOW, wi_os_page_size()), 0);
    int after = count_mappings();
    CHECK(refuses(memory));
    CHECK(refuses(memory + (guards - 1) * WINDOW));
    wi_os_unreserve(memory, guards * WINDOW);
    return after - before;
}

/* A few, for what else in the process may map something meanwhile. */
enum { GUARDS = 10000, FEW = 8 };

TEST(madvise_costs_no_mappings)
{
    need(WI_OS_GUARD_MADVISE);
    CHECK_LE(mappings_for(WI_OS_GUARD_MADVISE, GUARDS), FEW);
}

TEST(userfaultfd_costs_no_mappings)
{
    need(WI_OS_GUARD_USERFAULTFD);
    CHECK_LE(mappings_for(WI_OS_GUARD_USERFAULTFD, GUARDS), FEW);
}

/* That is what the other rungs are for; and it shows that the count counts. */
TEST(mprotect_costs_two_mappings)
{
    CHECK_GE(mappings_for(WI_OS_GUARD_MPROTECT, 500), 2 * 500 - FEW);
}

TEST(mprotect_says_when_the_limit_is_reached)
{
    enum { TOO_MANY = 300000 };
    long limit = wi_os_map_limit();
    CHECK_GT(limit, 0);
    if (limit > TOO_MANY)
        SKIP("vm.max_map_count is %ld here, too many to reach", limit);
    size_t guards = (size_t)limit;
    char *memory = reserve(WI_OS_GUARD_MPROTECT, guards * WINDOW);
    size_t done = 0;
    int error = 0;
    while (error == 0 && done < guards) {
        error =
            wi_os_guard_install(WI_OS_GUARD_MPROTECT, memory + done * WINDOW, wi_os_page_size());
        done += error == 0;
    }
    wi_os_unreserve(memory, guards * WINDOW);
    CHECK_EQ(error, -ENOMEM);
    CHECK_GT(done, limit / 4);
}

/* ---- Probing ---- */

/* The lowest descriptor that is free. */
static int next_fd(void)
{
    int fd = dup(STDIN_FILENO);
    CHECK_GE(fd, 0);
    close(fd);
    return fd;
}

TEST(probing_leaves_nothing_open)
{
    int before = next_fd();
    int mappings = count_mappings();
    for (int rung = 0; rung < WI_OS_GUARD_RUNGS; rung++) {
        bool works = wi_os_guard_works((enum wi_os_guard)rung);
        CHECK_EQ(wi_os_guard_works((enum wi_os_guard)rung), works);
    }
    CHECK_EQ(next_fd(), before);
    CHECK_LE(count_mappings(), mappings + FEW);
}

TEST(refused_rungs_do_not_work)
{
    refuse_uffd = refuse_guard_install = true;
    CHECK(!wi_os_guard_works(WI_OS_GUARD_MADVISE));
    CHECK(!wi_os_guard_works(WI_OS_GUARD_USERFAULTFD));
    CHECK(wi_os_guard_works(WI_OS_GUARD_MPROTECT));
    char *memory = wi_os_reserve(WINDOW, WINDOW);
    CHECK(memory != NULL);
    CHECK_EQ(wi_os_guard_register(WI_OS_GUARD_USERFAULTFD, memory, WINDOW), -EPERM);
    CHECK_LT(wi_os_guard_install(WI_OS_GUARD_USERFAULTFD, memory, WINDOW), 0);
    CHECK_EQ(wi_os_guard_install(WI_OS_GUARD_MADVISE, memory, WINDOW), -EINVAL);
    wi_os_unreserve(memory, WINDOW);
}
