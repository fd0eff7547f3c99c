// SPDX-License-Identifier: MIT
// What an open says to damage in the log: a torn end of what was never promised is cut, told and
// kept as a copy; anything else is data loss, and the folder stays as it is.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>

#include "journal/rocks/files.h"
#include "journal/rocks/keys.h"
#include "journal/rocks/log_file.h"
#include "journal/rocks/rocks_journal.h"
#include "journal/rocks/watermark.h"
#include "support/journal_image.h"
#include "support/journal_writer.h"
#include "support/temp_folder.h"
#include "support/waiting.h"

namespace holdfast::testing {
namespace {

using namespace journal;
using ::testing::HasSubstr;

class JournalDamage : public ::testing::Test {
 protected:
  /// Young enough that what was durable is in the watermark at once.
  static RocksOptions options(DamagePolicy on_damage = DamagePolicy::refuse,
                              const std::string& boot_id = "boot-1") {
    RocksOptions options;
    options.on_damage = on_damage;
    options.boot_id = boot_id;
    options.watermark_age_max = std::chrono::milliseconds(0);
    return options;
  }

  void SetUp() override {
    auto opened = open_rocks_journal(path_, options());
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    journal_ = *std::move(opened);
    writer_ = std::make_unique<JournalWriter>(*journal_);
  }

  void append(int commits, Durability durability) {
    for (int i = 0; i < commits; ++i) {
      ASSERT_TRUE(writer_->append(Priority::normal, 10, durability, 100).ok());
    }
  }

  CommitNumber watermark() { return watermark(path_); }
  static CommitNumber watermark(const std::string& path) {
    const Files files(*rocksdb::Env::Default());
    const auto read = read_watermark(files, path);
    return read.ok() && *read ? (*read)->durable : CommitNumber{};
  }
  /// The process is killed here.
  void crash() { copy_image(path_, image_); }
  /// Likewise, at a moment when the watermark knows all that is durable.
  void crash_with_watermark() {
    ASSERT_TRUE(eventually([this] { return watermark() == writer_->durable(); }));
    crash();
  }
  /// Likewise, with a watermark that knows the first `known` commits, and not the `behind` after.
  void crash_with_an_old_watermark(int known, int behind) {
    append(known, Durability::durable);
    crash_with_watermark();
    const auto old = read_bytes(image_ + "/watermark");
    append(behind, Durability::durable);
    crash();
    write_bytes(image_ + "/watermark", old);
  }

  Result<std::unique_ptr<Journal>> reopen(const RocksOptions& how) {
    return open_rocks_journal(image_, how);
  }

  /// One that only reads is told as well, at the latest when it comes to what is missing.
  void expect_reader_finds_it() {
    const auto reader = open_rocks_reader(image_, options());
    const auto status =
        reader.ok() ? scan_lane(**reader, Priority::normal).status : reader.status();
    EXPECT_EQ(status, StatusCode::data_loss) << status.to_string();
  }

  /// Refused with these words, twice in a row, and not a byte is different afterwards.
  void expect_data_loss(const std::vector<std::string>& words) {
    const auto before = contents_of(image_);
    for (int i = 0; i < 2; ++i) {
      const auto opened = reopen(options());
      ASSERT_FALSE(opened.ok());
      EXPECT_EQ(opened.status(), StatusCode::data_loss) << opened.status().to_string();
      for (const auto& word : words) EXPECT_THAT(opened.status().message(), HasSubstr(word));
      EXPECT_EQ(difference(before, contents_of(image_)), "");
    }
    expect_reader_finds_it();
    EXPECT_EQ(difference(before, contents_of(image_)), "");
  }

  /// Opens and has the first `commits` of ten events, and goes on behind everything given out
  /// before.
  void expect_prefix(const RocksOptions& how, std::uint64_t commits) {
    const auto given_out = writer_->next(Priority::normal);
    auto opened = reopen(how);
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    const auto& state = (*opened)->state();
    const auto scanned = scan_lane(**opened, Priority::normal);
    EXPECT_TRUE(scanned.status.ok()) << scanned.status.to_string();
    EXPECT_EQ(scanned.events(), commits * 10);
    EXPECT_GE(state.next[Priority::normal], given_out);
    EXPECT_GE(state.last_commit, writer_->last());
    EXPECT_FALSE(state.clean);
    ASSERT_FALSE(state.lost.empty());
    // For ever: the next open knows of it as well, and a second one finds nothing more to say.
    JournalWriter writer(**opened);
    EXPECT_TRUE(writer.append(Priority::normal, 10, Durability::durable, 100).ok());
    opened->reset();
    auto again = reopen(options());
    ASSERT_TRUE(again.ok()) << again.status().to_string();
    EXPECT_EQ((*again)->state().bytes_cut, 0U);
    EXPECT_EQ((*again)->state().damage, "");
    EXPECT_EQ((*again)->state().lost.size(), state_lost_);
    EXPECT_EQ(scan_lane(**again, Priority::normal).events(), commits * 10 + 10);
  }

  TempFolder folder_;
  const std::string path_ = folder_.inside("journal");
  const std::string image_ = folder_.inside("image");
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<JournalWriter> writer_;
  std::size_t state_lost_ = 4;  // one range a lane
};

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
    crash();
    write_bytes(log, whole.substr(0, whole.size() - missing));
    const auto opened = reopen(options());
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    const auto& state = (*opened)->state();
    EXPECT_GT(state.bytes_cut, 0U);
    EXPECT_TRUE(state.lost.empty()) << missing;
    EXPECT_EQ(state.last_commit, CommitNumber{9});
    EXPECT_EQ(state.next[Priority::normal], 91U);
    EXPECT_EQ(scan_lane(**opened, Priority::normal).events(), 90U);
  }
}

TEST_F(JournalDamage, AZeroedPageInUnsyncedDataIsCutFromThereOn) {
  append(5, Durability::durable);
  const auto synced = std::filesystem::file_size(newest_log(path_));
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
  append(3, Durability::durable);
  crash();
  const auto first = newest_log(image_);
  const auto head = read_bytes(first);
  append(3, Durability::durable);
  crash_with_watermark();
  // The same records as in one log, in two; and the first of them gone.
  auto bytes = read_bytes(first);
  const auto second = image_ + "/999999.log";
  ASSERT_LT(bytes.size(), 32768U);
  write_bytes(second, bytes.substr(head.size()));
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
    copy_image(image_, folder_.inside("second"));
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
  append(4, Durability::durable);
  crash();
  const auto first = newest_log(image_);
  const auto head = read_bytes(first);
  append(3, Durability::durable);
  crash_with_watermark();
  // The same records as in one log, in two.
  const auto tail = read_bytes(first).substr(head.size());
  write_bytes(image_ + "/999999.log", tail);
  write_bytes(first, head);
  flip_bit(first, head.size() - 10);
  const auto damaged = read_bytes(first);
  copy_image(image_, folder_.inside("second"));
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
    copy_image(image_, folder_.inside("third"));
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
  copy_image(image_, folder_.inside("third"));
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

TEST_F(JournalDamage, ADamagedTableIsDataLossWhenItIsOpenedOrRead) {
  append(10, Durability::durable);
  journal_.reset();
  int at_read = 0;
  const auto tables = files_in(path_, "", ".sst");
  ASSERT_FALSE(tables.empty());
  for (const auto& table : tables) {
    const auto bytes = std::filesystem::file_size(table);
    for (std::uint64_t offset = 0; offset < bytes; offset += bytes / 17 + 1) {
      copy_image(path_, image_);
      flip_bit(image_ / table.filename(), offset);
      const auto opened = reopen(options());
      if (!opened.ok()) {
        EXPECT_EQ(opened.status(), StatusCode::data_loss) << opened.status().to_string();
        continue;
      }
      const auto scanned = scan_lane(**opened, Priority::normal);
      if (scanned.status.ok()) {
        EXPECT_EQ(scanned.events(), 100U);  // a byte that nobody needs
      } else {
        EXPECT_EQ(scanned.status, StatusCode::data_loss) << scanned.status.to_string();
        ++at_read;
      }
    }
  }
  EXPECT_GT(at_read, 0);
}

TEST_F(JournalDamage, AFlippedBitInTheEndOfATableEndsNoProcess) {
  // Where the engine finds its way in a table, and where it believes what it reads.
  append(10, Durability::durable);
  journal_.reset();
  const auto table = files_in(path_, "", ".sst").back();
  const auto whole = read_bytes(table);
  copy_image(path_, image_);
  for (auto offset = whole.size() - 300; offset < whole.size(); ++offset) {
    auto bytes = whole;
    bytes[offset] ^= static_cast<char>(0x80);
    write_bytes(image_ / table.filename(), bytes);
    const auto opened = open_rocks_reader(image_, options());
    const auto scanned = opened.ok() ? scan_lane(**opened, Priority::normal) : Scanned{};
    const auto status = opened.ok() ? scanned.status : opened.status();
    EXPECT_TRUE(status == StatusCode::data_loss || scanned.events() == 100U)
        << offset << ": " << status.to_string();
  }
}

TEST_F(JournalDamage, ATruncatedTableIsDataLoss) {
  append(10, Durability::durable);
  journal_.reset();
  const auto table = files_in(path_, "", ".sst").back();
  const auto whole = std::filesystem::file_size(table);
  for (const std::uintmax_t left : {std::uintmax_t{0}, std::uintmax_t{100}, whole / 2, whole - 1}) {
    copy_image(path_, image_);
    std::filesystem::resize_file(image_ / table.filename(), left);
    const auto opened = reopen(options());
    const auto status =
        opened.ok() ? scan_lane(**opened, Priority::normal).status : opened.status();
    EXPECT_EQ(status, StatusCode::data_loss) << left << ": " << status.to_string();
  }
}

TEST_F(JournalDamage, AMissingTableIsDataLoss) {
  append(10, Durability::durable);
  journal_.reset();
  copy_image(path_, image_);
  std::filesystem::remove(image_ / files_in(path_, "", ".sst").back().filename());
  EXPECT_EQ(reopen(options()).status(), StatusCode::data_loss);
}

TEST_F(JournalDamage, ADamagedOrMissingManifestOrCurrentIsDataLoss) {
  append(10, Durability::durable);
  crash_with_watermark();
  const auto manifest = files_in(image_, "MANIFEST", "").back();
  for (const auto& file : {manifest, std::filesystem::path(image_ + "/CURRENT")}) {
    const auto bytes = read_bytes(file);
    flip_bit(file, bytes.size() / 2);
    expect_data_loss({});
    write_bytes(file, bytes);
    std::filesystem::remove(file);
    expect_data_loss({});
    write_bytes(file, bytes);
  }
  EXPECT_TRUE(reopen(options()).ok());
}

TEST_F(JournalDamage, AMissingOrDamagedWatermarkIsDataLossUnlessThePrefixIsWanted) {
  append(10, Durability::durable);
  crash_with_watermark();
  const auto watermark = image_ + "/watermark";
  const auto bytes = read_bytes(watermark);
  flip_bit(watermark, 60);
  expect_data_loss({"watermark"});
  write_bytes(watermark, bytes.substr(0, 50));
  expect_data_loss({"watermark"});
  std::filesystem::remove(watermark);
  expect_data_loss({"watermark"});
  expect_prefix(options(DamagePolicy::keep_good_prefix), 10);
}

TEST_F(JournalDamage, KeepGoodPrefixGoesOnWithADamagedWatermark) {
  append(10, Durability::durable);
  crash_with_watermark();
  flip_bit(image_ + "/watermark", 60);
  expect_prefix(options(DamagePolicy::keep_good_prefix), 10);
}

TEST_F(JournalDamage, KeepGoodPrefixTellsOfEveryDamageThereWas) {
  append(10, Durability::durable);
  crash_with_watermark();
  flip_bit(image_ + "/watermark", 60);
  const auto log = newest_log(image_);
  flip_bit(log, std::filesystem::file_size(log) / 2);
  auto opened = reopen(options(DamagePolicy::keep_good_prefix));
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  EXPECT_THAT((*opened)->state().damage, HasSubstr("watermark"));
  EXPECT_THAT((*opened)->state().damage, HasSubstr("was durable, and the journal ends"));
  EXPECT_EQ(scan_lane(**opened, Priority::normal).events(), 50U);
}

// As when a backup was put back over some of its files.
TEST_F(JournalDamage, TablesOfAnEarlierCloseUnderAWatermarkOfALaterOneAreDataLoss) {
  append(5, Durability::durable);
  journal_.reset();
  copy_image(path_, image_);
  {
    auto later = open_rocks_journal(path_, options());
    ASSERT_TRUE(later.ok()) << later.status().to_string();
    journal_ = *std::move(later);
    writer_ = std::make_unique<JournalWriter>(*journal_);
    append(5, Durability::durable);
    journal_.reset();
  }
  write_bytes(image_ + "/watermark", read_bytes(path_ + "/watermark"));
  const auto refused = reopen(options());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status(), StatusCode::data_loss) << refused.status().to_string();
  EXPECT_THAT(refused.status().message(), HasSubstr("was durable, and the journal ends"));
  expect_reader_finds_it();
  auto opened = reopen(options(DamagePolicy::keep_good_prefix));
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  EXPECT_EQ(scan_lane(**opened, Priority::normal).events(), 50U);
  EXPECT_GE((*opened)->state().next[Priority::normal], writer_->next(Priority::normal));
}

// An epoch names one opening: no two commits may have the same epoch and number.
TEST_F(JournalDamage, KeepGoodPrefixWithoutTheWatermarkNeverUsesAnEpochAgain) {
  append(10, Durability::durable);
  crash_with_watermark();
  std::uint64_t epoch = 0;
  {
    // Writes what the log has into a table.
    auto second = reopen(options());
    ASSERT_TRUE(second.ok()) << second.status().to_string();
    epoch = (*second)->state().epoch;
    JournalWriter writer(**second);
    ASSERT_TRUE(writer.append(Priority::low, 1, Durability::durable, 100).ok());
  }
  std::filesystem::remove(image_ + "/watermark");
  auto opened = reopen(options(DamagePolicy::keep_good_prefix));
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  EXPECT_GT((*opened)->state().epoch, epoch);
  EXPECT_EQ(scan_lane(**opened, Priority::normal).events(), 100U);
}

TEST_F(JournalDamage, AJournalWithoutTheRecordOfItselfIsDataLoss) {
  append(10, Durability::durable);
  journal_.reset();
  {
    rocksdb::DB* raw = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open({}, path_, &raw).ok());
    const std::unique_ptr<rocksdb::DB> engine(raw);
    ASSERT_TRUE(engine->Delete({}, std::string(keys::kJournal)).ok());
  }
  const auto opened = open_rocks_journal(path_, options());
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.status(), StatusCode::data_loss) << opened.status().to_string();
  EXPECT_THAT(opened.status().message(), HasSubstr("the record of the journal itself is missing"));
  const auto reader = open_rocks_reader(path_, options());
  ASSERT_FALSE(reader.ok());
  EXPECT_EQ(reader.status(), StatusCode::data_loss) << reader.status().to_string();
}

TEST_F(JournalDamage, TheWatermarkOfAnotherJournalIsRefused) {
  append(10, Durability::durable);
  crash_with_watermark();
  const auto other = folder_.inside("other");
  ASSERT_TRUE(open_rocks_journal(other, options()).ok());
  write_bytes(image_ + "/watermark", read_bytes(other + "/watermark"));
  expect_data_loss({"another journal"});
}

}  // namespace
}  // namespace holdfast::testing
