/* SPDX-License-Identifier: MIT
 *
 * The outermost frame of a goroutine on x86-64: it marks the end of the stack for unwinders and
 * calls wi_goroutine_entry, whose address is in the frame pointer, with the alignment the ABI asks
 * for.
 */
#include "arch/arch.h"

__asm__(".text\n"
        ".p2align 4\n"
        ".globl wi_goroutine_start\n"
        ".hidden wi_goroutine_start\n"
        ".type wi_goroutine_start, @function\n"
        "wi_goroutine_start:\n"
        "    .cfi_startproc\n"
        "    .cfi_undefined %rip\n"
        "    .cfi_undefined %rbp\n"
        "    movq %rbp, %rax\n"
        "    xorl %ebp, %ebp\n"
        "    callq *%rax\n"
        "    ud2\n"
        "    .cfi_endproc\n"
        ".size wi_goroutine_start, .-wi_goroutine_start\n");
