// SPDX-License-Identifier: MIT
// What an open says to damage in the log: a torn end of what was never promised is cut, told and
// kept as a copy; anything else is data loss, and the folder stays as it is.

#include "support/journal_damage.h"

#include "journal/rocks/log_file.h"

namespace holdfast::testing {
namespace {

using namespace journal;
using ::testing::HasSubstr;

TEST_F(JournalDamage, AKilledProcessLosesNothingAndSkipsNothing) {
  append(5, Durability::durable);
  append(5, Durability::os);
  crash();
  const auto opened = reopen(options());
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  const auto& state = (*opened)->state();
  EXPECT_EQ(state.last_commit, CommitNumber{10});
  EXPECT_EQ(state.next[Priority::normal], 101U);
  EXPECT_EQ(state.bytes_cut, 0U);
  EXPECT_FALSE(state.clean);
  EXPECT_FALSE(state.rebooted);
  EXPECT_TRUE(state.lost.empty());
  EXPECT_EQ(scan_lane(**opened, Priority::normal).events(), 100U);
  EXPECT_FALSE(std::filesystem::exists(image_ + "/wal-evidence"));
}

TEST_F(JournalDamage, ATornEndOfUnsyncedDataIsCutToldAndKept) {
  append(5, Durability::durable);
  append(5, Durability::os);
  crash_with_watermark();
  const auto log = newest_log(image_);
  const auto whole = read_bytes(log);
  write_bytes(log, whole.substr(0, whole.size() - 7));
  const auto torn = read_bytes(log);
  {
    auto opened = reopen(options(DamagePolicy::refuse, "boot-2"));
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    const auto& state = (*opened)->state();
    EXPECT_GT(state.bytes_cut, 0U);
    EXPECT_LT(state.bytes_cut, torn.size() / 5);
    EXPECT_EQ(state.damage, "");
    EXPECT_EQ(read_bytes(std::filesystem::path(state.cut_copy) / log.filename()), torn);
  }
  crash();
  write_bytes(log, torn);
  expect_prefix(options(DamagePolicy::refuse, "boot-2"), 9);
}

TEST_F(JournalDamage, AKillInTheMiddleOfAWriteIsCutAndSkipsNothing) {
  append(5, Durability::durable);
  append(5, Durability::os);
  crash_with_watermark();
  const auto log = newest_log(image_);
  const auto whole = read_bytes(log);
  for (const std::size_t missing : {1, 7, 300}) {
    SCOPED_TRACE(missing);
    crash();
    write_bytes(log, whole.substr(0, whole.size() - missing));
    expect_torn_tenth_commit(whole.size());
  }
}

TEST_F(JournalDamage, SpaceThatWasAllocatedAheadIsNone) {
  append(5, Durability::durable);
  append(5, Durability::os);
  copy_image(path_, image_, LogSpaceKept::yes);
  const auto log = newest_log(image_);
  const auto whole = std::filesystem::file_size(log);
  crash();
  ASSERT_LT(std::filesystem::file_size(log), whole) << "nothing is allocated ahead here";
  copy_image(path_, image_, LogSpaceKept::yes);
  {
    const auto view = open_rocks_reader(image_, options());
    ASSERT_TRUE(view.ok()) << view.status().to_string();
    EXPECT_EQ((*view)->state().last_commit, CommitNumber{10});
  }
  const auto opened = reopen(options());
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  const auto& state = (*opened)->state();
  EXPECT_EQ(state.bytes_cut, 0U);
  EXPECT_EQ(state.damage, "");
  EXPECT_TRUE(state.lost.empty());
  EXPECT_EQ(scan_lane(**opened, Priority::normal).events(), 100U);
}

TEST_F(JournalDamage, AKillInTheMiddleOfAWriteIntoThatSpaceIsCutAndSkipsNothing) {
  append(5, Durability::durable);
  append(4, Durability::os);
  // Of several pages.
  ASSERT_TRUE(writer_->append(Priority::normal, 10, Durability::os, 1'000).ok());
  crash_with_watermark();
  const auto log = newest_log(image_);
  const auto whole = read_bytes(log);
  const auto last_page = (whole.size() - 1) / 4'096 * 4'096;
  for (const auto end : {last_page, last_page - 4'096}) {
    SCOPED_TRACE(end);
    crash();
    write_bytes(log, whole.substr(0, end) + std::string(100'000, '\0'));
    {
      const auto view = open_rocks_reader(image_, options());
      ASSERT_TRUE(view.ok()) << view.status().to_string();
      EXPECT_EQ((*view)->state().last_commit, CommitNumber{9});
    }
    expect_torn_tenth_commit(whole.size());
  }
}

/// What somebody was told of must not be told of something else.
TEST_F(JournalDamage, AFlippedBitInTheLastRecordBeforeThatSpaceSkipsItsNumbers) {
  append(5, Durability::durable);
  append(5, Durability::os);
  crash_with_watermark();
  const auto log = newest_log(image_);
  const auto whole = read_bytes(log);
  for (const std::size_t space : {0, 100'000}) {
    crash();
    write_bytes(log, whole + std::string(space, '\0'));
    flip_bit(log, whole.size() - 300);
    const auto opened = reopen(options());
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    const auto& state = (*opened)->state();
    EXPECT_FALSE(state.lost.empty()) << space;
    EXPECT_GE(state.next[Priority::normal], 101U);
  }
}

TEST_F(JournalDamage, AFlippedBitOfThatSpaceIsCutAndLosesNothing) {
  append(5, Durability::durable);
  crash_with_watermark();
  const auto log = newest_log(image_);
  const auto written = std::filesystem::file_size(log);
  write_bytes(log, read_bytes(log) + std::string(100'000, '\0'));
  flip_bit(log, written + 50'000);
  const auto opened = reopen(options());
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  EXPECT_GT((*opened)->state().bytes_cut, 0U);
  EXPECT_EQ((*opened)->state().damage, "");
  EXPECT_EQ(scan_lane(**opened, Priority::normal).events(), 50U);
}

TEST_F(JournalDamage, AZeroedPageInUnsyncedDataIsCutFromThereOn) {
  append(5, Durability::durable);
  crash();
  const auto synced = std::filesystem::file_size(newest_log(image_));
  append(5, Durability::os);
  crash_with_watermark();
  const auto log = newest_log(image_);
  auto bytes = read_bytes(log);
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(synced) + 3000, 500, '\0');
  write_bytes(log, bytes);
  expect_prefix(options(), 6);
}

TEST_F(JournalDamage, AFlippedBitInDurableDataIsDataLoss) {
  append(10, Durability::durable);
  crash_with_watermark();
  const auto log = newest_log(image_);
  flip_bit(log, std::filesystem::file_size(log) / 2);
  expect_data_loss({log.filename().string(), "offset", "commit 10 was durable"});
}

TEST_F(JournalDamage, AFlippedBitBeforeWhatALaterCommitCallsDurableIsDataLoss) {
  // The watermark is old here: only the commits behind the damage know.
  crash_with_an_old_watermark(2, 8);
  const auto log = newest_log(image_);
  flip_bit(log, std::filesystem::file_size(log) / 2);
  expect_data_loss({"offset"});
}

TEST_F(JournalDamage, ALengthThatPointsBehindTheEndIsNoTornEndWhenWhatFollowsWasDurable) {
  // To the engine it looks as if the writer had died there. Only the commits behind it know.
  crash_with_an_old_watermark(2, 8);
  const auto log = newest_log(image_);
  std::vector<std::uint64_t> begins;
  const LogVisitor visitor{
      .record = [&](const LogRecord& record) { begins.push_back(record.begin); },
      .damage = [](const LogDamage&) { FAIL(); }};
  ASSERT_TRUE(read_log_file(Files(*rocksdb::Env::Default()), log.string(), visitor).ok());
  constexpr std::uint64_t kHighByteOfLength = 5;
  auto bytes = read_bytes(log);
  bytes[begins[begins.size() - 3] + kHighByteOfLength] ^= 0x40;
  write_bytes(log, bytes);
  expect_data_loss({"commit 9 was durable"});
}

TEST_F(JournalDamage, AFlippedBitInTheLastDurableRecordIsDataLoss) {
  append(10, Durability::durable);
  crash_with_watermark();
  const auto log = newest_log(image_);
  flip_bit(log, std::filesystem::file_size(log) - 20);
  expect_data_loss({"commit 10 was durable", "ends at commit 9"});
}

TEST_F(JournalDamage, ALogCutInDurableDataIsDataLoss) {
  append(10, Durability::durable);
  crash_with_watermark();
  const auto log = newest_log(image_);
  const auto whole = read_bytes(log);
  for (const auto left : {whole.size() / 3, whole.size() / 2, whole.size() - 1}) {
    write_bytes(log, whole.substr(0, left));
    expect_data_loss({log.filename().string(), "commit 10 was durable"});
  }
}

TEST_F(JournalDamage, AMissingNewestLogIsDataLoss) {
  append(10, Durability::durable);
  crash_with_watermark();
  std::filesystem::remove(newest_log(image_));
  expect_data_loss({"commit 10 was durable", "missing"});
}

TEST_F(JournalDamage, AnEmptiedNewestLogIsDataLoss) {
  append(10, Durability::durable);
  crash_with_watermark();
  write_bytes(newest_log(image_), "");
  expect_data_loss({"commit 10 was durable"});
}

TEST_F(JournalDamage, AMissingOldestLogIsDataLossAlthoughTheNewestIsWhole) {
  std::filesystem::path first;
  crash_with_two_logs(3, 3, first);
  std::filesystem::remove(first);
  expect_data_loss({"999999.log", "does not follow"});
}

TEST_F(JournalDamage, WhateverBitOfALogIsFlippedNothingDurableGoesUnnoticed) {
  append(4, Durability::durable);
  crash_with_watermark();
  const auto log = newest_log(image_);
  const auto whole = read_bytes(log);
  const auto watermark_bytes = read_bytes(image_ + "/watermark");
  for (std::uint64_t offset = 0; offset < whole.size(); offset += 97) {
    crash();
    write_bytes(image_ + "/watermark", watermark_bytes);
    flip_bit(log, offset);
    const auto opened = reopen(options());
    ASSERT_FALSE(opened.ok()) << offset;
    EXPECT_EQ(opened.status(), StatusCode::data_loss) << offset << opened.status().to_string();
    EXPECT_EQ(read_bytes(log).size(), whole.size());
  }
}

TEST_F(JournalDamage, KeepGoodPrefixKeepsItAndNeverUsesTheLostSequencesAgain) {
  append(10, Durability::durable);
  crash_with_watermark();
  const auto log = newest_log(image_);
  flip_bit(log, std::filesystem::file_size(log) / 2);
  const auto damaged = read_bytes(log);
  {
    const auto before = contents_of(image_);
    copy_image(image_, folder_.inside("second"), LogSpaceKept::yes);
    auto opened =
        open_rocks_journal(folder_.inside("second"), options(DamagePolicy::keep_good_prefix));
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    const auto& state = (*opened)->state();
    EXPECT_THAT(state.damage, HasSubstr("commit 10 was durable"));
    EXPECT_GT(state.bytes_cut, 0U);
    EXPECT_EQ(read_bytes(std::filesystem::path(state.cut_copy) / log.filename()), damaged);
  }
  expect_prefix(options(DamagePolicy::keep_good_prefix), 5);
}

TEST_F(JournalDamage, KeepGoodPrefixGoesOnWithoutTheNewestLog) {
  append(10, Durability::durable);
  crash_with_watermark();
  std::filesystem::remove(newest_log(image_));
  expect_prefix(options(DamagePolicy::keep_good_prefix), 0);
}

TEST_F(JournalDamage, KeepGoodPrefixCutsAllLogsBehindTheDamagedOne) {
  std::filesystem::path first;
  crash_with_two_logs(4, 3, first);
  const auto tail = read_bytes(image_ + "/999999.log");
  flip_bit(first, std::filesystem::file_size(first) - 10);
  const auto damaged = read_bytes(first);
  copy_image(image_, folder_.inside("second"), LogSpaceKept::yes);
  {
    auto opened =
        open_rocks_journal(folder_.inside("second"), options(DamagePolicy::keep_good_prefix));
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    const auto& state = (*opened)->state();
    EXPECT_EQ(read_bytes(std::filesystem::path(state.cut_copy) / first.filename()), damaged);
    EXPECT_EQ(read_bytes(std::filesystem::path(state.cut_copy) / "999999.log"), tail);
    EXPECT_GT(state.bytes_cut, tail.size());
  }
  expect_prefix(options(DamagePolicy::keep_good_prefix), 3);
}

TEST_F(JournalDamage, KeepGoodPrefixTakesALogAwayThatIsDamagedFromItsBeginningOn) {
  std::filesystem::path first;
  crash_with_two_logs(4, 3, first);
  flip_bit(image_ + "/999999.log", 20);
  const auto damaged = read_bytes(image_ + "/999999.log");
  copy_image(image_, folder_.inside("second"), LogSpaceKept::yes);
  {
    auto opened =
        open_rocks_journal(folder_.inside("second"), options(DamagePolicy::keep_good_prefix));
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    const auto& state = (*opened)->state();
    EXPECT_EQ(state.bytes_cut, damaged.size());
    EXPECT_EQ(read_bytes(std::filesystem::path(state.cut_copy) / "999999.log"), damaged);
  }
  expect_prefix(options(DamagePolicy::keep_good_prefix), 4);
}

TEST_F(JournalDamage, OfTwoDamagedLogsTheOlderIsTold) {
  std::filesystem::path first;
  crash_with_two_logs(4, 3, first);
  flip_bit(first, std::filesystem::file_size(first) - 10);
  flip_bit(image_ + "/999999.log", 20);
  expect_data_loss({first.filename().string()});
}

TEST_F(JournalDamage, KeepGoodPrefixStillReadsALaneThatHadBeenReclaimed) {
  // Large enough that the engine sees how much it could gain.
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(writer_->append(Priority::normal, 10, Durability::durable, 4000).ok());
  }
  crash();
  // The next run trims, and reclaims while only its log says so; then that log is lost.
  auto how = options();
  how.reclaim_bytes_min = 1;
  {
    auto second = reopen(how);
    ASSERT_TRUE(second.ok()) << second.status().to_string();
    JournalWriter writer(**second);
    const auto tables = files_in(image_, "", ".sst");
    ASSERT_TRUE(writer.trim(Priority::normal, 31, Durability::durable).ok());
    ASSERT_TRUE(eventually([&] { return !std::filesystem::exists(tables.back()); }));
    ASSERT_TRUE(eventually([&] { return watermark(image_) == writer.last(); }));
    copy_image(image_, folder_.inside("third"), LogSpaceKept::yes);
  }
  std::filesystem::remove(newest_log(folder_.inside("third")));
  auto third = open_rocks_journal(folder_.inside("third"), options());
  EXPECT_EQ(third.status(), StatusCode::data_loss);
  third = open_rocks_journal(folder_.inside("third"), options(DamagePolicy::keep_good_prefix));
  ASSERT_TRUE(third.ok()) << third.status().to_string();
  EXPECT_EQ((*third)->state().trim[Priority::normal], 1U);
  const auto scanned = scan_lane(**third, Priority::normal);
  EXPECT_TRUE(scanned.status.ok()) << scanned.status.to_string();
  EXPECT_EQ(scanned.events(), 20U);
}

TEST_F(JournalDamage, AfterARebootNumbersThatMayHaveBeenGivenOutAreSkipped) {
  append(5, Durability::durable);
  crash();
  auto how = options();
  how.boot_id = "boot-2";
  auto opened = reopen(how);
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  const auto& state = (*opened)->state();
  EXPECT_TRUE(state.rebooted);
  EXPECT_EQ(state.bytes_cut, 0U);
  EXPECT_GE(state.next[Priority::normal], 51U + how.reserve / 2);
  EXPECT_GE(state.last_commit.value, 5U + how.reserve / 2);
  ASSERT_EQ(state.lost.size(), 4U);
  EXPECT_EQ(state.lost[2].from, 51U);
  EXPECT_EQ(state.lost[2].to, state.next[Priority::normal] - 1);
  EXPECT_EQ(scan_lane(**opened, Priority::normal).events(), 50U);
  // The jump is no hole for the open after the next crash, nor for the one after that.
  JournalWriter writer(**opened);
  EXPECT_TRUE(writer.append(Priority::normal, 10, Durability::durable).ok());
  copy_image(image_, folder_.inside("third"), LogSpaceKept::yes);
  auto third = open_rocks_journal(folder_.inside("third"), how);
  ASSERT_TRUE(third.ok()) << third.status().to_string();
  EXPECT_EQ((*third)->state().bytes_cut, 0U);
  EXPECT_EQ((*third)->state().last_commit, writer.last());
  EXPECT_EQ(scan_lane(**third, Priority::normal).events(), 60U);
}

TEST_F(JournalDamage, AfterARebootAndAProperCloseNothingIsSkipped) {
  append(5, Durability::durable);
  journal_.reset();
  auto how = options();
  how.boot_id = "boot-2";
  const auto opened = open_rocks_journal(path_, how);
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  EXPECT_TRUE((*opened)->state().rebooted);
  EXPECT_EQ((*opened)->state().next[Priority::normal], 51U);
  EXPECT_TRUE((*opened)->state().lost.empty());
}

}  // namespace
}  // namespace holdfast::testing
