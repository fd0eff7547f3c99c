// SPDX-License-Identifier: MIT
#pragma once

// A file system that loses power, and fails on demand. Between RocksDB and another file system, it
// knows which bytes and which names were fsynced; when power goes, the others go with it.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

namespace holdfast::testing {

class FaultFs final : public rocksdb::FileSystemWrapper {
 public:
  explicit FaultFs(const std::shared_ptr<rocksdb::FileSystem>& base)
      : rocksdb::FileSystemWrapper(base) {}
  [[nodiscard]] const char* Name() const override { return "holdfast.fault"; }

  /// Asked before each operation that changes something ("append", "sync", "create", "rename",
  /// "delete", "sync folder") with its path: anything but ok is what it answers, and it does
  /// nothing.
  using Hook =
      std::function<rocksdb::IOStatus(const std::string& operation, const std::string& path)>;
  void set_hook(Hook hook);

  /// From now on nothing is written any more.
  void cut_power();
  /// What is left of the files after that: all that was synced, and of the rest at random nothing,
  /// a part, or a part with a hole. Power is back then.
  void restore(std::mt19937_64& random);
  /// What was synced and not a byte more.
  void restore_synced_only();
  /// All that was written: it was the process that was killed, and the machine went on.
  void restore_everything();

  // The rest is called by RocksDB.
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* folder,
                                 rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* context) override;

 private:
  friend class FaultFile;
  friend class FaultFolder;
  struct Size {
    std::uint64_t written = 0;
    std::uint64_t synced = 0;
  };
  /// A name that is not durable yet, and what was there before.
  struct NameChange {
    std::string path;
    bool existed = false;
    std::string content;
  };
  rocksdb::IOStatus allow(const std::string& operation, const std::string& path);
  void note_append(const std::string& path, std::uint64_t bytes);
  void note_sync(const std::string& path, std::uint64_t upto);
  void note_folder_sync(const std::string& folder);
  void note_name(const std::string& path);
  void restore(std::mt19937_64* random);

  std::mutex mutex_;  // guards everything below
  Hook hook_;
  bool is_off_ = false;
  std::map<std::string, Size> sizes_;
  std::vector<NameChange> names_;  // oldest first
};

/// An environment over `files`, which it does not own.
std::unique_ptr<rocksdb::Env> make_env(const std::shared_ptr<FaultFs>& files);

/// Files in memory only. RocksDB's own, which does not say of itself that a file can be synced by
/// one thread while another appends to it.
std::shared_ptr<FaultFs> make_memory_fs(rocksdb::Env* memory);

}  // namespace holdfast::testing
