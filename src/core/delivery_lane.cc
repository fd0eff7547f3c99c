// SPDX-License-Identifier: MIT
#include "core/delivery_lane.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace holdfast::core {

void DeliveryLane::reset(Sequence floor, std::vector<Sequence> ahead, bool live) {
  taken_.clear();
  window_.clear();
  window_count_ = 0;
  due_.clear();
  skip_ = std::move(ahead);
  cover(floor);
  live_ = live;
}

void DeliveryLane::cover(Sequence reached) {
  covered_ = reached;
  auto skip = std::lower_bound(skip_.begin(), skip_.end(), covered_);
  for (; skip != skip_.end() && *skip == covered_; ++skip) ++covered_;
}

void DeliveryLane::push_span(Span span) {
  window_count_ += span.end - span.next;
  window_.push_back(std::move(span));
}

void DeliveryLane::offer(const Span& span, bool room) {
  if (!live_) return;
  if (room && window_count_ < kWindowEventsMax) {
    push_span(span);
    return;
  }
  live_ = false;
  covered_ = span.next;
}

void DeliveryLane::refill(std::vector<Span> spans, Sequence covered, bool live) {
  for (auto& span : spans) {
    auto skip = std::lower_bound(skip_.begin(), skip_.end(), span.next);
    for (; skip != skip_.end() && *skip < span.end; ++skip) {
      if (*skip > span.next) push_span({span.chunk, span.next, *skip, span.since});
      span.next = *skip + 1;
    }
    if (span.next < span.end) push_span(std::move(span));
  }
  cover(covered);
  live_ = live;
}

void DeliveryLane::drop_waiting() {
  due_.clear();
  drop_window();
}

void DeliveryLane::drop_window() {
  if (window_.empty()) return;
  covered_ = window_.front().next;
  window_.clear();
  window_count_ = 0;
  live_ = false;
}

DeliveryLane::Due DeliveryLane::take_due() {
  HOLDFAST_ASSERT(!due_.empty());
  auto due = std::move(due_.begin()->second);
  due_.erase(due_.begin());
  return due;
}

DeliveryLane::Taken DeliveryLane::take() {
  HOLDFAST_ASSERT(window_count_ > 0);
  auto& span = window_.front();
  const auto sequence = span.next++;
  taken_.push_back({.sequence = sequence, .chunk = span.chunk});
  Taken taken{sequence, nullptr, first_ticket_ + taken_.size() - 1, 0};
  --window_count_;
  if (span.next == span.end) {
    taken.chunk = std::move(span.chunk);
    window_.pop_front();
  } else {
    taken.chunk = span.chunk;
  }
  return taken;
}

bool DeliveryLane::untake(Ticket ticket, Span one) {
  const bool is_last = is_taken(ticket) && ticket - first_ticket_ == taken_.size() - 1;
  if (!is_last || taken_.back().released || is_due(one.next)) return false;
  taken_.pop_back();
  ++window_count_;
  if (!window_.empty() && window_.front().chunk == one.chunk && window_.front().next == one.end &&
      window_.front().since == one.since) {
    window_.front().next = one.next;
  } else {
    window_.push_front(std::move(one));
  }
  return true;
}

bool DeliveryLane::is_taken(Ticket ticket) const noexcept {
  return ticket >= first_ticket_ && ticket - first_ticket_ < taken_.size() &&
         !taken_[ticket - first_ticket_].settled;
}

void DeliveryLane::set_lease(Ticket ticket, LeaseNumber lease) {
  HOLDFAST_ASSERT(is_taken(ticket));
  auto& row = taken_[ticket - first_ticket_];
  row.lease = lease;
  row.idle = false;
}

void DeliveryLane::set_idle(Ticket ticket, bool idle) {
  auto& row = taken_[ticket - first_ticket_];
  row.idle = idle;
  if (!idle) row.begun = true;
}

void DeliveryLane::give_up(Ticket ticket, bool begun) {
  set_lease(ticket, 0);
  taken_[ticket - first_ticket_].begun = begun;
}

bool DeliveryLane::is_held(Ticket ticket, LeaseNumber lease) const noexcept {
  return is_taken(ticket) && taken_[ticket - first_ticket_].lease == lease;
}

void DeliveryLane::settle(Ticket ticket) {
  HOLDFAST_ASSERT(is_taken(ticket));
  auto& row = taken_[ticket - first_ticket_];
  row.settled = true;
  row.chunk.reset();
  while (!taken_.empty() && taken_.front().settled) {
    taken_.pop_front();
    ++first_ticket_;
  }
}

void DeliveryLane::release(Ticket ticket) {
  HOLDFAST_ASSERT(is_taken(ticket));
  auto& row = taken_[ticket - first_ticket_];
  row.released = true;
  row.begun = false;
  row.lease = 0;
}

void DeliveryLane::settle_ahead(Sequence sequence) {
  HOLDFAST_ASSERT(taken_.empty() && window_.empty());
  const auto at = std::lower_bound(skip_.begin(), skip_.end(), sequence);
  if (at == skip_.end() || *at != sequence) skip_.insert(at, sequence);
  cover(covered_);
}

bool DeliveryLane::mark_due_parked(Sequence sequence, model::DueTime due, bool cleanup) {
  const auto found = due_.find(sequence);
  if (found == due_.end()) return false;
  found->second.mark_parked(due, cleanup);
  return true;
}

std::optional<DeliveryLane::Taken> DeliveryLane::overdue() const {
  if (taken_.size() <= kTakenSoftMax) return std::nullopt;
  const auto& oldest = taken_.front();
  return Taken{oldest.sequence, oldest.chunk, first_ticket_, oldest.lease, oldest.begun};
}

Sequence DeliveryLane::floor(Sequence offered) const noexcept {
  return taken_.empty() ? frontier(offered) : taken_.front().sequence;
}

Sequence DeliveryLane::frontier(Sequence offered) const noexcept {
  if (!window_.empty()) return window_.front().next;
  // What is not offered yet may be done with already: a rewind can go beyond it.
  return live_ ? std::max(offered, covered_) : covered_;
}

std::vector<Sequence> DeliveryLane::ahead(Sequence floor) const {
  std::vector<Sequence> ahead(std::upper_bound(skip_.begin(), skip_.end(), floor), skip_.end());
  const auto middle = static_cast<std::ptrdiff_t>(ahead.size());
  for (const auto& row : taken_) {
    if (row.settled && row.sequence > floor) ahead.push_back(row.sequence);
  }
  std::inplace_merge(ahead.begin(), ahead.begin() + middle, ahead.end());
  return ahead;
}

bool DeliveryLane::is_settled(Sequence sequence, Sequence offered) const noexcept {
  if (sequence < floor(offered)) return true;
  if (std::binary_search(skip_.begin(), skip_.end(), sequence)) return true;
  const auto row = find_row(sequence);
  return row != taken_.end() && row->settled;
}

bool DeliveryLane::is_with_handler(Sequence sequence) const noexcept {
  const auto row = find_row(sequence);
  // One that was to start over has no lease; should its handler be gone, nobody has it.
  return row != taken_.end() && !row->settled && !row->released && !row->idle && row->lease != 0;
}

bool DeliveryLane::is_in_row(Sequence sequence) const noexcept {
  const auto row = find_row(sequence);
  return row != taken_.end() && !row->settled && !row->released;
}

DeliveryLane::Taken DeliveryLane::taken(Sequence sequence) const noexcept {
  const auto row = find_row(sequence);
  HOLDFAST_ASSERT(row != taken_.end());
  return {row->sequence, row->chunk, first_ticket_ + static_cast<Ticket>(row - taken_.begin()),
          row->lease, row->begun};
}

std::deque<DeliveryLane::Row>::const_iterator DeliveryLane::find_row(
    Sequence sequence) const noexcept {
  // Ascending: events are taken in the order of their sequences, those out of turn are not in the
  // row.
  const auto row =
      std::lower_bound(taken_.begin(), taken_.end(), sequence,
                       [](const Row& each, Sequence value) { return each.sequence < value; });
  return row != taken_.end() && row->sequence == sequence ? row : taken_.end();
}

}  // namespace holdfast::core
