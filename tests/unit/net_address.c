/* SPDX-License-Identifier: MIT
 *
 * What well-formed addresses mean, and how addresses look as text; tests/api/net_dial.c has
 * malformed ones.
 */
#include "harness/test.h"

#include <arpa/inet.h>
#include <net/if.h>

#include "api/address.h"

static struct wi_place parse(const char *network, const char *address, enum wi_address_use use)
{
    struct wi_place place;
    memset(&place, 0xA5, sizeof place);
    int err = wi_place_parse(network, address, use, &place);
    if (err)
        FAIL("%s %s: %d", network, address, err);
    return place;
}

static void is_inet(const struct wi_address *address, const char *host, int port)
{
    char text[INET6_ADDRSTRLEN];
    if (address->any.sa_family == AF_INET) {
        CHECK_EQ(address->size, sizeof address->v4);
        CHECK(inet_ntop(AF_INET, &address->v4.sin_addr, text, sizeof text));
    } else {
        CHECK_EQ(address->any.sa_family, AF_INET6);
        CHECK_EQ(address->size, sizeof address->v6);
        CHECK(inet_ntop(AF_INET6, &address->v6.sin6_addr, text, sizeof text));
    }
    CHECK_STR(text, host);
    CHECK_EQ(wi_address_port(address), port);
}

/* Known without a lookup: one address, or two. */
static void inet(const char *network, const char *address, enum wi_address_use use,
                 const char *first, const char *second, int port)
{
    struct wi_place place = parse(network, address, use);
    CHECK_STR(place.host, "");
    CHECK_STR(place.service, "");
    CHECK_EQ(place.count, second ? 2 : 1);
    is_inet(&place.known[0], first, port);
    if (second)
        is_inet(&place.known[1], second, port);
    for (int i = 0; i < place.count; i++)
        CHECK_EQ(place.known[i].type, network[0] == 't' ? SOCK_STREAM : SOCK_DGRAM);
}

TEST(literals)
{
    inet("tcp", "1.2.3.4:80", WI_ADDRESS_DIAL, "1.2.3.4", NULL, 80);
    inet("tcp4", "255.255.255.255:65535", WI_ADDRESS_DIAL, "255.255.255.255", NULL, 65535);
    inet("tcp", "1.2.3.4:00080", WI_ADDRESS_LISTEN, "1.2.3.4", NULL, 80);
    inet("udp", "1.2.3.4:0", WI_ADDRESS_LISTEN, "1.2.3.4", NULL, 0);
    inet("tcp", "[::1]:80", WI_ADDRESS_DIAL, "::1", NULL, 80);
    inet("udp6", "[2001:db8::ffff:1.2.3.4]:1", WI_ADDRESS_DIAL, "2001:db8::ffff:102:304", NULL, 1);
    inet("tcp6", "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:1", WI_ADDRESS_DIAL,
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL, 1);
}

TEST(no_host)
{
    inet("tcp", ":80", WI_ADDRESS_LISTEN, "::", "0.0.0.0", 80);
    inet("udp4", ":80", WI_ADDRESS_LISTEN, "0.0.0.0", NULL, 80);
    inet("tcp6", ":80", WI_ADDRESS_LISTEN, "::", NULL, 80);
    inet("tcp", ":80", WI_ADDRESS_DIAL, "127.0.0.1", "::1", 80);
    inet("tcp4", ":80", WI_ADDRESS_DIAL, "127.0.0.1", NULL, 80);
    inet("udp6", ":80", WI_ADDRESS_DIAL, "::1", NULL, 80);
    CHECK(!parse("tcp", ":80", WI_ADDRESS_LISTEN).known[0].v6_only);
    CHECK(parse("tcp6", ":80", WI_ADDRESS_LISTEN).known[0].v6_only);
}

TEST(localhost)
{
    static const char *const names[] = {"localhost", "LocalHost", "localhost.", "a.localhost",
                                        "A.b.LOCALHOST."};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char address[64];
        snprintf(address, sizeof address, "%s:80", names[i]);
        inet("tcp", address, WI_ADDRESS_LISTEN, "127.0.0.1", "::1", 80);
        inet("udp", address, WI_ADDRESS_DIAL, "127.0.0.1", "::1", 80);
        inet("tcp4", address, WI_ADDRESS_DIAL, "127.0.0.1", NULL, 80);
        inet("tcp6", address, WI_ADDRESS_DIAL, "::1", NULL, 80);
    }
    CHECK_STR(parse("tcp", "mylocalhost:80", WI_ADDRESS_DIAL).host, "mylocalhost");
    CHECK_STR(parse("tcp", "localhost.example:80", WI_ADDRESS_DIAL).host, "localhost.example");
}

TEST(names)
{
    struct wi_place place = parse("tcp", "Example.org:80", WI_ADDRESS_DIAL);
    CHECK_STR(place.host, "Example.org");
    CHECK_STR(place.service, "");
    CHECK_EQ(place.port, 80);
    CHECK_EQ(place.count, 0);
    CHECK_EQ(place.family, AF_UNSPEC);
    place = parse("udp6", "_x-y.3com.a1.:domain", WI_ADDRESS_LISTEN);
    CHECK_STR(place.host, "_x-y.3com.a1.");
    CHECK_STR(place.service, "domain");
    CHECK_EQ(place.type, SOCK_DGRAM);
    CHECK_EQ(place.family, AF_INET6);
    CHECK_EQ(parse("tcp4", "a:1", WI_ADDRESS_DIAL).family, AF_INET);

    place = parse("tcp", "127.0.0.1:http", WI_ADDRESS_DIAL); /* only the port is missing */
    CHECK_STR(place.host, "");
    CHECK_STR(place.service, "http");
    CHECK_EQ(place.count, 1);
    is_inet(&place.known[0], "127.0.0.1", 0);
}

static void malformed(const char *address)
{
    struct wi_place place;
    int err = wi_place_parse("tcp", address, WI_ADDRESS_DIAL, &place);
    if (err != -EINVAL)
        FAIL("%s: %d", address, err);
}

TEST(malformed_names)
{
    static const char *const addresses[] = {
        "127.1:80",      "1:80",         "0:80",          "0x7f000001:80", "0x7F.1:80",
        "0177.0.0.1:80", "a.0x1:80",     "a.1:80",        "1.2.3.4.:80",   "a..b:80",
        ".a:80",         ".:80",         "a.:",           "a b:80",        "a/b:80",
        "a%lo:80",       "a@b:80",       "a,b:80",        "[a]:80",        "b\xc3\xbc.de:80",
        "a:http ",       "a:-http",      "a:ht tp",       "a:1-2",         "a:*",
        "a:80:80",       "a\n:80",       "..localhost:1", ".localhost:1",  "a_.b*:1",
        "127.0.0.1..:1", "localhost..:1"};
    char text[400];
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        malformed(addresses[i]);
    snprintf(text, sizeof text, "%064d:1", 0);
    memset(text, 'a', 64); /* a label of 64 */
    malformed(text);
    CHECK_EQ(strlen(parse("tcp", text + 1, WI_ADDRESS_DIAL).host), 63);
    for (int i = 0; i < 300; i++)
        text[i] = i % 10 == 9 ? '.' : 'a';
    strcpy(text + 255, ":1"); /* a name of 255 */
    malformed(text);
    strcpy(text + 253, ":1");
    CHECK_EQ(strlen(parse("tcp", text, WI_ADDRESS_DIAL).host), 253);
    strcpy(text, "a:");
    memset(text + 2, 'x', 65);
    text[67] = '\0';
    malformed(text);
}

TEST(scope)
{
    CHECK_EQ(parse("tcp", "[fe80::1%7]:80", WI_ADDRESS_DIAL).known[0].v6.sin6_scope_id, 7);
    unsigned lo = if_nametoindex("lo");
    if (lo == 0)
        SKIP("no interface is named lo");
    CHECK_EQ(parse("tcp", "[fe80::1%lo]:80", WI_ADDRESS_DIAL).known[0].v6.sin6_scope_id, lo);
}

TEST(unix_names)
{
    size_t offset = offsetof(struct sockaddr_un, sun_path);
    struct wi_place place = parse("unix", "/a:b", WI_ADDRESS_DIAL);
    CHECK_EQ(place.count, 1);
    CHECK_EQ(place.family, AF_UNIX);
    CHECK_EQ(place.known[0].any.sa_family, AF_UNIX);
    CHECK_EQ(place.known[0].type, SOCK_STREAM);
    CHECK_EQ(place.known[0].size, offset + 5);
    CHECK_STR(place.known[0].un.sun_path, "/a:b");
    place = parse("unixpacket", "@ab", WI_ADDRESS_LISTEN);
    CHECK_EQ(place.known[0].type, SOCK_SEQPACKET);
    CHECK_EQ(place.known[0].size, offset + 3);
    CHECK(memcmp(place.known[0].un.sun_path, "\0ab", 3) == 0);
    CHECK_EQ(parse("unixgram", "x", WI_ADDRESS_DIAL).known[0].type, SOCK_DGRAM);
}

/* ---- Addresses to text ---- */

static void text_is(const struct sockaddr *address, socklen_t size, const char *expected)
{
    char text[200];
    size_t length = strlen(expected);
    int result = weft_addr_text(address, size, text, sizeof text);
    if (result < 0)
        FAIL("%s: %d", expected, result);
    CHECK_STR(text, expected);
    CHECK_EQ(result, length);
    memset(text, '?', sizeof text);
    CHECK_EQ(weft_addr_text(address, size, text, length), -ENOSPC);
    CHECK_EQ(text[0], '?'); /* untouched */
    CHECK_EQ(weft_addr_text(address, size, text, length + 1), length);
    CHECK_STR(text, expected);
    CHECK_EQ(text[length + 1], '?');
}

/* There and back. */
static void same(const char *network, const char *address)
{
    struct wi_place place = parse(network, address, WI_ADDRESS_DIAL);
    text_is(&place.known[0].any, place.known[0].size, address);
}

TEST(text)
{
    same("tcp", "127.0.0.1:80");
    same("udp", "0.0.0.0:0");
    same("tcp", "[::1]:65535");
    same("tcp", "[2001:db8::1]:1");
    same("tcp", "[::ffff:1.2.3.4]:1");
    same("tcp", "[fe80::1%4000000000]:1"); /* no such interface */
    if (if_nametoindex("lo"))
        same("tcp", "[fe80::1%lo]:1");
    same("unix", "/run/a:b");
    same("unixgram", "@abstract/\xff");
    char path[108];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    same("unix", path);
}

TEST(text_of_odd_unix_names)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    const struct sockaddr *any = (const struct sockaddr *)&un;
    socklen_t offset = offsetof(struct sockaddr_un, sun_path);
    text_is(any, offset, ""); /* unnamed, as the kernel gives it */
    strcpy(un.sun_path, "@x");
    text_is(any, offset + 3, "./@x");
    text_is(any, sizeof un, "./@x");
    memset(un.sun_path, 'x', sizeof un.sun_path); /* without a NUL */
    char expected[sizeof un.sun_path + 1] = "";
    memset(expected, 'x', sizeof un.sun_path);
    text_is(any, sizeof un, expected);
    char text[200];
    memcpy(un.sun_path, "\0a\0b", 4); /* no text means this name */
    CHECK_EQ(weft_addr_text(any, offset + 4, text, sizeof text), -EINVAL);
    CHECK_EQ(weft_addr_text(any, offset + 1, text, sizeof text), -EINVAL);
}

TEST(text_errors)
{
    char text[100];
    struct sockaddr_storage address = {.ss_family = AF_INET};
    const struct sockaddr *any = (const struct sockaddr *)&address;
    CHECK_EQ(weft_addr_text(NULL, 16, text, sizeof text), -EINVAL);
    CHECK_EQ(weft_addr_text(any, sizeof(struct sockaddr_in), NULL, 10), -EINVAL);
    CHECK_EQ(weft_addr_text(any, sizeof(struct sockaddr_in), NULL, 0), -ENOSPC);
    CHECK_EQ(weft_addr_text(any, sizeof(struct sockaddr_in) - 1, text, sizeof text), -EINVAL);
    CHECK_EQ(weft_addr_text(any, 0, text, sizeof text), -EINVAL);
    CHECK_EQ(weft_addr_text(any, sizeof address, text, sizeof text), 9); /* a larger buffer */
    CHECK_STR(text, "0.0.0.0:0");
    address.ss_family = AF_INET6;
    CHECK_EQ(weft_addr_text(any, sizeof(struct sockaddr_in), text, sizeof text), -EINVAL);
    address.ss_family = AF_UNIX;
    CHECK_EQ(weft_addr_text(any, sizeof address, text, sizeof text), -EINVAL);
    address.ss_family = AF_NETLINK;
    CHECK_EQ(weft_addr_text(any, sizeof address, text, sizeof text), -EINVAL);
}
