// SPDX-License-Identifier: MIT
#pragma once

// A file system that loses power, and fails on demand. Between RocksDB and another file system, it
// knows which bytes and which names were fsynced; when power goes, the others go with it, or some
// of them.
//
// What a disk may hold then, beside all that was synced:
// - of a file's other bytes nothing, a part, or pages of 4 KiB in any choice: a page that was lost
//   (zeros, now and then noise) may come before one that was kept, and the last may be torn;
// - of the other changes to names (a new file, a rename, a link, a removal, a folder) the first few
//   over all folders, or any choice in which none is kept without those it builds on.
// A file's bytes are synced by a sync of the file, its name by one of its folder, each alone. Bytes
// that were synced are not touched by a write behind them in the same page.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
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
  /// "link", "delete", "sync folder", "make folder", "remove folder") with its path: anything but
  /// ok is what it answers, and it does nothing; but an append puts half of its bytes there first
  /// after `tear_appends(true)`, as a disk does that becomes full.
  using Hook =
      std::function<rocksdb::IOStatus(const std::string& operation, const std::string& path)>;
  void set_hook(Hook hook);
  void tear_appends(bool tear);
  /// Likewise for "open" and "read" of what is only read.
  void set_read_hook(Hook hook);

  /// From now on nothing is written any more.
  void cut_power();
  [[nodiscard]] bool is_off() const;

  /// What a cut has cost.
  struct Losses {
    std::uint64_t files_cut = 0;       ///< Shorter than they were written.
    std::uint64_t holes = 0;           ///< Runs of lost pages before one that was kept.
    std::uint64_t names_reverted = 0;  ///< Changes to names that did not happen.
  };
  /// Makes the files what a disk may hold after that, at random. Power is back then.
  Losses restore(std::mt19937_64& random);
  /// What was synced and nothing more.
  Losses restore_synced_only();
  /// All that was written: it was the process that was killed, and the machine went on. A later cut
  /// may still take what was not synced.
  void restore_everything();

  // The rest is called by RocksDB.
  rocksdb::IOStatus NewSequentialFile(const std::string& path, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& path,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                        rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* folder,
                                 rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to,
                             const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus CreateDir(const std::string& path, const rocksdb::IOOptions& options,
                              rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus CreateDirIfMissing(const std::string& path, const rocksdb::IOOptions& options,
                                       rocksdb::IODebugContext* context) override;
  rocksdb::IOStatus DeleteDir(const std::string& path, const rocksdb::IOOptions& options,
                              rocksdb::IODebugContext* context) override;

 private:
  friend class FaultFile;
  friend class FaultFolder;
  friend class FaultReader;
  friend class FaultScanner;
  /// A file, whatever it is called.
  struct Inode {
    std::uint64_t written = 0;
    std::uint64_t synced = 0;
    std::string ghost;  ///< What was in it when its last name went.
  };
  using InodePtr = std::shared_ptr<Inode>;
  struct Names {
    std::map<std::string, InodePtr> files;
    std::set<std::string> folders;
  };
  /// A change to names that is not durable yet.
  struct Change {
    enum class Kind : std::uint8_t { put, rename, remove, make_folder, remove_folder };
    Kind kind = Kind::put;
    std::string path;
    std::string from;  ///< Of a rename.
    InodePtr inode;    ///< Of a put or a rename.
    bool replaces = false;
  };
  static void apply(const Change& change, Names& names);

  [[nodiscard]] rocksdb::IOStatus allow(const std::string& operation, const std::string& path);
  [[nodiscard]] rocksdb::IOStatus allow_read(const std::string& operation, const std::string& path);
  [[nodiscard]] bool tears_appends();
  void note_append(Inode& inode, std::uint64_t bytes);
  void note_sync(const InodePtr& inode, std::uint64_t upto);
  void note_folder_sync(const std::string& folder);
  rocksdb::IOStatus make_folder(const std::string& path, rocksdb::IOStatus status, bool was_there);

  // Under the lock.
  InodePtr adopt(const std::string& path);
  void note_change(Change change);
  void let_go(const InodePtr& inode, const std::string& path);
  Names names_after_cut(std::mt19937_64* random, Losses& losses);
  std::string content_of(const Inode& inode);
  void put_back(const Names& names, const std::set<const Inode*>& damaged,
                const std::map<const Inode*, std::string>& contents);
  Losses restore(std::mt19937_64* random);

  mutable std::mutex mutex_;  // guards everything below
  Hook hook_;
  Hook read_hook_;
  bool is_off_ = false;
  bool tear_appends_ = false;
  Names current_;
  Names durable_;
  std::set<std::string> made_folders_;  // ever
  std::vector<Change> pending_;         // from the second to the first, oldest first
};

/// An environment over `files`, which it does not own.
std::unique_ptr<rocksdb::Env> make_env(const std::shared_ptr<FaultFs>& files);

/// Files in memory only. RocksDB's own, which does not say of itself that a file can be synced by
/// one thread while another appends to it.
std::shared_ptr<FaultFs> make_memory_fs(rocksdb::Env* memory);

}  // namespace holdfast::testing
