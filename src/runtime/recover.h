// SPDX-License-Identifier: MIT
#pragma once

#include "core/ledger.h"
#include "holdfast/status.h"
#include "journal/journal.h"

namespace holdfast::runtime {

/// Reads what `core::Recovery` needs and folds it into `ledger`, which must be new.
Status recover(const journal::JournalReader& journal, core::Ledger& ledger);

}  // namespace holdfast::runtime
