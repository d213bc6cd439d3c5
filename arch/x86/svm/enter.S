/* SPDX-License-Identifier: Apache-2.0
 *
 * void octavo_svm_enter(GuestRegisters* regs /rdi/, u64 guest_vmcb /rsi/, u64 host_vmcb /rdx/)
 *
 * Loads the guest's general registers (RAX and RSP live in the VMCB), runs it until #VMEXIT and stores them back. Between CLGI
 * and STGI nothing interrupts us, NMI included. Host RFLAGS.IF is 1 across VMRUN, so that a physical interrupt makes the
 * guest exit (APM Vol. 2, 15.13.1, V_INTR_MASKING); it is taken later, in interrupt_window().
 */
  .section .text.octavo_svm_enter, "ax", @progbits
  .globl octavo_svm_enter
  .type octavo_svm_enter, @function
octavo_svm_enter:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  push %rdx
  push %rdi
  clgi
  sti
  mov %rsi, %rax
  vmload %rax
  mov 1*8(%rdi), %rcx
  mov 2*8(%rdi), %rdx
  mov 3*8(%rdi), %rbx
  mov 5*8(%rdi), %rbp
  mov 6*8(%rdi), %rsi
  mov 8*8(%rdi), %r8
  mov 9*8(%rdi), %r9
  mov 10*8(%rdi), %r10
  mov 11*8(%rdi), %r11
  mov 12*8(%rdi), %r12
  mov 13*8(%rdi), %r13
  mov 14*8(%rdi), %r14
  mov 15*8(%rdi), %r15
  mov 7*8(%rdi), %rdi
  vmrun %rax
  vmsave %rax
  xchg %rdi, (%rsp)             /* rdi = regs, top of stack = the guest's RDI */
  mov %rcx, 1*8(%rdi)
  mov %rdx, 2*8(%rdi)
  mov %rbx, 3*8(%rdi)
  mov %rbp, 5*8(%rdi)
  mov %rsi, 6*8(%rdi)
  mov %r8, 8*8(%rdi)
  mov %r9, 9*8(%rdi)
  mov %r10, 10*8(%rdi)
  mov %r11, 11*8(%rdi)
  mov %r12, 12*8(%rdi)
  mov %r13, 13*8(%rdi)
  mov %r14, 14*8(%rdi)
  mov %r15, 15*8(%rdi)
  pop 7*8(%rdi)
  pop %rax                      /* the host's VMCB: FS, GS, TR, LDTR, SYSCALL and SYSENTER MSRs come back */
  vmload %rax
  cli
  stgi
  xor %ecx, %ecx                /* what the guest chose stays in no register that we do not overwrite anyway */
  xor %edx, %edx
  xor %esi, %esi
  xor %r8d, %r8d
  xor %r9d, %r9d
  xor %r10d, %r10d
  xor %r11d, %r11d
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
  .size octavo_svm_enter, . - octavo_svm_enter
  .section .note.GNU-stack, "", @progbits
