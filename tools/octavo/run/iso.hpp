// SPDX-License-Identifier: Apache-2.0
// The boot medium: one GRUB 2 image that starts on BIOS and on UEFI, from CD or (written raw) from a USB stick. All inputs
// are checked before anything is written, and the image appears whole or not at all.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/octavo/run/outcome.hpp"

namespace octavo::tool {

struct IsoRequest {
  std::vector<std::filesystem::path> images;  ///< domain images, in the order in which the hypervisor will see them
  std::filesystem::path hypervisor;
  std::filesystem::path output;
  std::string options;                        ///< the hypervisor's command line
  std::function<void(std::string_view)> progress;  ///< if set, called with a line to show while a large image is written
};

Outcome<> make_iso(const IsoRequest& request);
/// The same with its progress on standard error, where that is a terminal.
Outcome<> make_iso_for_person(IsoRequest request);

/// A multiboot2 ELF64 for x86-64? The sentence says why not.
Outcome<> check_hypervisor(const std::filesystem::path& path);
/// Does the file begin with a flattened device tree that fits it? What the tree says is for the hypervisor to judge.
Outcome<> check_domain_image(const std::filesystem::path& path);
/// Options go through GRUB's script and QEMU's command line unharmed only if they are plain; the sentence names what is not.
Outcome<> check_options(const std::string& options);

/// `octavo run` passes options to an image that exists already as this OEM string of the emulated machine's SMBIOS table
/// (type 11); the image's grub.cfg appends what stands behind the prefix. No real machine has it.
inline constexpr const char* k_oem_prefix = "octavo:";
/// Longer ones do not fit GRUB's and the firmware's buffers with certainty.
inline constexpr std::size_t k_max_options = 240;
}  // namespace octavo::tool
