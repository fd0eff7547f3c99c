// SPDX-License-Identifier: MIT
#pragma once

#include <mutex>
#include <shared_mutex>
#include <string_view>

#include <rocksdb/listener.h>

#include "holdfast/status.h"

namespace holdfast::journal {

/// Keeps syncs of the engine's log apart from a write to it that fails. Writes and syncs go on at
/// the same time, and an engine that was built with its assertions ends the process when it is
/// asked to sync a file after a write to it has failed. So who syncs holds this meanwhile, and the
/// engine is told of the failure only once nobody does. Threads: any.
class LogGuard final : public rocksdb::EventListener {
 public:
  /// For one sync: as long as it lives no write fails, or `failure` tells of the one that has.
  class Hold {
   public:
    explicit Hold(const LogGuard& guard) : lock_(guard.mutex_), guard_(guard) {}
    [[nodiscard]] const Status& failure() const { return guard_.failure_; }

   private:
    std::shared_lock<std::shared_mutex> lock_;
    const LogGuard& guard_;
  };

  /// Until whoever holds it now has let go.
  void wait_for_syncs() const { const std::unique_lock lock(mutex_); }

  [[nodiscard]] const char* Name() const override { return "holdfast.log_guard"; }
  bool ShouldBeNotifiedOnFileIO() override { return true; }
  /// By the thread that writes, before the engine itself knows.
  void OnIOError(const rocksdb::IOErrorInfo& info) override;

 private:
  mutable std::shared_mutex mutex_;
  Status failure_;  // guarded by mutex_
};

}  // namespace holdfast::journal
