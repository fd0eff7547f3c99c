// SPDX-License-Identifier: MIT
#include "damage/journal_kinds.h"

#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <variant>
#include <vector>

#include <rocksdb/db.h>

#include "damage/log_records.h"
#include "journal/rocks/engine_look.h"
#include "journal/rocks/engine_options.h"
#include "journal/rocks/keys.h"
#include "journal/rocks/record_codec.h"
#include "support/bus_test.h"
#include "support/journal_image.h"

namespace holdfast::testing {

namespace {

namespace keys = journal::keys;

/// One that is added to the format does not compile until it is here.
const char* name_of(keys::Table table) {
  switch (table) {
    case keys::Table::cursor: return "cursor";
    case keys::Table::dead_letter: return "dead letter";
    case keys::Table::event: return "event";
    case keys::Table::idempotency: return "idempotency";
    case keys::Table::ordering_key: return "ordering key";
    case keys::Table::meta: return "meta";
    case keys::Table::subscription: return "subscription";
    case keys::Table::operation: return "operation";
    case keys::Table::parked: return "parked";
    case keys::Table::settlement: return "settlement";
    case keys::Table::cancel: return "cancel";
    case keys::Table::state: return "state";
    case keys::Table::due: return "due";
  }
  return nullptr;
}
constexpr std::size_t kTables = 13;

struct Found {
  std::set<keys::Table> tables;
  std::set<std::size_t> records;  // by their place in model::Record
  std::set<std::string> meta;     // those that are no model::Record
  std::size_t settled_ahead = 0;
  std::set<OperationState> operations;
};

void note(Found& found, std::string_view key, std::string_view value) {
  const auto parsed = keys::parse(key);
  if (!parsed) give_up({StatusCode::internal, "a key of the journal cannot be read"});
  found.tables.insert(parsed->table);
  if (key == keys::kJournal || key == keys::kCommit || key == keys::kResumed) {
    found.meta.emplace(key);
    return;
  }
  const auto record = must(journal::decode_record(key, value));
  found.records.insert(record.index());
  if (const auto* cursor = std::get_if<model::CursorRecord>(&record)) {
    found.settled_ahead += cursor->ahead.size();
  }
  if (const auto* operation = std::get_if<model::OperationRecord>(&record)) {
    found.operations.insert(operation->state);
  }
}

void complain(const std::string& what) {
  give_up({StatusCode::internal, "the journal to damage has no " + what});
}

void require_all(const Found& found, const std::string& where) {
  if (found.tables.size() != kTables) {
    for (const char each : std::string_view("cdeklmnopstuw")) {
      const auto table = static_cast<keys::Table>(each);
      if (!found.tables.contains(table)) complain(where + " record of " + name_of(table));
    }
  }
  for (std::size_t i = 0; i < std::variant_size_v<model::Record>; ++i) {
    if (!found.records.contains(i)) {
      complain(where + " record of kind " + std::to_string(i) + " of model::Record");
    }
  }
  if (found.meta.size() != 3) complain(where + " record mj, mc or mo");
  if (found.settled_ahead == 0) complain(where + " cursor with settled-ahead events");
  if (found.operations.size() != 5) complain(where + " operation in one of the states");
}

/// The engine on a copy of the journal, closed before its options go.
struct Copy {
  explicit Copy(const std::string& folder)
      : db(must(journal::open_for_reading(engine.options, folder))) {}
  journal::EngineOptions engine = journal::make_engine_options({});
  std::unique_ptr<rocksdb::DB> db;
};

std::map<std::string, std::string> everything_in(const Copy& copy) {
  std::map<std::string, std::string> all;
  const std::unique_ptr<rocksdb::Iterator> each(copy.db->NewIterator({}));
  for (each->SeekToFirst(); each->Valid(); each->Next()) {
    all.emplace(each->key().ToString(), each->value().ToString());
  }
  return all;
}

void require_fresh_and_compacted(rocksdb::DB& db) {
  std::vector<rocksdb::LiveFileMetaData> files;
  db.GetLiveFilesMetaData(&files);
  bool fresh = false;
  bool compacted = false;
  for (const auto& file : files) (file.level == 0 ? fresh : compacted) = true;
  if (!fresh || !compacted) complain("fresh table, or no compacted one");
}

}  // namespace

void check_kinds(const std::string& image) {
  const auto folder = image + ".check";
  copy_image(image, folder);
  const auto whole = everything_in(Copy(folder));
  for (const auto& log : files_in(folder, "", ".log")) std::filesystem::remove(log);
  const Copy tables_alone(folder);
  require_fresh_and_compacted(*tables_alone.db);
  const auto tables = everything_in(tables_alone);
  std::filesystem::remove_all(folder);

  // The tables alone have everything.
  Found in_tables;
  for (const auto& [key, value] : tables) note(in_tables, key, value);
  require_all(in_tables, "table with a");
  // And so has the log, but for what is written once in a journal, or once a lane and megabyte.
  Found in_log;
  for (const auto& [key, value] : whole) {
    const auto before = tables.find(key);
    if (before == tables.end() || before->second != value) note(in_log, key, value);
  }
  in_log.meta.emplace(keys::kJournal);
  in_log.records.insert(model::Record(model::RetentionMark{}).index());
  require_all(in_log, "log with a");
  if (commits_in_logs(image).size() < 40) complain("log of at least 40 commits");

  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(image)) {
    const auto name = entry.path().filename().string();
    if (name.ends_with(".sst") || name.ends_with(".log")) bytes += entry.file_size();
  }
  if (bytes < (64U << 10U)) complain("64 KiB of tables and logs");
}

}  // namespace holdfast::testing
