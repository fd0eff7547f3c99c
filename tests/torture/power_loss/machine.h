// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>

#include <rocksdb/env.h>

#include "holdfast/holdfast.h"
#include "journal/rocks/rocks_journal.h"
#include "support/fault_fs.h"

namespace holdfast::testing {

/// What an operation on a file is for, as "append log" or "rename watermark".
std::string kind_of_operation(const std::string& operation, const std::string& path);

/// A machine with a disk in memory and one journal on it, that can be switched off.
class PowerMachine {
 public:
  explicit PowerMachine(std::uint64_t seed);
  ~PowerMachine();

  [[nodiscard]] std::mt19937_64& random() { return random_; }
  [[nodiscard]] FaultFs& files() { return *files_; }
  /// Where its files are, without faults.
  [[nodiscard]] rocksdb::Env& disk() { return *memory_; }
  static constexpr const char* kFolder = "/journal";

  /// Opens the journal in `path()` as this boot of the machine finds it.
  Result<std::unique_ptr<Bus>> open_bus(const Options& options);

  /// From now on: switches off at the `count`-th operation of that kind, which does not happen any
  /// more; of any kind when it is empty.
  void arm(const std::string& kind, std::uint64_t count);
  void disarm();
  /// The same at some moment of which little is known.
  void arm_somewhere();
  /// The `count`-th such operation from now on (as `FaultFs::set_hook` names them) fails with
  /// `error`; with `for_ever` all after it as well.
  void fail(const std::string& operation, std::uint64_t count, rocksdb::IOStatus error,
            bool for_ever);
  /// Likewise for the `count`-th read.
  void fail_read(std::uint64_t count);
  /// Whether it is off, or something has failed: calls may say so.
  [[nodiscard]] bool has_failed() const { return has_failed_ || is_off(); }
  /// Switches off now.
  void cut(const std::string& why);
  [[nodiscard]] bool is_off() const { return files_->is_off(); }
  /// What was under way.
  [[nodiscard]] std::string cut_at() const;

  /// Boots it again, with what the disk has kept. Whoever used it has ended.
  FaultFs::Losses boot();
  /// The process was killed instead: nothing that was written is lost yet.
  void restart_process() { files_->restore_everything(); }

 private:
  std::mt19937_64 random_;
  std::unique_ptr<rocksdb::Env> memory_;
  std::shared_ptr<FaultFs> files_;
  std::unique_ptr<rocksdb::Env> env_;
  int boot_ = 1;

  Result<std::unique_ptr<journal::Journal>> open_journal();
  rocksdb::IOStatus before(const std::string& operation, const std::string& path);

  mutable std::mutex mutex_;  // guards the rest
  std::string kind_;
  std::uint64_t left_ = 0;
  std::string cut_at_;
  std::string failing_;
  std::uint64_t fail_left_ = 0;
  std::uint64_t reads_left_ = 0;
  rocksdb::IOStatus error_;
  bool fails_for_ever_ = false;
  std::atomic<bool> has_failed_ = false;
};

}  // namespace holdfast::testing
