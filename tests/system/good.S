/* SPDX-License-Identifier: Apache-2.0
 *
 * The smallest guest that passes (multiboot 1, 32 bits): says so on COM1 and writes 0 to the debug-exit port. It stands beside the
 * spoilt images, so that what they fail by is never this one.
 */
        .section .multiboot, "a"
        .balign 4
        .long 0x1badb002, 0, -0x1badb002

        .section .rodata
text:   .asciz "good guest: alive\n"

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
3:      xor %eax, %eax
        out %al, $0xf4
        hlt
        jmp 3b
        .section .note.GNU-stack, "", @progbits
