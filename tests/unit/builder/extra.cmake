# SPDX-License-Identifier: Apache-2.0
target_link_libraries(unit_builder PRIVATE octavo_builder)
target_compile_definitions(unit_builder PRIVATE OCTAVO_COMMAND="$<TARGET_FILE:octavo>")
add_dependencies(unit_builder octavo)
