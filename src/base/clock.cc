// SPDX-License-Identifier: MIT
#include "base/clock.h"

#include <ctime>
#include <fstream>

namespace holdfast::base {

namespace {

std::int64_t read_clock(clockid_t id) {
  timespec time{};
  clock_gettime(id, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

class SystemClock final : public Clock {
 public:
  [[nodiscard]] Now now() const override {
    return {read_clock(CLOCK_REALTIME), read_clock(CLOCK_BOOTTIME)};
  }
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace holdfast::base
