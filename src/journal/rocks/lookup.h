// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>

#include "journal/journal.h"
#include "journal/rocks/tail.h"

namespace rocksdb {
class DB;
}

namespace holdfast::journal {

/// Finding and scanning, the same for a journal and for a reader. Every value is verified by the
/// model's codec before anybody sees it. Borrows both. Threads: any.
class Lookup {
 public:
  Lookup(rocksdb::DB& db, const Tail& tail) : db_(db), tail_(tail) {}

  [[nodiscard]] Result<std::optional<model::Record>> find(const RecordRef& ref) const;
  Status scan(const ScanSpec& spec, const Sink& sink) const;

  /// The first chunk with any event at or behind `event` in its lane, whatever is missing before
  /// it.
  [[nodiscard]] Result<std::optional<model::ChunkPtr>> first_chunk_reaching(EventId event) const;

  /// A raw value; nothing when there is none.
  [[nodiscard]] Result<std::optional<std::string>> get(std::string_view key) const;

 private:
  [[nodiscard]] Result<std::optional<model::Record>> find_event(EventId event) const;
  Status scan_events(const EventRange& range, const Sink& sink) const;
  Status scan_marks(const Sink& sink) const;
  Status scan_keys(const std::string& from, const std::string& end, const Sink& sink) const;

  rocksdb::DB& db_;
  const Tail& tail_;
};

}  // namespace holdfast::journal
