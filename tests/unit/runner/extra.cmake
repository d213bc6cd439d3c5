# SPDX-License-Identifier: Apache-2.0
target_link_libraries(unit_runner PRIVATE octavo_runner)
