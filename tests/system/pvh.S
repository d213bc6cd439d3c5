/* SPDX-License-Identifier: Apache-2.0
 *
 * The smallest guest that boots by PVH (32 bits, the note's entry, no multiboot header): passes when EBX leads to a start info with the right
 * magic, at least version 1 and the command line "pvh test" (Xen's public/arch-x86/hvm/start_info.h), with paging off.
 */
        .section .note.Xen, "a", @note
        .balign 4
        .long 4, 4, 18                  /* XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz "Xen"
        .long _start

        .section .rodata
text:   .asciz "PVH guest: alive\n"
wanted: .asciz "pvh test"

        .text
        .code32
        .globl _start
_start: cmpl $0x336ec578, (%ebx)
        jne bad
        cmpl $1, 4(%ebx)
        jb bad
        mov %cr0, %eax
        test %eax, %eax
        js bad
        mov 24(%ebx), %esi              /* cmdline_paddr */
        mov $wanted, %edi
        mov $9, %ecx
        repe cmpsb
        jne bad
        mov $text, %esi
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
4:      out %al, $0xf4
        hlt
        jmp 4b
bad:    mov $1, %al
        jmp 4b
        .section .note.GNU-stack, "", @progbits
