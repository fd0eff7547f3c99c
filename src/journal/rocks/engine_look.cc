// SPDX-License-Identifier: MIT
#include "journal/rocks/engine_look.h"

#include <memory>
#include <vector>

#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include "base/status_or.h"
#include "journal/rocks/engine_options.h"
#include "journal/rocks/keys.h"
#include "journal/rocks/log_view.h"
#include "journal/rocks/lookup.h"
#include "journal/rocks/status_map.h"
#include "journal/rocks/tail.h"

namespace holdfast::journal {

Result<std::unique_ptr<rocksdb::DB>> open_for_reading(const rocksdb::Options& options,
                                                      const std::string& folder) {
  // Not the shorter form of the same call: that one opens everything, replaying the log, only to
  // find that it is no compacted database, and then does it again.
  rocksdb::DB* raw = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  const auto status = rocksdb::DB::OpenForReadOnly(
      options, folder, {{rocksdb::kDefaultColumnFamilyName, options}}, &handles, &raw);
  std::unique_ptr<rocksdb::DB> db(raw);
  for (auto* handle : handles) delete handle;
  if (!status.ok()) return from_rocks(status, "reading " + folder);
  return db;
}

Result<JournalHead> read_head(const Lookup& lookup) {
  JournalHead head;
  HOLDFAST_ASSIGN(const auto meta, lookup.get(keys::kJournal));
  if (meta) {
    HOLDFAST_ASSIGN(head.meta, model::decode_journal_meta(keys::kJournal, *meta));
    if (head.meta->format > keys::kFormat) {
      return Status(StatusCode::invalid_argument,
                    "the journal has format " + std::to_string(head.meta->format) +
                        "; this version supports up to " + std::to_string(keys::kFormat));
    }
  }
  HOLDFAST_ASSIGN(const auto commit, lookup.get(keys::kCommit));
  if (commit) {
    HOLDFAST_ASSIGN(head.commit, model::decode_meta(keys::kCommit, *commit));
  }
  return head;
}

Result<JournalHead> look_at_tables(const std::string& folder, const RocksOptions& options) {
  auto engine = make_engine_options(options);
  const auto files = std::make_shared<LogView>(engine.options.env->GetFileSystem());
  const auto env = rocksdb::NewCompositeEnv(files);
  engine.options.env = env.get();
  engine.options.create_if_missing = false;
  engine.options.max_open_files = 64;
  engine.options.skip_stats_update_on_db_open = true;
  HOLDFAST_ASSIGN(const auto db, open_for_reading(engine.options, folder));
  const Tail tail;
  auto head = read_head(Lookup(*db, tail));
  if (!head.ok()) return head.status().with_context(folder);
  return head;
}

}  // namespace holdfast::journal
