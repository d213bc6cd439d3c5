// SPDX-License-Identifier: Apache-2.0
// Multiboot 1 entry, then long mode: the first 4 GiB mapped onto themselves with 2 MiB pages, writable and for CPL 3 too.
#define FLAGS 0x3 /* modules on page boundaries; memory information wanted */
#define PRESENT_WRITE_USER 0x7
#define LARGE 0x80

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

        movl    $(directory_pointers + PRESENT_WRITE_USER), guest_pml4
        mov     $(directories + PRESENT_WRITE_USER), %eax
        mov     $directory_pointers, %edi
        mov     $4, %ecx
1:      mov     %eax, (%edi)
        add     $4096, %eax
        add     $8, %edi
        loop    1b
        mov     $(PRESENT_WRITE_USER | LARGE), %eax
        mov     $directories, %edi
        mov     $2048, %ecx
2:      mov     %eax, (%edi)
        add     $0x200000, %eax
        add     $8, %edi
        loop    2b

        mov     $0x20, %eax             // CR4.PAE
        mov     %eax, %cr4
        mov     $guest_pml4, %eax
        mov     %eax, %cr3
        mov     $0xC0000080, %ecx       // EFER
        rdmsr
        or      $0x100, %eax            // LME
        wrmsr
        mov     $0x80010033, %eax       // CR0: PG WP NE ET MP PE
        mov     %eax, %cr0
        lgdt    gdt_pointer
        ljmp    $0x08, $long_mode

        .code64
long_mode:
        mov     $0x10, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %fs
        mov     %eax, %gs
        mov     %eax, %ss
        mov     $guest_stack_top, %rsp
        xor     %ebp, %ebp
        call    guest_start
3:      cli
        hlt
        jmp     3b

        .data
        .global guest_magic, guest_info, guest_first_gdt, guest_gdt
guest_magic:     .quad 0
guest_info:      .quad 0
guest_first_gdt: .skip 16
        .align  8
guest_gdt:
        .quad   0
        .quad   0x00AF9A000000FFFF      // 0x08 code
        .quad   0x00CF92000000FFFF      // 0x10 data
        .quad   0x00AFFA000000FFFF      // 0x18 user code
        .quad   0x00CFF2000000FFFF      // 0x20 user data
        .quad   0, 0                    // 0x28 TSS, filled in by C++
        .quad   0                       // 0x38 for the tests
gdt_end:
gdt_pointer:
        .word   gdt_end - guest_gdt - 1
        .quad   guest_gdt

        .bss
        .align  4096
        .global guest_pml4
guest_pml4:         .skip 4096
directory_pointers: .skip 4096
directories:        .skip 4 * 4096
        .skip   32768
guest_stack_top:
        .section .note.GNU-stack, "", @progbits
