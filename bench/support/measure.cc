// SPDX-License-Identifier: MIT
#include "support/measure.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <fstream>
#include <unistd.h>

namespace holdfast::bench {

namespace {

/// The number behind `key` in a file of lines such as "wchar: 123 kB".
double number_in(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(key)) return std::strtod(line.c_str() + key.size(), nullptr);
  }
  return 0;
}

}  // namespace

double wall_seconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

double cpu_seconds() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

WrittenBytes written_bytes() {
  return {number_in("/proc/self/io", "wchar:"), number_in("/proc/self/io", "write_bytes:")};
}

Memory memory_now() {
  return {number_in("/proc/self/status", "VmRSS:") * 1024,
          number_in("/proc/self/status", "RssAnon:") * 1024};
}

double median(std::vector<double> values) { return percentile(values, 0.5); }

double percentile(std::vector<double>& values, double part) {
  require(!values.empty(), "no samples");
  std::sort(values.begin(), values.end());
  const auto last = static_cast<double>(values.size() - 1);
  return values[static_cast<std::size_t>(last * part + 0.5)];
}

std::vector<double> Stopwatch::rates(std::uint64_t events) const {
  const auto count = static_cast<double>(events);
  const double seconds = wall_seconds() - wall_;
  const double cpu = cpu_seconds() - cpu_;
  const auto written = written_bytes();
  return {count / seconds / 1000, cpu / count * 1e6, (written.by_calls - written_.by_calls) / count,
          (written.to_disk - written_.to_disk) / count};
}

TempFolder::TempFolder() {
  const char* wanted = std::getenv("HOLDFAST_BENCH_DIR");
  const auto root =
      wanted != nullptr ? std::filesystem::path(wanted) : std::filesystem::temp_directory_path();
  std::string name = (root / "holdfast-bench-XXXXXX").string();
  require(mkdtemp(name.data()) != nullptr, "cannot make a folder in " + root.string());
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void TempFolder::sync() const {
  const int folder = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY);
  require(folder >= 0, "cannot open " + path_.string());
  ::syncfs(folder);
  ::close(folder);
}

std::filesystem::path TempFolder::fresh() {
  sync();
  return path_ / std::to_string(++made_);
}

void Gate::enter() {
  std::unique_lock lock(mutex_);
  if (inside_ == limit_) {
    wanted_ = limit_ / 2;
    waiting_ = true;
    changed_.wait(lock, [this] { return inside_ <= wanted_; });
    waiting_ = false;
  }
  ++inside_;
}

void Gate::leave() {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    --inside_;
    wake = waiting_ && inside_ <= wanted_;
  }
  if (wake) changed_.notify_one();
}

void Gate::wait_empty() {
  std::unique_lock lock(mutex_);
  wanted_ = 0;
  waiting_ = true;
  changed_.wait(lock, [this] { return inside_ == 0; });
  waiting_ = false;
}

MemoryWatch::MemoryWatch()
    : highest_(memory_now()), thread_([this] {
        std::unique_lock lock(mutex_);
        while (!stopping_) {
          wake_.wait_for(lock, std::chrono::milliseconds(5));
          const auto now = memory_now();
          highest_.resident = std::max(highest_.resident, now.resident);
          highest_.anonymous = std::max(highest_.anonymous, now.anonymous);
        }
      }) {}

Memory MemoryWatch::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  return highest_;
}

}  // namespace holdfast::bench
