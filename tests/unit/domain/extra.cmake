# SPDX-License-Identifier: Apache-2.0
# The sample image is that of the image reader's own tests; nlohmann/json is the oracle of what is valid JSON.
find_package(nlohmann_json REQUIRED)
target_sources(unit_domain PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/unit/image/sample_image.cpp)
target_link_libraries(unit_domain PRIVATE nlohmann_json::nlohmann_json ${OCTAVO_LIBFDT})
