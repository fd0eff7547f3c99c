// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include <rocksdb/env.h>

#include "base/log.h"

namespace holdfast::journal {

/// Takes the engine's warnings and errors to our log. There must always be one: with its own log
/// file the engine aborts the process when the disk is full.
[[nodiscard]] std::shared_ptr<rocksdb::Logger> make_engine_log(const base::Log& log);

}  // namespace holdfast::journal
