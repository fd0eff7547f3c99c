// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "support/load.h"

struct sqlite3;
struct sqlite3_stmt;

namespace holdfast::bench {

/// The usual jobs table: SQLite with a write-ahead log and `synchronous=FULL`, one connection,
/// prepared statements, an index over what is ready. Throws when SQLite fails.
class SqliteQueue {
 public:
  explicit SqliteQueue(const std::filesystem::path& file);
  ~SqliteQueue();
  SqliteQueue(const SqliteQueue&) = delete;
  SqliteQueue& operator=(const SqliteQueue&) = delete;

  /// Inserts the events [from, from + count) in one transaction.
  void publish(const Load& load, std::uint64_t from, std::uint64_t count);
  /// Marks the next `count` as taken, in one transaction, and reads them. In the same transaction
  /// those taken before are deleted, if `ack_last`: that spares every second sync.
  std::size_t claim(std::uint64_t count, bool ack_last);
  /// Deletes what was claimed last, in one transaction.
  void ack();
  /// The first one ready, as a reader finds it who has just opened.
  std::string first();

 private:
  void run(const char* sql);
  sqlite3_stmt* prepare(const char* sql);
  void delete_claimed();
  void check(int result, int wanted) const;

  sqlite3* db_ = nullptr;
  std::vector<sqlite3_stmt*> statements_;
  sqlite3_stmt* insert_ = nullptr;
  sqlite3_stmt* claim_ = nullptr;
  sqlite3_stmt* delete_ = nullptr;
  std::vector<std::int64_t> claimed_;
  std::size_t read_bytes_ = 0;
};

}  // namespace holdfast::bench
