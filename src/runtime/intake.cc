// SPDX-License-Identifier: MIT
#include "runtime/intake.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/status_or.h"

namespace holdfast::runtime {

std::size_t Intake::bytes_of(const Request& request) {
  return request.events.empty() ? 0 : request.events.bytes() + kRequestBytes;
}

bool Intake::has_room(const Request& request) const {
  if (request.events.empty()) return !request.limited || limited_ < settings_.events_max;
  if (queue_.empty()) return true;
  const bool critical = request.is_urgent();
  if (reserved_ != nullptr && reserved_ != &request && !critical) return false;
  const auto most = [&](std::size_t limit) {
    return critical ? limit : limit - limit / kCriticalShare;
  };
  return events_ + request.events.size() <= most(settings_.events_max) &&
         bytes_ + bytes_of(request) <= most(settings_.bytes_max);
}

Status Intake::wait_for_room(const Request& request, std::unique_lock<std::mutex>& lock) {
  int passed_over = 0;
  while (closed_.ok() && !has_room(request)) {
    // A large one would find the little that a commit frees taken by small ones for ever.
    if (!request.limited && ++passed_over >= kPassedOverMax && reserved_ == nullptr) {
      reserved_ = &request;
    }
    room_.wait(lock);
  }
  if (reserved_ == &request) {
    reserved_ = nullptr;
    room_.notify_all();
  }
  return closed_;
}

Status Intake::push(Request& request, bool may_block, bool tell) {
  std::unique_lock lock(mutex_);
  if (may_block) {
    HOLDFAST_TRY(wait_for_room(request, lock));
  } else if (closed_.ok() && !has_room(request)) {
    if (request.limited) {
      return {StatusCode::resource_exhausted, "intake holds " + std::to_string(limited_) +
                                                  " cancels that nobody waits for, the limit is " +
                                                  std::to_string(settings_.events_max)};
    }
    return {StatusCode::resource_exhausted,
            "intake holds " + std::to_string(events_) + " events and " + std::to_string(bytes_) +
                " bytes, the limits are " + std::to_string(settings_.events_max) + " and " +
                std::to_string(settings_.bytes_max)};
  }
  if (!closed_.ok()) return closed_;
  const auto events = request.events.size();
  const auto bytes = bytes_of(request);
  const bool limited = request.limited;
  const bool urgent = request.durability == Durability::os;
  auto& queue = request.overtakes ? overtaking_ : queue_;
  // First, since there may be no memory for it.
  queue.push_back(std::move(request));
  events_ += events;
  bytes_ += bytes;
  limited_ += limited ? 1 : 0;
  urgent_ = urgent_ || urgent;
  // Not for each event that comes while a sync is under way: the committer would only look and
  // sleep.
  tell = tell && (urgent_ || !overtaking_.empty() || !sync_in_flight_ || events_ >= kGroupEvents);
  lock.unlock();
  if (tell) work_.notify_one();
  return {};
}

std::vector<Request> Intake::take(std::size_t events_max, std::size_t bytes_max) {
  std::vector<Request> taken;
  std::size_t weights = 0;
  std::size_t bytes = 0;
  {
    const std::lock_guard lock(mutex_);
    auto& queue = overtaking_.empty() ? queue_ : overtaking_;
    while (!queue.empty()) {
      auto& next = queue.front();
      const auto weight = std::max<std::size_t>(next.events.size(), 1);
      if (!taken.empty() &&
          (weights + weight > events_max || bytes + next.events.bytes() > bytes_max)) {
        break;
      }
      weights += weight;
      events_ -= next.events.size();
      bytes += next.events.bytes();
      bytes_ -= bytes_of(next);
      limited_ -= next.limited ? 1 : 0;
      taken.push_back(std::move(next));
      queue.pop_front();
    }
    urgent_ = urgent_ && !empty();
  }
  if (!taken.empty()) room_.notify_all();
  return taken;
}

void Intake::answers_given(bool urgent) {
  {
    const std::lock_guard lock(mutex_);
    if (answers_ && (!urgent || urgent_)) return;
    if (!answers_) answers_by_ = Clock::now() + settings_.ack_linger;
    answers_ = true;
    urgent_ = urgent_ || urgent;
  }
  work_.notify_one();
}

void Intake::answers_taken() {
  const std::lock_guard lock(mutex_);
  answers_ = false;
  if (empty()) urgent_ = false;
}

void Intake::set_sync_in_flight(bool in_flight) {
  bool tell = false;
  {
    const std::lock_guard lock(mutex_);
    sync_in_flight_ = in_flight;
    // Not after each sync of a publisher who commits by itself: to wake up for nothing costs that
    // one more than its own work.
    tell = !in_flight && should_commit(Clock::now());
  }
  if (tell) work_.notify_one();
}

void Intake::set_backlogged(bool backlogged) {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(backlogged_, backlogged) == backlogged) return;
  }
  if (!backlogged) work_.notify_one();
}

bool Intake::should_commit(Clock::time_point now) const {
  if (backlogged_) return false;
  if (urgent_ || !overtaking_.empty() || (answers_ && now >= answers_by_)) return true;
  return !queue_.empty() && (!sync_in_flight_ || events_ >= kGroupEvents || !closed_.ok());
}

bool Intake::wait_for_work() {
  std::unique_lock lock(mutex_);
  while (!should_commit(Clock::now())) {
    if (!closed_.ok() && empty() && !backlogged_) return answers_;
    if (answers_ && !backlogged_) {
      work_.wait_until(lock, answers_by_);
    } else {
      work_.wait(lock);
    }
  }
  return true;
}

void Intake::close(const Status& status) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_.ok()) closed_ = status;
  }
  room_.notify_all();
  work_.notify_all();
}

std::size_t Intake::events() const {
  const std::lock_guard lock(mutex_);
  return events_;
}

bool Intake::idle() const {
  const std::lock_guard lock(mutex_);
  return empty() && !sync_in_flight_;
}

}  // namespace holdfast::runtime
