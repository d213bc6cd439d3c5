# SPDX-License-Identifier: Apache-2.0
target_link_libraries(unit_mutation PRIVATE octavo_instrument)
