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
target_link_options(octavo.elf PRIVATE -nostdlib -static -no-pie -Wl,--gc-sections -Wl,--build-id=sha1
                    -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -T ${octavo_link_script})
target_link_libraries(octavo.elf PRIVATE ${OCTAVO_LIBFDT} gcc)
set_target_properties(octavo.elf PROPERTIES LINK_DEPENDS ${octavo_link_script})
