# SPDX-License-Identifier: Apache-2.0
# Where the other CPUs begin: real mode, at the start of a page below 1 MiB to which boot has copied this. Goes to long mode on
# the boot page tables (which still map the first 4 GiB at 0), then to the image, then to the final tables and a stack of its own.
        .set    k_image_offset, 0xffffffff80000000

        .section .rodata.ap_trampoline, "a"
        .balign 8
        .globl  octavo_trampoline, octavo_trampoline_end, octavo_trampoline_parameters
        .code16
octavo_trampoline:
        cli
        cld
        movw    %cs, %ax
        movw    %ax, %ds
        lgdtl   gdt_pointer - octavo_trampoline
        movl    $0x20, %eax                     # PAE
        movl    %eax, %cr4
        movl    $(boot_pml4 - k_image_offset), %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx               # EFER: LME, and NXE if the tables use it
        movl    efer - octavo_trampoline, %eax
        xorl    %edx, %edx
        wrmsr
        movl    %cr0, %eax
        andl    $~0x6000000c, %eax
        orl     $0x80010023, %eax               # PG, WP, NE, MP, PE
        movl    %eax, %cr0
        ljmpl   *(far_pointer - octavo_trampoline)

        .code64
long_mode:
        xorl    %eax, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %fs
        movl    %eax, %gs
        movl    %eax, %ss
        movq    root(%rip), %rdx
        movq    stack(%rip), %rcx
        movl    index(%rip), %edi
        movq    $secondary_entry, %rax
        jmpq    *%rax

        .balign 8
gdt:
        .quad   0
        .quad   0x00af9b000000ffff
        # TrampolineParameters in boot/secondary_cpus.cpp
        .balign 8
octavo_trampoline_parameters:
far_pointer:
        .long   long_mode - octavo_trampoline   # boot adds where the page is
        .short  8
gdt_pointer:
        .short  15
        .long   gdt - octavo_trampoline         # boot adds where the page is
index:  .long   0
efer:   .quad   0
root:   .quad   0
stack:  .quad   0
octavo_trampoline_end:

        .text
secondary_entry:
        movq    %rdx, %cr3
        movq    %rcx, %rsp
        xorl    %ebp, %ebp
        call    octavo_secondary_start
        ud2
        .section .note.GNU-stack, "", @progbits
