/* SPDX-License-Identifier: MIT
 *
 * Checks the framing of a chunked body as strictly as RFC 9112, section 7.1 has it: lines end in CR
 * LF, a size is nothing but digits, an extension has no control characters, CR LF follows the data.
 * Nothing is decoded; that is the parser's part.
 */
#ifndef HTTPD_FRAMING_H
#define HTTPD_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

enum framing_state {
    FRAMING_HEAD, /* no chunked body has begun; anything goes */
    FRAMING_SIZE, /* at a size's first digit */
    FRAMING_DIGITS,
    FRAMING_EXTENSION,
    FRAMING_SIZE_LF,
    FRAMING_DATA,
    FRAMING_DATA_CR,
    FRAMING_DATA_LF,
    FRAMING_LINE, /* at the beginning of a trailer's line, or of the empty one that ends the body */
    FRAMING_TRAILER,
    FRAMING_TRAILER_LF,
    FRAMING_END_LF,
    FRAMING_END,
    FRAMING_BAD,
};

struct framing {
    enum framing_state state;
    uint64_t left; /* of the chunk's data */
};

static inline bool framing_is_text(char byte)
{
    return byte == '\t' || ((unsigned char)byte >= 0x20 && byte != 0x7f);
}

/* The state after a byte that is not data. */
static inline enum framing_state framing_step(struct framing *framing, char byte)
{
    int digit = text_hex_digit(byte);
    switch (framing->state) {
    case FRAMING_SIZE:
        framing->left = digit >= 0 ? (uint64_t)digit : 0;
        return digit >= 0 ? FRAMING_DIGITS : FRAMING_BAD;
    case FRAMING_DIGITS:
        if (digit < 0)
            return byte == '\r' ? FRAMING_SIZE_LF : byte == ';' ? FRAMING_EXTENSION : FRAMING_BAD;
        if (framing->left >> 60 != 0)
            return FRAMING_BAD;
        framing->left = framing->left << 4 | (uint64_t)digit;
        return FRAMING_DIGITS;
    case FRAMING_EXTENSION:
        return framing_is_text(byte) ? FRAMING_EXTENSION
               : byte == '\r'        ? FRAMING_SIZE_LF
                                     : FRAMING_BAD;
    case FRAMING_SIZE_LF:
        return byte != '\n' ? FRAMING_BAD : framing->left > 0 ? FRAMING_DATA : FRAMING_LINE;
    case FRAMING_DATA_CR:
        return byte == '\r' ? FRAMING_DATA_LF : FRAMING_BAD;
    case FRAMING_DATA_LF:
        return byte == '\n' ? FRAMING_SIZE : FRAMING_BAD;
    case FRAMING_LINE:
        if (byte == ' ' || byte == '\t')
            return FRAMING_BAD;
        return byte == '\r'            ? FRAMING_END_LF
               : framing_is_text(byte) ? FRAMING_TRAILER
                                       : FRAMING_BAD;
    case FRAMING_TRAILER:
        return framing_is_text(byte) ? FRAMING_TRAILER
               : byte == '\r'        ? FRAMING_TRAILER_LF
                                     : FRAMING_BAD;
    case FRAMING_TRAILER_LF:
        return byte == '\n' ? FRAMING_LINE : FRAMING_BAD;
    case FRAMING_END_LF:
        return byte == '\n' ? FRAMING_END : FRAMING_BAD;
    default:
        return framing->state;
    }
}

/* How many of the next bytes have no fault. Bytes after the end of the body do not matter. */
static inline size_t framing_check(struct framing *framing, const char *bytes, size_t size)
{
    size_t at = 0;
    while (at < size && framing->state != FRAMING_HEAD && framing->state != FRAMING_END) {
        if (framing->state == FRAMING_DATA) {
            size_t step = size - at < framing->left ? size - at : (size_t)framing->left;
            at += step;
            framing->left -= step;
            if (framing->left == 0)
                framing->state = FRAMING_DATA_CR;
            continue;
        }
        framing->state = framing_step(framing, bytes[at]);
        if (framing->state == FRAMING_BAD)
            return at;
        at++;
    }
    return size;
}

#endif
