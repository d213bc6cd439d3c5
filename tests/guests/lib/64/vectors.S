// SPDX-License-Identifier: Apache-2.0
// The 256 interrupt entries (16 bytes apart), and the two calls that survive a fault.
        .text
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

common: push    %rax
        push    %rcx
        push    %rdx
        push    %rbx
        push    %rbp
        push    %rsi
        push    %rdi
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        cld
        mov     %rsp, %rdi
        call    guest_exception
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rdi
        pop     %rsi
        pop     %rbp
        pop     %rbx
        pop     %rdx
        pop     %rcx
        pop     %rax
        add     $16, %rsp
        iretq

.macro  enter_catch
        push    %rbp
        push    %rbx
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        pushf
        push    guest_catch_sp
        mov     %rsp, guest_catch_sp
.endm
// extern "C" void guest_catch(void (*function)(void*), void* context): returns also when the function faults.
        .global guest_catch, guest_catch_user, guest_catch_land, guest_user_return
guest_catch:
        enter_catch
        mov     %rdi, %rax
        mov     %rsi, %rdi
        sub     $8, %rsp
        call    *%rax
        add     $8, %rsp
leave:  pop     guest_catch_sp
        popf
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbx
        pop     %rbp
        ret
// [[noreturn]] to the innermost guest_catch, from any privilege level's handler.
guest_catch_land:
        mov     guest_catch_sp, %rsp
        mov     $0x10, %eax             // SS is null after an interrupt from CPL 3
        mov     %eax, %ss
        cld
        jmp     leave

// extern "C" void guest_catch_user(void (*function)(void*), void* context, word flags): the same at CPL 3, ends by int $0x80.
guest_catch_user:
        enter_catch
        mov     $guest_user_stack_top - 8, %rcx
        movq    $guest_user_return, (%rcx)
        push    $0x23
        push    %rcx
        push    %rdx
        push    $0x1B
        push    %rdi
        mov     %rsi, %rdi
        iretq
guest_user_return:
        int     $0x80

        .bss
        .align  16
        .skip   16384
guest_user_stack_top:
        .skip   16384
        .global guest_interrupt_stack_top, guest_user_stack_top
guest_interrupt_stack_top:
        .section .note.GNU-stack, "", @progbits
