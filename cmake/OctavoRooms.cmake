# SPDX-License-Identifier: Apache-2.0
# octavo_room(CORE rooms...)        rooms that compile unchanged for the hypervisor and for the host
# octavo_room(HYPERVISOR rooms...)  rooms that only the hypervisor has (the host links tests/model in their place)
function(octavo_room world)
  set(sources)
  foreach(room IN LISTS ARGN)
    file(GLOB found CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${room}/*.cpp ${CMAKE_SOURCE_DIR}/${room}/*.S)
    list(APPEND sources ${found})
  endforeach()
  set(OCTAVO_${world}_SOURCES ${OCTAVO_${world}_SOURCES} ${sources} PARENT_SCOPE)
endfunction()
