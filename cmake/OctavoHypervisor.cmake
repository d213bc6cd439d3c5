# SPDX-License-Identifier: Apache-2.0
# octavo.elf: every room, compiled freestanding. The same compiler as for the host; nothing of the host's run time is
# linked but the distribution's libfdt.a.
find_program(OCTAVO_OBJCOPY NAMES objcopy REQUIRED)
find_library(OCTAVO_LIBFDT NAMES libfdt.a REQUIRED)

set(OCTAVO_FREESTANDING
    -ffreestanding -fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-use-cxa-atexit
    -fno-pic -fno-pie -mcmodel=kernel -mno-red-zone -mno-sse -mno-mmx
    -fstack-protector-strong -mstack-protector-guard=tls -mstack-protector-guard-reg=fs -mstack-protector-guard-offset=40
    -fno-omit-frame-pointer -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections -O2 -g
    -Wframe-larger-than=2048)

set(octavo_link_script ${CMAKE_SOURCE_DIR}/boot/octavo.lds)
add_executable(octavo.elf ${OCTAVO_CORE_SOURCES} ${OCTAVO_HYPERVISOR_SOURCES})
target_include_directories(octavo.elf PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/arch/x86/live ${CMAKE_BINARY_DIR}/generated)
target_compile_definitions(octavo.elf PRIVATE OCTAVO_VERSION="${PROJECT_VERSION}")
target_compile_options(octavo.elf PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${OCTAVO_WARNINGS}>
                                          $<$<COMPILE_LANGUAGE:CXX>:${OCTAVO_FREESTANDING}>)
# One room calls another at every exit of a guest; the optimizer may look across. (Clang's LTO wants its own linker: not used.)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(octavo.elf PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-flto>)
  # The boot path ends in a call that never returns, and all of it may become one frame: the limit is for each function as written.
  target_link_options(octavo.elf PRIVATE ${OCTAVO_FREESTANDING} -flto=auto -flto-partition=one -Wno-frame-larger-than)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(octavo.elf PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-c++-static-destructors>)  # GCC sees by itself that they are empty
endif()
target_link_options(octavo.elf PRIVATE -nostdlib -static -no-pie -Wl,--gc-sections -Wl,--build-id=sha1
                    -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -T ${octavo_link_script})
target_link_libraries(octavo.elf PRIVATE ${OCTAVO_LIBFDT} gcc)
set_target_properties(octavo.elf PROPERTIES LINK_DEPENDS ${octavo_link_script} RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})

# The runtime's loops must not be recognized as the very functions that they implement.
set_source_files_properties(${CMAKE_SOURCE_DIR}/arch/x86/runtime.cpp PROPERTIES COMPILE_OPTIONS
  "-fno-lto;$<IF:$<CXX_COMPILER_ID:GNU>,-fno-tree-loop-distribute-patterns,-fno-builtin>")

# Generated headers: the commit's name (looked at in every build), and the screen's font out of GRUB's.
set(octavo_generated ${CMAKE_BINARY_DIR}/generated)
file(MAKE_DIRECTORY ${octavo_generated})
add_custom_target(octavo_git_id BYPRODUCTS ${octavo_generated}/octavo_git_id.hpp
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DOUTPUT=${octavo_generated}/octavo_git_id.hpp -P ${CMAKE_SOURCE_DIR}/cmake/OctavoGitId.cmake)
find_file(OCTAVO_FONT NAMES ascii.pf2 unicode.pf2 PATHS /usr/share/grub NO_DEFAULT_PATH REQUIRED DOC "GRUB's font (Debian: grub-common)")
add_executable(octavo_font ${CMAKE_SOURCE_DIR}/boot/font/font.cpp)
target_compile_options(octavo_font PRIVATE ${OCTAVO_WARNINGS})
add_custom_command(OUTPUT ${octavo_generated}/octavo_font.hpp DEPENDS octavo_font ${OCTAVO_FONT} VERBATIM
  COMMAND octavo_font ${OCTAVO_FONT} ${octavo_generated}/octavo_font.hpp)
target_sources(octavo.elf PRIVATE ${octavo_generated}/octavo_font.hpp)
add_dependencies(octavo.elf octavo_git_id)

# octavo.elf is what GRUB loads, with the symbol table for dumps; debug information stays beside it in octavo.debug.
add_custom_command(TARGET octavo.elf POST_BUILD VERBATIM
  COMMAND ${CMAKE_COMMAND} -E chdir ${CMAKE_BINARY_DIR} ${OCTAVO_OBJCOPY} --only-keep-debug octavo.elf octavo.debug
  COMMAND ${CMAKE_COMMAND} -E chdir ${CMAKE_BINARY_DIR} ${OCTAVO_OBJCOPY} --strip-debug octavo.elf)
