// SPDX-License-Identifier: MIT
#include "load/books.h"

namespace holdfast::testing {

/// Null for one that everybody had ended before.
Books::Entry* Books::entry(EventId id) {
  auto& lane = lanes_[static_cast<std::size_t>(id.priority)];
  if (id.sequence < lane.first) return nullptr;
  const auto index = id.sequence - lane.first;
  if (index >= lane.entries.size()) {
    open_ += index + 1 - lane.entries.size();
    lane.entries.resize(index + 1);
  }
  return &lane.entries[index];
}

void Books::leave(Lane& lane) {
  while (!lane.entries.empty() && lane.entries.front().is_done()) {
    lane.entries.pop_front();
    ++lane.first;
  }
}

void Books::published(EventId id, const Subscribers& wanted) {
  const std::lock_guard lock(mutex_);
  ++events_;
  auto* one = entry(id);
  if (one == nullptr || one->known) return note_violation(to_string(id) + " was published twice");
  one->known = true;
  one->wanted = wanted;
  if ((one->ended & ~wanted).any()) {
    note_violation(to_string(id) + " was given to somebody who does not want it");
  }
  if (!one->is_done()) return;
  --open_;
  leave(lanes_[static_cast<std::size_t>(id.priority)]);
}

void Books::settled(EventId id, std::size_t who, Settled how) {
  const std::lock_guard lock(mutex_);
  ++ends_;
  dead_ += how == Settled::dead ? 1 : 0;
  auto* one = entry(id);
  const auto words = [&](const char* what) {
    return to_string(id) + " of subscription " + std::to_string(who) + what;
  };
  if (one == nullptr || one->ended[who]) return note_violation(words(" was settled twice"));
  if (how != Settled::acked && how != Settled::dead) {
    note_violation(words(" ended otherwise than acked or dead"));
  }
  one->ended.set(who);
  if (one->known && !one->wanted[who]) note_violation(words(" was not wanted there"));
  if (!one->is_done()) return;
  --open_;
  leave(lanes_[static_cast<std::size_t>(id.priority)]);
}

void Books::note_violation(const std::string& what) {
  if (++violations_ <= 10) words_ += what + "\n";
}

void Books::violate(const std::string& what) {
  const std::lock_guard lock(mutex_);
  note_violation(what);
}

std::uint64_t Books::open() const {
  const std::lock_guard lock(mutex_);
  return open_;
}

std::size_t Books::bytes() const {
  const std::lock_guard lock(mutex_);
  std::size_t entries = 0;
  for (const auto& lane : lanes_) entries += lane.entries.size();
  return entries * sizeof(Entry);
}

std::uint64_t Books::events() const {
  const std::lock_guard lock(mutex_);
  return events_;
}

std::uint64_t Books::ends() const {
  const std::lock_guard lock(mutex_);
  return ends_;
}

std::uint64_t Books::dead() const {
  const std::lock_guard lock(mutex_);
  return dead_;
}

std::uint64_t Books::violations() const {
  const std::lock_guard lock(mutex_);
  return violations_;
}

std::string Books::first_violations() const {
  const std::lock_guard lock(mutex_);
  return words_;
}

void Books::each_open(const std::function<void(EventId, const Subscribers&)>& visit) const {
  const std::lock_guard lock(mutex_);
  for (const auto priority : kAllPriorities) {
    const auto& lane = lanes_[static_cast<std::size_t>(priority)];
    for (std::size_t i = 0; i < lane.entries.size(); ++i) {
      const auto& one = lane.entries[i];
      if (one.known && !one.is_done()) visit({priority, lane.first + i}, one.wanted & ~one.ended);
    }
  }
}

}  // namespace holdfast::testing
