// SPDX-License-Identifier: MIT
#include "journal/rocks/engine_look.h"

#include <memory>

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
  rocksdb::DB* raw = nullptr;
  const auto status = rocksdb::DB::OpenForReadOnly(engine.options, folder, &raw);
  if (!status.ok()) return from_rocks(status, "looking at " + folder);
  const std::unique_ptr<rocksdb::DB> db(raw);
  const Tail tail;
  return read_head(Lookup(*db, tail));
}

}  // namespace holdfast::journal
