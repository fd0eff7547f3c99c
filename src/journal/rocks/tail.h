// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "model/commit.h"

namespace holdfast::journal {

/// Where the journal ends: what the newest commit said, and which sequences are known to be lost.
struct End {
  CommitNumber number;
  model::PerLane<model::Sequence> next{{1, 1, 1, 1}};
  model::PerLane<model::Sequence> trim{{1, 1, 1, 1}};
  std::shared_ptr<const std::vector<model::LostRange>> lost;
};

/// The end as it is now. Threads: any.
class Tail {
 public:
  [[nodiscard]] End read() const {
    const std::lock_guard lock(mutex_);
    return end_;
  }
  void set(End end) {
    const std::lock_guard lock(mutex_);
    end_ = std::move(end);
  }

 private:
  mutable std::mutex mutex_;
  End end_{.number = {}, .lost = std::make_shared<const std::vector<model::LostRange>>()};
};

}  // namespace holdfast::journal
