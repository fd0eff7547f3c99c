// SPDX-License-Identifier: MIT
#pragma once

// Waiting for other threads: always for a condition, never for a time. `kPatience` only ends a test
// that would hang.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace holdfast::testing {

inline constexpr std::chrono::seconds kPatience{60};

/// Something that happens once.
class Signal {
 public:
  void set() {
    const std::lock_guard lock(mutex_);
    is_set_ = true;
    changed_.notify_all();
  }
  [[nodiscard]] bool is_set() const {
    const std::lock_guard lock(mutex_);
    return is_set_;
  }
  bool wait() const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [this] { return is_set_; });
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  bool is_set_ = false;
};

/// A list that other threads add to, and a test waits for.
template <typename T>
class Collected {
 public:
  /// The number of those before it.
  std::size_t add(T value) {
    const std::lock_guard lock(mutex_);
    values_.push_back(std::move(value));
    changed_.notify_all();
    return values_.size() - 1;
  }
  bool wait_for_count(std::size_t count) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return values_.size() >= count; });
  }
  [[nodiscard]] std::vector<T> all() const {
    const std::lock_guard lock(mutex_);
    return values_;
  }
  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return values_.size();
  }

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<T> values_;
};

/// Asks until `condition` holds: for what nobody can be told of. False when patience ends.
bool eventually(const std::function<bool()>& condition);

}  // namespace holdfast::testing
