// SPDX-License-Identifier: Apache-2.0
// Linked to every test that runs mutants. OCTAVO_MUTANT=N picks the mutant; with OCTAVO_MUTANT_REACHED=FILE the numbers of all places
// that were reached are written there at the end; with OCTAVO_MUTANT_MEMORY=MiB the process ends when more than that is resident: the
// simulated machine is larger than this one, and a mutant may fill it.
#include "octavo_mutant.hpp"

#include <fcntl.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace octavo_mutation {
int active = 0;
unsigned char reached[k_most];

namespace {
constexpr int k_status_memory = 99;  // tests/mutation/campaign.cpp knows it
long most_pages = 0;

void look_at_memory(int) {
  char text[64] = {};
  const int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (file < 0) return;
  const bool read_it = read(file, text, sizeof(text) - 1) > 0;
  close(file);
  const char* at = text;
  while (*at != ' ' && *at != 0) ++at;
  if (read_it && std::strtol(at, nullptr, 10) > most_pages) _exit(k_status_memory);
}

struct Environment {
  Environment() {
    if (const char* number = std::getenv("OCTAVO_MUTANT")) active = std::atoi(number);
    const char* limit = std::getenv("OCTAVO_MUTANT_MEMORY");
    if (limit == nullptr) return;
    most_pages = std::atol(limit) * 256;
    struct sigaction action {};
    action.sa_handler = look_at_memory;
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, nullptr);
    const itimerval every{{0, 200'000}, {0, 200'000}};
    setitimer(ITIMER_REAL, &every, nullptr);
  }
  ~Environment() {
    const char* name = std::getenv("OCTAVO_MUTANT_REACHED");
    std::FILE* file = name != nullptr ? std::fopen(name, "w") : nullptr;
    if (file == nullptr) return;
    for (int n = 0; n < k_most; ++n) {
      if (reached[n] != 0) std::fprintf(file, "%d\n", n);
    }
    std::fclose(file);
  }
} environment;
}  // namespace
}  // namespace octavo_mutation
