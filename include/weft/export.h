/* SPDX-License-Identifier: MIT
 *
 * WEFT_API marks what the shared library exports; everything else is hidden.
 */
#ifndef WEFT_EXPORT_H
#define WEFT_EXPORT_H

#define WEFT_API __attribute__((visibility("default")))

#ifdef __cplusplus
#define WEFT_BEGIN_DECLS extern "C" {
#define WEFT_END_DECLS   }
#define WEFT_NORETURN    [[noreturn]]
#else
#define WEFT_BEGIN_DECLS
#define WEFT_END_DECLS
#define WEFT_NORETURN _Noreturn
#endif

#endif
