// SPDX-License-Identifier: MIT
#include "core/retention.h"

#include <algorithm>
#include <limits>
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
  if (marks_.empty()) {
    (void)note(sequence, bytes, {published_at, 0}, claimed);
    return;
  }
  // Marks that became due were stored with the events. One that begins only now, by other rules
  // than then, would be stored without the count of the one before it.
  bytes_ += bytes;
  next_ = sequence + 1;
  auto& mark = marks_.back();
  if (!claimed && sequence >= mark.counted_to) ++mark.unclaimed;
}

std::optional<model::RetentionMark> LaneRetention::keep_count() {
  if (marks_.empty() || marks_.back().counted_to >= next_) return std::nullopt;
  marks_.back().counted_to = next_;
  return marks_.back();
}

std::vector<model::RetentionMark> LaneRetention::forget_claims() {
  const bool kept = keep_count().has_value();
  std::vector<model::RetentionMark> changed;
  for (auto& mark : marks_) {
    const bool known = std::exchange(mark.claims_forgotten, true);
    if (!known || (kept && &mark == &marks_.back())) changed.push_back(mark);
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

std::optional<base::BusTime> LaneRetention::first_end(Sequence floor) const {
  if (marks_.size() < 2 || marks_[1].sequence > floor) return std::nullopt;
  return marks_[1].published_bus;
}

std::uint64_t LaneRetention::kept_bytes() const noexcept {
  return marks_.empty() ? 0 : bytes_ - marks_[0].bytes_before;
}

bool LaneRetention::trim_first(Trimmed& trimmed, Sequence floor, base::BusTime now,
                               std::uint64_t elsewhere) {
  if (!first_end(floor).has_value()) return false;
  const auto& rule = marks_[0].unclaimed == 0 ? rules_.settled : rules_.unclaimed;
  const bool too_much = kept_bytes() + elsewhere > rule.bytes;
  const bool too_old = now - marks_[1].published_bus > base::as_nanoseconds(rule.age).count();
  if (!too_much && !too_old) return false;
  trimmed.unclaimed += marks_[0].unclaimed;
  trimmed.trim = std::max(trimmed.trim, marks_[1].sequence);
  marks_.pop_front();
  return true;
}

model::PerLane<LaneRetention::Trimmed> trim_lanes(
    const model::PerLane<LaneRetention*>& lanes,
    const model::PerLane<LaneRetention::Sequence>& floor, base::BusTime now) {
  model::PerLane<LaneRetention::Trimmed> trimmed;
  std::uint64_t kept = 0;
  for (const auto* lane : lanes) kept += lane->kept_bytes();
  std::vector<Priority> left(kAllPriorities.begin(), kAllPriorities.end());
  const auto end_of = [&](Priority lane) {
    constexpr auto kNothing = std::numeric_limits<base::BusTime>::max();
    return lanes[lane]->first_end(floor[lane]).value_or(kNothing);
  };
  while (!left.empty()) {
    const auto oldest = std::min_element(
        left.begin(), left.end(), [&](Priority a, Priority b) { return end_of(a) < end_of(b); });
    auto& lane = *lanes[*oldest];
    const auto own = lane.kept_bytes();
    if (lane.trim_first(trimmed[*oldest], floor[*oldest], now, kept - own)) {
      kept -= own - lane.kept_bytes();
    } else {
      left.erase(oldest);
    }
  }
  return trimmed;
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
