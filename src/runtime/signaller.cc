// SPDX-License-Identifier: MIT
#include "runtime/signaller.h"

#include <iterator>
#include <utility>

namespace holdfast::runtime {

void Signaller::start() {
  thread_ = std::thread([this] { run(); });
}

void Signaller::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Signaller::signal(Runs runs) {
  if (runs.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    waiting_.insert(waiting_.end(), std::make_move_iterator(runs.begin()),
                    std::make_move_iterator(runs.end()));
  }
  changed_.notify_one();
}

void Signaller::tell(Runs runs) {
  if (internal::inside_callback()) return signal(std::move(runs));
  for (const auto& each : runs) each->stop.tell();
}

void Signaller::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    auto next = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    next->stop.tell();
    next.reset();
    lock.lock();
  }
}

}  // namespace holdfast::runtime
