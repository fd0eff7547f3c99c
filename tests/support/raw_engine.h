// SPDX-License-Identifier: MIT
#pragma once

// The engine without us, for tests that write what no journal would.

#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <rocksdb/db.h>

namespace holdfast::testing {

/// Null, with a failed expectation, when it cannot be opened.
inline std::unique_ptr<rocksdb::DB> open_engine(const std::string& folder, bool create = false) {
  rocksdb::Options options;
  options.create_if_missing = create;
  rocksdb::DB* raw = nullptr;
  const auto status = rocksdb::DB::Open(options, folder, &raw);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return std::unique_ptr<rocksdb::DB>(raw);
}

}  // namespace holdfast::testing
