// SPDX-License-Identifier: MIT
#include "journal/rocks/current_guard.h"

#include <filesystem>

namespace holdfast::journal {

rocksdb::IOStatus CurrentGuard::RenameFile(const std::string& from, const std::string& to,
                                           const rocksdb::IOOptions& options,
                                           rocksdb::IODebugContext* context) {
  const std::filesystem::path path(to);
  if (path.filename() == "CURRENT") {
    std::unique_ptr<rocksdb::FSDirectory> folder;
    auto status = NewDirectory(path.parent_path(), options, &folder, context);
    if (status.ok()) status = folder->Fsync(options, context);
    if (!status.ok()) return status;
  }
  return FileSystemWrapper::RenameFile(from, to, options, context);
}

}  // namespace holdfast::journal
