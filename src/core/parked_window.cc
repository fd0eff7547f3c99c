// SPDX-License-Identifier: MIT
#include "core/parked_window.h"

#include <algorithm>
#include <utility>

namespace holdfast::core {

void ParkedWindow::open(bool stored, model::DueTime first) {
  close();
  is_open_ = true;
  first_ = {first, 0};
  if (stored) horizon_ = first_;
}

void ParkedWindow::close() {
  entries_.clear();
  horizon_.reset();
  is_open_ = false;
  end_refill();
}

void ParkedWindow::add(const Key& key, Entry entry, std::size_t limit) {
  if (!is_open_) return;
  if (horizon_.has_value() && key >= *horizon_) {
    if (refilling_) meanwhile_.insert_or_assign(key, std::move(entry));
    return;
  }
  const bool stored = entry.chunk == nullptr;
  entries_.insert_or_assign(key, std::move(entry));
  while (stored && entries_.size() > std::max<std::size_t>(limit, 1)) {
    const auto last = std::prev(entries_.end());
    horizon_ = last->first;
    entries_.erase(last);
  }
}

void ParkedWindow::remove(const Key& key) {
  entries_.erase(key);
  if (refilling_ && horizon_.has_value() && key >= *horizon_) {
    meanwhile_.insert_or_assign(key, std::nullopt);
  }
}

std::optional<ParkedWindow::Entry> ParkedWindow::take(const Key& key) {
  auto found = entries_.extract(key);
  if (found.empty()) return std::nullopt;
  return std::move(found.mapped());
}

std::optional<std::pair<ParkedWindow::Key, ParkedWindow::Entry>> ParkedWindow::take_due(
    model::DueTime now) {
  if (entries_.empty() || entries_.begin()->first.due > now) return std::nullopt;
  auto first = entries_.extract(entries_.begin());
  return std::pair(first.key(), std::move(first.mapped()));
}

std::optional<model::DueTime> ParkedWindow::next_due() const {
  if (entries_.empty()) return std::nullopt;
  return entries_.begin()->first.due;
}

ParkedWindow::Key ParkedWindow::begin_refill() {
  refilling_ = true;
  meanwhile_.clear();
  return horizon_.value_or(first_);
}

void ParkedWindow::refill_failed(bool for_good) {
  end_refill();
  if (for_good) horizon_.reset();
}

ParkedWindow::Meanwhile ParkedWindow::end_refill() {
  refilling_ = false;
  return std::exchange(meanwhile_, {});
}

}  // namespace holdfast::core
