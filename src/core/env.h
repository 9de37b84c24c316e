/* SPDX-License-Identifier: MIT
 *
 * The environment. A value that makes no sense is named on standard error and ignored.
 */
#ifndef WI_CORE_ENV_H
#define WI_CORE_ENV_H

#include <stddef.h>

/* NULL: unset or empty. */
const char *wi_env_text(const char *name);

/* A whole number in the range, or fallback. */
long wi_env_number(const char *name, long low, long high, long fallback);

/* The same in bytes, with an optional K, M or G. */
size_t wi_env_size(const char *name, size_t low, size_t high, size_t fallback);

/* Says that the variable's value is not what was expected. */
void wi_env_ignored(const char *name, const char *expected);

#endif
