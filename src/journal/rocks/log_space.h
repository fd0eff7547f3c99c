// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include <rocksdb/file_system.h>

namespace holdfast::journal {

/// Has the space of the engine's logs allocated ahead as part of the file: a sync of what is
/// appended then need not write the file's new length as well. Behind what was written such a log
/// holds zeros (`read_log_file`), until it is closed.
class LogSpace final : public rocksdb::FileSystemWrapper {
 public:
  explicit LogSpace(const std::shared_ptr<rocksdb::FileSystem>& files)
      : rocksdb::FileSystemWrapper(files) {}

  [[nodiscard]] const char* Name() const override { return "holdfast.log_space"; }
  rocksdb::FileOptions OptimizeForLogWrite(const rocksdb::FileOptions& options,
                                           const rocksdb::DBOptions& engine) const override {
    auto optimized = FileSystemWrapper::OptimizeForLogWrite(options, engine);
    optimized.fallocate_with_keep_size = false;
    return optimized;
  }
};

}  // namespace holdfast::journal
