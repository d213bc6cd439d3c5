# SPDX-License-Identifier: Apache-2.0
# octavo_core: the rooms that the hypervisor and the host share, compiled for the host, for tools and tests to link.
find_library(OCTAVO_LIBFDT NAMES libfdt.a REQUIRED)
add_library(octavo_host_options INTERFACE)
target_compile_options(octavo_host_options INTERFACE ${OCTAVO_WARNINGS} -g)
if(OCTAVO_SANITIZE)
  target_compile_options(octavo_host_options INTERFACE -fsanitize=${OCTAVO_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
                         $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)  # GCC 12 sees ghosts in <regex> when it is instrumented
  target_link_options(octavo_host_options INTERFACE -fsanitize=${OCTAVO_SANITIZE})
endif()
target_include_directories(octavo_host_options INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/tests/model/live)

add_library(octavo_core STATIC ${OCTAVO_CORE_SOURCES})
target_link_libraries(octavo_core PUBLIC octavo_host_options PRIVATE ${OCTAVO_LIBFDT})
