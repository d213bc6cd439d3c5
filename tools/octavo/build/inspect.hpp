// SPDX-License-Identifier: Apache-2.0
// What a domain image says, for people and for machines. The reader is the hypervisor's own checker.
#pragma once
#include <nlohmann/json.hpp>

#include "tools/octavo/build/bytes.hpp"
#include "tools/octavo/build/outcome.hpp"

#include "domain/image.hpp"

namespace octavo::build {

/// Checks everything, CRCs included. The failure is the hypervisor's, without the file's name.
[[nodiscard]] Outcome<> inspect_image(ByteView bytes, domain::Image& image);

/// Keys and units are described in docs/domain-image.md.
[[nodiscard]] nlohmann::ordered_json image_json(const domain::Image& image);

[[nodiscard]] std::string image_table(const domain::Image& image);
}  // namespace octavo::build
