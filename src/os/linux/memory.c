/* SPDX-License-Identifier: MIT
 *
 * Address space and the memory in it.
 *
 * Ranges are mapped readable and writable at once: changing the protection of parts later would
 * split the mapping, and mappings are scarce (vm.max_map_count). Only the last but one rung of the
 * guards does that. MAP_NORESERVE keeps untouched ranges out of the commit charge (except under
 * vm.overcommit_memory=2, where reserving fails once the limit is reached).
 */
#include "os/os.h"
#include "base/compiler.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_DONTNEED_LOCKED /* Linux 5.18 */
#define MADV_DONTNEED_LOCKED 24
#endif

size_t wi_os_page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t round_up(size_t size, size_t unit)
{
    return (size + unit - 1) & ~(unit - 1);
}

void *wi_os_reserve(size_t size, size_t align)
{
    size_t page = wi_os_page_size();
    size_t slack = align > page ? align - page : 0;
    if (size > SIZE_MAX / 2 || slack > SIZE_MAX / 2 - page)
        return NULL;
    size = round_up(size, page);
    /* The kernel aligns to pages. Map enough to find an aligned range in it, give back the rest. */
    char *mapped = mmap(NULL, size + slack, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED)
        return NULL;
    size_t head = slack != 0 ? round_up((uintptr_t)mapped, align) - (uintptr_t)mapped : 0;
    if (head > 0)
        munmap(mapped, head);
    if (slack > head)
        munmap(mapped + head + size, slack - head);
    return mapped + head;
}

void wi_os_unreserve(void *address, size_t size)
{
    munmap(address, size);
}

void wi_os_discard(void *address, size_t size)
{
    if (madvise(address, size, MADV_DONTNEED) == 0)
        return;
    /* The program has locked its memory (mlockall): it asked to keep the pages, but the caller
     * still counts on zeroes. */
    if (madvise(address, size, MADV_DONTNEED_LOCKED) != 0)
        memset(address, 0, size);
}

void wi_os_renew(void *address, size_t size)
{
    (void)mmap(address, size, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

void wi_os_huge_pages(void *address, size_t size, bool wanted)
{
    /* Only advice; a kernel without huge pages refuses it. */
    madvise(address, size, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

/* Not inlined: see futex.c. */
WI_NOINLINE long wi_os_resident_pages(void *address, size_t size)
{
    unsigned char present[256];
    size_t page = wi_os_page_size();
    size_t pages = round_up(size, page) / page;
    long resident = 0;
    for (size_t first = 0; first < pages; first += sizeof present) {
        size_t count = pages - first < sizeof present ? pages - first : sizeof present;
        if (mincore((char *)address + first * page, count * page, present) != 0)
            return -errno;
        for (size_t i = 0; i < count; i++)
            resident += present[i] & 1;
    }
    return resident;
}
