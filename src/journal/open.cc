// SPDX-License-Identifier: MIT
#include "journal/open.h"

#include <string>

#include "base/status_or.h"
#include "journal/memory/memory_journal.h"
#include "journal/rocks/rocks_journal.h"

namespace holdfast::journal {

namespace {

/// The system takes a NUL for the end of the path, and would make or read another folder.
Status check_path(const std::filesystem::path& folder) {
  const auto at = folder.native().find('\0');
  if (at == std::string::npos) return {};
  return {StatusCode::invalid_argument, "the journal's path of " +
                                            std::to_string(folder.native().size()) +
                                            " bytes has a NUL at byte " + std::to_string(at)};
}

}  // namespace

Result<std::unique_ptr<Journal>> open_journal(const std::filesystem::path& folder,
                                              const OpenOptions& options) {
  HOLDFAST_TRY(check_path(folder));
  if (options.in_memory) return make_memory_journal();
  RocksOptions rocks;
  rocks.create_if_missing = options.create_if_missing;
  rocks.on_damage = options.on_damage;
  rocks.memory_bytes = options.memory_bytes;
  rocks.log = options.log;
  return open_rocks_journal(folder, rocks);
}

Result<std::unique_ptr<JournalReader>> open_journal_reader(const std::filesystem::path& folder,
                                                           const base::Log& log) {
  HOLDFAST_TRY(check_path(folder));
  RocksOptions rocks;
  rocks.log = log;
  return open_rocks_reader(folder, rocks);
}

int journal_owner(const std::filesystem::path& folder) { return rocks_journal_owner(folder); }

}  // namespace holdfast::journal
