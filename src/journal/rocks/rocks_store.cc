// SPDX-License-Identifier: MIT
#include "journal/rocks/rocks_store.h"

#include <limits>
#include <sys/statvfs.h>
#include <utility>

#include <rocksdb/cache.h>
#include <rocksdb/utilities/checkpoint.h>

#include "base/status_or.h"
#include "journal/rocks/commit_batch.h"
#include "journal/rocks/status_map.h"

namespace holdfast::journal {

JournalStats engine_stats(const OpenedEngine& engine) {
  JournalStats stats;
  for (const auto* property :
       {"rocksdb.size-all-mem-tables", "rocksdb.estimate-table-readers-mem"}) {
    std::uint64_t bytes = 0;
    if (engine.db->GetIntProperty(property, &bytes)) stats.memory_bytes += bytes;
  }
  stats.memory_bytes += engine.cache->GetUsage();
  stats.disk_bytes = Files(*engine.db->GetEnv()).folder_bytes(engine.folder);
  stats.disk_free_bytes = std::numeric_limits<std::uint64_t>::max();
  struct statvfs system {};
  if (engine.options.is_on_disk && ::statvfs(engine.folder.c_str(), &system) == 0) {
    stats.disk_free_bytes = std::uint64_t{system.f_bavail} * system.f_frsize;
  }
  return stats;
}

Result<std::vector<model::LostRange>> read_lost_ranges(const Lookup& lookup) {
  std::vector<model::LostRange> lost;
  HOLDFAST_TRY(lookup.scan(LostRanges{}, [&](model::Record&& record) {
    lost.push_back(std::get<model::LostRange>(record));
    return true;
  }));
  return lost;
}

RocksJournal::RocksJournal(OpenedEngine engine)
    : engine_(std::move(engine)),
      files_(*engine_.db->GetEnv()),
      lookup_(*engine_.db, tail_),
      durable_(engine_.end.number),
      keeper_(files_,
              {.folder = engine_.folder,
               .reserve = engine_.options.reserve,
               .age_max = engine_.options.watermark_age_max,
               .log = engine_.options.log},
              engine_.watermark),
      reclaimer_(*engine_.db, engine_.trims,
                 {.bytes_min = engine_.options.reclaim_bytes_min,
                  .pause = engine_.options.reclaim_pause,
                  .log = engine_.options.log}) {
  tail_.set(engine_.end);
  engine_.trims->raise(engine_.end.trim);
}

RocksJournal::~RocksJournal() {
  reclaimer_.stop();
  auto status = sync();
  if (!status.ok()) {
    // Whatever else would be written could only hide what happened.
    static_cast<void>(keeper_.close(std::nullopt));
    return;
  }
  // The engine itself only flushes what is in no log. With everything in tables the next open
  // replays nothing. A disk too full for that is no loss: the log has it.
  rocksdb::FlushOptions flush;
  flush.allow_write_stall = true;
  auto closing = engine_.db->Flush(flush);
  if (closing.ok()) closing = engine_.db->Close();
  if (!closing.ok()) engine_.options.log.warn("closing the journal: " + closing.ToString());
  status = keeper_.close(tail_.read());
  if (!status.ok()) engine_.options.log.warn(status.to_string());
}

Status RocksJournal::poisoned() const {
  const std::lock_guard lock(mutex_);
  if (failure_.ok()) return {};
  return {StatusCode::poisoned, "a write or sync failed earlier: " + failure_.message()};
}

Status RocksJournal::poison(const Status& cause) {
  Status first;
  {
    const std::lock_guard lock(mutex_);
    if (failure_.ok()) failure_ = cause;
    first = failure_;
  }
  // Before the caller learns the numbers of what may not be there: they are not given out again.
  keeper_.note_failed();
  return {StatusCode::indeterminate, first.message()};
}

Status RocksJournal::commit(const model::Commit& commit, Durability durability) {
  HOLDFAST_TRY(poisoned());
  const auto before = tail_.read();
  if (commit.epoch != engine_.state.epoch || commit.number.value != before.number.value + 1) {
    return {StatusCode::fenced, "commit " + std::to_string(commit.number.value) + " of epoch " +
                                    std::to_string(commit.epoch) + " is not the next; that is " +
                                    std::to_string(before.number.value + 1) + " of epoch " +
                                    std::to_string(engine_.state.epoch)};
  }
  HOLDFAST_TRY(check_storable(commit));
  if (const auto reserved = keeper_.reserve(commit.number, commit.next); !reserved.ok()) {
    return poison(reserved);
  }
  batch_.Clear();
  encode_commit(commit, batch_);
  if (const auto written = write(); !written.ok()) {
    // If it failed because a sync has, that one is the cause.
    engine_.log_guard->wait_for_syncs();
    return poison(written);
  }
  note_written(commit, before);
  return durability == Durability::durable ? sync() : Status();
}

// The engine is not made for exceptions. After `std::bad_alloc` in the middle of a write it hangs
// at the next, and what it still has in its buffer it writes once more when it is closed, which
// makes a log that it cannot read. So the process ends there, by `noexcept`: what is on the disk
// then is what any crash leaves.

Status RocksJournal::write() noexcept {
  rocksdb::WriteOptions options;
  options.sync = false;  // by `sync`, on its own thread, while the next commit is written
  auto status = from_rocks(engine_.db->Write(options, &batch_), "writing");
  // One huge commit does not keep its memory for ever.
  constexpr std::size_t kKeptBytes = std::size_t{1} << 20U;
  if (batch_.GetDataSize() > kKeptBytes) batch_ = rocksdb::WriteBatch();
  return status;
}

void RocksJournal::note_written(const model::Commit& commit, const End& before) {
  End end{.number = commit.number, .next = commit.next, .trim = commit.trim, .lost = before.lost};
  for (const auto& operation : commit.operations) {
    if (const auto* put = std::get_if<model::PutLostRange>(&operation)) {
      auto lost = std::make_shared<std::vector<model::LostRange>>(*end.lost);
      lost->push_back(put->range);
      end.lost = std::move(lost);
    }
  }
  tail_.set(std::move(end));
}

Status RocksJournal::sync() {
  HOLDFAST_TRY(poisoned());
  const auto end = tail_.read();
  {
    const std::lock_guard lock(mutex_);
    if (end.number <= durable_) return {};
  }
  {
    const LogGuard::Hold hold(*engine_.log_guard);
    if (const auto synced = sync_log(hold); !synced.ok()) return poison(synced);
  }
  {
    const std::lock_guard lock(mutex_);
    durable_ = std::max(durable_, end.number);
  }
  keeper_.note_durable(end);
  engine_.trims->raise(end.trim);
  reclaimer_.wake();
  return {};
}

Status RocksJournal::sync_log(const LogGuard::Hold& hold) noexcept {
  HOLDFAST_TRY(hold.failure());
  return from_rocks(engine_.db->SyncWAL(), "syncing");
}

Status RocksJournal::checkpoint(const std::filesystem::path& folder) {
  const auto path = folder.string();
  if (files_.exists(path)) return {StatusCode::already_exists, path + " exists"};
  const auto end = tail_.read();
  rocksdb::Checkpoint* raw = nullptr;
  HOLDFAST_TRY(from_rocks(rocksdb::Checkpoint::Create(engine_.db.get(), &raw), "copying"));
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(raw);
  // Writes what is in memory into tables first, so that the copy needs no log.
  HOLDFAST_TRY(from_rocks(checkpoint->CreateCheckpoint(path, 0), "copying to " + path));
  if (engine_.options.is_on_disk) {
    std::error_code ignored;
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, ignored);
  }
  auto watermark = engine_.watermark;
  watermark.writer = Watermark::Writer::closed;
  watermark.durable = end.number;
  watermark.next = end.next;
  watermark.reserved_number = {end.number.value + 1};
  watermark.reserved = end.next;
  return write_watermark(files_, path, watermark);
}

RocksReader::RocksReader(OpenedEngine engine)
    : engine_(std::move(engine)), lookup_(*engine_.db, tail_) {
  tail_.set(engine_.end);
}

}  // namespace holdfast::journal
