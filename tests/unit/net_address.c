/* SPDX-License-Identifier: MIT
 *
 * What well-formed addresses mean; tests/api/net_dial.c has the malformed ones.
 */
#include "harness/test.h"

#include <arpa/inet.h>
#include <net/if.h>

#include "api/address.h"

static void inet(const char *network, const char *address, enum wi_address_use use,
                 const char *expected, int port)
{
    struct wi_address result;
    char text[INET6_ADDRSTRLEN];
    CHECK_EQ(wi_address_parse(network, address, use, &result), 0);
    if (result.any.sa_family == AF_INET) {
        CHECK_EQ(result.size, sizeof result.v4);
        CHECK(inet_ntop(AF_INET, &result.v4.sin_addr, text, sizeof text));
        CHECK_EQ(ntohs(result.v4.sin_port), port);
    } else {
        CHECK_EQ(result.any.sa_family, AF_INET6);
        CHECK_EQ(result.size, sizeof result.v6);
        CHECK(inet_ntop(AF_INET6, &result.v6.sin6_addr, text, sizeof text));
        CHECK_EQ(ntohs(result.v6.sin6_port), port);
    }
    CHECK_STR(text, expected);
}

TEST(tcp)
{
    inet("tcp", "1.2.3.4:80", WI_ADDRESS_DIAL, "1.2.3.4", 80);
    inet("tcp4", "255.255.255.255:65535", WI_ADDRESS_DIAL, "255.255.255.255", 65535);
    inet("tcp", "1.2.3.4:00080", WI_ADDRESS_LISTEN, "1.2.3.4", 80);
    inet("tcp", "1.2.3.4:0", WI_ADDRESS_LISTEN, "1.2.3.4", 0);
    inet("tcp", "[::1]:80", WI_ADDRESS_DIAL, "::1", 80);
    inet("tcp6", "[2001:db8::ffff:1.2.3.4]:1", WI_ADDRESS_DIAL, "2001:db8::ffff:102:304", 1);
    inet("tcp6", "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:1", WI_ADDRESS_DIAL,
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1);
}

TEST(tcp_without_host)
{
    inet("tcp", ":80", WI_ADDRESS_LISTEN, "::", 80);
    inet("tcp4", ":80", WI_ADDRESS_LISTEN, "0.0.0.0", 80);
    inet("tcp6", ":80", WI_ADDRESS_LISTEN, "::", 80);
    inet("tcp", ":80", WI_ADDRESS_DIAL, "127.0.0.1", 80);
    inet("tcp4", ":80", WI_ADDRESS_DIAL, "127.0.0.1", 80);
    inet("tcp6", ":80", WI_ADDRESS_DIAL, "::1", 80);
    inet("tcp", "localhost:80", WI_ADDRESS_LISTEN, "127.0.0.1", 80);
    inet("tcp6", "localhost:80", WI_ADDRESS_DIAL, "::1", 80);
    struct wi_address all;
    CHECK_EQ(wi_address_parse("tcp", ":80", WI_ADDRESS_LISTEN, &all), 0);
    CHECK(all.or_v4 && !all.v6_only);
    struct wi_address v4 = wi_address_v4_wildcard(&all);
    CHECK_EQ(v4.any.sa_family, AF_INET);
    CHECK_EQ(v4.v4.sin_addr.s_addr, INADDR_ANY);
    CHECK_EQ(ntohs(v4.v4.sin_port), 80);
    CHECK_EQ(wi_address_parse("tcp6", ":80", WI_ADDRESS_LISTEN, &all), 0);
    CHECK(!all.or_v4 && all.v6_only);
}

TEST(scope)
{
    struct wi_address result;
    CHECK_EQ(wi_address_parse("tcp", "[fe80::1%7]:80", WI_ADDRESS_DIAL, &result), 0);
    CHECK_EQ(result.v6.sin6_scope_id, 7);
    unsigned lo = if_nametoindex("lo");
    if (lo == 0)
        SKIP("no interface is named lo");
    CHECK_EQ(wi_address_parse("tcp", "[fe80::1%lo]:80", WI_ADDRESS_DIAL, &result), 0);
    CHECK_EQ(result.v6.sin6_scope_id, lo);
}

TEST(unix_names)
{
    struct wi_address result;
    size_t offset = offsetof(struct sockaddr_un, sun_path);
    CHECK_EQ(wi_address_parse("unix", "/a:b", WI_ADDRESS_DIAL, &result), 0);
    CHECK_EQ(result.any.sa_family, AF_UNIX);
    CHECK_EQ(result.size, offset + 5);
    CHECK_STR(result.un.sun_path, "/a:b");
    CHECK_EQ(wi_address_parse("unix", "@ab", WI_ADDRESS_LISTEN, &result), 0);
    CHECK_EQ(result.size, offset + 3);
    CHECK(memcmp(result.un.sun_path, "\0ab", 3) == 0);
}
