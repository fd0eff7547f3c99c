// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include <rocksdb/status.h>

#include "holdfast/status.h"

namespace holdfast::journal {

/// What the engine answered to `doing`, in our words. Ok stays ok.
[[nodiscard]] Status from_rocks(const rocksdb::Status& status, std::string_view doing);

}  // namespace holdfast::journal
