/* SPDX-License-Identifier: MIT
 *
 * A piece of text within a larger one, which is not NUL-terminated, and the few things that HTTP
 * does with such pieces.
 */
#ifndef HTTPD_TEXT_H
#define HTTPD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct text {
    const char *at;
    size_t size;
};

static inline struct text text_of(const char *string)
{
    return (struct text){string, strlen(string)};
}

static inline bool text_is(struct text text, const char *string)
{
    return text.size == strlen(string) && memcmp(text.at, string, text.size) == 0;
}

/* The same for names in which case does not matter. */
static inline bool text_is_name(struct text text, const char *name)
{
    return text.size == strlen(name) && strncasecmp(text.at, name, text.size) == 0;
}

static inline bool text_begins(struct text text, const char *string)
{
    size_t size = strlen(string);
    return text.size >= size && memcmp(text.at, string, size) == 0;
}

static inline struct text text_from(struct text text, size_t offset)
{
    return (struct text){text.at + offset, text.size - offset};
}

/* Without spaces and tabs at its ends. */
static inline struct text text_trim(struct text text)
{
    while (text.size > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
        text = text_from(text, 1);
    while (text.size > 0 && (text.at[text.size - 1] == ' ' || text.at[text.size - 1] == '\t'))
        text.size--;
    return text;
}

/* What comes before the first such character, or all; rest becomes what comes after it. */
static inline struct text text_split(struct text text, char separator, struct text *rest)
{
    const char *found = text.size > 0 ? memchr(text.at, separator, text.size) : NULL;
    size_t size = found != NULL ? (size_t)(found - text.at) : text.size;
    *rest = text_from(text, found != NULL ? size + 1 : size);
    return (struct text){text.at, size};
}

/* What a hexadecimal digit stands for; -1: it is none. */
static inline int text_hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte = (char)(byte | 0x20);
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* A number that consists of digits and nothing else. UINT64_MAX stands for all that are larger. */
static inline bool text_number(struct text text, uint64_t *number)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned char)text.at[i] - (unsigned)'0';
        if (digit > 9)
            return false;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            value = UINT64_MAX;
    }
    *number = value;
    return text.size > 0;
}

#endif
