// SPDX-License-Identifier: MIT
#pragma once

#include <filesystem>
#include <memory>

#include "base/log.h"
#include "holdfast/options.h"
#include "holdfast/result.h"
#include "journal/journal.h"

namespace holdfast::journal {

struct OpenOptions {
  bool create_if_missing = true;
  bool in_memory = false;
  DamagePolicy on_damage = DamagePolicy::refuse;
  /// What the engine may use, in bytes.
  std::size_t memory_bytes = std::size_t{40} << 20U;
  base::Log log{};
};

/// The one place that names the stores. Errors as `Bus::open` documents them.
Result<std::unique_ptr<Journal>> open_journal(const std::filesystem::path& folder,
                                              const OpenOptions& options);

/// A reader that cannot write and changes nothing in `folder`, which another process may have open.
Result<std::unique_ptr<JournalReader>> open_journal_reader(const std::filesystem::path& folder,
                                                           const base::Log& log);

/// The process that holds the journal's lock now; 0 = none.
int journal_owner(const std::filesystem::path& folder);

}  // namespace holdfast::journal
