/* SPDX-License-Identifier: Apache-2.0
 *
 * The domain image, version 1: what `octavo build` writes and the hypervisor checks and carries out.
 *
 *   offset 0          a flattened device tree (DTSpec v0.3, version 17; readable by fdtdump, fdtget, dtc), its totalsize
 *                     <= OCTAVO_IMAGE_MAX_TREE_SIZE, its strings block <= OCTAVO_IMAGE_MAX_STRINGS_SIZE
 *   page-aligned      the segments' data in the order of the segments, disjoint; the file ends on a page boundary
 *
 * All 64-bit numbers are two cells, big-endian, as the device tree has them. Offsets and sizes are bytes, orders are log2 of a
 * count of 4 KiB frames. Text is one NUL-terminated string without control characters. Nodes and properties that are not named
 * here are ignored.
 *
 *   / {
 *     compatible = "octavo,domain";
 *     octavo,version = <1>;
 *     image-size = <u64>;                     bytes of the whole file, exactly
 *     generator = "octavo 0.1.0";             optional, for people
 *
 *     config {
 *       name = "web";                         1..31 of [a-zA-Z0-9._-]
 *       vcpus = <1>;                          1..OCTAVO_IMAGE_MAX_VCPUS
 *       memory = <u64>;                       bytes at the start, a multiple of 4096, at least 1 MiB and all segments'
 *       maximum-memory = <u64>;               a multiple of 4096, >= memory; the sum of all "ram" ranges is exactly this. Above
 *                                             memory: populated on demand
 *       leaf-orders = <18 9 0>;               the orders with which the p2m may map it, largest first; always contains 0
 *       console = "uart" | "none";
 *       on-poweroff = "destroy" | "restart";
 *       on-reboot   = "restart" | "destroy";
 *       on-crash    = "destroy" | "restart" | "preserve";
 *       kernel-kind = "linux" | "pvh" | "multiboot";          for people; the registers below say all
 *       command-line = "...";                                 for people; the guest's own copy is in a segment
 *     };
 *     memory-map {                            what exists in the guest-physical address space; ascending, disjoint, below
 *                                             OCTAVO_IMAGE_ADDRESS_LIMIT; 1..OCTAVO_IMAGE_MAX_RANGES nodes, numbered (in
 *                                             hexadecimal) from 0
 *       range@0 { base = <u64>; size = <u64>; type = "ram"; };   page-aligned, not empty
 *       ...
 *     };
 *     segments {                              what is copied in; ascending gpa, disjoint, each inside one "ram" range; ram that
 *                                             no segment fills is zero; 1..OCTAVO_IMAGE_MAX_SEGMENTS nodes, numbered (in
 *                                             hexadecimal) from 0
 *       segment@0 {
 *         label = "kernel";                   1..31 of [a-zA-Z0-9._-]
 *         gpa = <u64>;                        page-aligned
 *         memory-size = <u64>;                bytes in the guest, not 0; what is beyond data-size is zero
 *         data-offset = <u64>;                page-aligned, beyond the tree and the data of the segment before
 *         data-size = <u64>;                  <= memory-size; may be 0
 *         data-crc32 = <u32>;                 CRC-32 (IEEE 802.3, as in zlib) of the data-size bytes
 *       };
 *     };
 *     vcpu@0 {                                the first registers of the boot vCPU; what is not named is as after INIT, RFLAGS
 *                                             is 2 (interrupts off)
 *       mode = "protected32" | "long64";      flat 4 GiB segments whatever the GDT holds, CPL 0, TR a busy TSS of limit 0x67;
 *                                             protected32: CR0.PE, no paging, CS.D; long64: CR0.PE PG, CR4.PAE, EFER.LME LMA,
 *                                             CS.L. protected32 wants every register below 4 GiB
 *       rip = <u64>; rsp = <u64>;             rip: in a segment, for long64 through page tables that map it one to one
 *       rax rbx rcx rdx rsi rdi rbp = <u64>;  optional, 0 if absent
 *       cr3 = <u64>;                          long64 only: the root of page tables, page-aligned, in a segment
 *       gdt-base = <u64>; gdt-limit = <u32>;  optional, both or none; in a segment; limit (its last byte) 7..0xffff
 *       cs = <u32>; ds = <u32>;               selectors: cs for CS, ds for DS ES SS FS GS; RPL 0, inside the GDT if there is
 *                                             one; optional, 0x10 and 0x18 if absent
 *     };
 *   };
 */
#ifndef OCTAVO_DOMAIN_IMAGE_H
#define OCTAVO_DOMAIN_IMAGE_H

#define OCTAVO_IMAGE_COMPATIBLE "octavo,domain"
#define OCTAVO_IMAGE_VERSION 1
#define OCTAVO_IMAGE_MAX_TREE_SIZE (64u << 10)
#define OCTAVO_IMAGE_MAX_STRINGS_SIZE (1u << 10)
#define OCTAVO_IMAGE_MAX_SEGMENTS 64
#define OCTAVO_IMAGE_MAX_RANGES 32
#define OCTAVO_IMAGE_MAX_NAME 31
#define OCTAVO_IMAGE_MAX_VCPUS 1
#define OCTAVO_IMAGE_MIN_MEMORY (1ull << 20)
#define OCTAVO_IMAGE_ADDRESS_LIMIT (1ull << 48)

#endif
