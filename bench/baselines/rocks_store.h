// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include <rocksdb/db.h>

#include "journal/rocks/engine_options.h"
#include "support/load.h"

namespace holdfast::bench {

/// What one would write who keeps events in RocksDB by hand: a key per event (lane and sequence),
/// the same record bytes. Throws when RocksDB fails.
class RocksStore {
 public:
  enum class Setup {
    as_the_bus,   ///< All options that a bus with its default budget gives its engine.
    as_it_comes,  ///< RocksDB's defaults: a write buffer of 64 MiB, as much as a whole bus takes.
  };
  explicit RocksStore(const std::filesystem::path& folder, Setup setup = Setup::as_the_bus);

  /// One event by itself.
  void put(const Load& load, std::uint64_t index, bool sync);
  /// The events [from, from + count) as one batch.
  void write(const Load& load, std::uint64_t from, std::uint64_t count, bool sync);
  void sync();

  /// Writes [0, events) in groups of `group` without syncing, while a second thread calls SyncWAL;
  /// at most `unsynced_max` groups are ahead of it. Returns when all are synced.
  void write_decoupled(const Load& load, std::uint64_t events, std::uint64_t group,
                       std::uint64_t unsynced_max);

  /// Reads [0, events) in order and deletes each, in synced batches of `group`; `with_state` puts a
  /// small value for each beside it.
  void read_and_delete(std::uint64_t events, std::uint64_t group, bool with_state = false);
  /// The first event, as a reader finds it who has just opened.
  std::string first();

 private:
  journal::EngineOptions engine_;
  std::unique_ptr<rocksdb::DB> db_;
};

}  // namespace holdfast::bench
