/* SPDX-License-Identifier: MIT
 *
 * Write-protection of pages that do not exist yet, by userfaultfd. Private to src/os/linux.
 */
#ifndef WI_OS_LINUX_USERFAULTFD_H
#define WI_OS_LINUX_USERFAULTFD_H

#include <stddef.h>
#include <stdint.h>

/* A descriptor whose protected pages raise SIGBUS, or -errno; the kernel or its headers may lack
 * support. Protection lasts until the descriptor is closed. */
int wi_os_uffd_open(void);

/* Makes a range's pages protectable. 0 or -errno. */
int wi_os_uffd_register(int fd, void *address, size_t size);

/* Protects pages of a registered range from writing. 0 or -errno. */
int wi_os_uffd_protect(int fd, void *address, size_t size);

#endif
