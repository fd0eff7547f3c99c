// SPDX-License-Identifier: MIT
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <rocksdb/file_system.h>

namespace holdfast::journal {

/// The same files with other logs: none at all, or exactly those that were there at one moment,
/// also when their writer deletes them or makes new ones. For reading an engine's files without
/// being its writer.
class LogView final : public rocksdb::FileSystemWrapper {
 public:
  /// Without any log.
  explicit LogView(const std::shared_ptr<rocksdb::FileSystem>& files)
      : rocksdb::FileSystemWrapper(files) {}

  /// Adds the logs that are in `folder` now. Each can be read twice.
  rocksdb::IOStatus freeze(const std::string& folder);

  [[nodiscard]] const char* Name() const override { return "holdfast.log_view"; }
  rocksdb::IOStatus GetChildren(const std::string& folder, const rocksdb::IOOptions& options,
                                std::vector<std::string>* names,
                                rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus NewSequentialFile(const std::string& path, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* context) override;

 private:
  std::mutex mutex_;
  // By name, open.
  std::map<std::string, std::vector<std::unique_ptr<rocksdb::FSSequentialFile>>> logs_;
};

}  // namespace holdfast::journal
