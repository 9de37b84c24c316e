/* SPDX-License-Identifier: MIT
 *
 * Names of hosts, services and interfaces as the C library knows them (name.c): leaf calls like
 * those of os.h.
 */
#ifndef WI_OS_NAME_H
#define WI_OS_NAME_H

#include <net/if.h>
#include <netdb.h>
#include <stdbool.h>

/* getaddrinfo: host or service may be NULL. Blocks the thread, perhaps for many seconds. 0 and
 * *list, which freeaddrinfo frees; -ENOENT (no such host or service), -ENODATA (it has no address
 * of the family), -EREMOTEIO (name servers failed), -ENOMEM, or another errno. */
int wi_os_resolve(const char *host, const char *service, int family, int type,
                  struct addrinfo **list);

enum { WI_OS_INTERFACE_MAX = IF_NAMESIZE };

/* False: there is no such interface. name has room for WI_OS_INTERFACE_MAX. */
bool wi_os_interface_name(unsigned number, char *name);

#endif
