// SPDX-License-Identifier: MIT
// What an open refuses before it touches anything: a journal that somebody has open, a folder that
// is none of ours, a format it does not know.

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <pthread.h>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include "base/checksum.h"
#include "journal/open.h"
#include "journal/rocks/files.h"
#include "journal/rocks/keys.h"
#include "journal/rocks/rocks_journal.h"
#include "journal/rocks/watermark.h"
#include "support/child_process.h"
#include "support/journal_image.h"
#include "support/journal_writer.h"
#include "support/raw_engine.h"
#include "support/temp_folder.h"
#include "support/waiting.h"

namespace holdfast::testing {
namespace {

using namespace journal;
using ::testing::HasSubstr;

// Opens the journal, says so, and holds it until it is killed.
const ChildRole kHolder("journal_holder", [](const ChildArguments& given) {
  auto opened = open_journal(given.values.at(0), {});
  if (!opened.ok()) return 1;
  const int pid = getpid();
  if (!report(given.report_fd, &pid, sizeof(pid))) return 1;
  while (true) pause();
});

class JournalRefusal : public ::testing::Test {
 protected:
  void expect_refused(StatusCode code, const std::string& words, bool create_if_missing = true) {
    OpenOptions options;
    options.create_if_missing = create_if_missing;
    const auto opened = open_journal(path_, options);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.status(), code) << opened.status().to_string();
    EXPECT_THAT(opened.status().message(), HasSubstr(words));
    EXPECT_THAT(opened.status().message(), HasSubstr(path_));
  }

  TempFolder folder_;
  const std::string path_ = folder_.inside("journal");
};

TEST_F(JournalRefusal, ASecondOpenerInThisProcessIsToldWhoHasIt) {
  const auto first = open_journal(path_, {});
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(journal_owner(path_), getpid());
  expect_refused(StatusCode::locked, std::to_string(getpid()));
}

TEST_F(JournalRefusal, ASecondOpenerInAnotherProcessIsToldWhoHasIt) {
  auto holder = ChildProcess::start("journal_holder", {path_});
  const auto pid = holder.read_one<int>();
  ASSERT_TRUE(pid);
  EXPECT_EQ(journal_owner(path_), *pid);
  expect_refused(StatusCode::locked, "process " + std::to_string(*pid));
  // Asking has disturbed nobody, and a lock that was deleted locks all the same.
  std::filesystem::remove(path_ + "/LOCK");
  expect_refused(StatusCode::locked, "process " + std::to_string(*pid));
  std::filesystem::remove(path_ + "/owner");
  expect_refused(StatusCode::locked, "another process");
}

TEST_F(JournalRefusal, AKilledOwnerLeavesNoLock) {
  {
    auto holder = ChildProcess::start("journal_holder", {path_});
    ASSERT_TRUE(holder.read_one<int>());
  }
  EXPECT_EQ(journal_owner(path_), 0);
  EXPECT_TRUE(open_journal(path_, {}).ok());
}

TEST_F(JournalRefusal, NobodyOwnsAJournalThatIsClosedOrIsNone) {
  EXPECT_EQ(journal_owner(path_), 0);
  ASSERT_TRUE(open_journal(path_, {}).ok());
  EXPECT_EQ(journal_owner(path_), 0);
}

TEST_F(JournalRefusal, TheFolderIsForItsOwnerOnly) {
  const auto before = umask(0);
  const auto opened = open_journal(path_, {});
  umask(before);
  ASSERT_TRUE(opened.ok());
  struct stat found {};
  ASSERT_EQ(stat(path_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777U, 0700U);
}

TEST_F(JournalRefusal, AMissingJournalIsNotFoundWhenItMayNotBeCreated) {
  expect_refused(StatusCode::not_found, "no such journal", false);
  EXPECT_FALSE(std::filesystem::exists(path_));
  std::filesystem::create_directory(path_);
  expect_refused(StatusCode::not_found, "no journal", false);
}

TEST_F(JournalRefusal, AFileIsNoJournal) {
  write_bytes(path_, "text");
  expect_refused(StatusCode::invalid_argument, "not a folder");
  EXPECT_EQ(read_bytes(path_), "text");
}

TEST_F(JournalRefusal, AFolderOfOtherFilesIsNoJournalAndStaysAsItIs) {
  std::filesystem::create_directory(path_);
  write_bytes(path_ + "/letter.txt", "dear");
  expect_refused(StatusCode::invalid_argument, "none of a journal");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path_), {}), 1);
}

TEST_F(JournalRefusal, AnotherDatabaseIsNoJournalAndStaysAsItIs) {
  auto engine = open_engine(path_, true);
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(engine->Put({}, "k", "v").ok());
  engine.reset();
  const auto before = contents_of(path_);
  expect_refused(StatusCode::invalid_argument, "no journal");
  EXPECT_EQ(difference(before, contents_of(path_)), "");
}

TEST_F(JournalRefusal, AFolderThatCannotBeWrittenIsUnavailable) {
  if (geteuid() == 0) {
    // Permissions do not hold root back; a folder inside a file does.
    write_bytes(path_, "text");
    const auto opened = open_journal(path_ + "/inside", {});
    EXPECT_EQ(opened.status(), StatusCode::unavailable) << opened.status().to_string();
  }
  std::filesystem::remove(path_);
  ASSERT_TRUE(open_journal(path_, {}).ok());
  // As somebody else, who may read and not write.
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(path_, std::filesystem::perms(0555));
  const auto before = contents_of(path_);
  const auto me = geteuid();
  ASSERT_EQ(seteuid(me == 0 ? 65534 : me), 0);
  expect_refused(StatusCode::unavailable, "");
  ASSERT_EQ(seteuid(me), 0);
  EXPECT_EQ(difference(before, contents_of(path_)), "");
}

TEST_F(JournalRefusal, ANewerFormatIsRefusedAndNamed) {
  ASSERT_TRUE(open_journal(path_, {}).ok());
  // Whoever makes a newer format says so in the watermark, first of all.
  auto bytes = read_bytes(path_ + "/watermark");
  const std::uint32_t format = 6;
  std::memcpy(bytes.data() + 8, &format, sizeof(format));
  const auto sum = base::checksum(std::string_view(bytes).substr(0, bytes.size() - 8));
  std::memcpy(bytes.data() + bytes.size() - 8, &sum, sizeof(sum));
  write_bytes(path_ + "/watermark", bytes);
  const auto before = contents_of(path_);
  expect_refused(StatusCode::invalid_argument, "format 6; this version supports up to 5");
  EXPECT_EQ(open_journal_reader(path_, {}).status(), StatusCode::invalid_argument);
  EXPECT_EQ(difference(before, contents_of(path_)), "");
}

TEST_F(JournalRefusal, ANewerFormatThatOnlyTheTablesTellIsRefusedAndNamed) {
  ASSERT_TRUE(open_journal(path_, {}).ok());
  {
    const auto engine = open_engine(path_);
    ASSERT_NE(engine, nullptr);
    const std::string key(keys::kJournal);
    std::string value;
    ASSERT_TRUE(engine->Get({}, key, &value).ok());
    auto meta = model::decode_journal_meta(key, value);
    ASSERT_TRUE(meta.ok());
    meta->format = keys::kFormat + 1;
    ASSERT_TRUE(engine->Put({}, key, model::encode(*meta, key)).ok());
  }
  const auto words =
      "format " + std::to_string(keys::kFormat + 1) + "; this version supports up to";
  expect_refused(StatusCode::invalid_argument, words);
  EXPECT_EQ(open_journal_reader(path_, {}).status(), StatusCode::invalid_argument);
}

TEST_F(JournalRefusal, APathThatEndsWithASlashIsThatFolderAndAnEmptyOneIsNone) {
  ASSERT_TRUE(open_journal(path_ + "/", {}).ok());
  EXPECT_TRUE(std::filesystem::exists(path_ + "/watermark"));
  EXPECT_TRUE(open_journal_reader(path_ + "/", {}).ok());
  EXPECT_EQ(open_journal("", {}).status(), StatusCode::invalid_argument);
  EXPECT_EQ(open_journal_reader("", {}).status(), StatusCode::invalid_argument);
}

TEST_F(JournalRefusal, AnOpenThatWasKilledWhileItMadeTheJournalIsFinishedByTheNext) {
  std::filesystem::create_directory(path_);
  write_bytes(path_ + "/owner", "1\n");
  ASSERT_TRUE(open_journal(path_, {}).ok());
  // Half of the engine's files, and a watermark that says that there was nothing to lose yet.
  const Files files(*rocksdb::Env::Default());
  auto watermark = read_watermark(files, path_);
  ASSERT_TRUE(watermark.ok() && *watermark);
  (*watermark)->epoch = 0;
  ASSERT_TRUE(write_watermark(files, path_, **watermark).ok());
  flip_bit(files_in(path_, "MANIFEST", "").back(), 20);
  const auto opened = open_journal(path_, {});
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  EXPECT_TRUE((*opened)->state().created);
}

TEST_F(JournalRefusal, AReaderDisturbsNobodyAndChangesNothing) {
  auto journal = open_journal(path_, {});
  ASSERT_TRUE(journal.ok());
  JournalWriter writer(**journal);
  ASSERT_TRUE(writer.append(Priority::normal, 10, Durability::durable).ok());
  const auto names = [&] {
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      if (!entry.path().string().ends_with(".new")) all.push_back(entry.path().filename().string());
    }
    std::sort(all.begin(), all.end());
    return all;
  };
  const auto before = names();
  const auto reader = open_journal_reader(path_, {});
  ASSERT_TRUE(reader.ok()) << reader.status().to_string();
  EXPECT_EQ(names(), before);
  // As of its open.
  ASSERT_TRUE(writer.append(Priority::normal, 10, Durability::durable).ok());
  EXPECT_EQ(scan_lane(**reader, Priority::normal).events(), 10U);
  EXPECT_EQ((*reader)->state().last_commit, CommitNumber{1});
}

TEST_F(JournalRefusal, AReaderOfALiveJournalAlwaysSeesAPrefix) {
  auto journal = open_journal(path_, {});
  ASSERT_TRUE(journal.ok());
  std::jthread publisher([&](const std::stop_token& stop) {
    JournalWriter writer(**journal);
    // Enough for the log to be replaced several times under the reader.
    for (int i = 0; !stop.stop_requested(); ++i) {
      if (!writer.append(Priority::normal, 20, Durability::os, 4000).ok()) break;
      const auto next = writer.next(Priority::normal);
      if (i % 50 == 49 && !writer.trim(Priority::normal, next - 500, Durability::durable).ok())
        break;
    }
  });
  model::Sequence before = 0;
  for (int i = 0; i < 12; ++i) {
    const auto reader = open_journal_reader(path_, {});
    ASSERT_TRUE(reader.ok()) << reader.status().to_string();
    const auto& state = (*reader)->state();
    const auto scanned = scan_lane(**reader, Priority::normal);
    EXPECT_TRUE(scanned.status.ok()) << scanned.status.to_string();
    // By the time at which it was open all that it saw may have been trimmed.
    const auto end =
        scanned.chunks.empty() ? state.trim[Priority::normal] : scanned.chunks.back()->last() + 1;
    EXPECT_EQ(end, state.next[Priority::normal]);
    EXPECT_GE(end, before);
    before = end;
  }
}

/// Lets the writer go on at the worst moment: between the reading of which tables there are and
/// that of which logs, or just before the tables.
class Interrupted final : public rocksdb::FileSystemWrapper {
 public:
  using rocksdb::FileSystemWrapper::FileSystemWrapper;
  [[nodiscard]] const char* Name() const override { return "test.interrupted"; }
  rocksdb::IOStatus GetChildren(const std::string& folder, const rocksdb::IOOptions& options,
                                std::vector<std::string>* names,
                                rocksdb::IODebugContext* context) override {
    if (has_read_manifest && !at_manifest && !std::exchange(is_done, true)) interruption();
    return FileSystemWrapper::GetChildren(folder, options, names, context);
  }
  rocksdb::IOStatus NewSequentialFile(const std::string& path, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* context) override {
    const bool is_manifest = path.find("MANIFEST") != std::string::npos;
    has_read_manifest = has_read_manifest || is_manifest;
    if (is_manifest && at_manifest && !std::exchange(is_done, !is_again)) interruption();
    return FileSystemWrapper::NewSequentialFile(path, options, file, context);
  }
  std::function<void()> interruption;
  bool at_manifest = false;
  bool is_again = false;  // at each attempt
  bool has_read_manifest = false;
  bool is_done = false;
};

TEST_F(JournalRefusal, AReaderSeesNoHoleWhenTheLogIsReplacedWhileItOpens) {
  const auto opened = open_journal(path_, {});
  ASSERT_TRUE(opened.ok());
  JournalWriter writer(**opened);
  ASSERT_TRUE(writer.append(Priority::normal, 10, Durability::durable).ok());
  const auto before = newest_log(path_);
  const auto files = std::make_shared<Interrupted>(rocksdb::Env::Default()->GetFileSystem());
  files->interruption = [&] {
    while (std::filesystem::exists(before)) {
      ASSERT_TRUE(writer.append(Priority::normal, 20, Durability::os, 4000).ok());
    }
    ASSERT_TRUE(writer.append(Priority::normal, 20, Durability::durable, 4000).ok());
  };
  const auto env = rocksdb::NewCompositeEnv(files);
  RocksOptions options;
  options.env = env.get();
  const auto reader = open_rocks_reader(path_, options);
  ASSERT_TRUE(reader.ok()) << reader.status().to_string();
  EXPECT_TRUE(files->is_done);
  const auto scanned = scan_lane(**reader, Priority::normal);
  EXPECT_TRUE(scanned.status.ok()) << scanned.status.to_string();
  EXPECT_EQ(scanned.events() + 1, (*reader)->state().next[Priority::normal]);
}

/// Writes no log into a table until it may again. (The engine's threads for that are its urgent
/// ones.)
class NoFlush final : public rocksdb::FileSystemWrapper {
 public:
  using rocksdb::FileSystemWrapper::FileSystemWrapper;
  [[nodiscard]] const char* Name() const override { return "test.no_flush"; }
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* context) override {
    char thread[16] = {};
    pthread_getname_np(pthread_self(), thread, sizeof(thread));
    const bool is_flush = std::string_view(thread).starts_with("rocksdb:high");
    if (is_stopped && is_flush && path.ends_with(".sst")) may_go_on.wait();
    return FileSystemWrapper::NewWritableFile(path, options, file, context);
  }
  std::atomic<bool> is_stopped = false;
  Signal may_go_on;
};

struct Tables {
  std::size_t count = 0;
  std::uint64_t bytes = 0;
};
Tables tables_in(const std::string& folder) {
  Tables tables;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    std::error_code gone;
    const auto bytes = file.file_size(gone);
    if (file.path().extension() != ".sst" || gone) continue;
    ++tables.count;
    tables.bytes += bytes;
  }
  return tables;
}

std::uint64_t manifest_bytes(const std::string& folder) {
  std::uint64_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    const auto name = file.path().filename().string();
    if (name.starts_with("MANIFEST")) bytes += file.file_size();
  }
  return bytes;
}

/// What is trimmed is dropped from the tables at once, and the trim is in a log that the reader has
/// not.
TEST_F(JournalRefusal, AReaderSeesNoHoleWhenEventsAreTrimmedAndReclaimedWhileItOpens) {
  const auto written = std::make_shared<NoFlush>(rocksdb::Env::Default()->GetFileSystem());
  const auto written_env = rocksdb::NewCompositeEnv(written);
  RocksOptions options;
  options.env = written_env.get();
  options.reclaim_bytes_min = 1U << 16U;
  options.reclaim_pause = std::chrono::milliseconds(1);
  const auto opened = open_rocks_journal(path_, options);
  ASSERT_TRUE(opened.ok());
  JournalWriter writer(**opened);
  const auto append = [&] {
    ASSERT_TRUE(writer.append(Priority::normal, 100, Durability::durable, 4'000).ok());
  };
  const auto trim = [&](model::Sequence upto) {
    ASSERT_TRUE(writer.trim(Priority::normal, upto, Durability::durable).ok());
  };
  // Some tables of their full size, in the last level: from there whole ones can go.
  while (writer.next(Priority::normal) < 15'000) append();
  trim(3'000);
  ASSERT_TRUE(eventually([&] {
    const auto tables = tables_in(path_);
    return tables.count >= 3 && tables.bytes < std::uint64_t{13'000} * 4'000;
  }));

  const auto last = writer.next(Priority::normal) - 50;
  const auto files = std::make_shared<Interrupted>(rocksdb::Env::Default()->GetFileSystem());
  files->at_manifest = true;
  files->interruption = [&] {
    written->is_stopped = true;
    const auto log = newest_log(path_);
    while (newest_log(path_) == log) append();
    const auto edits = manifest_bytes(path_);
    trim(last);
    // That tables have gone is written there; the files stay until the flush is over.
    ASSERT_TRUE(eventually([&] { return manifest_bytes(path_) > edits; }));
  };
  const auto env = rocksdb::NewCompositeEnv(files);
  RocksOptions reading;
  reading.env = env.get();
  const auto reader = open_rocks_reader(path_, reading);
  written->may_go_on.set();
  ASSERT_TRUE(reader.ok()) << reader.status().to_string();
  EXPECT_TRUE(files->is_done);
  EXPECT_EQ((*reader)->state().trim[Priority::normal], last);
  const auto scanned = scan_lane(**reader, Priority::normal);
  EXPECT_TRUE(scanned.status.ok()) << scanned.status.to_string();
}

TEST_F(JournalRefusal, AReaderComesToAnEndThoughEventsAreTrimmedAgainAndAgain) {
  const auto opened = open_journal(path_, {});
  ASSERT_TRUE(opened.ok());
  JournalWriter writer(**opened);
  const auto go_on = [&] {
    const auto log = newest_log(path_);
    while (newest_log(path_) == log) {
      ASSERT_TRUE(writer.append(Priority::normal, 100, Durability::os, 4'000).ok());
    }
    const auto trim = writer.next(Priority::normal) - 50;
    ASSERT_TRUE(writer.trim(Priority::normal, trim, Durability::durable).ok());
  };
  go_on();
  const auto files = std::make_shared<Interrupted>(rocksdb::Env::Default()->GetFileSystem());
  files->at_manifest = files->is_again = true;
  files->interruption = go_on;
  const auto env = rocksdb::NewCompositeEnv(files);
  RocksOptions options;
  options.env = env.get();
  const auto reader = open_rocks_reader(path_, options);
  ASSERT_TRUE(reader.ok()) << reader.status().to_string();
  const auto scanned = scan_lane(**reader, Priority::normal);
  EXPECT_TRUE(scanned.status.ok()) << scanned.status.to_string();
  const auto& state = (*reader)->state();
  EXPECT_EQ(scanned.events(), state.next[Priority::normal] - state.trim[Priority::normal]);
}

// --- What a reader is told ----------------------------------------------------------------------

class JournalReading : public JournalRefusal {
 protected:
  void expect_unreadable(StatusCode code, const std::string& words, const std::string& path) {
    const auto opened = open_journal_reader(path, {});
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.status(), code) << opened.status().to_string();
    EXPECT_THAT(opened.status().message(), HasSubstr(words));
    EXPECT_THAT(opened.status().message(), HasSubstr(path));
  }
  /// The same as somebody who is not root.
  void expect_forbidden(const std::string& path) {
    const auto me = geteuid();
    ASSERT_EQ(seteuid(me == 0 ? 65534 : me), 0);
    expect_unreadable(StatusCode::unavailable, "Permission denied", path);
    ASSERT_EQ(seteuid(me), 0);
  }
};

TEST_F(JournalReading, WhatIsNoJournalIsToldApart) {
  expect_unreadable(StatusCode::not_found, "no such journal", path_);
  std::filesystem::create_directory(path_);
  expect_unreadable(StatusCode::invalid_argument, "no journal in this folder", path_);
  const auto file = path_ + "/letter.txt";
  write_bytes(file, "dear");
  expect_unreadable(StatusCode::invalid_argument, "not a folder", file);
  expect_unreadable(StatusCode::not_found, "no such journal", file + "/below");
  EXPECT_EQ(open_journal_reader("", {}).status(), StatusCode::invalid_argument);
}

TEST_F(JournalReading, AnotherDatabaseIsNoDamagedJournal) {
  ASSERT_NE(open_engine(path_, true), nullptr);
  expect_unreadable(StatusCode::invalid_argument, "holds a database, but no journal", path_);
}

TEST_F(JournalReading, AJournalThatIsStillBeingMadeIsNoDamagedOne) {
  std::filesystem::create_directory(path_);
  const Files files(*rocksdb::Env::Default());
  ASSERT_TRUE(write_watermark(files, path_, Watermark{}).ok());
  expect_unreadable(StatusCode::unavailable, "being made", path_);
}

TEST_F(JournalReading, AJournalWithoutItsWatermarkIsDamaged) {
  ASSERT_TRUE(open_journal(path_, {}).ok());
  std::filesystem::remove(path_ + "/watermark");
  expect_unreadable(StatusCode::data_loss, "watermark", path_);
  // Also when the tables cannot say any more that it is one.
  write_bytes(path_ + "/CURRENT", "nothing of ours");
  expect_unreadable(StatusCode::data_loss, "watermark", path_);
}

TEST_F(JournalReading, InMemoryThereIsNoJournalWhereNobodyMadeOne) {
  const std::unique_ptr<rocksdb::Env> memory(rocksdb::NewMemEnv(rocksdb::Env::Default()));
  RocksOptions options;
  options.env = memory.get();
  options.is_on_disk = false;
  EXPECT_EQ(open_rocks_reader("/journal", options).status(), StatusCode::not_found);
}

TEST_F(JournalReading, AFolderThatMayNotBeReadIsUnavailableForTheSystemsReason) {
  ASSERT_TRUE(open_journal(path_, {}).ok());
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
  // Nothing; its names and nothing of them; its files and not which there are.
  for (const unsigned mode : {0000U, 0444U, 0111U}) {
    std::filesystem::permissions(path_, std::filesystem::perms(mode));
    expect_forbidden(path_);
  }
  std::filesystem::permissions(path_, std::filesystem::perms(0755));
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0600));
  expect_forbidden(path_);
  std::filesystem::permissions(folder_.path(), std::filesystem::perms(0755));
}

TEST_F(JournalReading, AFileThatMayNotBeReadIsUnavailableForTheSystemsReason) {
  {
    auto journal = open_journal(path_, {});
    ASSERT_TRUE(journal.ok());
    ASSERT_TRUE(JournalWriter(**journal).append(Priority::normal, 10, Durability::durable).ok());
  }
  for (const auto& folder : {folder_.path(), std::filesystem::path(path_)}) {
    std::filesystem::permissions(folder, std::filesystem::perms(0755));
  }
  for (const auto& [begin, end] : std::vector<std::pair<std::string, std::string>>{
           {"watermark", ""}, {"CURRENT", ""}, {"MANIFEST", ""}, {"", ".sst"}, {"", ".log"}}) {
    const auto file = files_in(path_, begin, end).back();
    std::filesystem::permissions(file, std::filesystem::perms(0000));
    expect_forbidden(path_);
    std::filesystem::permissions(file, std::filesystem::perms(0644));
  }
}

}  // namespace
}  // namespace holdfast::testing
