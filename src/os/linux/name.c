/* SPDX-License-Identifier: MIT
 *
 * Names of hosts, services and interfaces.
 */
#include "os/name.h"

#include <errno.h>
#include <stddef.h>

#include "base/compiler.h"

/* The C library does not tell a server that is silent from one that failed. EAI_SERVICE is no
 * different from EAI_NONAME to who asked for both. */
static int error_of(int status, int error)
{
    switch (status) {
    case 0:
        return 0;
    case EAI_NONAME:
    case EAI_SERVICE:
        return -ENOENT;
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
        return -ENODATA;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return error > 0 ? -error : -EREMOTEIO;
    default:
        return -EREMOTEIO;
    }
}

WI_NOINLINE int wi_os_resolve(const char *host, const char *service, int family, int type,
                              struct addrinfo **list)
{
    struct addrinfo hints = {.ai_family = family, .ai_socktype = type};
    int status = getaddrinfo(host, service, &hints, list);
    return error_of(status, errno);
}

WI_NOINLINE bool wi_os_interface_name(unsigned number, char *name)
{
    return if_indextoname(number, name) != NULL;
}
