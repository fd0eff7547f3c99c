// SPDX-License-Identifier: MIT
#include "base/fail_point.h"

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <unistd.h>

namespace holdfast::base {

namespace {

struct Armed {
  std::string name;
  std::int64_t passes = 1;
};

Armed read_environment() {
  Armed armed;
  const char* text = std::getenv("HOLDFAST_FAIL_POINT");  // NOLINT(concurrency-mt-unsafe)
  if (text == nullptr) return armed;
  const std::string_view spec(text);
  const auto colon = spec.find(':');
  armed.name = spec.substr(0, colon);
  if (colon != std::string_view::npos) {
    std::from_chars(spec.data() + colon + 1, spec.data() + spec.size(), armed.passes);
  }
  return armed;
}

}  // namespace

void pass_fail_point(std::string_view name) noexcept {
  static const Armed armed = read_environment();
  static std::atomic<std::int64_t> passed{0};
  if (armed.name.empty() || armed.name != name) return;
  if (passed.fetch_add(1) + 1 == armed.passes) kill(getpid(), SIGKILL);
}

}  // namespace holdfast::base
