// SPDX-License-Identifier: MIT
#include "load/samples.h"

#include <algorithm>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <unistd.h>

namespace holdfast::testing {

namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kInterval{250};

std::uint64_t resident_bytes() {
  std::uint64_t pages = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::uint64_t less(std::uint64_t from, std::uint64_t what) { return from > what ? from - what : 0; }

std::uint64_t median_p99(std::vector<Window>::const_iterator begin,
                         std::vector<Window>::const_iterator end) {
  std::vector<std::uint64_t> values;
  for (; begin != end; ++begin) {
    if (begin->critical_count > 0) values.push_back(begin->critical_p99);
  }
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void pass(steady_clock::time_point until) {
  std::mutex nobody;
  std::condition_variable nothing;
  std::unique_lock lock(nobody);
  nothing.wait_until(lock, until, [] { return false; });
}

}  // namespace

Samples::Samples(MixedLoad& load, const Bounds& bounds)
    : load_(load), bounds_(bounds), begun_(steady_clock::now()), memory_idle_(resident_bytes()) {}

void Samples::look() {
  const auto stats = load_.stats();
  const auto memory = less(resident_bytes(), memory_idle_ + load_.books().bytes());
  std::uint64_t backlog = 0;
  now_.dead = 0;
  for (const auto& lane : stats.lanes) {
    backlog += lane.owed.ready + lane.owed.leased + lane.owed.scheduled;
    now_.dead += lane.owed.dead;
  }
  ++now_.samples;
  now_.memory_max = std::max(now_.memory_max, memory);
  now_.disk_max = std::max(now_.disk_max, stats.disk_bytes);
  now_.backlog_max = std::max(now_.backlog_max, backlog);
  memory_exceeded_ += memory > bounds_.memory ? 1 : 0;
  disk_exceeded_ += stats.disk_bytes > bounds_.disk ? 1 : 0;
}

void Samples::end_window() {
  now_.until_seconds = std::chrono::duration<double>(steady_clock::now() - begun_).count();
  now_.events = load_.books().events() - events_before_;
  now_.deliveries = load_.deliveries() - deliveries_before_;
  events_before_ += now_.events;
  deliveries_before_ += now_.deliveries;
  const auto latencies = load_.take_latencies();
  now_.critical_count = latencies.count();
  now_.critical_p99 = latencies.percentile(0.99);
  windows_.push_back(now_);
  now_ = {};
}

void Samples::watch(std::chrono::milliseconds time, std::chrono::milliseconds window) {
  const auto end = steady_clock::now() + time;
  auto window_end = steady_clock::now() + window;
  for (auto next = steady_clock::now(); next < end; next += kInterval) {
    pass(next);
    look();
    if (steady_clock::now() < window_end) continue;
    end_window();
    window_end += window;
  }
  if (now_.samples > 0) end_window();
}

double Samples::critical_growth() const {
  const auto third = static_cast<std::ptrdiff_t>(windows_.size() / 3);
  if (third == 0) return 0;
  const auto first = median_p99(windows_.begin(), windows_.begin() + third);
  const auto last = median_p99(windows_.end() - third, windows_.end());
  return first == 0 ? 0 : static_cast<double>(last) / static_cast<double>(first);
}

}  // namespace holdfast::testing
