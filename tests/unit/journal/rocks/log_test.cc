// SPDX-License-Identifier: MIT
// Our reading of the engine's log against the engine's writing of it.

#include <vector>

#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include "journal/rocks/crc32c.h"
#include "journal/rocks/log_check.h"
#include "journal/rocks/log_file.h"
#include "support/journal_image.h"
#include "support/raw_engine.h"
#include "support/temp_folder.h"

namespace holdfast::journal {
namespace {

using testing::TempFolder;

TEST(Crc32c, IsTheCastagnoliOne) {
  EXPECT_EQ(crc32c(""), 0U);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43U);
  EXPECT_EQ(crc32c("56789", crc32c("1234")), crc32c("123456789"));
}

class LogFile : public ::testing::Test {
 protected:
  /// A log of batches whose values have these sizes.
  void write(const std::vector<std::size_t>& sizes) {
    const auto db = testing::open_engine(path_, true);
    ASSERT_NE(db, nullptr);
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      ASSERT_TRUE(db->Put({}, "k" + std::to_string(i), std::string(sizes[i], 'v')).ok());
    }
    testing::copy_image(path_, image_);
    log_ = testing::newest_log(image_);
  }

  struct Found {
    std::vector<LogRecord> records;  // heads are gone
    std::vector<std::string> heads;
    std::vector<LogDamage> damage;
    std::optional<std::uint64_t> end;
  };
  Found read() {
    Found found;
    const Files files(*rocksdb::Env::Default());
    const LogVisitor visitor{.record =
                                 [&](const LogRecord& record) {
                                   found.heads.emplace_back(record.head);
                                   found.records.push_back(record);
                                 },
                             .damage = [&](const LogDamage& one) { found.damage.push_back(one); }};
    const auto extent = read_log_file(files, log_.string(), visitor);
    EXPECT_TRUE(extent.ok()) << extent.status().to_string();
    if (extent.ok()) found.end = extent->whole;
    return found;
  }

  TempFolder folder_;
  const std::string path_ = folder_.inside("db");
  const std::string image_ = folder_.inside("image");
  std::filesystem::path log_;
};

TEST_F(LogFile, EveryRecordIsFoundHoweverItLiesOnTheBlocks) {
  std::vector<std::size_t> sizes;
  // Around the end of a block in steps of one, and over several blocks.
  for (std::size_t i = 0; i < 40; ++i) sizes.push_back(32768 - 60 + i);
  sizes.insert(sizes.end(), {0, 1, 100'000, 7, 32768, 5});
  write(sizes);
  const auto found = read();
  EXPECT_TRUE(found.damage.empty());
  ASSERT_EQ(found.records.size(), sizes.size());
  EXPECT_EQ(found.records.front().begin, 0U);
  EXPECT_EQ(found.records.back().end, std::filesystem::file_size(log_));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    EXPECT_NE(found.heads[i].find("k" + std::to_string(i)), std::string::npos);
    EXPECT_LE(found.heads[i].size(), kLogHeadBytes);
  }
}

TEST_F(LogFile, ARecordCutAnywhereIsToldAtItsBeginning) {
  write({100, 100, 50'000});
  const auto whole = testing::read_bytes(log_);
  const auto begin = read().records.back().begin;
  for (auto size = begin + 1; size < whole.size(); size += 1 + (whole.size() - begin) / 23) {
    testing::write_bytes(log_, whole.substr(0, size));
    const auto found = read();
    EXPECT_EQ(found.records.size(), 2U) << size;
    ASSERT_FALSE(found.damage.empty()) << size;
    EXPECT_EQ(found.damage.front().offset, begin) << size;
  }
}

TEST_F(LogFile, BehindAFlippedBitTheNextWholeRecordIsFound) {
  write({100, 100, 40'000, 100, 100});
  const auto whole = testing::read_bytes(log_);
  const auto good = read().records;
  for (std::uint64_t offset = 0; offset < whole.size(); offset += 37) {
    testing::write_bytes(log_, whole);
    testing::flip_bit(log_, offset);
    const auto found = read();
    std::size_t hit = 0;
    while (hit + 1 < good.size() && good[hit + 1].begin <= offset) ++hit;
    ASSERT_FALSE(found.damage.empty()) << offset;
    EXPECT_EQ(found.damage.front().offset, good[hit].begin) << offset;
    // All others are still there.
    EXPECT_EQ(found.records.size(), good.size() - 1) << offset;
  }
}

TEST_F(LogFile, ZerosAtItsEndAreSpaceAndNoDamage) {
  write({100, 100});
  const auto bytes = testing::read_bytes(log_);
  for (const std::size_t zeros : {1U, 6U, 7U, 100U, 32'768U, 1'000'000U}) {
    testing::write_bytes(log_, bytes + std::string(zeros, '\0'));
    const auto found = read();
    EXPECT_EQ(found.records.size(), 2U);
    EXPECT_TRUE(found.damage.empty()) << zeros;
    EXPECT_EQ(found.end, bytes.size());
  }
}

TEST_F(LogFile, ZerosBeforeSomethingElseAreDamage) {
  write({100, 100});
  const auto bytes = testing::read_bytes(log_);
  for (const std::size_t zeros : {7U, 100U, 40'000U}) {
    testing::write_bytes(log_, bytes + std::string(zeros, '\0') + "x");
    const auto found = read();
    EXPECT_EQ(found.records.size(), 2U);
    ASSERT_FALSE(found.damage.empty()) << zeros;
    EXPECT_EQ(found.damage.front().offset, bytes.size());
    EXPECT_EQ(found.end, std::nullopt);
  }
}

TEST_F(LogFile, ARecordThatTurnsToZerosIsCutOff) {
  write({100, 100, 70'000});
  const auto whole = testing::read_bytes(log_);
  const auto last = read().records.back();
  for (auto size = last.begin + 1; size < whole.size();
       size += 1 + (whole.size() - last.begin) / 97) {
    auto torn = whole.substr(0, size);
    torn.resize(whole.size() + 100'000);
    testing::write_bytes(log_, torn);
    const auto found = read();
    EXPECT_EQ(found.records.size(), 2U) << size;
    ASSERT_EQ(found.damage.size(), 1U) << size;
    EXPECT_EQ(found.damage.front().offset, last.begin) << size;
    EXPECT_EQ(found.end, last.begin) << size;
  }
}

/// A kill ends a write between two pages.
TEST_F(LogFile, ARecordWhoseLastPagesAreZerosIsTornAndOneWithAFewZerosIsNot) {
  write({100, 100, 70'000});
  const auto whole = testing::read_bytes(log_);
  const auto last = read().records.back();
  const auto torn_at = [&](std::size_t size) {
    testing::write_bytes(log_, whole.substr(0, size) + std::string(100'000, '\0'));
    return read().damage.at(0).runs_past_end;
  };
  for (auto size = (last.begin / 4'096 + 1) * 4'096; size < whole.size(); size += 4'096) {
    EXPECT_TRUE(torn_at(size)) << size;
  }
  for (const std::size_t missing : {1, 2, 30}) EXPECT_FALSE(torn_at(whole.size() - missing));
}

TEST_F(LogFile, ARecordThatEndsWithZerosIsWhole) {
  {
    const auto db = testing::open_engine(path_, true);
    ASSERT_NE(db, nullptr);
    ASSERT_TRUE(db->Put({}, "k", std::string(50'000, '\0')).ok());
    testing::copy_image(path_, image_);
    log_ = testing::newest_log(image_);
  }
  const auto bytes = testing::read_bytes(log_);
  testing::write_bytes(log_, bytes + std::string(100'000, '\0'));
  const auto found = read();
  EXPECT_EQ(found.records.size(), 1U);
  EXPECT_TRUE(found.damage.empty());
  EXPECT_EQ(found.end, bytes.size());
}

TEST_F(LogFile, LogsAreListedOldestFirst) {
  std::filesystem::create_directory(image_);
  for (const char* name : {"000012.log", "1000000.log", "999999.log", "x.log", ".log", "12.sst"}) {
    testing::write_bytes(image_ + "/" + name, "");
  }
  const auto names = log_files(Files(*rocksdb::Env::Default()), image_);
  ASSERT_TRUE(names.ok());
  EXPECT_EQ(*names, (std::vector<std::string>{"000012.log", "999999.log", "1000000.log"}));
}

}  // namespace
}  // namespace holdfast::journal
