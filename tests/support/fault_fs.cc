// SPDX-License-Identifier: MIT
#include "support/fault_fs.h"

#include <algorithm>
#include <utility>

namespace holdfast::testing {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

namespace {

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

class FaultFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  FaultFile(FaultFs& fs, std::string path, std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)), fs_(fs), path_(std::move(path)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* context) override {
    auto status = fs_.allow("append", path_);
    if (status.ok()) status = FSWritableFileOwnerWrapper::Append(data, options, context);
    if (status.ok()) fs_.note_append(path_, data.size());
    return status;
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& /*info*/, IODebugContext* context) override {
    return Append(data, options, context);
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* context) override {
    return sync(options, context);
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* context) override {
    return sync(options, context);
  }
  [[nodiscard]] bool IsSyncThreadSafe() const override { return true; }

 private:
  IOStatus sync(const IOOptions& options, IODebugContext* context) {
    auto status = fs_.allow("sync", path_);
    if (!status.ok()) return status;
    const auto upto = FSWritableFileOwnerWrapper::GetFileSize(options, context);
    status = FSWritableFileOwnerWrapper::Sync(options, context);
    if (status.ok()) fs_.note_sync(path_, upto);
    return status;
  }

  FaultFs& fs_;
  const std::string path_;
};

class FaultFolder final : public rocksdb::FSDirectoryWrapper {
 public:
  FaultFolder(FaultFs& fs, std::string path, std::unique_ptr<rocksdb::FSDirectory> folder)
      : FSDirectoryWrapper(std::move(folder)), fs_(fs), path_(std::move(path)) {}
  IOStatus Fsync(const IOOptions& options, IODebugContext* context) override {
    auto status = fs_.allow("sync folder", path_);
    if (status.ok()) status = FSDirectoryWrapper::Fsync(options, context);
    if (status.ok()) fs_.note_folder_sync(path_);
    return status;
  }
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* context,
                               const rocksdb::DirFsyncOptions& /*how*/) override {
    return Fsync(options, context);
  }

 private:
  FaultFs& fs_;
  const std::string path_;
};

void FaultFs::set_hook(Hook hook) {
  const std::lock_guard lock(mutex_);
  hook_ = std::move(hook);
}

IOStatus FaultFs::allow(const std::string& operation, const std::string& path) {
  Hook hook;
  {
    const std::lock_guard lock(mutex_);
    if (is_off_) return IOStatus::IOError("power is off");
    hook = hook_;
  }
  return hook ? hook(operation, path) : IOStatus::OK();
}

void FaultFs::note_append(const std::string& path, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  sizes_[path].written += bytes;
}

void FaultFs::note_sync(const std::string& path, std::uint64_t upto) {
  const std::lock_guard lock(mutex_);
  auto& size = sizes_[path];
  // The target counts what it has, which may be more than what had been noted when the sync began.
  size.synced = std::max(size.synced, std::min(size.written, upto));
}

void FaultFs::note_folder_sync(const std::string& folder) {
  const std::lock_guard lock(mutex_);
  std::erase_if(names_, [&](const NameChange& change) {
    return parent_of(change.path) == without_slash(folder);
  });
}

void FaultFs::note_name(const std::string& path) {
  NameChange change{.path = path, .content = {}};
  change.existed = target()->FileExists(path, {}, nullptr).ok();
  if (change.existed) {
    static_cast<void>(rocksdb::ReadFileToString(target(), path, &change.content));
  }
  const std::lock_guard lock(mutex_);
  names_.push_back(std::move(change));
}

IOStatus FaultFs::NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                  std::unique_ptr<rocksdb::FSWritableFile>* file,
                                  IODebugContext* context) {
  auto status = allow("create", path);
  if (!status.ok()) return status;
  note_name(path);
  status = FileSystemWrapper::NewWritableFile(path, options, file, context);
  if (!status.ok()) return status;
  {
    const std::lock_guard lock(mutex_);
    sizes_[path] = {};
  }
  *file = std::make_unique<FaultFile>(*this, path, std::move(*file));
  return status;
}

IOStatus FaultFs::NewDirectory(const std::string& path, const IOOptions& options,
                               std::unique_ptr<rocksdb::FSDirectory>* folder,
                               IODebugContext* context) {
  auto status = FileSystemWrapper::NewDirectory(path, options, folder, context);
  if (status.ok()) *folder = std::make_unique<FaultFolder>(*this, path, std::move(*folder));
  return status;
}

IOStatus FaultFs::RenameFile(const std::string& from, const std::string& to,
                             const IOOptions& options, IODebugContext* context) {
  auto status = allow("rename", from);
  if (!status.ok()) return status;
  note_name(to);
  status = FileSystemWrapper::RenameFile(from, to, options, context);
  if (status.ok()) {
    const std::lock_guard lock(mutex_);
    const auto moved = sizes_.extract(from);
    sizes_.erase(to);
    if (!moved.empty()) sizes_[to] = moved.mapped();
    std::erase_if(names_, [&](const NameChange& change) { return change.path == from; });
  }
  return status;
}

IOStatus FaultFs::DeleteFile(const std::string& path, const IOOptions& options,
                             IODebugContext* context) {
  auto status = allow("delete", path);
  if (!status.ok()) return status;
  status = FileSystemWrapper::DeleteFile(path, options, context);
  if (status.ok()) {
    // Deleting is taken to be durable at once: the worst for whoever deletes too early.
    const std::lock_guard lock(mutex_);
    sizes_.erase(path);
    std::erase_if(names_, [&](const NameChange& change) { return change.path == path; });
  }
  return status;
}

void FaultFs::cut_power() {
  const std::lock_guard lock(mutex_);
  is_off_ = true;
}

void FaultFs::restore(std::mt19937_64& random) { restore(&random); }
void FaultFs::restore_synced_only() { restore(nullptr); }

void FaultFs::restore_everything() {
  const std::lock_guard lock(mutex_);
  for (auto& [path, size] : sizes_) size.synced = size.written;
  names_.clear();
  is_off_ = false;
}

void FaultFs::restore(std::mt19937_64* random) {
  const auto below = [random](std::uint64_t end) {
    return random == nullptr ? 0 : (*random)() % end;
  };
  const std::lock_guard lock(mutex_);
  for (const auto& [path, size] : sizes_) {
    if (size.synced >= size.written) continue;
    std::string content;
    if (!rocksdb::ReadFileToString(target(), path, &content).ok()) continue;
    const auto unsynced = size.written - size.synced;
    const auto kept = below(3) == 0 ? 0 : below(unsynced + 1);
    content.resize(std::min<std::uint64_t>(content.size(), size.synced + kept));
    if (kept > 0 && below(3) == 0) {
      // Pages reach the disk in any order: one that did not is zeros.
      const auto begin = size.synced + below(kept);
      const auto bytes = std::min<std::uint64_t>(content.size() - begin, 1 + below(4096));
      std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(begin), bytes, '\0');
    }
    static_cast<void>(rocksdb::WriteStringToFile(target(), content, path));
  }
  // Some may have got there all the same. File systems journal names in order: never a later one
  // alone.
  const auto kept_names = static_cast<std::ptrdiff_t>(below(names_.size() + 1));
  for (auto change = names_.rbegin(); change != names_.rend() - kept_names; ++change) {
    if (change->existed) {
      static_cast<void>(rocksdb::WriteStringToFile(target(), change->content, change->path));
    } else {
      static_cast<void>(target()->DeleteFile(change->path, {}, nullptr));
    }
  }
  names_.clear();
  sizes_.clear();
  is_off_ = false;
}

std::unique_ptr<rocksdb::Env> make_env(const std::shared_ptr<FaultFs>& files) {
  return rocksdb::NewCompositeEnv(files);
}

std::shared_ptr<FaultFs> make_memory_fs(rocksdb::Env* memory) {
  return std::make_shared<FaultFs>(memory->GetFileSystem());
}

}  // namespace holdfast::testing
