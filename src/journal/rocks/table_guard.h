// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <string>

#include <rocksdb/file_system.h>

namespace holdfast::journal {

/// Keeps damaged tables from the engine where it would not survive them: it takes the block of a
/// table's properties apart before it looks at its checksum, and ends the process over some bits.
/// Opening such a table fails with `Corruption`; all else is as in the file system below.
class TableGuard final : public rocksdb::FileSystemWrapper {
 public:
  explicit TableGuard(const std::shared_ptr<rocksdb::FileSystem>& files)
      : rocksdb::FileSystemWrapper(files) {}

  [[nodiscard]] const char* Name() const override { return "holdfast.table_guard"; }
  rocksdb::IOStatus NewRandomAccessFile(const std::string& path,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                        rocksdb::IODebugContext* context) override;
};

}  // namespace holdfast::journal
