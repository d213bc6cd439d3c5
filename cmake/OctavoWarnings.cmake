# SPDX-License-Identifier: Apache-2.0
# One set of warnings for everything that we compile, on GCC and Clang.
set(OCTAVO_WARNINGS
    -Wall -Wextra -Werror -Wconversion -Wsign-conversion -Wshadow -Wold-style-cast -Wnon-virtual-dtor -Woverloaded-virtual
    -Wimplicit-fallthrough -Wundef)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  list(APPEND OCTAVO_WARNINGS -Wlogical-op -Wduplicated-cond)
endif()
