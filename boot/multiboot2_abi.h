/* SPDX-License-Identifier: Apache-2.0 */
/* What the assembler and C++ both need of the Multiboot2 specification 2.0. */
#pragma once
#define MULTIBOOT2_HEADER_MAGIC 0xe85250d6
#define MULTIBOOT2_LOADER_MAGIC 0x36d76289
