// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
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

  /// From now on a log that was frozen ends there, whatever its writer has put behind that since.
  void end_at(const std::string& name, std::uint64_t end);

  [[nodiscard]] const char* Name() const override { return "holdfast.log_view"; }
  rocksdb::IOStatus GetChildren(const std::string& folder, const rocksdb::IOOptions& options,
                                std::vector<std::string>* names,
                                rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus NewSequentialFile(const std::string& path, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* context) override;

 private:
  struct Log {
    std::vector<std::unique_ptr<rocksdb::FSSequentialFile>> files;  // open
    std::optional<std::uint64_t> end;
  };

  std::mutex mutex_;
  std::map<std::string, Log> logs_;  // by name
};

}  // namespace holdfast::journal
