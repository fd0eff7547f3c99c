// SPDX-License-Identifier: MIT
#include "runtime/intake.h"

#include <string>
#include <utility>

namespace holdfast::runtime {

bool Intake::has_room(const Request& request) const {
  if (queue_.empty()) return true;
  const bool critical = request.has_urgent_event();
  const auto most = [&](std::size_t limit) {
    return critical ? limit : limit - limit / kCriticalShare;
  };
  return events_ + request.events.size() <= most(settings_.events_max) &&
         bytes_ + request.events.bytes() <= most(settings_.bytes_max);
}

Status Intake::push(Request& request, bool may_block, bool tell) {
  std::unique_lock lock(mutex_);
  while (closed_.ok() && !has_room(request)) {
    if (!may_block) {
      return {StatusCode::resource_exhausted,
              "intake holds " + std::to_string(events_) + " events and " + std::to_string(bytes_) +
                  " bytes, the limits are " + std::to_string(settings_.events_max) + " and " +
                  std::to_string(settings_.bytes_max)};
    }
    room_.wait(lock);
  }
  if (!closed_.ok()) return closed_;
  events_ += request.events.size();
  bytes_ += request.events.bytes();
  urgent_ = urgent_ || request.durability == Durability::os;
  queue_.push_back(std::move(request));
  // Not for each event that comes while a sync is under way: the committer would only look and
  // sleep.
  tell = tell && (urgent_ || !sync_in_flight_ || events_ >= kGroupEvents);
  lock.unlock();
  if (tell) work_.notify_one();
  return {};
}

std::vector<Request> Intake::take(std::size_t events_max, std::size_t bytes_max) {
  std::vector<Request> taken;
  std::size_t events = 0;
  std::size_t bytes = 0;
  {
    const std::lock_guard lock(mutex_);
    while (!queue_.empty()) {
      auto& next = queue_.front();
      if (!taken.empty() &&
          (events + next.events.size() > events_max || bytes + next.events.bytes() > bytes_max)) {
        break;
      }
      events += next.events.size();
      bytes += next.events.bytes();
      taken.push_back(std::move(next));
      queue_.pop_front();
    }
    events_ -= events;
    bytes_ -= bytes;
    urgent_ = urgent_ && !queue_.empty();
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
  if (queue_.empty()) urgent_ = false;
}

void Intake::set_sync_in_flight(bool in_flight) {
  {
    const std::lock_guard lock(mutex_);
    sync_in_flight_ = in_flight;
  }
  if (!in_flight) work_.notify_one();
}

bool Intake::should_commit(Clock::time_point now) const {
  if (urgent_ || (answers_ && now >= answers_by_)) return true;
  return !queue_.empty() && (!sync_in_flight_ || events_ >= kGroupEvents || !closed_.ok());
}

bool Intake::wait_for_work() {
  std::unique_lock lock(mutex_);
  while (!should_commit(Clock::now())) {
    if (!closed_.ok() && queue_.empty()) return answers_;
    if (answers_) {
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
  return queue_.empty() && !sync_in_flight_;
}

}  // namespace holdfast::runtime
