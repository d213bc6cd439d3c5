/* SPDX-License-Identifier: Apache-2.0
 *
 * A guest that never exits by itself (multiboot 1, 32 bits): one letter on COM1, then a jump to itself with interrupts off.
 */
        .section .multiboot, "a"
        .balign 4
        .long 0x1badb002, 0, -0x1badb002

        .text
        .code32
        .globl _start
_start: mov $0x3f8, %dx
        mov $'S', %al
        out %al, %dx
        mov $'\n', %al
        out %al, %dx
1:      jmp 1b
        .section .note.GNU-stack, "", @progbits
