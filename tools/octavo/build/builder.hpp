// SPDX-License-Identifier: Apache-2.0
// From a domain's configuration to its image: reads the files it names, lets the loader of its kind of kernel lay out the
// guest's memory, writes the image and has the hypervisor's own checker accept it.
#pragma once
#include "tools/octavo/build/files.hpp"
#include "tools/octavo/build/image_writer.hpp"

namespace octavo::build {

[[nodiscard]] Outcome<DomainPlan> plan_domain(const DomainConfig& config);

[[nodiscard]] Outcome<Bytes> build_image(const DomainConfig& config);

/// `octavo build`: TOML file in, image out.
[[nodiscard]] Outcome<> build_file(const std::filesystem::path& toml, const std::filesystem::path& image, const Progress& progress = {});
}  // namespace octavo::build
