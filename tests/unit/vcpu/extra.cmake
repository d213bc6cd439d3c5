# SPDX-License-Identifier: Apache-2.0
# Zydis is the oracle of the instruction decoder.
find_package(zydis CONFIG QUIET)
if(TARGET Zydis::Zydis)
  target_link_libraries(${layer}_${name} PRIVATE Zydis::Zydis)
else()
  find_library(OCTAVO_ZYDIS NAMES Zydis REQUIRED)
  target_link_libraries(${layer}_${name} PRIVATE ${OCTAVO_ZYDIS})
endif()
