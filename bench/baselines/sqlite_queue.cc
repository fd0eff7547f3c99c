// SPDX-License-Identifier: MIT
#include "baselines/sqlite_queue.h"

#include <sqlite3.h>

#include "support/measure.h"

namespace holdfast::bench {

SqliteQueue::SqliteQueue(const std::filesystem::path& file) {
  check(sqlite3_open(file.c_str(), &db_), SQLITE_OK);
  run("PRAGMA journal_mode = WAL");
  run("PRAGMA synchronous = FULL");
  run("PRAGMA cache_size = -65536");  // KiB: as much memory as a bus may take
  run("CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY, priority INTEGER NOT NULL,"
      " state INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL)");
  run("CREATE INDEX IF NOT EXISTS ready ON jobs (priority, id) WHERE state = 0");
  insert_ = prepare("INSERT INTO jobs (priority, body) VALUES (2, ?)");
  claim_ = prepare(
      "UPDATE jobs SET state = 1 WHERE id IN"
      " (SELECT id FROM jobs WHERE state = 0 ORDER BY priority, id LIMIT ?) RETURNING id, body");
  delete_ = prepare("DELETE FROM jobs WHERE id = ?");
}

SqliteQueue::~SqliteQueue() {
  for (auto* statement : statements_) sqlite3_finalize(statement);
  sqlite3_close(db_);
}

void SqliteQueue::check(int result, int wanted) const {
  require(result == wanted, std::string("SQLite: ") + sqlite3_errmsg(db_));
}

void SqliteQueue::run(const char* sql) {
  check(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr), SQLITE_OK);
}

sqlite3_stmt* SqliteQueue::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  check(sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr),
        SQLITE_OK);
  statements_.push_back(statement);
  return statement;
}

void SqliteQueue::publish(const Load& load, std::uint64_t from, std::uint64_t count) {
  if (count > 1) run("BEGIN IMMEDIATE");
  for (std::uint64_t i = from; i < from + count; ++i) {
    const auto record = load.record(i);
    check(sqlite3_bind_blob(insert_, 1, record.data(), static_cast<int>(record.size()),
                            SQLITE_STATIC),
          SQLITE_OK);
    check(sqlite3_step(insert_), SQLITE_DONE);
    check(sqlite3_reset(insert_), SQLITE_OK);
  }
  if (count > 1) run("COMMIT");
}

void SqliteQueue::delete_claimed() {
  for (const auto id : claimed_) {
    check(sqlite3_bind_int64(delete_, 1, id), SQLITE_OK);
    check(sqlite3_step(delete_), SQLITE_DONE);
    check(sqlite3_reset(delete_), SQLITE_OK);
  }
  claimed_.clear();
}

std::size_t SqliteQueue::claim(std::uint64_t count, bool ack_last) {
  run("BEGIN IMMEDIATE");
  if (ack_last) delete_claimed();
  check(sqlite3_bind_int64(claim_, 1, static_cast<std::int64_t>(count)), SQLITE_OK);
  int result = sqlite3_step(claim_);
  for (; result == SQLITE_ROW; result = sqlite3_step(claim_)) {
    claimed_.push_back(sqlite3_column_int64(claim_, 0));
    read_bytes_ += static_cast<std::size_t>(sqlite3_column_bytes(claim_, 1));
  }
  check(result, SQLITE_DONE);
  check(sqlite3_reset(claim_), SQLITE_OK);
  run("COMMIT");
  return claimed_.size();
}

void SqliteQueue::ack() {
  run("BEGIN IMMEDIATE");
  delete_claimed();
  run("COMMIT");
}

std::string SqliteQueue::first() {
  auto* statement = prepare("SELECT body FROM jobs WHERE state = 0 ORDER BY priority, id LIMIT 1");
  check(sqlite3_step(statement), SQLITE_ROW);
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, 0));
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement, 0))};
}

}  // namespace holdfast::bench
