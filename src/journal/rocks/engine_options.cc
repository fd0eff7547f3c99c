// SPDX-License-Identifier: MIT
#include "journal/rocks/engine_options.h"

#include <algorithm>
#include <sys/resource.h>

#include <rocksdb/convenience.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include "journal/rocks/current_guard.h"
#include "journal/rocks/engine_log.h"
#include "journal/rocks/log_space.h"
#include "journal/rocks/table_guard.h"

namespace holdfast::journal {

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20U;

bool supports(rocksdb::CompressionType type) {
  const auto supported = rocksdb::GetSupportedCompressions();
  return std::find(supported.begin(), supported.end(), type) != supported.end();
}

/// How many tables may be open at once. Half of what the process may open is the program's own, and
/// logs, folders and new tables need some as well: who runs out in the middle of a write has to
/// reopen. The engine takes no fewer than 20.
int open_files_max() {
  constexpr rlim_t kMost = 256;
  constexpr rlim_t kOthers = 32;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kMost;
  const auto half = limit.rlim_cur / 2;
  return static_cast<int>(std::clamp<rlim_t>(half > kOthers ? half - kOthers : 0, 20, kMost));
}

}  // namespace

EngineOptions make_engine_options(const RocksOptions& options) {
  EngineOptions engine;
  auto& out = engine.options;
  auto* below = options.env != nullptr ? options.env : rocksdb::Env::Default();
  std::shared_ptr<rocksdb::FileSystem> files = below->GetFileSystem();
  files = std::make_shared<CurrentGuard>(files);
  files = std::make_shared<LogSpace>(files);
  engine.env = rocksdb::NewCompositeEnv(std::make_shared<TableGuard>(files));
  out.env = engine.env.get();
  out.info_log = make_engine_log(options.log);
  out.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  out.stats_dump_period_sec = 0;
  out.stats_persist_period_sec = 0;

  // Recovery. A tail torn in the middle of a record is normal; anything else in the log is refused.
  // The default mode takes a flipped bit for the end of the log and deletes what comes behind it.
  out.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  // Together with SyncWAL this version can report a log as missing that is not; what it would find
  // is found by our own reading of the log before the engine opens it.
  out.track_and_verify_wals_in_manifest = false;
  out.paranoid_checks = true;
  // Every open writes what it replayed into a table: the next one replays only its own log, and a
  // jump in the commit numbers is never in the same log as what was before it.
  out.avoid_flush_during_recovery = false;
  // A handle that met an error is never written to again; resuming behind our back would have the
  // engine abort at the next write in some cases.
  out.max_bgerror_resume_count = 0;

  // Memory: three fifths for write buffers, one for the cache, the rest for what is not counted
  // (table readers, iterators, the log buffer). A small write buffer keeps the log, and with it the
  // time of an open, short: 8 MiB are replayed in about 0.1 s.
  const auto share = options.memory_bytes / 5;
  out.write_buffer_size = std::clamp(share, kMiB, 8 * kMiB);
  out.max_write_buffer_number = 3;
  out.max_total_wal_size = 4 * out.write_buffer_size;
  out.max_open_files = open_files_max();
  out.max_background_jobs = 2;
  out.bytes_per_sync = kMiB;
  out.max_manifest_file_size = 4 * kMiB;
  out.keep_log_file_num = 1;

  rocksdb::BlockBasedTableOptions table;
  engine.cache = rocksdb::NewLRUCache(std::clamp(share, kMiB, 8 * kMiB), 2);
  table.block_cache = engine.cache;
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  // Chunks are large and read in order; single records are found by key.
  table.block_size = 16U << 10U;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  // Both are what TableGuard knows.
  table.format_version = 5;
  table.checksum = rocksdb::kXXH3;
  out.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  out.compression = rocksdb::kNoCompression;
  out.bottommost_compression =
      supports(rocksdb::kLZ4Compression) ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  out.level_compaction_dynamic_level_bytes = true;
  out.target_file_size_base = 16 * kMiB;
  out.max_bytes_for_level_base = 64 * kMiB;
  return engine;
}

}  // namespace holdfast::journal
