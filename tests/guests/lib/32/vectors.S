// SPDX-License-Identifier: Apache-2.0
// The 256 interrupt entries (16 bytes apart), and the two calls that survive a fault.
        .text
        .code32
        .global guest_vectors
        .align  16
guest_vectors:
        .set    vector, 0
        .rept   256
        .align  16
        .if     (vector == 8) || (vector == 10) || (vector == 11) || (vector == 12) || (vector == 13) || (vector == 14) || (vector == 17)
        .else
        push    $0
        .endif
        push    $vector
        jmp     common
        .set    vector, vector + 1
        .endr

common: pusha
        push    %ds
        push    %es
        mov     $0x10, %eax
        mov     %eax, %ds
        mov     %eax, %es
        cld
        push    %esp
        call    guest_exception
        add     $4, %esp
        pop     %es
        pop     %ds
        popa
        add     $8, %esp
        iret

// extern "C" void guest_catch(void (*function)(void*), void* context): returns also when the function faults.
        .global guest_catch, guest_catch_user, guest_catch_land, guest_user_return
guest_catch:
        push    %ebp
        push    %ebx
        push    %esi
        push    %edi
        pushf
        push    guest_catch_sp
        mov     %esp, guest_catch_sp
        mov     28(%esp), %eax
        push    32(%esp)
        call    *%eax
        add     $4, %esp
leave:  pop     guest_catch_sp
        popf
        pop     %edi
        pop     %esi
        pop     %ebx
        pop     %ebp
        ret
// [[noreturn]] to the innermost guest_catch, from any privilege level's handler.
guest_catch_land:
        mov     guest_catch_sp, %esp
        cld
        jmp     leave

// extern "C" void guest_catch_user(void (*function)(void*), void* context, word flags): the same at CPL 3, ends by int $0x80.
guest_catch_user:
        push    %ebp
        push    %ebx
        push    %esi
        push    %edi
        pushf
        push    guest_catch_sp
        mov     %esp, guest_catch_sp
        mov     28(%esp), %eax
        mov     32(%esp), %ecx
        mov     36(%esp), %edx
        mov     $guest_user_stack_top - 8, %esi
        movl    $guest_user_return, (%esi)
        mov     %ecx, 4(%esi)
        push    $0x23
        push    %esi
        push    %edx
        push    $0x1B
        push    %eax
        mov     $0x23, %ecx
        mov     %ecx, %ds
        mov     %ecx, %es
        iret
guest_user_return:
        int     $0x80

        .bss
        .align  16
        .skip   8192
guest_user_stack_top:
        .skip   16384
        .global guest_interrupt_stack_top, guest_user_stack_top
guest_interrupt_stack_top:
        .section .note.GNU-stack, "", @progbits
