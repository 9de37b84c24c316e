/* SPDX-License-Identifier: MIT
 *
 * Names to addresses: the front (api/resolve.h).
 */
#include "api/resolve.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <weft/net.h>
#include <weft/time.h>

#include "base/compiler.h"
#include "core/timer.h"

bool wi_address_copy(struct wi_address *to, const struct sockaddr *from, socklen_t size, int type)
{
    bool known = (from->sa_family == AF_INET && size == sizeof to->v4) ||
                 (from->sa_family == AF_INET6 && size == sizeof to->v6);
    if (!known)
        return false;
    memset(to, 0, sizeof *to);
    memcpy(&to->any, from, size);
    to->size = size;
    to->type = type;
    return true;
}

/* The addresses are known but for their port. */
static int find_port(struct wi_place *place, int64_t deadline)
{
    struct wi_lookup lookup = {
        .service = place->service, .family = place->family, .type = place->type};
    struct wi_address *answer;
    int count = wi_resolve_libc(&lookup, deadline, &answer);
    if (count < 0)
        return count;
    for (int i = 0; i < place->count; i++)
        wi_address_set_port(&place->known[i], wi_address_port(&answer[0]));
    free(answer);
    return place->count;
}

static int find_host(const struct wi_place *place, int64_t deadline, struct wi_address **list)
{
    struct wi_lookup lookup = {.host = place->host,
                               .service = place->service[0] ? place->service : NULL,
                               .family = place->family,
                               .type = place->type};
    int count = wi_resolve_ares_linked() ? wi_resolve_ares(&lookup, deadline, list)
                                         : wi_resolve_libc(&lookup, deadline, list);
    for (int i = 0; i < count && !place->service[0]; i++)
        wi_address_set_port(&(*list)[i], place->port);
    return count;
}

static WI_NOINLINE int look_up(struct wi_addresses *addresses, int64_t deadline)
{
    struct wi_place *place = &addresses->place;
    if (deadline == WEFT_NOWAIT)
        return -EAGAIN;
    return place->host[0] ? find_host(place, deadline, &addresses->list)
                          : find_port(place, deadline);
}

int wi_resolve(const char *network, const char *address, enum wi_address_use use, int64_t deadline,
               struct wi_addresses *addresses)
{
    struct wi_place *place = &addresses->place;
    int err = wi_place_parse(network, address, use, place);
    if (err)
        return err;
    if (wi_deadline_has_passed(deadline))
        return -ETIMEDOUT;
    addresses->list = place->known;
    if (wi_unlikely(place->host[0] || place->service[0]))
        return look_up(addresses, deadline);
    return place->count;
}

void wi_addresses_free(struct wi_addresses *addresses)
{
    if (addresses->list != addresses->place.known)
        free(addresses->list);
}

int weft_resolve(const char *network, const char *address, weft_addr *addrs, int max,
                 int64_t deadline)
{
    struct wi_addresses found;
    if (max < 0 || (!addrs && max > 0))
        return -EINVAL;
    int count = wi_resolve(network, address, WI_ADDRESS_DIAL, deadline, &found);
    for (int i = 0; i < count && i < max; i++) {
        memset(&addrs[i], 0, sizeof addrs[i]);
        memcpy(&addrs[i].addr, &found.list[i].any, found.list[i].size);
        addrs[i].size = found.list[i].size;
    }
    if (count > 0)
        wi_addresses_free(&found);
    return count;
}
