// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include <rocksdb/file_system.h>

namespace holdfast::journal {

/// Has the names that a manifest mentions durable before `CURRENT` names the manifest. When it is
/// opened, the engine writes what it replayed into tables and syncs each, but their folder only
/// after `CURRENT` was renamed; a file system that does not keep changes to names in order, as
/// POSIX allows, may have the rename alone when power is lost between, and the journal could not
/// be opened. One more sync of the folder for each open.
class CurrentGuard final : public rocksdb::FileSystemWrapper {
 public:
  explicit CurrentGuard(const std::shared_ptr<rocksdb::FileSystem>& files)
      : rocksdb::FileSystemWrapper(files) {}

  [[nodiscard]] const char* Name() const override { return "holdfast.current_guard"; }
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* context) override;
};

}  // namespace holdfast::journal
