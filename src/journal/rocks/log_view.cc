// SPDX-License-Identifier: MIT
#include "journal/rocks/log_view.h"

#include <string_view>
#include <utility>

namespace holdfast::journal {

namespace {

bool is_log(const std::string& name) { return std::string_view(name).ends_with(".log"); }

}  // namespace

rocksdb::IOStatus LogView::freeze(const std::string& folder) {
  std::vector<std::string> names;
  auto status = target()->GetChildren(folder, {}, &names, nullptr);
  const std::lock_guard lock(mutex_);
  for (const auto& name : names) {
    if (!is_log(name)) continue;
    for (int times = 0; times < 2; ++times) {
      if (!status.ok()) return status;
      auto& file = logs_[name].emplace_back();
      status = target()->NewSequentialFile(folder + "/" + name, {}, &file, nullptr);
    }
  }
  return status;
}

rocksdb::IOStatus LogView::GetChildren(const std::string& folder, const rocksdb::IOOptions& options,
                                       std::vector<std::string>* names,
                                       rocksdb::IODebugContext* context) {
  auto status = FileSystemWrapper::GetChildren(folder, options, names, context);
  std::erase_if(*names, is_log);
  const std::lock_guard lock(mutex_);
  for (const auto& [name, files] : logs_) names->push_back(name);
  return status;
}

rocksdb::IOStatus LogView::NewSequentialFile(const std::string& path,
                                             const rocksdb::FileOptions& options,
                                             std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                             rocksdb::IODebugContext* context) {
  {
    const std::lock_guard lock(mutex_);
    const auto log = logs_.find(path.substr(path.rfind('/') + 1));
    if (log != logs_.end() && !log->second.empty()) {
      *file = std::move(log->second.back());
      log->second.pop_back();
      return rocksdb::IOStatus::OK();
    }
  }
  return FileSystemWrapper::NewSequentialFile(path, options, file, context);
}

}  // namespace holdfast::journal
