# SPDX-License-Identifier: Apache-2.0
# One entry point per vector, 16 bytes each: make the frame uniform (error code, vector) and go to the common part, which
# completes an InterruptFrame (arch/x86/interrupts.hpp) and calls octavo_interrupt(frame).
        .text
        .balign 16
        .globl octavo_interrupt_stubs
octavo_interrupt_stubs:
        .set    vector, 0
        .rept   256
        .balign 16
        # #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP, #VC, #SX push an error code themselves.
        .if     !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
        pushq   $0
        .endif
        pushq   $vector
        jmp     interrupt_common
        .set    vector, vector + 1
        .endr

        .balign 16
        .type   interrupt_common, @function
interrupt_common:
        cld
        pushq   %rax
        pushq   %rbx
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   %rbp
        pushq   %r8
        pushq   %r9
        pushq   %r10
        pushq   %r11
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        movq    %rsp, %rdi
        call    octavo_interrupt
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %r11
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rbp
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %rcx
        popq    %rbx
        popq    %rax
        addq    $16, %rsp
        iretq
        .size   interrupt_common, . - interrupt_common
        .section .note.GNU-stack, "", @progbits
