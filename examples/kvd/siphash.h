/* SPDX-License-Identifier: MIT
 *
 * SipHash-1-3 of Aumasson and Bernstein (https://www.aumasson.jp/siphash/): one round for each
 * word, three at the end. With a secret key nobody can choose strings that have the same hash.
 * Words are in this machine's byte order.
 */
#ifndef KVD_SIPHASH_H
#define KVD_SIPHASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
}

static inline uint64_t siphash(const uint64_t secret[2], const char *key, size_t size)
{
    uint64_t v[4] = {
        secret[0] ^ 0x736f6d6570736575,
        secret[1] ^ 0x646f72616e646f6d,
        secret[0] ^ 0x6c7967656e657261,
        secret[1] ^ 0x7465646279746573,
    };
    uint64_t word, last = (uint64_t)size << 56;
    size_t at = 0;
    for (; at + sizeof word <= size; at += sizeof word) {
        memcpy(&word, key + at, sizeof word);
        sip_word(v, word);
    }
    for (int shift = 0; at < size; at++, shift += 8)
        last |= (uint64_t)(uint8_t)key[at] << shift;
    sip_word(v, last);
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
