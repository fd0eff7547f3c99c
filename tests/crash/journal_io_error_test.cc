// SPDX-License-Identifier: MIT
// A write or sync that fails at the k-th time: its outcome is unknown, the journal is never written
// to again, and reopening tells.

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/env.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>

#include "journal/rocks/files.h"
#include "journal/rocks/rocks_journal.h"
#include "journal/rocks/watermark.h"
#include "support/fault_fs.h"
#include "support/journal_writer.h"

namespace holdfast::testing {
namespace {

using namespace journal;
using ::testing::HasSubstr;

class JournalIoError : public ::testing::Test {
 protected:
  Result<std::unique_ptr<Journal>> open() {
    RocksOptions options;
    options.env = env_.get();
    options.is_on_disk = false;
    options.boot_id = "boot-1";
    options.memory_bytes = std::size_t{5} << 20U;
    options.watermark_age_max = age_max_;
    options.reserve = reserve_;
    options.log = log_;
    return open_rocks_journal("/journal", options);
  }

  /// The `count`-th such operation on a file with this ending fails, and all after it.
  void fail(const std::string& operation, const std::string& ending, int count,
            rocksdb::IOStatus error = rocksdb::IOStatus::IOError("input/output error")) {
    left_ = count;
    files_->set_hook([=, this](const std::string& one, const std::string& path) {
      if (one == operation && path.ends_with(ending) && --left_ <= 0) return error;
      return rocksdb::IOStatus::OK();
    });
  }

  /// Commits until one fails; returns how many went well.
  int commit_until_failure(Journal& journal, Durability durability) {
    JournalWriter writer(journal);
    for (int i = 0; i < 100; ++i) {
      const auto status = writer.append(Priority::normal, 10, durability, 1000);
      if (status.ok()) continue;
      EXPECT_EQ(status, StatusCode::indeterminate) << status.to_string();
      EXPECT_EQ(writer.append(Priority::normal, 10, durability), StatusCode::poisoned);
      EXPECT_EQ(journal.sync(), StatusCode::poisoned);
      return i;
    }
    ADD_FAILURE() << "nothing failed";
    return 100;
  }

  /// Everything that went well is there, and perhaps the one whose outcome nobody knew.
  void expect_recovered(int commits) {
    files_->set_hook({});
    auto opened = open();
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    const auto scanned = scan_lane(**opened, Priority::normal);
    EXPECT_TRUE(scanned.status.ok()) << scanned.status.to_string();
    EXPECT_GE(scanned.events(), commits * 10);
    EXPECT_LE(scanned.events(), commits * 10 + 10);
    JournalWriter writer(**opened);
    EXPECT_TRUE(writer.append(Priority::normal, 10, Durability::durable).ok());
  }

  std::uint64_t reserved_number() {
    const auto read = read_watermark(Files(*env_), "/journal");
    return read.ok() && *read ? (*read)->reserved_number.value : 0;
  }

  std::unique_ptr<rocksdb::Env> memory_{rocksdb::NewMemEnv(rocksdb::Env::Default())};
  std::shared_ptr<FaultFs> files_ = make_memory_fs(memory_.get());
  std::unique_ptr<rocksdb::Env> env_ = make_env(files_);
  std::chrono::milliseconds age_max_{1000};
  std::uint64_t reserve_ = 1 << 22U;
  base::Log log_;
  std::atomic<int> left_ = 0;
};

TEST_F(JournalIoError, AFailedSyncOfTheLogPoisons) {
  for (const int count : {1, 2, 7}) {
    auto opened = open();
    ASSERT_TRUE(opened.ok());
    const auto events = scan_lane(**opened, Priority::normal).events();
    fail("sync", ".log", count);
    const auto commits = commit_until_failure(**opened, Durability::durable);
    EXPECT_EQ(commits, count - 1);
    // Reading goes on.
    EXPECT_TRUE(scan_lane(**opened, Priority::normal).status.ok());
    opened->reset();
    expect_recovered(static_cast<int>(events / 10) + commits);
  }
}

TEST_F(JournalIoError, AfterAFailedSyncNothingIsCalledDurableThatWasNot) {
  auto opened = open();
  ASSERT_TRUE(opened.ok());
  JournalWriter writer(**opened);
  ASSERT_TRUE(writer.append(Priority::normal, 10, Durability::durable).ok());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(writer.append(Priority::normal, 10).ok());
  fail("sync", ".log", 1);
  EXPECT_EQ((*opened)->sync(), StatusCode::indeterminate);
  // It is closed like this, and then the machine goes down as well.
  opened->reset();
  files_->cut_power();
  files_->set_hook({});
  files_->restore_synced_only();
  expect_recovered(1);
}

/// Calls back for each line.
class LineSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit LineSink(std::function<void(const std::string&)> line) : line_(std::move(line)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    line_(std::string(message.payload.data(), message.payload.size()));
  }
  void flush_() override {}
  const std::function<void(const std::string&)> line_;
};

// The engine ends the process when a log that was never synced is, once a write to it has failed.
TEST_F(JournalIoError, ASyncBetweenAFailedWriteAndItsReportIsRefused) {
  // The engine tells of the failure while the committer has still to hear of it.
  Journal* journal = nullptr;
  std::vector<Status> syncs;
  log_ = base::Log(std::make_shared<spdlog::logger>(
      "", std::make_shared<LineSink>([&](const std::string& line) {
        if (line.find("ackground IO error") == std::string::npos || journal == nullptr) return;
        std::thread([&] { syncs.push_back(journal->sync()); }).join();
      })));
  auto opened = open();
  ASSERT_TRUE(opened.ok());
  journal = opened->get();
  JournalWriter writer(*journal);
  ASSERT_TRUE(writer.append(Priority::normal, 10).ok());
  fail("append", ".log", 1);
  EXPECT_EQ(writer.append(Priority::normal, 10), StatusCode::indeterminate);
  ASSERT_FALSE(syncs.empty());
  EXPECT_EQ(syncs.front(), StatusCode::indeterminate);
  EXPECT_THAT(syncs.front().message(), HasSubstr("input/output error"));
  opened->reset();
  log_ = {};
  expect_recovered(1);
}

TEST_F(JournalIoError, AFailedWriteOfTheLogPoisons) {
  for (const int count : {1, 2, 7}) {
    auto opened = open();
    ASSERT_TRUE(opened.ok());
    const auto events = scan_lane(**opened, Priority::normal).events();
    fail("append", ".log", count);
    const auto commits = commit_until_failure(**opened, Durability::os);
    opened->reset();
    expect_recovered(static_cast<int>(events / 10) + commits);
  }
}

// Its caller was told its number, and asks for it after reopening.
TEST_F(JournalIoError, TheNumbersOfAFailedWriteAreNotGivenOutAgain) {
  for (const auto* operation : {"append", "sync"}) {
    auto opened = open();
    ASSERT_TRUE(opened.ok());
    const auto lost = (*opened)->state().lost.size();
    fail(operation, ".log", 3);
    commit_until_failure(**opened, Durability::durable);
    // It is killed, and never gets to close.
    files_->cut_power();
    opened->reset();
    files_->set_hook({});
    files_->restore_everything();
    opened = open();
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    EXPECT_GT((*opened)->state().lost.size(), lost) << operation;
    EXPECT_GT((*opened)->state().next[Priority::normal], reserve_);
  }
}

TEST_F(JournalIoError, AFullDiskPoisonsAndReopeningGoesOn) {
  auto opened = open();
  ASSERT_TRUE(opened.ok());
  fail("append", ".log", 5, rocksdb::IOStatus::NoSpace("no space left"));
  const auto commits = commit_until_failure(**opened, Durability::durable);
  opened->reset();
  expect_recovered(commits);
}

TEST_F(JournalIoError, TheReasonIsInEveryLaterAnswer) {
  auto opened = open();
  ASSERT_TRUE(opened.ok());
  fail("sync", ".log", 1);
  commit_until_failure(**opened, Durability::durable);
  EXPECT_THAT((*opened)->sync().message(), HasSubstr("input/output error"));
}

TEST_F(JournalIoError, ATableThatCannotBeWrittenPoisonsLaterAndLosesNothing) {
  auto opened = open();
  ASSERT_TRUE(opened.ok());
  fail("append", ".sst", 1);
  JournalWriter writer(**opened);
  Status status;
  int commits = 0;
  for (; commits < 5000 && status.ok(); ++commits) {
    status = writer.append(Priority::normal, 10, Durability::os, 3000);
  }
  EXPECT_EQ(status, StatusCode::indeterminate) << status.to_string();
  EXPECT_EQ(writer.append(Priority::normal, 10), StatusCode::poisoned);
  opened->reset();
  expect_recovered(commits - 1);
}

TEST_F(JournalIoError, AWatermarkThatCannotBeWrittenStopsNobodyUntilTheReserveIsUsedUp) {
  age_max_ = std::chrono::milliseconds(1);
  reserve_ = 50;
  auto opened = open();
  ASSERT_TRUE(opened.ok());
  fail("append", "watermark.new", 1);
  const auto commits = commit_until_failure(**opened, Durability::durable);
  EXPECT_GE(commits, 2);
  EXPECT_LE(commits, 6);
  opened->reset();
  expect_recovered(commits);
}

TEST_F(JournalIoError, TheReserveIsRenewedBeforeItIsUsedUp) {
  reserve_ = 50;
  auto opened = open();
  ASSERT_TRUE(opened.ok());
  JournalWriter writer(**opened);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(writer.append(Priority::normal, 10).ok());
}

// Numbers of commits are given out as well, also by those that publish nothing.
TEST_F(JournalIoError, CommitsWithoutEventsKeepToTheReserve) {
  reserve_ = 50;
  age_max_ = std::chrono::milliseconds(1);
  {
    auto opened = open();
    ASSERT_TRUE(opened.ok());
    JournalWriter writer(**opened);
    for (int i = 0; i < 200; ++i)
      ASSERT_TRUE(writer.commit(writer.make()).ok()) << "it is renewed in time";
    fail("append", "watermark.new", 1);
    int more = 0;
    while (writer.commit(writer.make()).ok() && more < 1'000) ++more;
    EXPECT_LE(more, 50);
    EXPECT_LT(writer.last().value, reserved_number()) << "none is given out that is not reserved";
    files_->set_hook({});
  }
}

TEST_F(JournalIoError, AnOpenThatFailsHalfWayCanBeRepeated) {
  int commits = 0;
  {
    auto opened = open();
    ASSERT_TRUE(opened.ok());
    fail("sync", ".log", 20);  // so that there is a log to replay
    commits = commit_until_failure(**opened, Durability::durable);
  }
  for (const char* operation : {"append", "sync", "create", "rename", "sync folder", "delete"}) {
    for (int count = 1; count < 12; count += 2) {
      fail(operation, "", count);
      auto opened = open();
      if (opened.ok()) continue;
      EXPECT_THAT(opened.status().code(),
                  ::testing::AnyOf(StatusCode::unavailable, StatusCode::data_loss))
          << opened.status().to_string();
    }
  }
  expect_recovered(commits);
}

}  // namespace
}  // namespace holdfast::testing
