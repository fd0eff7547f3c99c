// SPDX-License-Identifier: MIT
// What an open says to damage beside the log: in tables, in the manifest and in the watermark, also
// where every checksum holds.

#include "journal/rocks/keys.h"
#include "support/journal_damage.h"
#include "support/raw_engine.h"

namespace holdfast::testing {
namespace {

using namespace journal;
using ::testing::HasSubstr;

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

// The engine's checksums hold then: something else has written into the tables.
TEST_F(JournalDamage, AValueThatIsNotWhatItsKeySaysIsDataLossWhereItIsRead) {
  append(3, Durability::durable);
  journal_.reset();
  {
    const auto engine = open_engine(path_);
    ASSERT_NE(engine, nullptr);
    for (const auto& key : {keys::event({Priority::normal, 11}),
                            keys::retention_mark(Priority::normal, 1), keys::token({7})}) {
      ASSERT_TRUE(engine->Put({}, key, "nothing of ours").ok());
    }
  }
  const auto opened = open_rocks_journal(path_, options());
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  const auto scanned = scan_lane(**opened, Priority::normal);
  EXPECT_EQ(scanned.events(), 10U) << "what comes before it";
  EXPECT_EQ(scanned.status, StatusCode::data_loss) << scanned.status.to_string();
  EXPECT_THAT(scanned.status.message(), HasSubstr("normal:11"));
  const auto ignore = [](model::Record&&) { return true; };
  EXPECT_EQ((*opened)->scan(RetentionMarks{}, ignore), StatusCode::data_loss);
  EXPECT_EQ((*opened)->scan(Tokens{}, ignore), StatusCode::data_loss);
}

TEST_F(JournalDamage, ACommitThatCannotBeReadIsDataLoss) {
  append(3, Durability::durable);
  journal_.reset();
  {
    const auto engine = open_engine(path_);
    ASSERT_NE(engine, nullptr);
    ASSERT_TRUE(engine->Put({}, std::string(keys::kCommit), "nothing of ours").ok());
  }
  for (int i = 0; i < 2; ++i) {
    const auto opened = open_rocks_journal(path_, options());
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.status(), StatusCode::data_loss) << opened.status().to_string();
    EXPECT_THAT(opened.status().message(), HasSubstr(path_));
  }
  EXPECT_EQ(open_rocks_reader(path_, options()).status(), StatusCode::data_loss);
}

TEST_F(JournalDamage, AJournalWithoutTheRecordOfItselfIsDataLoss) {
  append(10, Durability::durable);
  journal_.reset();
  {
    const auto engine = open_engine(path_);
    ASSERT_NE(engine, nullptr);
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
