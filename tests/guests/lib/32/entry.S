// SPDX-License-Identifier: Apache-2.0
// Multiboot 1 entry: 32-bit protected mode without paging, EAX = 0x2BADB002, EBX = the information structure.
#define FLAGS 0x3 /* modules on page boundaries; memory information wanted */

        .section .multiboot, "a"
        .align  4
        .long   0x1BADB002, FLAGS, -(0x1BADB002 + FLAGS)

        .text
        .code32
        .global _start
_start: cli
        cld
        mov     %eax, guest_magic
        mov     %ebx, guest_info
        sgdt    guest_first_gdt
        mov     $guest_stack_top, %esp
        push    $0
        popf
        lgdt    gdt_pointer
        ljmp    $0x08, $1f
1:      mov     $0x10, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %fs
        mov     %eax, %gs
        mov     %eax, %ss
        xor     %ebp, %ebp
        call    guest_start
2:      cli
        hlt
        jmp     2b

        .data
        .global guest_magic, guest_info, guest_first_gdt, guest_gdt
guest_magic:     .quad 0
guest_info:      .quad 0
guest_first_gdt: .skip 16
        .align  8
guest_gdt:
        .quad   0
        .quad   0x00CF9A000000FFFF      // 0x08 code
        .quad   0x00CF92000000FFFF      // 0x10 data
        .quad   0x00CFFA000000FFFF      // 0x18 user code
        .quad   0x00CFF2000000FFFF      // 0x20 user data
        .quad   0, 0                    // 0x28 TSS, filled in by C++
        .quad   0                       // 0x38 for the tests
gdt_end:
gdt_pointer:
        .word   gdt_end - guest_gdt - 1
        .long   guest_gdt

        .bss
        .align  16
        .skip   16384
guest_stack_top:
        .section .note.GNU-stack, "", @progbits
