// SPDX-License-Identifier: MIT
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/result.h"
#include "holdfast/status.h"

namespace holdfast::bench {

// A bench that meets an error has no figure to show: it ends with a message.
inline void require(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}
inline void check(const Status& status) { require(status.ok(), status.to_string()); }
template <typename T>
T check(Result<T> result) {
  check(result.status());
  return std::move(*result);
}

constexpr double kMiB = 1 << 20;

/// Of a clock that only goes forward.
double wall_seconds();
/// Of all threads of this process.
double cpu_seconds();

/// What this process has written so far.
struct WrittenBytes {
  double by_calls = 0;  ///< Handed to write calls.
  double to_disk = 0;   ///< Made the kernel write, at page size; 0 where it does not tell.
};
WrittenBytes written_bytes();

/// Of this process now, in bytes.
struct Memory {
  double resident = 0;   ///< Program text and shared libraries included.
  double anonymous = 0;  ///< Without them: heap and stacks.
};
Memory memory_now();

double median(std::vector<double> values);
/// `part` from 0 to 1; sorts `values`.
double percentile(std::vector<double>& values, double part);

/// Wall time, CPU time and bytes written from its construction on.
class Stopwatch {
 public:
  [[nodiscard]] double seconds() const { return wall_seconds() - wall_; }
  /// Thousands of events a second; for each of `events` CPU microseconds, bytes handed to write
  /// calls and bytes that the kernel had to write for it.
  [[nodiscard]] std::vector<double> rates(std::uint64_t events) const;

 private:
  WrittenBytes written_ = written_bytes();
  double cpu_ = cpu_seconds();
  double wall_ = wall_seconds();
};

/// A folder that goes with its owner, below $HOLDFAST_BENCH_DIR or the folder for temporary files.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  /// The path of a folder that does not exist. What earlier ones left to write is on the disk
  /// first, so that nobody pays for his predecessor.
  [[nodiscard]] std::filesystem::path fresh();
  /// Everything written to its file system is on the disk after this.
  void sync() const;

 private:
  std::filesystem::path path_;
  int made_ = 0;
};

/// Removes `folder` when it goes out of scope.
struct Removed {
  ~Removed() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  std::filesystem::path folder;
};

/// Lets a limited number be under way. Whoever waits goes on when half of them are done: to be
/// woken for each would be most of the work.
class Gate {
 public:
  explicit Gate(std::uint64_t limit) : limit_(limit) {}
  void enter();
  void leave();
  void wait_empty();

 private:
  const std::uint64_t limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t inside_ = 0;
  std::uint64_t wanted_ = 0;  // waits until `inside_` is at most this
  bool waiting_ = false;
};

/// The highest memory seen while it lives, looked at every few milliseconds.
class MemoryWatch {
 public:
  MemoryWatch();
  ~MemoryWatch() { (void)stop(); }
  Memory stop();

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  Memory highest_{};
  std::thread thread_;
};

}  // namespace holdfast::bench
