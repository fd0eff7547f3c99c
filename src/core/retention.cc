// SPDX-License-Identifier: MIT
#include "core/retention.h"

#include <algorithm>
#include <utility>

#include "base/duration.h"

namespace holdfast::core {

namespace {

constexpr std::uint64_t kStepMin = std::uint64_t{1} << 20U;
// However much is kept, whoever comes with another rule must find marks to trim at.
constexpr std::uint64_t kStepMax = std::uint64_t{64} << 20U;

}  // namespace

std::uint64_t LaneRetention::step() const {
  const auto most = std::max(rules_.settled.bytes, rules_.unclaimed.bytes);
  return std::clamp(most / (kMarksMax / 2), kStepMin, kStepMax);
}

void LaneRetention::restore(const model::RetentionMark& mark) {
  marks_.push_back(mark);
  bytes_ = mark.bytes_before;
  next_ = std::max(mark.sequence, mark.counted_to);
}

LaneRetention::Sequence LaneRetention::recount_from(Sequence trim) const {
  return marks_.empty() ? trim : marks_.back().sequence;
}

std::vector<model::RetentionMark> LaneRetention::note(Sequence sequence, std::uint64_t bytes,
                                                      Published now, bool claimed) {
  std::vector<model::RetentionMark> due;
  const auto age_step =
      base::as_nanoseconds(rules_.settled.age).count() / static_cast<std::int64_t>(kMarksMax / 2);
  if (marks_.empty() || bytes_ - marks_.back().bytes_before >= step() ||
      (marks_.size() < kMarksMax && now.bus - marks_.back().published_bus > age_step &&
       sequence > marks_.back().sequence)) {
    if (!marks_.empty()) {
      marks_.back().counted_to = sequence;
      due.push_back(marks_.back());
    }
    marks_.push_back({.lane = lane_,
                      .sequence = sequence,
                      .published_at = now.wall,
                      .published_bus = now.bus,
                      .bytes_before = bytes_,
                      .counted_to = sequence});
    due.push_back(marks_.back());
  }
  bytes_ += bytes;
  next_ = sequence + 1;
  if (!claimed) ++marks_.back().unclaimed;
  return due;
}

void LaneRetention::note_again(Sequence sequence, std::uint64_t bytes, WallTime published_at,
                               bool claimed) {
  Published then{published_at, 0};
  bool is_counted = false;
  if (!marks_.empty()) {
    const auto& mark = marks_.back();
    then.bus = mark.published_bus + std::max<std::int64_t>(published_at - mark.published_at, 0);
    is_counted = sequence < mark.counted_to;
  }
  // Marks that became due were stored with the events. Those of other rules than before are not,
  // and must not begin among events that are counted already.
  if (is_counted) {
    bytes_ += bytes;
    next_ = sequence + 1;
  } else {
    (void)note(sequence, bytes, then, claimed);
  }
}

std::vector<model::RetentionMark> LaneRetention::forget_claims() {
  std::vector<model::RetentionMark> changed;
  for (auto& mark : marks_) {
    if (std::exchange(mark.claims_forgotten, true)) continue;
    if (&mark == &marks_.back()) mark.counted_to = next_;
    changed.push_back(mark);
  }
  return changed;
}

std::optional<model::RetentionMark> LaneRetention::claim(Sequence sequence, std::uint64_t count) {
  const auto next = std::upper_bound(
      marks_.begin(), marks_.end(), sequence,
      [](Sequence value, const model::RetentionMark& mark) { return value < mark.sequence; });
  if (next == marks_.begin()) return std::nullopt;
  auto& mark = *std::prev(next);
  if (mark.claims_forgotten) return std::nullopt;
  mark.unclaimed -= std::min(mark.unclaimed, count);
  if (&mark == &marks_.back()) mark.counted_to = next_;
  return mark;
}

LaneRetention::Trimmed LaneRetention::trim(Sequence trim, Sequence floor, base::BusTime now) {
  Trimmed result{trim, 0};
  while (marks_.size() > 1 && marks_[1].sequence <= floor) {
    const auto& rule = marks_[0].unclaimed == 0 ? rules_.settled : rules_.unclaimed;
    const bool too_much = bytes_ - marks_[0].bytes_before > rule.bytes;
    const bool too_old = now - marks_[1].published_bus > base::as_nanoseconds(rule.age).count();
    if (!too_much && !too_old) break;
    result.unclaimed += marks_[0].unclaimed;
    result.trim = std::max(result.trim, marks_[1].sequence);
    marks_.pop_front();
  }
  return result;
}

LaneRetention::Sequence LaneRetention::at_or_before(WallTime time) const {
  Sequence sequence = 1;
  for (const auto& mark : marks_) {
    if (mark.published_at > time) break;
    sequence = mark.sequence;
  }
  return sequence;
}

std::vector<LaneRetention::Sequence> LaneRetention::marks() const {
  std::vector<Sequence> sequences;
  sequences.reserve(marks_.size());
  for (const auto& mark : marks_) sequences.push_back(mark.sequence);
  return sequences;
}

std::uint64_t LaneRetention::unclaimed() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& mark : marks_) sum += mark.unclaimed;
  return sum;
}

}  // namespace holdfast::core
