// SPDX-License-Identifier: Apache-2.0
// Where an operator channel can be reached from this host: a UNIX socket (QEMU's `-serial unix:…`), a serial device or
// pseudo-terminal, or `tcp:HOST:PORT` on this host's loopback only, because the channel knows no passwords.
#pragma once
#include <chrono>
#include <string>

#include "tools/octavo/run/outcome.hpp"
#include "tools/octavo/run/process.hpp"

namespace octavo::tool {

/// A connected, non-blocking descriptor; terminals are set to raw 115200 8N1. The error says why it cannot be had.
Outcome<Descriptor> open_endpoint(const std::string& name, std::chrono::milliseconds limit);

/// May QEMU make its socket here? Not over a file, nor over a socket on which somebody listens. Empty, or a sentence.
std::string why_no_socket_at(const std::string& path);
}  // namespace octavo::tool
