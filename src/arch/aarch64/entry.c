/* SPDX-License-Identifier: MIT
 *
 * The outermost frame of a goroutine on AArch64: it marks the end of the stack for unwinders and
 * calls wi_goroutine_entry, whose address is in the frame pointer.
 */
#include "arch/arch.h"

__asm__(".text\n"
        ".p2align 4\n"
        ".globl wi_goroutine_start\n"
        ".hidden wi_goroutine_start\n"
        ".type wi_goroutine_start, %function\n"
        "wi_goroutine_start:\n"
        "    .cfi_startproc\n"
        "    .cfi_undefined x30\n"
        "    .cfi_undefined x29\n"
        "    hint #36\n" /* bti j: wi_switch jumps here */
        "    mov x9, x29\n"
        "    mov x29, xzr\n"
        "    mov x30, xzr\n"
        "    blr x9\n"
        "    brk #1\n"
        "    .cfi_endproc\n"
        ".size wi_goroutine_start, .-wi_goroutine_start\n");
