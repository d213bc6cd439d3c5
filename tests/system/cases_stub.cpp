#include "tests/system/case.hpp"
namespace octavo::system_test {
void add_guest_cases(std::vector<Case>&, const std::filesystem::path&) {}
void add_image_cases(std::vector<Case>&) {}
void add_linux_cases(std::vector<Case>&) {}
}
