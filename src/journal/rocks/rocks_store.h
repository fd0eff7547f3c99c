// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/write_batch.h>

#include "journal/rocks/engine_options.h"
#include "journal/rocks/files.h"
#include "journal/rocks/folder_lock.h"
#include "journal/rocks/log_guard.h"
#include "journal/rocks/lookup.h"
#include "journal/rocks/reclaim.h"
#include "journal/rocks/reclaimer.h"
#include "journal/rocks/rocks_journal.h"
#include "journal/rocks/watermark_keeper.h"

namespace holdfast::journal {

/// An engine that is open, with what opening it found out: what both kinds of store are made from.
struct OpenedEngine {
  std::string folder;
  RocksOptions options;
  std::unique_ptr<FolderLock> lock;  ///< Null for a reader.
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<DurableTrims> trims;
  std::shared_ptr<LogGuard> log_guard;  ///< Null for a reader, as the trims are.
  std::unique_ptr<rocksdb::Env> env;    ///< The engine's, over the one in the options.
  std::unique_ptr<rocksdb::DB> db;      ///< Goes before what it uses.
  JournalState state;
  End end;
  Watermark watermark;  ///< As it is in its file.
};

[[nodiscard]] JournalStats engine_stats(const OpenedEngine& engine);

/// The last range of each lane that is known to be lost, as they are stored.
Result<std::vector<model::LostRange>> read_lost_ranges(const Lookup& lookup);

class RocksJournal final : public Journal {
 public:
  explicit RocksJournal(OpenedEngine engine);
  /// Makes everything durable, writes it into tables and says so in the watermark, unless a write
  /// or sync has failed.
  ~RocksJournal() override;

  [[nodiscard]] const JournalState& state() const override { return engine_.state; }
  [[nodiscard]] Result<std::optional<model::Record>> find(const RecordRef& ref) const override {
    return lookup_.find(ref);
  }
  Status scan(const ScanSpec& spec, const Sink& sink) const override {
    return lookup_.scan(spec, sink);
  }
  [[nodiscard]] JournalStats stats() const override { return engine_stats(engine_); }
  Status commit(const model::Commit& commit, Durability durability) override;
  Status sync() override;
  Status checkpoint(const std::filesystem::path& folder) override;

 private:
  [[nodiscard]] Status poisoned() const;
  Status poison(const Status& cause);
  Status write() noexcept;
  Status sync_log(const LogGuard::Hold& hold) noexcept;
  void note_written(const model::Commit& commit, const End& before);

  OpenedEngine engine_;
  Files files_;
  Tail tail_;
  Lookup lookup_;
  rocksdb::WriteBatch batch_;  // the committer's, kept for its memory
  mutable std::mutex mutex_;   // guards the two below
  Status failure_;             // of the first write or sync that failed
  CommitNumber durable_;
  WatermarkKeeper keeper_;
  Reclaimer reclaimer_;
};

class RocksReader final : public JournalReader {
 public:
  explicit RocksReader(OpenedEngine engine);
  [[nodiscard]] const JournalState& state() const override { return engine_.state; }
  [[nodiscard]] Result<std::optional<model::Record>> find(const RecordRef& ref) const override {
    return lookup_.find(ref);
  }
  Status scan(const ScanSpec& spec, const Sink& sink) const override {
    return lookup_.scan(spec, sink);
  }
  [[nodiscard]] JournalStats stats() const override { return engine_stats(engine_); }

 private:
  OpenedEngine engine_;
  Tail tail_;
  Lookup lookup_;
};

}  // namespace holdfast::journal
