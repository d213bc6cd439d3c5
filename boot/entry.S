# SPDX-License-Identifier: Apache-2.0
# From GRUB (multiboot2, 32-bit protected mode, paging off) to octavo_start() in long mode, in the high half. The boot page tables
# are constants: the first 4 GiB at 0 (dropped later) and at the direct map's address, and the image in the top 2 GiB.
#include "boot/multiboot2_abi.h"

        .set    k_image_offset, 0xffffffff80000000      # as in arch/x86/layout.hpp and octavo.lds

        .section .low.multiboot2, "a"
        .balign 8
header:
        .long   MULTIBOOT2_HEADER_MAGIC
        .long   0                               # architecture: i386
        .long   header_end - header
        .long   -(MULTIBOOT2_HEADER_MAGIC + (header_end - header))
        .balign 8                               # console: EGA text is fine
        .short  4, 1
        .long   12, 2
        .balign 8                               # framebuffer: any, optional
        .short  5, 1
        .long   20, 0, 0, 0
        .balign 8                               # modules on page boundaries
        .short  6, 0
        .long   8
        .balign 8
        .short  0, 0
        .long   8
header_end:

        .section .low.text, "ax"
        .code32
        .globl octavo_entry
octavo_entry:
        cli
        cld
        cmpl    $MULTIBOOT2_LOADER_MAGIC, %eax
        movl    $not_multiboot2, %esi
        jne     complain
        movl    %ebx, %ebp                      # the information structure; cpuid takes ebx
        movl    $0x80000000, %eax
        cpuid
        cmpl    $0x80000001, %eax
        movl    $not_64_bit, %esi
        jb      complain
        movl    $0x80000001, %eax
        cpuid
        btl     $29, %edx                       # long mode
        jnc     complain

        movl    $(boot_pml4 - k_image_offset), %eax
        movl    %eax, %cr3
        movl    %cr4, %eax
        orl     $0x20, %eax                     # PAE
        movl    %eax, %cr4
        movl    $0xc0000080, %ecx               # EFER.LME
        rdmsr
        orl     $0x100, %eax
        wrmsr
        movl    %cr0, %eax
        andl    $~0x6000000c, %eax              # caches on; x87 neither emulated nor "switched"
        orl     $0x80010023, %eax               # PG, WP, NE, MP, PE
        movl    %eax, %cr0
        lgdt    boot_gdt_pointer
        ljmpl   $8, $long_mode

        # The one thing that works on every machine without knowing it: COM1 as firmware left it, and the EGA screen.
complain:
        movl    $0xb8000, %edi
1:      lodsb
        testb   %al, %al
        jz      2f
        movw    $0x3f8, %dx
        outb    %al, %dx
        movb    $0x0f, %ah
        stosw
        movl    $10000, %ecx                    # about a character's time
3:      pause
        loop    3b
        jmp     1b
2:      hlt
        jmp     2b

        .code64
long_mode:
        xorl    %eax, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %fs
        movl    %eax, %gs
        movl    %eax, %ss
        movl    %ebp, %edi
        xorl    %ebp, %ebp                      # ends every backtrace
        movq    $boot_stack_top, %rsp
        movq    $octavo_start, %rax
        callq   *%rax
        ud2

        .section .low.rodata, "a"
        .balign 8
boot_gdt:
        .quad   0
        .quad   0x00af9b000000ffff              # 64-bit code
boot_gdt_pointer:
        .short  . - boot_gdt - 1
        .long   boot_gdt
not_multiboot2:
        .asciz  "Octavo was not started by a multiboot2 boot loader: use GRUB's multiboot2 command.\r\n"
not_64_bit:
        .asciz  "This processor has no 64-bit mode: Octavo needs an x86-64 processor.\r\n"

        .section .rodata.boot_tables, "a"
        .balign 4096
        .globl boot_pml4
boot_pml4:
        .quad   boot_pdpt - k_image_offset + 3
        .fill   255, 8, 0
        .quad   boot_pdpt - k_image_offset + 3  # the direct map, k_direct_map_base
        .fill   254, 8, 0
        .quad   boot_pdpt_image - k_image_offset + 3
boot_pdpt:
        .quad   boot_pd - k_image_offset + 0x0003
        .quad   boot_pd - k_image_offset + 0x1003
        .quad   boot_pd - k_image_offset + 0x2003
        .quad   boot_pd - k_image_offset + 0x3003
        .fill   508, 8, 0
boot_pdpt_image:
        .fill   510, 8, 0
        .quad   boot_pd - k_image_offset + 0x0003
        .fill   1, 8, 0
boot_pd:
        .set    frame, 0
        .rept   2048
        .quad   frame + 0x83                    # present, writable, 2 MiB
        .set    frame, frame + 0x200000
        .endr

        .section .bss.boot_stack, "aw", @nobits
        .balign 16
        .skip   16384
boot_stack_top:
        .section .note.GNU-stack, "", @progbits
