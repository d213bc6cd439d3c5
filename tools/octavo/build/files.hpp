// SPDX-License-Identifier: Apache-2.0
// Files, whole. Failures name the file.
#pragma once
#include <filesystem>
#include <functional>

#include "tools/octavo/build/bytes.hpp"
#include "tools/octavo/build/outcome.hpp"

namespace octavo::build {

[[nodiscard]] Outcome<Bytes> read_file(const std::filesystem::path& path);

/// Told while a file is written: bytes done, bytes in all.
using Progress = std::function<void(u64, u64)>;

/// Writes a temporary file beside `path` and renames it, so that `path` holds the old content or the new, never a part.
[[nodiscard]] Outcome<> write_file_atomically(const std::filesystem::path& path, ByteView content, const Progress& progress = {});
}  // namespace octavo::build
