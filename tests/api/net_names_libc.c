/* SPDX-License-Identifier: MIT
 *
 * net_names.c in a program that is not linked with c-ares (mk/tests.mk, by its name).
 */
#include "api/net_names.c"
