/* SPDX-License-Identifier: MIT
 *
 * The result of a call that is repeated while a signal interrupts it. Private to src/os/linux.
 */
#ifndef WI_OS_LINUX_RETRY_H
#define WI_OS_LINUX_RETRY_H

#include <errno.h>

#define RETRY(call)                                                                                \
    __extension__({                                                                                \
        __typeof__(call) result_;                                                                  \
        do                                                                                         \
            result_ = (call);                                                                      \
        while (result_ < 0 && errno == EINTR);                                                     \
        result_ < 0 ? -errno : result_;                                                            \
    })

#endif
