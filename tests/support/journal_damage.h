// SPDX-License-Identifier: MIT
#pragma once

// A journal that is damaged, and what opens and readers then have to say.

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include "journal/rocks/files.h"
#include "journal/rocks/rocks_journal.h"
#include "journal/rocks/watermark.h"
#include "support/journal_image.h"
#include "support/journal_writer.h"
#include "support/temp_folder.h"
#include "support/waiting.h"

namespace holdfast::testing {

class JournalDamage : public ::testing::Test {
 protected:
  /// Young enough that what was durable is in the watermark at once.
  static journal::RocksOptions options(DamagePolicy on_damage = DamagePolicy::refuse,
                                       const std::string& boot_id = "boot-1") {
    journal::RocksOptions options;
    options.on_damage = on_damage;
    options.boot_id = boot_id;
    options.watermark_age_max = std::chrono::milliseconds(0);
    return options;
  }

  void SetUp() override {
    auto opened = journal::open_rocks_journal(path_, options());
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
    const journal::Files files(*rocksdb::Env::Default());
    const auto read = journal::read_watermark(files, path);
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

  /// Likewise, with the same records as in one log in two: `before` commits in the `first`, and the
  /// `behind` after them in 999999.log.
  void crash_with_two_logs(int before, int behind, std::filesystem::path& first) {
    append(before, Durability::durable);
    crash();
    first = newest_log(image_);
    const auto head = read_bytes(first);
    append(behind, Durability::durable);
    crash_with_watermark();
    const auto bytes = read_bytes(first);
    ASSERT_LT(bytes.size(), 32768U);  // one block
    write_bytes(image_ + "/999999.log", bytes.substr(head.size()));
    write_bytes(first, head);
  }

  Result<std::unique_ptr<journal::Journal>> reopen(const journal::RocksOptions& how) {
    return journal::open_rocks_journal(image_, how);
  }

  /// One that only reads is told as well, at the latest when it comes to what is missing.
  void expect_reader_finds_it() {
    const auto reader = journal::open_rocks_reader(image_, options());
    const auto status =
        reader.ok() ? scan_lane(**reader, Priority::normal).status : reader.status();
    EXPECT_EQ(status, StatusCode::data_loss) << status.to_string();
  }

  /// What is missing of the last of ten commits, with ten events each, was never told to anybody:
  /// it is cut, and its numbers are used again.
  void expect_torn_tenth_commit(std::size_t log_bytes) {
    const auto opened = reopen(options());
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    const auto& state = (*opened)->state();
    EXPECT_GT(state.bytes_cut, 0U);
    EXPECT_LT(state.bytes_cut, log_bytes);
    EXPECT_TRUE(state.lost.empty());
    EXPECT_EQ(state.last_commit, CommitNumber{9});
    EXPECT_EQ(state.next[Priority::normal], 91U);
    EXPECT_EQ(scan_lane(**opened, Priority::normal).events(), 90U);
  }

  /// Refused with these words, twice in a row, and not a byte is different afterwards.
  void expect_data_loss(const std::vector<std::string>& words) {
    const auto before = contents_of(image_);
    for (int i = 0; i < 2; ++i) {
      const auto opened = reopen(options());
      ASSERT_FALSE(opened.ok());
      EXPECT_EQ(opened.status(), StatusCode::data_loss) << opened.status().to_string();
      for (const auto& word : words)
        EXPECT_THAT(opened.status().message(), ::testing::HasSubstr(word));
      EXPECT_EQ(difference(before, contents_of(image_)), "");
    }
    expect_reader_finds_it();
    EXPECT_EQ(difference(before, contents_of(image_)), "");
  }

  /// Opens and has the first `commits` of ten events, and goes on behind everything given out
  /// before.
  void expect_prefix(const journal::RocksOptions& how, std::uint64_t commits) {
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
  std::unique_ptr<journal::Journal> journal_;
  std::unique_ptr<JournalWriter> writer_;
  std::size_t state_lost_ = 4;  // one range a lane
};

}  // namespace holdfast::testing
