/* SPDX-License-Identifier: MIT
 *
 * WEFT_API marks what the shared library exports; everything else is hidden.
 */
#ifndef WEFT_EXPORT_H
#define WEFT_EXPORT_H

#define WEFT_API      __attribute__((visibility("default")))

#define WEFT_NORETURN __attribute__((noreturn))

#ifdef __cplusplus
#define WEFT_BEGIN_DECLS extern "C" {
#define WEFT_END_DECLS   }
#else
#define WEFT_BEGIN_DECLS
#define WEFT_END_DECLS
#endif

#endif
