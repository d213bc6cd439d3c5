// SPDX-License-Identifier: Apache-2.0
#include "tools/octavo/run/terminal.hpp"

namespace octavo::tool {

RawTerminal::RawTerminal(int fd) : fd_(fd) {
  termios settings{};
  if (tcgetattr(fd, &settings) != 0) return;
  before_ = settings;
  cfmakeraw(&settings);
  settings.c_oflag |= OPOST;  // our own lines end in \n alone; the guest's \r\n passes unchanged
  tcsetattr(fd, TCSADRAIN, &settings);
}

void RawTerminal::restore() {
  if (!before_) return;
  tcsetattr(fd_, TCSADRAIN, &*before_);
  before_.reset();
}
}  // namespace octavo::tool
