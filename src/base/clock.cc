// SPDX-License-Identifier: MIT
#include "base/clock.h"

#include <algorithm>
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
    const auto boot = read_clock(CLOCK_BOOTTIME);
    return {read_clock(CLOCK_REALTIME), boot, boot};
  }
};

}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

std::int64_t bus_offset(const Now& last, const Now& now, bool rebooted) {
  const auto passed = rebooted ? now.wall - last.wall : now.boot - last.boot;
  return last.bus + std::max<std::int64_t>(passed, 0) - now.boot;
}

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

}  // namespace holdfast::base
