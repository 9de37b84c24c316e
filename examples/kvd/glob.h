/* SPDX-License-Identifier: MIT
 *
 * Patterns as KEYS knows them: *, ?, [abc], [a-c], [^a], and \ before a character that stands for
 * itself.
 */
#ifndef KVD_GLOB_H
#define KVD_GLOB_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the text matches. Takes at most pattern_size * size steps. */
bool glob_match(const char *pattern, size_t pattern_size, const char *text, size_t size);

#endif
