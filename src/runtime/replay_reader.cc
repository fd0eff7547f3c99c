// SPDX-License-Identifier: MIT
#include "runtime/replay_reader.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/status_or.h"
#include "core/filter.h"

namespace holdfast::runtime {

using model::ChunkPtr;
using model::Sequence;

namespace {

// What is read of a lane at a time: so much, or one chunk.
constexpr std::size_t kReadBytes = std::size_t{64} << 10U;
constexpr Sequence kReadEvents = model::kChunkEventsMax;

/// How many of [from, to) were events: what is lost was none, as far as anybody knows.
std::uint64_t published(const std::vector<model::LostRange>& lost, Priority lane, Sequence from,
                        Sequence to) {
  auto ranges = lost;
  std::erase_if(ranges, [lane](const auto& range) { return range.lane != lane; });
  std::sort(ranges.begin(), ranges.end(),
            [](const auto& a, const auto& b) { return a.from < b.from; });
  std::uint64_t count = 0;
  // They may touch and overlap.
  for (const auto& range : ranges) {
    if (range.from > from) count += std::min(range.from, to) - from;
    from = std::clamp(range.to + 1, from, to);
  }
  return count + (to - from);
}

}  // namespace

// --- Finding the ends ---------------------------------------------------------------------------

Result<ReplayReader::Place> ReplayReader::place_of(const ReplayPoint& point, bool is_end) const {
  if (const auto* commit = std::get_if<CommitNumber>(&point.value)) {
    const auto newest = access_.end().commit;
    if (commit->value == 0 || *commit > newest) {
      return Status(StatusCode::invalid_argument, "commit " + std::to_string(commit->value) +
                                                      " does not exist, the newest is " +
                                                      std::to_string(newest.value));
    }
    return Place{*commit, is_end ? kEnd.index : 0};
  }
  const auto* id = std::get_if<EventId>(&point.value);
  if (id == nullptr) return is_end ? kEnd : Place{};
  HOLDFAST_ASSIGN(const auto chunk, first_chunk(id->priority, id->sequence, id->sequence + 1));
  if (chunk == nullptr || !chunk->contains(id->sequence)) {
    return Status(StatusCode::not_found, "event " + to_string(*id) +
                                             " is not in its lane: it was never published, or is "
                                             "kept no longer");
  }
  return Place{chunk->commit(), chunk->event(id->sequence).index};
}

/// Nothing when there is none, also when `from` is trimmed by now.
Result<ChunkPtr> ReplayReader::first_chunk(Priority lane, Sequence from, Sequence to) const {
  ChunkPtr chunk;
  HOLDFAST_TRY(
      access_.read(lane, from, [&](const journal::JournalReader& journal, Sequence kept) -> Status {
        if (kept != from) return {};
        return journal.scan(journal::EventRange{lane, from, to}, [&](model::Record&& record) {
          chunk = std::get<ChunkPtr>(std::move(record));
          return false;
        });
      }));
  return chunk;
}

/// Narrows `within` down to where `place` is, unless damage is in the way: then the reading comes
/// upon it in its turn.
Result<ReplayReader::Bounds> ReplayReader::find(Priority lane, const Place& place,
                                                Bounds within) const {
  auto& [from, to] = within;
  while (from < to) {
    const auto middle = from + (to - from) / 2;
    // Short ranges first: a store may have to look at all that is asked for.
    auto found = first_chunk(lane, middle, std::min(to, middle + kReadEvents));
    if (found.ok() && *found == nullptr) found = first_chunk(lane, middle, to);
    if (found.status() == StatusCode::data_loss) break;
    HOLDFAST_TRY(found.status());
    const auto& chunk = *found;
    if (chunk == nullptr) {
      // Lost, or trimmed just now.
      if (access_.trim(lane) > middle) {
        from = std::min(access_.trim(lane), to);
      } else {
        to = middle;
      }
    } else if (chunk->commit() < place.commit) {
      from = std::max(from, chunk->last() + 1);
    } else if (chunk->commit() > place.commit) {
      to = std::max(from, std::min(middle, chunk->first()));
    } else if (chunk->event(chunk->last()).index < place.index) {
      from = std::max(from, chunk->last() + 1);
    } else if (chunk->event(chunk->first()).index >= place.index) {
      to = std::max(from, std::min(middle, chunk->first()));
    } else {
      auto sequence = chunk->first();
      while (chunk->event(sequence).index < place.index) ++sequence;
      sequence = std::max(sequence, from);
      return Bounds{sequence, sequence};
    }
  }
  return within;
}

Status ReplayReader::open() {
  const auto end = access_.end();
  HOLDFAST_ASSIGN(from_, place_of(options_.from, false));
  HOLDFAST_ASSIGN(to_, place_of(options_.to, true));
  if (from_ > to_) {
    return {StatusCode::invalid_argument, "from is behind to: it lies in commit " +
                                              std::to_string(from_.commit.value) + ", to in " +
                                              std::to_string(to_.commit.value)};
  }
  to_ = std::min(to_, Place{end.commit, kEnd.index});
  for (const auto priority : kAllPriorities) {
    auto& lane = lanes_[priority];
    if (!options_.priorities.empty() &&
        std::find(options_.priorities.begin(), options_.priorities.end(), priority) ==
            options_.priorities.end()) {
      continue;
    }
    Bounds kept{access_.trim(priority), end.next[priority]};
    kept.from = std::min(kept.from, kept.to);
    lane.next = kept.from;
    lane.end = kept.to;
    if (from_ > Place{}) {
      HOLDFAST_ASSIGN(const auto found, find(priority, from_, kept));
      lane.next = found.from;
    }
    // The place behind the last one.
    const Place behind = to_.index == kEnd.index ? Place{{to_.commit.value + 1}, 0}
                                                 : Place{to_.commit, to_.index + 1};
    HOLDFAST_ASSIGN(const auto found, find(priority, behind, {lane.next, kept.to}));
    lane.end = found.to;
  }
  for (const auto priority : kAllPriorities) HOLDFAST_TRY(advance(priority));
  return {};
}

// --- Reading ------------------------------------------------------------------------------------

Result<const EventView*> ReplayReader::next() {
  if (given_.has_value()) HOLDFAST_TRY(advance(*std::exchange(given_, std::nullopt)));
  const EventView* first = nullptr;
  for (const auto priority : kAllPriorities) {
    const auto& lane = lanes_[priority];
    // What it has to give may come before all that the others have.
    if (!lane.head.has_value() && !lane.failed.ok()) return lane.failed;
    if (!lane.head.has_value()) continue;
    const auto& head = *lane.head;
    if (first == nullptr || Place{head.commit, head.index} < Place{first->commit, first->index}) {
      first = &head;
      given_ = priority;
    }
  }
  return options_.stop.stop_requested() ? nullptr : first;
}

bool ReplayReader::wanted(const EventView& event) const {
  if (Place{event.commit, event.index} < from_) return false;
  const auto* from = std::get_if<ReplayPoint::AtTime>(&options_.from.value);
  const auto* to = std::get_if<ReplayPoint::AtTime>(&options_.to.value);
  if (from != nullptr && event.published_at < from->at) return false;
  if (to != nullptr && event.published_at > to->at) return false;
  return core::any_pattern_matches(options_.types, event.type);
}

Status ReplayReader::advance(Priority priority) {
  auto& lane = lanes_[priority];
  lane.head.reset();
  while (lane.next < lane.end) {
    if (lane.chunks.empty()) {
      // What is damaged behind them waits until it is its turn.
      if (!lane.failed.ok() || options_.stop.stop_requested()) return {};
      HOLDFAST_TRY(fill(priority));
      continue;
    }
    const auto& chunk = lane.chunks.front();
    lane.next = std::max(lane.next, chunk->first());
    if (lane.next > chunk->last()) {
      lane.chunks.pop_front();
      continue;
    }
    if (lane.next >= lane.end) break;
    const auto event = chunk->event(lane.next++);
    if (Place{event.commit, event.index} > to_) {
      // Whatever is behind it, damage too, is not asked for.
      lane.next = lane.end;
      lane.failed = {};
      break;
    }
    if (!wanted(event)) continue;
    lane.head = event;
    return {};
  }
  return {};
}

Status ReplayReader::fill(Priority priority) {
  auto& lane = lanes_[priority];
  return access_.read(
      priority, lane.next, [&](const journal::JournalReader& journal, Sequence kept) -> Status {
        kept = std::min(kept, lane.end);
        if (kept > lane.next) {
          missed_ += published(journal.state().lost, priority, lane.next, kept);
          lane.next = kept;
        }
        const auto to = std::min(lane.end, lane.next + kReadEvents);
        std::size_t bytes = 0;
        auto status =
            journal.scan(journal::EventRange{priority, lane.next, to}, [&](model::Record&& record) {
              auto chunk = std::get<ChunkPtr>(std::move(record));
              bytes += chunk->bytes().size();
              // One is always taken, and no other that would be too much.
              if (!lane.chunks.empty() && bytes > kReadBytes) return false;
              lane.chunks.push_back(std::move(chunk));
              return bytes < kReadBytes;
            });
        if (status == StatusCode::data_loss) {
          lane.failed = std::move(status);
          return {};
        }
        HOLDFAST_TRY(status);
        // Lost, all of it.
        if (lane.chunks.empty()) lane.next = to;
        return {};
      });
}

}  // namespace holdfast::runtime
