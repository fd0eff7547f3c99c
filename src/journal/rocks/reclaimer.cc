// SPDX-License-Identifier: MIT
#include "journal/rocks/reclaimer.h"

#include <string>
#include <utility>

#include <rocksdb/convenience.h>
#include <rocksdb/db.h>

#include "journal/rocks/keys.h"
#include "model/chunk.h"

namespace holdfast::journal {

namespace {

std::uint64_t bytes_in_tables(rocksdb::DB& db, const rocksdb::Range& range) {
  std::uint64_t bytes = 0;
  rocksdb::SizeApproximationOptions options;
  options.include_memtables = false;
  options.include_files = true;
  const auto status = db.GetApproximateSizes(options, db.DefaultColumnFamily(), &range, 1, &bytes);
  return status.ok() ? bytes : 0;
}

}  // namespace

Reclaimer::Reclaimer(rocksdb::DB& db, std::shared_ptr<const DurableTrims> trims, Config config)
    : db_(db),
      trims_(std::move(trims)),
      config_(std::move(config)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

Reclaimer::~Reclaimer() { stop(); }

void Reclaimer::stop() {
  is_cancelled_ = true;
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void Reclaimer::wake() {
  const std::lock_guard lock(mutex_);
  if (std::exchange(is_woken_, true)) return;
  woken_cv_.notify_all();
}

void Reclaimer::run(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (woken_cv_.wait(lock, stop, [this] { return is_woken_; }) && !stop.stop_requested()) {
    is_woken_ = false;
    lock.unlock();
    for (const auto lane : kAllPriorities) reclaim(lane);
    lock.lock();
    woken_cv_.wait_for(lock, stop, config_.pause, [] { return false; });
  }
}

void Reclaimer::reclaim(Priority lane) {
  const auto trim = trims_->of(lane);
  if (trim <= 1) return;
  const auto begin_key = keys::event({lane, 0});
  const auto end_key = keys::event({lane, trim});
  const rocksdb::Slice begin(begin_key);
  const rocksdb::Slice end(end_key);
  const auto bytes = bytes_in_tables(db_, {begin, end});
  // What is left after a compaction (the chunk the trim is in the middle of, what the engine counts
  // roughly) would not get less by another one.
  if (bytes < kept_[lane] + config_.bytes_min) return;

  // Whole tables of the lane go without being read. The last chunk may reach over the trim, so the
  // end is where a chunk begins that certainly does not.
  if (trim > model::kChunkEventsMax) {
    const auto last_key = keys::event({lane, trim - model::kChunkEventsMax});
    const rocksdb::Slice last(last_key);
    auto status =
        rocksdb::DeleteFilesInRange(&db_, db_.DefaultColumnFamily(), &begin, &last, false);
    if (!status.ok()) config_.log.warn("reclaiming: " + status.ToString());
  }
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kIfHaveCompactionFilter;
  options.canceled = &is_cancelled_;
  const auto status = db_.CompactRange(options, &begin, &end);
  if (!status.ok() && !is_cancelled_) config_.log.warn("reclaiming: " + status.ToString());
  kept_[lane] = bytes_in_tables(db_, {begin, end});
}

}  // namespace holdfast::journal
