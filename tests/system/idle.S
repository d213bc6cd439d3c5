/* SPDX-License-Identifier: Apache-2.0
 *
 * A guest (multiboot 1, 32 bits) that says that it is there and then sleeps until somebody ends it: all interrupts are masked at
 * the PIC, so none comes.
 */
        .section .multiboot, "a"
        .balign 4
        .long 0x1badb002, 0, -0x1badb002

        .section .rodata
text:   .asciz "idle guest: alive\n"

        .text
        .code32
        .globl _start
_start: mov $text, %esi
1:      lodsb
        test %al, %al
        jz 3f
        mov %al, %ah
        mov $0x3fd, %dx
2:      in %dx, %al
        test $0x20, %al
        jz 2b
        mov %ah, %al
        mov $0x3f8, %dx
        out %al, %dx
        jmp 1b
3:      sti
        hlt
        jmp 3b
        .section .note.GNU-stack, "", @progbits
