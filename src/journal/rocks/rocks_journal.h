// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "journal/journal.h"
#include "journal/open.h"

namespace rocksdb {
class Env;
}

namespace holdfast::journal {

/// How a journal on RocksDB is opened; what is beside `OpenOptions` is for tests.
struct RocksOptions {
  bool create_if_missing = true;
  DamagePolicy on_damage = DamagePolicy::refuse;
  std::size_t memory_bytes = std::size_t{40} << 20U;
  base::Log log{};
  /// Where the files are; null = the machine's disk. Must outlive the journal.
  rocksdb::Env* env = nullptr;
  /// False when `env` keeps its files elsewhere: then only the engine's own lock guards them.
  bool is_on_disk = true;
  /// Of the machine; empty = as the machine says.
  std::string boot_id{};
  /// How far numbers are reserved ahead of those in use.
  std::uint64_t reserve = std::uint64_t{1} << 22U;
  /// How old the watermark file may get.
  std::chrono::milliseconds watermark_age_max{1000};
  /// Reclaimable bytes that are worth a compaction.
  std::uint64_t reclaim_bytes_min = std::uint64_t{16} << 20U;
  /// Between two looks at how much that is.
  std::chrono::milliseconds reclaim_pause{1000};
};

Result<std::unique_ptr<Journal>> open_rocks_journal(const std::filesystem::path& folder,
                                                    const RocksOptions& options);
Result<std::unique_ptr<JournalReader>> open_rocks_reader(const std::filesystem::path& folder,
                                                         const RocksOptions& options);
int rocks_journal_owner(const std::filesystem::path& folder);

}  // namespace holdfast::journal
