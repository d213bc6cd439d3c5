/* SPDX-License-Identifier: Apache-2.0
 *
 * Hypercalls: VMMCALL or VMCALL (both accepted on both vendors), CPL 0 only (else #UD).
 * RAX = OCTAVO_HYPERCALL(number); arguments RDI RSI RDX R10 R8; the result in RAX: 0 or a negative OCTAVO_E*.
 * An unknown number answers -OCTAVO_EUNSUPPORTED and is counted.
 */
#ifndef OCTAVO_HYPERCALL_H
#define OCTAVO_HYPERCALL_H

#define OCTAVO_HYPERCALL_BASE 0x4F430000u
#define OCTAVO_HYPERCALL(number) (OCTAVO_HYPERCALL_BASE + (number))

#define OCTAVO_HC_VERSION 0      /* RAX = 0, RDI = OCTAVO_ABI_VERSION */
#define OCTAVO_HC_CONSOLE_WRITE 1 /* RDI = one character, to the domain's console; for early debugging */

/* Calls on a range of the caller's guest frames: RDI = first gfn, RSI = count, R8 = 0. One that is long comes back with RAX =
 * -OCTAVO_EAGAIN and R8 = how many frames are done; it is made again with all registers as they are (R8 may be what it was, while memory is on the move). At the end, good or bad, RDI = how many
 * frames are done; an error concerns the one after those. */
#define OCTAVO_HC_MEMORY_DECREASE 2 /* gives them up: what was in them is lost, a later access is one to no memory. -ENOENT: no memory there */
#define OCTAVO_HC_MEMORY_INCREASE 3 /* wants them back, populated on demand and zero. -ERANGE: not in the memory map, -EEXIST: not given up */

/* RDI = an OCTAVO_MEMORY_*; RDI = what the caller's account of it says, in 4 KiB frames. -EINVALID: no such account. */
#define OCTAVO_HC_MEMORY_INFO 4
#define OCTAVO_MEMORY_TARGET 0    /* what it may use */
#define OCTAVO_MEMORY_MAXIMUM 1   /* what its memory map holds */
#define OCTAVO_MEMORY_POPULATED 2 /* what it uses */
#define OCTAVO_MEMORY_ENTRIES 3   /* populated on demand, not populated */
#define OCTAVO_MEMORY_CACHED 4    /* ready to populate */
#define OCTAVO_MEMORY_PENDING 5   /* used beyond the target */
#define OCTAVO_MEMORY_IN_4K 6     /* populated and mapped in pages of 4K, 2M, 1G */
#define OCTAVO_MEMORY_IN_2M 7
#define OCTAVO_MEMORY_IN_1G 8

/* Checks the tables that hold the caller's memory, in pieces: R8 = 0 at first and as it came back after -OCTAVO_EAGAIN. RDI = what was found wrong in
 * this piece: 0. */
#define OCTAVO_HC_MEMORY_AUDIT 5

#define OCTAVO_ABI_VERSION 1

#define OCTAVO_EINVALID 1
#define OCTAVO_EMISALIGNED 2
#define OCTAVO_ERANGE 3
#define OCTAVO_ENOMEM 4
#define OCTAVO_ENOTABLES 5
#define OCTAVO_ENOTOWNER 6
#define OCTAVO_EBUSY 7
#define OCTAVO_EEXIST 8
#define OCTAVO_ENOENT 9
#define OCTAVO_EPERM 10
#define OCTAVO_EUNSUPPORTED 11
#define OCTAVO_EOVERFLOW 12
#define OCTAVO_ECORRUPT 13
#define OCTAVO_EAGAIN 14

/* CPUID leaves that a guest sees. */
#define OCTAVO_CPUID_SIGNATURE 0x40000000u /* EBX ECX EDX = "OctavoOctavo", EAX = the last leaf of the block */
#define OCTAVO_CPUID_VERSION 0x40000001u   /* EAX = OCTAVO_ABI_VERSION */
#define OCTAVO_CPUID_KVM_SIGNATURE 0x40000100u
#define OCTAVO_CPUID_KVM_FEATURES 0x40000101u

/* The debug-exit port of a test guest: a byte written there ends the domain; 0 says passed. */
#define OCTAVO_DEBUG_EXIT_PORT 0xF4u

#endif
