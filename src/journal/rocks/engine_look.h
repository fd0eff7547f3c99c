// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <rocksdb/db.h>

#include "holdfast/result.h"
#include "journal/rocks/rocks_journal.h"
#include "model/commit.h"
#include "model/state_codec.h"

namespace holdfast::journal {

class Lookup;

/// The engine in `folder`, for reading only.
Result<std::unique_ptr<rocksdb::DB>> open_for_reading(const rocksdb::Options& options,
                                                      const std::string& folder);

/// What the journal says of itself.
struct JournalHead {
  std::optional<model::JournalMeta> meta;
  std::optional<model::Commit> commit;  ///< The newest, without operations.
};

/// Reads it. Fails with `invalid_argument` for a newer format.
Result<JournalHead> read_head(const Lookup& lookup);

/// Reads it from the tables alone, as if there were no log, and changes nothing: what the log must
/// go on from. Only so can be told that the oldest log is missing.
Result<JournalHead> look_at_tables(const std::string& folder, const RocksOptions& options);

}  // namespace holdfast::journal
