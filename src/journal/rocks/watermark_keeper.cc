// SPDX-License-Identifier: MIT
#include "journal/rocks/watermark_keeper.h"

#include <algorithm>
#include <utility>

namespace holdfast::journal {

WatermarkKeeper::WatermarkKeeper(const Files& files, Config config, const Watermark& written)
    : files_(files),
      config_(std::move(config)),
      written_(written),
      durable_(written.durable),
      durable_next_(written.next),
      asked_(written.durable),
      asked_next_(written.next),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

WatermarkKeeper::~WatermarkKeeper() = default;

bool WatermarkKeeper::covers(CommitNumber number, const model::PerLane<model::Sequence>& next,
                             std::uint64_t ahead) const {
  if (number.value + ahead >= written_.reserved_number.value) return false;
  for (const auto lane : kAllPriorities) {
    if (next[lane] + ahead > written_.reserved[lane]) return false;
  }
  return true;
}

Status WatermarkKeeper::reserve(CommitNumber number, const model::PerLane<model::Sequence>& next) {
  std::unique_lock lock(mutex_);
  asked_ = number;
  asked_next_ = next;
  if (covers(number, next, config_.reserve / 2)) return {};
  if (!is_urgent_) {
    is_urgent_ = true;
    changed_.notify_all();
  }
  const auto attempts = attempts_;
  changed_.wait(
      lock, [&] { return covers(number, next, 0) || (attempts_ > attempts && !failure_.ok()); });
  return covers(number, next, 0) ? Status() : failure_;
}

void WatermarkKeeper::note_durable(const End& end) {
  const std::lock_guard lock(mutex_);
  if (end.number <= durable_) return;
  const bool was_clean = durable_ == written_.durable;
  durable_ = end.number;
  durable_next_ = end.next;
  if (was_clean) changed_.notify_all();
}

void WatermarkKeeper::note_failed() {
  std::unique_lock lock(mutex_);
  if (has_failed_) return;
  has_failed_ = true;
  is_urgent_ = true;
  // An attempt that is under way does not say it yet.
  const auto enough = attempts_ + (is_writing_ ? 2 : 1);
  changed_.notify_all();
  changed_.wait(lock, [&] { return !owes_failure() || attempts_ >= enough; });
}

bool WatermarkKeeper::owes_failure() const {
  return has_failed_ && written_.writer != Watermark::Writer::failed;
}

Watermark WatermarkKeeper::next_watermark() const {
  auto watermark = written_;
  if (has_failed_) watermark.writer = Watermark::Writer::failed;
  watermark.durable = durable_;
  watermark.next = durable_next_;
  const auto newest = std::max(asked_, durable_);
  watermark.reserved_number = {
      std::max(watermark.reserved_number.value, newest.value + 1 + config_.reserve)};
  for (const auto lane : kAllPriorities) {
    watermark.reserved[lane] =
        std::max(watermark.reserved[lane],
                 std::max(asked_next_[lane], durable_next_[lane]) + config_.reserve);
  }
  return watermark;
}

void WatermarkKeeper::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    changed_.wait(lock, stop, [this] { return is_urgent_ || durable_ != written_.durable; });
    // Whatever else becomes durable meanwhile goes into the same writing.
    changed_.wait_for(lock, stop, config_.age_max, [this] { return is_urgent_; });
    if (stop.stop_requested()) return;
    const auto watermark = next_watermark();
    is_writing_ = true;
    lock.unlock();
    auto status = write_watermark(files_, config_.folder, watermark);
    lock.lock();
    is_writing_ = false;
    ++attempts_;
    if (status.ok()) {
      written_ = watermark;
    } else if (failure_.ok()) {
      config_.log.error(status.to_string());
    }
    // Somebody may have asked for more while this was being written.
    is_urgent_ =
        owes_failure() || (status.ok() && !covers(asked_, asked_next_, config_.reserve / 2));
    failure_ = std::move(status);
    changed_.notify_all();
    // A file that cannot be written now is tried again later, as a new file; not in a busy loop.
    if (!failure_.ok()) changed_.wait_for(lock, stop, config_.age_max, [] { return false; });
  }
}

Status WatermarkKeeper::close(const std::optional<End>& end) {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(mutex_);
  if (!end) {
    return owes_failure() ? write_watermark(files_, config_.folder, next_watermark()) : Status();
  }
  durable_ = end->number;
  durable_next_ = end->next;
  auto watermark = next_watermark();
  watermark.writer = Watermark::Writer::closed;
  return write_watermark(files_, config_.folder, watermark);
}

}  // namespace holdfast::journal
