// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>

#include "journal/rocks/rocks_journal.h"

namespace holdfast::journal {

struct EngineOptions {
  std::unique_ptr<rocksdb::Env> env;  ///< What `options` have; to be kept as long as the engine.
  rocksdb::Options options;
  std::shared_ptr<rocksdb::Cache> cache;
};

/// How the engine is opened, for writing as well as for reading. Its logger and where its files are
/// come from `options`, everything else is decided here.
[[nodiscard]] EngineOptions make_engine_options(const RocksOptions& options);

}  // namespace holdfast::journal
