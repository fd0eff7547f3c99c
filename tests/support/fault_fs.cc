// SPDX-License-Identifier: MIT
#include "support/fault_fs.h"

#include <algorithm>
#include <utility>

#include "support/lost_pages.h"

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
  FaultFile(FaultFs& fs, std::string path, FaultFs::InodePtr inode,
            std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)),
        fs_(fs),
        path_(std::move(path)),
        inode_(std::move(inode)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* context) override {
    auto status = fs_.allow("append", path_);
    if (status.ok()) {
      status = FSWritableFileOwnerWrapper::Append(data, options, context);
      if (status.ok()) fs_.note_append(*inode_, data.size());
    } else if (fs_.tears_appends()) {
      const Slice half(data.data(), data.size() / 2);
      if (FSWritableFileOwnerWrapper::Append(half, options, context).ok()) {
        fs_.note_append(*inode_, half.size());
      }
    }
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
    if (status.ok()) fs_.note_sync(inode_, upto);
    return status;
  }

  FaultFs& fs_;
  const std::string path_;
  const FaultFs::InodePtr inode_;
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

class FaultScanner final : public rocksdb::FSSequentialFileOwnerWrapper {
 public:
  FaultScanner(FaultFs& fs, std::string path, std::unique_ptr<rocksdb::FSSequentialFile> file)
      : FSSequentialFileOwnerWrapper(std::move(file)), fs_(fs), path_(std::move(path)) {}
  IOStatus Read(size_t size, const IOOptions& options, Slice* result, char* scratch,
                IODebugContext* context) override {
    auto status = fs_.allow_read("read", path_);
    if (!status.ok()) return status;
    return FSSequentialFileOwnerWrapper::Read(size, options, result, scratch, context);
  }

 private:
  FaultFs& fs_;
  const std::string path_;
};

class FaultReader final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  FaultReader(FaultFs& fs, std::string path, std::unique_ptr<rocksdb::FSRandomAccessFile> file)
      : FSRandomAccessFileOwnerWrapper(std::move(file)), fs_(fs), path_(std::move(path)) {}
  IOStatus Read(std::uint64_t offset, size_t size, const IOOptions& options, Slice* result,
                char* scratch, IODebugContext* context) const override {
    auto status = fs_.allow_read("read", path_);
    if (!status.ok()) return status;
    return FSRandomAccessFileOwnerWrapper::Read(offset, size, options, result, scratch, context);
  }
  IOStatus MultiRead(rocksdb::FSReadRequest* requests, size_t count, const IOOptions& options,
                     IODebugContext* context) override {
    auto status = fs_.allow_read("read", path_);
    if (!status.ok()) return status;
    return FSRandomAccessFileOwnerWrapper::MultiRead(requests, count, options, context);
  }

 private:
  FaultFs& fs_;
  const std::string path_;
};

void FaultFs::set_hook(Hook hook) {
  const std::lock_guard lock(mutex_);
  hook_ = std::move(hook);
}

void FaultFs::set_read_hook(Hook hook) {
  const std::lock_guard lock(mutex_);
  read_hook_ = std::move(hook);
}

void FaultFs::tear_appends(bool tear) {
  const std::lock_guard lock(mutex_);
  tear_appends_ = tear;
}

bool FaultFs::tears_appends() {
  const std::lock_guard lock(mutex_);
  return tear_appends_ && !is_off_;
}

IOStatus FaultFs::allow(const std::string& operation, const std::string& path) {
  Hook hook;
  {
    const std::lock_guard lock(mutex_);
    if (is_off_) return IOStatus::IOError("power is off");
    hook = hook_;
  }
  auto status = hook ? hook(operation, path) : IOStatus::OK();
  // The hook may have been the one that cut it.
  if (status.ok() && is_off()) return IOStatus::IOError("power is off");
  return status;
}

IOStatus FaultFs::allow_read(const std::string& operation, const std::string& path) {
  Hook hook;
  {
    const std::lock_guard lock(mutex_);
    hook = read_hook_;
  }
  return hook ? hook(operation, path) : IOStatus::OK();
}

// --- What is known of bytes and names -----------------------------------------------------------

void FaultFs::note_append(Inode& inode, std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  inode.written += bytes;
}

void FaultFs::note_sync(const InodePtr& inode, std::uint64_t upto) {
  const std::lock_guard lock(mutex_);
  // The target counts what it has, which may be more than what had been noted when the sync began.
  inode->synced = std::max(inode->synced, std::min(inode->written, upto));
  // A name that was there before is no new one: its file was emptied, and now has these bytes.
  const auto mine = [&](const Change& change) {
    return change.replaces && change.inode == inode && durable_.files.contains(change.path);
  };
  for (const auto& change : pending_) {
    if (mine(change)) apply(change, durable_);
  }
  std::erase_if(pending_, mine);
}

void FaultFs::note_folder_sync(const std::string& folder) {
  const std::lock_guard lock(mutex_);
  const auto is_in = [&](const Change& change) {
    return parent_of(change.path) == without_slash(folder);
  };
  for (const auto& change : pending_) {
    if (is_in(change)) apply(change, durable_);
  }
  std::erase_if(pending_, is_in);
}

void FaultFs::apply(const Change& change, Names& names) {
  switch (change.kind) {
    case Change::Kind::rename: names.files.erase(change.from); [[fallthrough]];
    case Change::Kind::put: names.files[change.path] = change.inode; return;
    case Change::Kind::remove: names.files.erase(change.path); return;
    case Change::Kind::make_folder: names.folders.insert(change.path); return;
    case Change::Kind::remove_folder: names.folders.erase(change.path); return;
  }
}

/// The file of that name; null when there is none. One that was there before anybody asked is on
/// the disk.
FaultFs::InodePtr FaultFs::adopt(const std::string& path) {
  std::uint64_t bytes = 0;
  if (!target()->GetFileSize(path, {}, &bytes, nullptr).ok()) return nullptr;
  auto& inode = current_.files[path];
  if (inode == nullptr) {
    inode = std::make_shared<Inode>(Inode{bytes, bytes, {}});
    durable_.files[path] = inode;
  }
  return inode;
}

void FaultFs::note_change(Change change) {
  apply(change, current_);
  pending_.push_back(std::move(change));
}

/// `path` is about to be another file, or none: what is in it is kept until that is durable.
void FaultFs::let_go(const InodePtr& inode, const std::string& path) {
  const auto names = std::count_if(current_.files.begin(), current_.files.end(),
                                   [&](const auto& name) { return name.second == inode; });
  if (names > 1) return;
  static_cast<void>(rocksdb::ReadFileToString(target(), path, &inode->ghost));
}

// --- What RocksDB calls -------------------------------------------------------------------------

IOStatus FaultFs::NewSequentialFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                    IODebugContext* context) {
  auto status = allow_read("open", path);
  if (status.ok()) status = FileSystemWrapper::NewSequentialFile(path, options, file, context);
  if (status.ok()) *file = std::make_unique<FaultScanner>(*this, path, std::move(*file));
  return status;
}

IOStatus FaultFs::NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                      IODebugContext* context) {
  auto status = allow_read("open", path);
  if (status.ok()) status = FileSystemWrapper::NewRandomAccessFile(path, options, file, context);
  if (status.ok()) *file = std::make_unique<FaultReader>(*this, path, std::move(*file));
  return status;
}

IOStatus FaultFs::NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                  std::unique_ptr<rocksdb::FSWritableFile>* file,
                                  IODebugContext* context) {
  auto status = allow("create", path);
  if (!status.ok()) return status;
  const std::lock_guard lock(mutex_);
  const auto before = adopt(path);
  if (before != nullptr) let_go(before, path);
  status = FileSystemWrapper::NewWritableFile(path, options, file, context);
  if (!status.ok()) return status;
  auto inode = std::make_shared<Inode>();
  note_change({Change::Kind::put, path, {}, inode, before != nullptr});
  *file = std::make_unique<FaultFile>(*this, path, std::move(inode), std::move(*file));
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
  const std::lock_guard lock(mutex_);
  const auto inode = adopt(from);
  if (const auto before = adopt(to); before != nullptr) let_go(before, to);
  status = FileSystemWrapper::RenameFile(from, to, options, context);
  if (status.ok()) note_change({Change::Kind::rename, to, from, inode});
  return status;
}

IOStatus FaultFs::LinkFile(const std::string& from, const std::string& to, const IOOptions& options,
                           IODebugContext* context) {
  auto status = allow("link", to);
  if (!status.ok()) return status;
  const std::lock_guard lock(mutex_);
  const auto inode = adopt(from);
  status = FileSystemWrapper::LinkFile(from, to, options, context);
  if (status.ok()) note_change({Change::Kind::put, to, {}, inode});
  return status;
}

IOStatus FaultFs::DeleteFile(const std::string& path, const IOOptions& options,
                             IODebugContext* context) {
  auto status = allow("delete", path);
  if (!status.ok()) return status;
  // A lock is no file: in memory it cannot be written back as one.
  if (path.ends_with("/LOCK")) return FileSystemWrapper::DeleteFile(path, options, context);
  const std::lock_guard lock(mutex_);
  if (const auto inode = adopt(path); inode != nullptr) let_go(inode, path);
  status = FileSystemWrapper::DeleteFile(path, options, context);
  if (status.ok()) note_change({Change::Kind::remove, path});
  return status;
}

IOStatus FaultFs::make_folder(const std::string& path, IOStatus status, bool was_there) {
  if (status.ok() && !was_there) {
    const std::lock_guard lock(mutex_);
    note_change({Change::Kind::make_folder, without_slash(path)});
    made_folders_.insert(without_slash(path));
    // The journal's own folder is made durable before anything is in it, by whoever makes it on a
    // disk; in memory nobody does.
    if (parent_of(without_slash(path)).empty()) {
      apply(pending_.back(), durable_);
      pending_.pop_back();
    }
  }
  return status;
}

IOStatus FaultFs::CreateDir(const std::string& path, const IOOptions& options,
                            IODebugContext* context) {
  auto status = allow("make folder", path);
  if (!status.ok()) return status;
  return make_folder(path, FileSystemWrapper::CreateDir(path, options, context), false);
}

IOStatus FaultFs::CreateDirIfMissing(const std::string& path, const IOOptions& options,
                                     IODebugContext* context) {
  auto status = allow("make folder", path);
  if (!status.ok()) return status;
  const bool was_there = target()->FileExists(path, options, context).ok();
  return make_folder(path, FileSystemWrapper::CreateDirIfMissing(path, options, context),
                     was_there);
}

IOStatus FaultFs::DeleteDir(const std::string& path, const IOOptions& options,
                            IODebugContext* context) {
  auto status = allow("remove folder", path);
  if (!status.ok()) return status;
  // Files in memory do not keep their folder from going.
  std::vector<std::string> names;
  if (target()->GetChildren(path, options, &names, context).ok() && !names.empty()) {
    return IOStatus::IOError("folder is not empty");
  }
  status = FileSystemWrapper::DeleteDir(path, options, context);
  const std::lock_guard lock(mutex_);
  if (status.ok()) note_change({Change::Kind::remove_folder, without_slash(path)});
  return status;
}

// --- Power --------------------------------------------------------------------------------------

void FaultFs::cut_power() {
  const std::lock_guard lock(mutex_);
  is_off_ = true;
}

bool FaultFs::is_off() const {
  const std::lock_guard lock(mutex_);
  return is_off_;
}

FaultFs::Losses FaultFs::restore(std::mt19937_64& random) { return restore(&random); }
FaultFs::Losses FaultFs::restore_synced_only() { return restore(nullptr); }

void FaultFs::restore_everything() {
  const std::lock_guard lock(mutex_);
  is_off_ = false;
}

FaultFs::Names FaultFs::names_after_cut(std::mt19937_64* random, Losses& losses) {
  auto names = durable_;
  const auto below = [random](std::uint64_t end) {
    return random == nullptr ? 0 : (*random)() % end;
  };
  const bool in_order = below(2) == 0;
  auto left = below(pending_.size() + 1);
  const auto chance = below(8);
  std::set<std::string> undone;  // names that are not what a later change goes on from
  for (const auto& change : pending_) {
    bool keep = in_order ? left > 0 : below(8) < chance;
    if (in_order && left > 0) --left;
    if (undone.contains(change.path) || undone.contains(parent_of(change.path)) ||
        (!change.from.empty() && undone.contains(change.from))) {
      keep = false;
    }
    // A folder that went was empty: not without what was in it having gone.
    if (change.kind == Change::Kind::remove_folder) {
      keep = keep && std::none_of(undone.begin(), undone.end(), [&](const std::string& path) {
               return parent_of(path) == change.path;
             });
    }
    if (keep) {
      apply(change, names);
      continue;
    }
    ++losses.names_reverted;
    undone.insert(change.path);
    if (!change.from.empty()) undone.insert(change.from);
  }
  // What is in a folder goes with the name of the folder, synced or not.
  std::erase_if(names.files, [&](const auto& file) {
    const auto folder = parent_of(file.first);
    return made_folders_.contains(folder) && !names.folders.contains(folder);
  });
  return names;
}

std::string FaultFs::content_of(const Inode& inode) {
  for (const auto& [path, one] : current_.files) {
    std::string content;
    if (one.get() == &inode && rocksdb::ReadFileToString(target(), path, &content).ok()) {
      return content;
    }
  }
  return inode.ghost;
}

FaultFs::Losses FaultFs::restore(std::mt19937_64* random) {
  const std::lock_guard lock(mutex_);
  Losses losses;
  auto names = names_after_cut(random, losses);
  // What somebody took away behind our back is no loss of power.
  std::erase_if(names.files, [this](const auto& file) {
    const auto at = current_.files.find(file.first);
    return at != current_.files.end() && at->second == file.second &&
           !target()->FileExists(file.first, {}, nullptr).ok();
  });
  std::map<const Inode*, std::string> contents;
  std::set<const Inode*> damaged;
  for (const auto& [path, inode] : names.files) {
    if (contents.contains(inode.get())) continue;
    auto& content = contents[inode.get()] = content_of(*inode);
    const auto written = std::min<std::uint64_t>(content.size(), inode->written);
    if (inode->synced < written) {
      // What was allocated behind it may be part of the file already, or not.
      constexpr std::uint64_t kSpaceMax = 128 << 10;
      const auto space = std::min(content.size() - written, kSpaceMax);
      content.resize(written);
      losses.holes += lose_pages(content, inode->synced, random);
      if (content.size() < written) ++losses.files_cut;
      if (random != nullptr && (*random)() % 2 == 0) content.append(space, '\0');
      damaged.insert(inode.get());
    }
  }
  put_back(names, damaged, contents);
  for (auto& [path, inode] : names.files) {
    inode->written = inode->synced = contents[inode.get()].size();
    inode->ghost.clear();
  }
  current_ = names;
  durable_ = std::move(names);
  pending_.clear();
  is_off_ = false;
  return losses;
}

void FaultFs::put_back(const Names& names, const std::set<const Inode*>& damaged,
                       const std::map<const Inode*, std::string>& contents) {
  for (const auto& folder : names.folders) {
    static_cast<void>(target()->CreateDirIfMissing(folder, {}, nullptr));
  }
  for (const auto& [path, inode] : current_.files) {
    const auto at = names.files.find(path);
    if (at != names.files.end() && at->second == inode && !damaged.contains(inode.get())) continue;
    static_cast<void>(target()->DeleteFile(path, {}, nullptr));
  }
  for (const auto& [path, inode] : names.files) {
    if (target()->FileExists(path, {}, nullptr).ok()) continue;
    static_cast<void>(rocksdb::WriteStringToFile(target(), contents.at(inode.get()), path));
  }
  for (const auto& folder : current_.folders) {
    if (!names.folders.contains(folder)) {
      static_cast<void>(target()->DeleteDir(folder, {}, nullptr));
    }
  }
}

std::unique_ptr<rocksdb::Env> make_env(const std::shared_ptr<FaultFs>& files) {
  return rocksdb::NewCompositeEnv(files);
}

std::shared_ptr<FaultFs> make_memory_fs(rocksdb::Env* memory) {
  return std::make_shared<FaultFs>(memory->GetFileSystem());
}

}  // namespace holdfast::testing
