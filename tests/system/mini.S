/* SPDX-License-Identifier: Apache-2.0
 *
 * The smallest thing that GRUB boots: prints its command line and its modules' names on COM1 in brackets, then does what its
 * command line's first letter behind "mini=" says: p passed, f failed, x panic, r reset, h halt for ever.
 */
        .section .multiboot, "a"
        .balign 8
header: .long 0xe85250d6, 0, header_end - header, -(0xe85250d6 + (header_end - header))
        .short 0, 0
        .long 8
header_end:

        .set COM1, 0x3f8
        .text
        .code32
        .globl _start
_start: lea stack_top, %esp
        xor %ebp, %ebp                  /* where "mini=" was found */
        lea 8(%ebx), %esi               /* the first tag */
tag:    mov (%esi), %eax
        test %eax, %eax
        jz finish
        lea 8(%esi), %edi
        cmp $1, %eax                    /* command line */
        je show
        lea 16(%esi), %edi
        cmp $3, %eax                    /* module: start, end, string */
        je show
next:   mov 4(%esi), %eax
        add $7, %eax
        and $-8, %eax
        add %eax, %esi
        jmp tag

show:   mov $'[', %al
        call putc
1:      mov (%edi), %al
        test %al, %al
        jz 2f
        call putc
        cmpl $0x696e696d, (%edi)        /* "mini" */
        jne 3f
        mov 5(%edi), %cl
        mov $1, %ebp
3:      inc %edi
        jmp 1b
2:      mov $']', %al
        call putc
        mov $'\n', %al
        call putc
        jmp next

finish: mov $COM1 + 5, %dx
1:      in %dx, %al
        test $0x40, %al
        jz 1b
        mov $0x10, %al
        test %ebp, %ebp
        jz 2f
        cmp $'p', %cl
        je 2f
        inc %al
        cmp $'f', %cl
        je 2f
        inc %al
        cmp $'x', %cl
        je 2f
        cmp $'r', %cl
        je reset
        hlt
        jmp finish
2:      out %al, $0xf4
        hlt
reset:  mov $0xfe, %al
        out %al, $0x64
        hlt

putc:   push %eax
        mov $COM1 + 5, %dx
1:      in %dx, %al
        test $0x20, %al
        jz 1b
        pop %eax
        mov $COM1, %dx
        out %al, %dx
        ret

        .bss
        .balign 16
        .skip 256
stack_top:
        .section .note.GNU-stack, "", @progbits
