// SPDX-License-Identifier: MIT
#include "journal/rocks/log_view.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace holdfast::journal {

namespace {

/// The first bytes of a file.
class Beginning final : public rocksdb::FSSequentialFile {
 public:
  Beginning(std::unique_ptr<rocksdb::FSSequentialFile> file, std::uint64_t bytes)
      : file_(std::move(file)), left_(bytes) {}
  rocksdb::IOStatus Read(std::size_t bytes, const rocksdb::IOOptions& options,
                         rocksdb::Slice* result, char* buffer,
                         rocksdb::IODebugContext* context) override {
    auto status =
        file_->Read(std::min<std::uint64_t>(bytes, left_), options, result, buffer, context);
    if (status.ok()) left_ -= result->size();
    return status;
  }
  rocksdb::IOStatus Skip(std::uint64_t bytes) override {
    const auto skipped = std::min(bytes, left_);
    left_ -= skipped;
    return file_->Skip(skipped);
  }

 private:
  std::unique_ptr<rocksdb::FSSequentialFile> file_;
  std::uint64_t left_;
};

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
      auto& file = logs_[name].files.emplace_back();
      status = target()->NewSequentialFile(folder + "/" + name, {}, &file, nullptr);
    }
  }
  return status;
}

void LogView::end_at(const std::string& name, std::uint64_t end) {
  const std::lock_guard lock(mutex_);
  logs_.at(name).end = end;
}

rocksdb::IOStatus LogView::GetChildren(const std::string& folder, const rocksdb::IOOptions& options,
                                       std::vector<std::string>* names,
                                       rocksdb::IODebugContext* context) {
  auto status = FileSystemWrapper::GetChildren(folder, options, names, context);
  std::erase_if(*names, is_log);
  const std::lock_guard lock(mutex_);
  for (const auto& [name, log] : logs_) names->push_back(name);
  return status;
}

rocksdb::IOStatus LogView::NewSequentialFile(const std::string& path,
                                             const rocksdb::FileOptions& options,
                                             std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                             rocksdb::IODebugContext* context) {
  {
    const std::lock_guard lock(mutex_);
    const auto log = logs_.find(path.substr(path.rfind('/') + 1));
    if (log != logs_.end() && !log->second.files.empty()) {
      auto& [files, end] = log->second;
      *file = std::move(files.back());
      files.pop_back();
      if (end) *file = std::make_unique<Beginning>(std::move(*file), *end);
      return rocksdb::IOStatus::OK();
    }
  }
  return FileSystemWrapper::NewSequentialFile(path, options, file, context);
}

}  // namespace holdfast::journal
