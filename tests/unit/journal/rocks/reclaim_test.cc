// SPDX-License-Identifier: MIT
#include "journal/rocks/reclaim.h"

#include <atomic>
#include <cstring>

#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include "journal/rocks/keys.h"
#include "journal/rocks/rocks_journal.h"
#include "support/chunks.h"
#include "support/fault_fs.h"
#include "support/journal_writer.h"
#include "support/temp_folder.h"
#include "support/waiting.h"

namespace holdfast::journal {
namespace {

using testing::eventually;
using testing::JournalWriter;
using testing::make_chunk;

class ReclaimFilter : public ::testing::Test {
 protected:
  void trim(Priority lane, model::Sequence upto) {
    model::PerLane<model::Sequence> trims;
    trims[lane] = upto;
    trims_->raise(trims);
  }
  bool drops(const std::string& key, std::string_view value) {
    const auto filter = make_reclaim_filter(trims_)->CreateCompactionFilter({});
    std::string new_value;
    bool is_changed = false;
    return filter->Filter(0, key, {value.data(), value.size()}, &new_value, &is_changed);
  }

  std::shared_ptr<DurableTrims> trims_ = std::make_shared<DurableTrims>();
};

TEST_F(ReclaimFilter, DropsAChunkOnceItsLastEventIsBelowTheTrimOfItsLane) {
  const auto chunk = make_chunk({Priority::high, 11}, 10);
  const auto key = keys::event({Priority::high, 11});
  EXPECT_FALSE(drops(key, chunk->bytes()));
  trim(Priority::normal, 1000);
  EXPECT_FALSE(drops(key, chunk->bytes()));
  trim(Priority::high, 20);
  EXPECT_FALSE(drops(key, chunk->bytes()));
  trim(Priority::high, 21);
  EXPECT_TRUE(drops(key, chunk->bytes()));
  // A trim never goes back.
  trim(Priority::high, 5);
  EXPECT_TRUE(drops(key, chunk->bytes()));
}

TEST_F(ReclaimFilter, KeepsWhatItDoesNotKnow) {
  trim(Priority::high, 1'000'000);
  auto bytes = std::string(make_chunk({Priority::high, 11}, 10)->bytes());
  bytes[0] = 'X';
  EXPECT_FALSE(drops(keys::event({Priority::high, 11}), bytes));
  for (const std::uint32_t count : {0U, model::kChunkEventsMax + 1}) {
    bytes = std::string(make_chunk({Priority::high, 11}, 10)->bytes());
    std::memcpy(bytes.data() + 4, &count, sizeof(count));
    EXPECT_FALSE(drops(keys::event({Priority::high, 11}), bytes)) << count;
  }
  EXPECT_FALSE(drops(keys::event({Priority::high, 11}), "HFC1"));
  EXPECT_FALSE(drops("e\1", ""));
  EXPECT_FALSE(drops("", ""));
  EXPECT_FALSE(drops(keys::parked({1}, {Priority::high, 11}), ""));
  EXPECT_FALSE(drops(keys::lost_range(Priority::high, 1), ""));
  EXPECT_FALSE(drops(std::string(keys::kCommit), ""));
}

TEST_F(ReclaimFilter, DropsMarksBelowTheTrim) {
  trim(Priority::high, 100);
  EXPECT_TRUE(drops(keys::retention_mark(Priority::high, 99), ""));
  EXPECT_FALSE(drops(keys::retention_mark(Priority::high, 100), ""));
  EXPECT_FALSE(drops(keys::retention_mark(Priority::low, 1), ""));
}

class Reclaiming : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    journal_.reset();
    RocksOptions options;
    options.memory_bytes = std::size_t{5} << 20U;
    options.reclaim_bytes_min = std::uint64_t{1} << 20U;
    options.reclaim_pause = std::chrono::milliseconds(1);
    auto opened = open_rocks_journal(path_, options);
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    journal_ = *std::move(opened);
    writer_ = std::make_unique<JournalWriter>(*journal_);
  }

  const testing::TempFolder folder_;
  const std::string path_ = folder_.inside("journal");
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<JournalWriter> writer_;
};

TEST_F(Reclaiming, TheSpaceOfTrimmedEventsComesBackByItself) {
  for (int i = 0; i < 400; ++i) {
    const auto lane = i % 2 == 0 ? Priority::normal : Priority::low;
    ASSERT_TRUE(writer_->append(lane, 20, Durability::os, 4000).ok());
  }
  open();  // everything is in tables now
  const auto before = journal_->stats().disk_bytes;
  ASSERT_GT(before, 30'000'000U);
  ASSERT_TRUE(writer_->trim(Priority::normal, writer_->next(Priority::normal) - 100).ok());
  ASSERT_TRUE(writer_->trim(Priority::low, writer_->next(Priority::low), Durability::durable).ok());
  EXPECT_TRUE(eventually([&] { return journal_->stats().disk_bytes < 4'000'000; }))
      << journal_->stats().disk_bytes;
  // What is left is whole.
  const auto scanned = testing::scan_lane(*journal_, Priority::normal);
  EXPECT_TRUE(scanned.status.ok()) << scanned.status.to_string();
  EXPECT_EQ(scanned.events(), 100U);
  open();
  EXPECT_EQ(testing::scan_lane(*journal_, Priority::normal).events(), 100U);
}

TEST_F(Reclaiming, EventsThatAreSettledQuicklyHardlyEverGetIntoATable) {
  const std::unique_ptr<rocksdb::Env> memory(rocksdb::NewMemEnv(rocksdb::Env::Default()));
  const auto files = testing::make_memory_fs(memory.get());
  const auto env = testing::make_env(files);
  std::atomic<std::uint64_t> bytes_in_tables = 0;
  files->set_hook([&](const std::string& operation, const std::string& path) {
    std::uint64_t bytes = 0;
    if (operation == "sync" && path.ends_with(".sst") && memory->GetFileSize(path, &bytes).ok()) {
      bytes_in_tables += bytes;
    }
    return rocksdb::IOStatus::OK();
  });
  RocksOptions options;
  options.env = env.get();
  options.is_on_disk = false;
  options.memory_bytes = std::size_t{5} << 20U;
  const auto opened = open_rocks_journal("/journal", options);
  ASSERT_TRUE(opened.ok());
  JournalWriter writer(**opened);
  for (int i = 0; i < 800; ++i) {
    ASSERT_TRUE(writer.append(Priority::normal, 20, Durability::os, 4000).ok());
    if (i % 4 != 3) continue;
    const auto next = writer.next(Priority::normal);
    ASSERT_TRUE(writer.trim(Priority::normal, next - 20, Durability::durable).ok());
  }
  // 64 MB went through.
  EXPECT_LT(bytes_in_tables, 24'000'000U);
}

}  // namespace
}  // namespace holdfast::journal
