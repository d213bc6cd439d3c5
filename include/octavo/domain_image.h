/* SPDX-License-Identifier: Apache-2.0
 *
 * The domain image, version 1: what `octavo build` writes and the hypervisor checks and carries out.
 *
 *   offset 0          a flattened device tree (DTSpec v0.3; readable by fdtdump, fdtget, dtc), its totalsize <= 1 MiB
 *   page-aligned      the segments that the tree names, in the order of their offsets, the file ends on a page boundary
 *
 * All 64-bit numbers are two cells, big-endian, as the device tree has them. Offsets and sizes are bytes, orders are log2 of a
 * count of 4 KiB frames.
 *
 *   / {
 *     compatible = "octavo,domain";
 *     octavo,version = <1>;
 *     image-size = <u64>;                     bytes of the whole file
 *     generator = "octavo 0.1.0";             for people
 *
 *     config {
 *       name = "web";                         1..31 of [a-zA-Z0-9._-]
 *       vcpus = <1>;
 *       memory = <u64>;                       bytes at the start, a multiple of 4096
 *       maximum-memory = <u64>;               >= memory; the sum of all "ram" ranges is exactly this
 *       leaf-orders = <18 9 0>;               the orders with which the p2m may map it, largest first; always contains 0
 *       console = "uart" | "none";
 *       on-poweroff = "destroy" | "restart";
 *       on-reboot   = "restart" | "destroy";
 *       on-crash    = "destroy" | "restart" | "preserve";
 *       kernel-kind = "linux" | "pvh" | "multiboot";          for people; the registers below say all
 *       command-line = "...";                                 for people; the guest's own copy is in a segment
 *     };
 *     memory-map {                            what exists in the guest-physical address space; ascending, disjoint
 *       range@0 { base = <u64>; size = <u64>; type = "ram"; };   page-aligned
 *       ...
 *     };
 *     segments {                              what is copied in; ascending gpa, disjoint, each inside one "ram" range
 *       segment@0 {
 *         label = "kernel";                   1..31 characters
 *         gpa = <u64>;                        page-aligned
 *         memory-size = <u64>;                bytes in the guest; what is beyond data-size is zero
 *         data-offset = <u64>;                page-aligned, beyond the tree
 *         data-size = <u64>;                  <= memory-size; may be 0
 *         data-crc32 = <u32>;                 CRC-32 (IEEE 802.3, as in zlib) of the data-size bytes
 *       };
 *     };
 *     vcpu@0 {                                the first registers of the boot vCPU
 *       mode = "protected32" | "long64";      flat 4 GiB segments, CPL 0, interrupts off; long64 wants cr3
 *       rip = <u64>; rsp = <u64>;
 *       rax rbx rcx rdx rsi rdi rbp = <u64>;  optional, 0 if absent
 *       cr3 = <u64>;                          long64: the root of page tables that a segment holds
 *       gdt-base = <u64>; gdt-limit = <u32>;  optional
 *       cs = <u32>; ds = <u32>;               selectors: cs for CS, ds for DS ES SS FS GS; optional
 *     };
 *   };
 */
#ifndef OCTAVO_DOMAIN_IMAGE_H
#define OCTAVO_DOMAIN_IMAGE_H

#define OCTAVO_IMAGE_COMPATIBLE "octavo,domain"
#define OCTAVO_IMAGE_VERSION 1
#define OCTAVO_IMAGE_MAX_TREE_SIZE (1u << 20)
#define OCTAVO_IMAGE_MAX_SEGMENTS 64
#define OCTAVO_IMAGE_MAX_RANGES 32
#define OCTAVO_IMAGE_MAX_NAME 31

#endif
