// SPDX-License-Identifier: MIT
#include "support/limits.h"

#include <cstdlib>
#include <fstream>
#include <sys/resource.h>
#include <unistd.h>

#include "support/sanitizer.h"

namespace holdfast::testing {

namespace {

constexpr uid_t kNobody = 65'534;

void set_soft(decltype(RLIMIT_NOFILE) resource, rlim_t soft) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) std::abort();
  limit.rlim_cur = soft == RLIM_INFINITY ? limit.rlim_max : soft;
  if (setrlimit(resource, &limit) != 0) std::abort();
}

}  // namespace

bool become_nobody() {
  if (geteuid() != 0) return true;
  return setgid(kNobody) == 0 && setuid(kNobody) == 0;
}

void give_to_nobody(const std::filesystem::path& folder) {
  if (geteuid() != 0) return;
  const auto give = [](const std::filesystem::path& path) {
    if (lchown(path.c_str(), kNobody, kNobody) != 0) std::abort();
  };
  give(folder);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    give(entry.path());
  }
}

void limit_descriptors(std::uint64_t first_refused) { set_soft(RLIMIT_NOFILE, first_refused); }
void unlimit_descriptors() { set_soft(RLIMIT_NOFILE, RLIM_INFINITY); }

bool limit_address_space(std::uint64_t more) {
  if (kSanitized) return false;
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  set_soft(RLIMIT_AS, pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE)) + more);
  return true;
}

}  // namespace holdfast::testing
