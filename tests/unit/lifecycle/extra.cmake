# SPDX-License-Identifier: Apache-2.0
# The image that the unit tests of the parser use, and the scripted processor of the vCPU loop's.
target_sources(unit_lifecycle PRIVATE ${CMAKE_SOURCE_DIR}/tests/unit/image/sample_image.cpp)
target_link_libraries(unit_lifecycle PRIVATE ${OCTAVO_LIBFDT})
