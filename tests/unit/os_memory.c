/* SPDX-License-Identifier: MIT
 *
 * Address space.
 */
#include "harness/test.h"
#include "os/os.h"

#include <sys/mman.h>

#define MIB ((size_t)1024 * 1024)

TEST(page_size)
{
    size_t page = wi_os_page_size();
    CHECK_GE(page, 4096);
    CHECK_EQ(page & (page - 1), 0);
}

TEST(reserve_is_aligned_and_zero)
{
    size_t page = wi_os_page_size();
    for (size_t align = 1; align <= 64 * MIB; align *= 2) {
        char *memory = wi_os_reserve(3 * page, align);
        CHECK(memory != NULL);
        CHECK_EQ((uintptr_t)memory % align, 0);
        CHECK_EQ((uintptr_t)memory % page, 0);
        CHECK_EQ(memory[0] + memory[page] + memory[3 * page - 1], 0);
        memory[0] = memory[page] = memory[3 * page - 1] = 1;
        wi_os_unreserve(memory, 3 * page);
    }
}

/* What alignment cost is given back: this would come to more than there is address space. */
TEST(reserve_gives_back_the_rest)
{
    enum { TIMES = 40000 };
    size_t page = wi_os_page_size();
    for (int i = 0; i < TIMES; i++) {
        char *memory = wi_os_reserve(page, 4096 * MIB);
        CHECK(memory != NULL);
        wi_os_unreserve(memory, page);
    }
}

TEST(large_reserve)
{
    /* More than the machine has; only what is touched counts. */
    size_t size = 1024 * 1024 * MIB;
    char *memory = wi_os_reserve(size, 2 * MIB);
    if (memory == NULL)
        SKIP("no address space of 1 TiB (a sanitizer, a limit or vm.overcommit_memory=2)");
    memory[0] = memory[size - 1] = 1;
    wi_os_unreserve(memory, size);
}

TEST(impossible_reserve)
{
    CHECK(wi_os_reserve(SIZE_MAX, 1) == NULL);
    CHECK(wi_os_reserve(SIZE_MAX / 2, 1) == NULL);
    CHECK(wi_os_reserve(SIZE_MAX / 2 + 1, MIB) == NULL);
    CHECK(wi_os_reserve(1, SIZE_MAX / 2 + 1) == NULL);
}

TEST(resident_and_discard)
{
    size_t page = wi_os_page_size();
    size_t size = 3 * MIB; /* more than is looked at in one go */
    char *memory = wi_os_reserve(size, 1);
    CHECK(memory != NULL);
    wi_os_huge_pages(memory, size, false);
    CHECK_EQ(wi_os_resident_pages(memory, size), 0);
    for (size_t i = 0; i < 7; i++)
        memory[i * (size / 7)] = 1;
    memory[size - 1] = 1;
    CHECK_EQ(wi_os_resident_pages(memory, size), 8);
    CHECK_EQ(wi_os_resident_pages(memory, page), 1);
    CHECK_EQ(wi_os_resident_pages(memory + page, page), 0);
    wi_os_discard(memory, size / 2);
    CHECK_EQ(wi_os_resident_pages(memory, size), 4);
    CHECK_EQ(memory[0], 0);
    CHECK_EQ(memory[size - 1], 1);
    wi_os_discard(memory, size);
    CHECK_EQ(wi_os_resident_pages(memory, size), 0);
    wi_os_unreserve(memory, size);
    CHECK_EQ(wi_os_resident_pages(memory, size), -ENOMEM);
}

/* Locked pages can be discarded by another advice, or, on old kernels, not at all: zero they are.
 */
static int refused_advices;

int __wrap_madvise(void *address, size_t size, int advice);
int __real_madvise(void *address, size_t size, int advice);

int __wrap_madvise(void *address, size_t size, int advice)
{
    if (refused_advices > 0) {
        refused_advices--;
        errno = EINVAL;
        return -1;
    }
    return __real_madvise(address, size, advice);
}

static void check_discard_locked(void)
{
    size_t page = wi_os_page_size();
    char *memory = wi_os_reserve(4 * page, 1);
    CHECK(memory != NULL);
    if (mlock(memory, 2 * page) != 0)
        SKIP("cannot lock two pages: %s", strerror(errno));
    memory[0] = memory[page] = memory[2 * page] = memory[4 * page - 1] = 1;
    wi_os_discard(memory, 4 * page);
    CHECK_EQ(memory[0] + memory[page] + memory[2 * page] + memory[4 * page - 1], 0);
    wi_os_unreserve(memory, 4 * page);
}

TEST(discard_locked)
{
    check_discard_locked();
}

TEST(discard_locked_on_an_old_kernel)
{
    refused_advices = 2;
    check_discard_locked();
    CHECK_EQ(refused_advices, 0);
}

/* Whether the mapping at the address has a flag in /proc/self/smaps. */
static bool has_flag(const void *address, const char *flag)
{
    FILE *smaps = fopen("/proc/self/smaps", "r");
    CHECK(smaps != NULL);
    char line[4096], wanted[8];
    unsigned long low, high;
    bool inside = false, found = false;
    snprintf(wanted, sizeof wanted, " %s ", flag);
    while (fgets(line, sizeof line, smaps) != NULL) {
        if (sscanf(line, "%lx-%lx ", &low, &high) == 2)
            inside = (uintptr_t)address >= low && (uintptr_t)address < high;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            found = strstr(line, wanted) != NULL;
    }
    fclose(smaps);
    return found;
}

TEST(huge_pages)
{
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0)
        SKIP("a kernel without transparent huge pages");
    char *memory = wi_os_reserve(4 * MIB, 2 * MIB);
    CHECK(memory != NULL);
    wi_os_huge_pages(memory, 4 * MIB, false);
    CHECK(has_flag(memory, "nh"));
    CHECK(!has_flag(memory, "hg"));
    wi_os_huge_pages(memory, 4 * MIB, true);
    CHECK(has_flag(memory, "hg"));
    CHECK(!has_flag(memory, "nh"));
    wi_os_unreserve(memory, 4 * MIB);
}
