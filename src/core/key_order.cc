// SPDX-License-Identifier: MIT
#include "core/key_order.h"

#include <utility>

namespace holdfast::core {

bool KeyOrder::is_held(EventId event) const {
  const auto found = entries_.find(event);
  return found != entries_.end() && found->second.held.has_value();
}

void KeyOrder::add(EventId event, const model::KeyPlace& place) {
  if (place.key.hash == 0) return;
  const auto [at, inserted] = entries_.try_emplace(event);
  if (!inserted) return;
  at->second.place = place;
  queues_[place.key.hash].events.insert(position(event, place));
}

model::KeyPlace KeyOrder::place(EventId event) const {
  const auto found = entries_.find(event);
  return found == entries_.end() ? model::KeyPlace{} : found->second.place;
}

std::optional<Priority> KeyOrder::lane_behind(const model::KeyPlace& place,
                                              const PerLane<Sequence>& frontier) {
  for (const auto lane : kAllPriorities) {
    if (place.key.after[lane] >= frontier[lane]) return lane;
  }
  return std::nullopt;
}

bool KeyOrder::may_run(EventId event, const PerLane<Sequence>& frontier) const {
  const auto found = entries_.find(event);
  return found == entries_.end() || may_run(event, found->second.place, frontier);
}

bool KeyOrder::may_run(EventId event, const model::KeyPlace& place,
                       const PerLane<Sequence>& frontier) const {
  if (lane_behind(place, frontier).has_value()) return false;
  const auto queue = queues_.find(place.key.hash);
  if (queue == queues_.end() || queue->second.events.empty()) return true;
  return queue->second.running == 0 && position(event, place) <= *queue->second.events.begin();
}

void KeyOrder::set_running(EventId event) {
  const auto found = entries_.find(event);
  if (found == entries_.end() || std::exchange(found->second.running, true)) return;
  ++queues_[found->second.place.key.hash].running;
  // What it comes after is over, also when its lanes are read anew.
  found->second.place.key.after = {};
}

void KeyOrder::set_waiting(EventId event) {
  const auto found = entries_.find(event);
  if (found == entries_.end() || !std::exchange(found->second.running, false)) return;
  const auto hash = found->second.place.key.hash;
  --queues_[hash].running;
  changed_.insert(hash);
}

void KeyOrder::hold(EventId event, Due due) {
  auto& entry = entries_.at(event);
  if (!entry.held.has_value()) ++held_;
  entry.held = std::move(due);
  changed_.insert(entry.place.key.hash);
}

bool KeyOrder::mark_parked(EventId event, model::DueTime due, bool stored, bool cleanup) {
  const auto found = entries_.find(event);
  if (found == entries_.end() || !found->second.held.has_value()) return false;
  found->second.held->mark_parked(due, cleanup);
  if (stored) found->second.held->chunk.reset();
  return true;
}

void KeyOrder::erase(EventId event) {
  const auto found = entries_.find(event);
  if (found == entries_.end()) return;
  const auto& entry = found->second;
  const auto queue = queues_.find(entry.place.key.hash);
  queue->second.events.erase(position(event, entry.place));
  if (entry.running) --queue->second.running;
  if (entry.held.has_value()) --held_;
  if (queue->second.events.empty()) {
    // Nobody is left whose turn it could be.
    changed_.erase(entry.place.key.hash);
    queues_.erase(queue);
  } else {
    changed_.insert(entry.place.key.hash);
  }
  entries_.erase(found);
}

void KeyOrder::rebuild() {
  queues_.clear();
  changed_.clear();
  for (auto& behind : behind_) behind.clear();
  held_ = 0;
  for (auto& [event, entry] : entries_) {
    entry.running = false;
    entry.held.reset();
    queues_[entry.place.key.hash].events.insert(position(event, entry.place));
  }
}

bool KeyOrder::has_successor(EventId event) const {
  const auto found = entries_.find(event);
  return found != entries_.end() && queues_.at(found->second.place.key.hash).events.size() > 1;
}

void KeyOrder::advance(Priority lane, Sequence frontier) {
  auto& behind = behind_[lane];
  while (!behind.empty() && behind.begin()->first < frontier) {
    changed_.insert(behind.begin()->second);
    behind.erase(behind.begin());
  }
}

std::vector<std::pair<EventId, KeyOrder::Due>> KeyOrder::take_turns(
    const PerLane<Sequence>& frontier) {
  std::vector<std::pair<EventId, Due>> turns;
  for (const auto hash : std::exchange(changed_, {})) {
    const auto queue = queues_.find(hash);
    if (queue == queues_.end() || queue->second.running > 0) continue;
    const auto event = std::get<EventId>(*queue->second.events.begin());
    auto& entry = entries_.at(event);
    if (!entry.held.has_value()) continue;
    if (const auto lane = lane_behind(entry.place, frontier); lane.has_value()) {
      behind_[*lane].emplace(entry.place.key.after[*lane], hash);
      continue;
    }
    turns.emplace_back(event, *std::exchange(entry.held, std::nullopt));
    --held_;
  }
  return turns;
}

PerLane<Sequence> KeyMarks::last(std::uint64_t hash) const {
  return marks_.empty() ? PerLane<Sequence>{} : marks_[hash % kMarks];
}

void KeyMarks::note(std::uint64_t hash, EventId event) {
  if (marks_.empty()) marks_.resize(kMarks);
  marks_[hash % kMarks][event.priority] = event.sequence;
}

}  // namespace holdfast::core
