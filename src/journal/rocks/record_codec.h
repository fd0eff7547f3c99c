// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>

#include "holdfast/result.h"
#include "model/records.h"

namespace holdfast::journal {

/// The record under `key`, verified. Fails with `data_loss`, also for a key that format 1 does not
/// have. Records about the journal itself (what a commit says, what the journal is) are not for
/// here.
Result<model::Record> decode_record(std::string_view key, std::string_view value);

}  // namespace holdfast::journal
