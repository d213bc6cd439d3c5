# SPDX-License-Identifier: Apache-2.0
target_link_libraries(unit_connect PRIVATE octavo_runner)
target_sources(unit_connect PRIVATE ${CMAKE_SOURCE_DIR}/tools/octavo/terminal.cpp)
