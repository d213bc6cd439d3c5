// SPDX-License-Identifier: Apache-2.0
#include "arch/x86/version.hpp"

#include "octavo_git_id.hpp"  // made at each build by cmake/OctavoGitId.cmake

namespace octavo::arch {
namespace {
/// An ELF note (gABI, "Note Section"): name, padded to 4 bytes, then the description.
struct Note {
  u32 name_size;
  u32 description_size;
  u32 type;
  char name[4];
};
extern "C" const Note octavo_build_id_note;
}  // namespace

std::string_view version() { return OCTAVO_VERSION; }
std::string_view git_id() { return OCTAVO_GIT_ID; }
std::span<const u8> build_id() {
  return {reinterpret_cast<const u8*>(&octavo_build_id_note + 1), octavo_build_id_note.description_size};
}
}  // namespace octavo::arch
