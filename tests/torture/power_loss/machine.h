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

  /// Opens the journal in `path()` as this boot of the machine finds it.
  Result<std::unique_ptr<Bus>> open_bus(const Options& options);
  Result<std::unique_ptr<journal::Journal>> open_journal();

  /// From now on: switches off at the `count`-th operation of that kind, which does not happen any
  /// more; of any kind when it is empty.
  void arm(const std::string& kind, std::uint64_t count);
  void disarm();
  /// The same at some moment of which little is known.
  void arm_somewhere();
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

  mutable std::mutex mutex_;  // guards the rest
  std::string kind_;
  std::uint64_t left_ = 0;
  std::string cut_at_;
};

}  // namespace holdfast::testing
