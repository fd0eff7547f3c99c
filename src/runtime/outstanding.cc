// SPDX-License-Identifier: MIT
#include "runtime/outstanding.h"

#include "base/assert.h"

namespace holdfast::runtime {

std::size_t Outstanding::bucket_of(EventId event) const noexcept {
  // Sequences are dense, and neighbours are under way together: they spread by themselves.
  return (event.sequence * kLaneCount + static_cast<std::size_t>(event.priority)) &
         (buckets_.size() - 1);
}

void Outstanding::add(Run& run) {
  HOLDFAST_ASSERT(!run.place.listed);
  if (size_ >= buckets_.size()) grow();
  auto& bucket = buckets_[bucket_of(run.lease.event)];
  run.place.next_in_bucket = std::exchange(bucket, &run);
  run.place.earlier = last_;
  run.place.later = nullptr;
  (last_ == nullptr ? first_ : last_->place.later) = &run;
  last_ = &run;
  run.place.listed = true;
  ++size_;
}

void Outstanding::remove(Run& run) {
  auto& place = run.place;
  if (!place.listed) return;
  unwatch(run);
  if (place.timed_out) late_.erase({place.since, &run});
  auto** link = &buckets_[bucket_of(run.lease.event)];
  while (*link != &run) link = &(*link)->place.next_in_bucket;
  *link = place.next_in_bucket;
  (place.earlier == nullptr ? first_ : place.earlier->place.later) = place.later;
  (place.later == nullptr ? last_ : place.later->place.earlier) = place.earlier;
  place.earlier = place.later = place.next_in_bucket = nullptr;
  place.listed = false;
  --size_;
}

void Outstanding::clear() {
  while (first_ != nullptr) remove(*first_);
}

void Outstanding::grow() {
  std::vector<Run*> buckets(buckets_.size() * 2);
  buckets_.swap(buckets);
  for (auto* run = first_; run != nullptr; run = run->place.later) {
    auto& bucket = buckets_[bucket_of(run->lease.event)];
    run->place.next_in_bucket = std::exchange(bucket, run);
  }
}

void Outstanding::watch(Run& run, base::BootTime at) {
  unwatch(run);
  run.place.watched = at;
  watched_.emplace(at, &run);
}

void Outstanding::unwatch(Run& run) {
  if (!run.place.watched.has_value()) return;
  watched_.erase({*run.place.watched, &run});
  run.place.watched.reset();
}

std::optional<base::BootTime> Outstanding::next_watch() const {
  if (watched_.empty()) return std::nullopt;
  return watched_.begin()->first;
}

void Outstanding::note_timed_out(Run& run) {
  run.place.timed_out = true;
  late_.emplace(run.place.since, &run);
}

Outstanding::Run* Outstanding::take_due(base::BootTime now) {
  if (watched_.empty() || watched_.begin()->first > now) return nullptr;
  auto* run = watched_.begin()->second;
  unwatch(*run);
  return run;
}

}  // namespace holdfast::runtime
