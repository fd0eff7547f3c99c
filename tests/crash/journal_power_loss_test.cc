// SPDX-License-Identifier: MIT
// Power loss at random moments, over a file system that keeps what was synced and some of the rest.

#include <atomic>
#include <map>
#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <rocksdb/env.h>

#include "journal/rocks/rocks_journal.h"
#include "support/fault_fs.h"
#include "support/journal_writer.h"
#include "support/waiting.h"

namespace holdfast::testing {
namespace {

using namespace journal;

/// A machine with a journal on it.
class Machine {
 protected:
  explicit Machine(std::uint64_t seed) : random_(seed) {}

  Result<std::unique_ptr<Journal>> open() {
    RocksOptions options;
    options.env = env_.get();
    options.is_on_disk = false;
    options.boot_id = "boot-" + std::to_string(boot_);
    options.watermark_age_max = std::chrono::milliseconds(1);
    // Small, so that the log is replaced and tables are written within a test.
    options.memory_bytes = std::size_t{5} << 20U;
    options.reserve = 1000;
    options.reclaim_bytes_min = 1 << 16U;
    options.reclaim_pause = std::chrono::milliseconds(1);
    return open_rocks_journal("/journal", options);
  }

  void lose_power(std::unique_ptr<Journal> journal) {
    files_->cut_power();
    journal.reset();
    files_->restore(random_);
    ++boot_;
  }

  std::mt19937_64 random_;
  std::unique_ptr<rocksdb::Env> memory_{rocksdb::NewMemEnv(rocksdb::Env::Default())};
  std::shared_ptr<FaultFs> files_ = make_memory_fs(memory_.get());
  std::unique_ptr<rocksdb::Env> env_ = make_env(files_);
  int boot_ = 1;
};

class JournalPowerLoss : public Machine, public ::testing::TestWithParam<std::uint64_t> {
 protected:
  JournalPowerLoss() : Machine(GetParam()) {}
};
class JournalPowerCut : public Machine, public ::testing::Test {
 protected:
  JournalPowerCut() : Machine(1) {}
};

INSTANTIATE_TEST_SUITE_P(Seeds, JournalPowerLoss, ::testing::Range<std::uint64_t>(1, 7));

/// What a commit left behind, to be compared with what is found.
struct Expected {
  model::PerLane<model::Sequence> end;  // behind the newest event of each lane
  std::string value;
};

TEST_P(JournalPowerLoss, EverySyncedCommitSurvivesAndNoneIsThereInPart) {
  std::map<CommitNumber, Expected> written;
  CommitNumber durable;
  std::map<EventId, CommitNumber> given_out;
  model::PerLane<model::Sequence> end{{1, 1, 1, 1}};
  for (int cycle = 0; cycle < 8; ++cycle) {
    auto opened = open();
    ASSERT_TRUE(opened.ok()) << "cycle " << cycle << ": " << opened.status().to_string();
    auto journal = *std::move(opened);
    const auto& state = journal->state();
    ASSERT_GE(state.last_commit, durable);
    EXPECT_EQ(state.damage, "");

    // The newest commit that has survived is whole.
    const auto found = journal->find(StateRef{"test", "commit"});
    ASSERT_TRUE(found.ok()) << found.status().to_string();
    const auto survived = *found ? std::get<model::StateRecord>(**found).version : CommitNumber{};
    ASSERT_GE(survived, durable) << "cycle " << cycle;
    if (survived.value != 0) {
      ASSERT_TRUE(written.contains(survived));
      EXPECT_EQ(std::get<model::StateRecord>(**found).value, written[survived].value);
    }
    end =
        survived.value == 0 ? model::PerLane<model::Sequence>{{1, 1, 1, 1}} : written[survived].end;
    for (const auto lane : kAllPriorities) {
      const auto scanned = scan_lane(*journal, lane);
      ASSERT_TRUE(scanned.status.ok()) << scanned.status.to_string();
      EXPECT_EQ(scanned.chunks.empty() ? end[lane] : scanned.chunks.back()->last() + 1, end[lane]);
      // What was given out is there as it was, or its sequence is never used again.
      for (const auto& chunk : scanned.chunks) {
        EXPECT_EQ((given_out[{lane, chunk->first()}]), chunk->commit());
      }
      EXPECT_GE(state.next[lane], end[lane]);
    }
    // Commits that are gone must not come back under their numbers either.
    written.erase(written.upper_bound(survived), written.end());

    JournalWriter writer(*journal);
    const auto commits = 1 + random_() % 60;
    for (std::uint64_t i = 0; i < commits; ++i) {
      auto commit = writer.make();
      const auto value = std::to_string(random_());
      commit.operations.emplace_back(model::PutState{"test", "commit", value});
      for (const auto lane : kAllPriorities) {
        if (random_() % 2 == 0) continue;
        const auto count = 1 + random_() % 20;
        auto chunk = make_chunk({lane, commit.next[lane]}, std::vector<std::string>(count, value),
                                commit.number);
        const auto is_new =
            given_out.emplace(EventId{lane, commit.next[lane]}, commit.number).second;
        ASSERT_TRUE(is_new) << "sequence given out twice";
        commit.operations.emplace_back(model::Append{std::move(chunk)});
        commit.next[lane] += count;
        end[lane] = commit.next[lane];
        if (random_() % 20 == 0) commit.trim[lane] = commit.next[lane] - random_() % count;
      }
      const auto how = random_() % 4 == 0 ? Durability::durable : Durability::os;
      ASSERT_TRUE(writer.commit(commit, how).ok());
      written[commit.number] = {end, value};
      if (how == Durability::durable) durable = commit.number;
      if (random_() % 10 == 0) {
        ASSERT_TRUE(journal->sync().ok());
        durable = commit.number;
        writer.note_synced();
      }
    }
    if (random_() % 4 == 0) {
      journal.reset();
      durable = writer.last();
    } else {
      lose_power(std::move(journal));
    }
  }
}

TEST_F(JournalPowerCut, NothingIsReclaimedUnderATrimThatTheDiskDoesNotHave) {
  auto opened = open();
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  auto journal = *std::move(opened);
  JournalWriter writer(*journal);
  // The first table is held back until a second write buffer is full as well, and a trim that
  // nothing has synced is in the third.
  Signal first_table;
  Signal go_on;
  std::atomic<int> logs = 0;
  std::atomic<int> tables_synced = 0;
  files_->set_hook([&](const std::string& operation, const std::string& path) {
    if (operation == "create" && path.ends_with(".log")) ++logs;
    if (operation == "create" && path.ends_with(".sst") && !first_table.is_set()) {
      first_table.set();
      go_on.wait();
    }
    if (operation == "sync" && path.ends_with(".sst")) ++tables_synced;
    return rocksdb::IOStatus::OK();
  });
  const auto append_until_logs = [&](int count) {
    while (logs < count) {
      ASSERT_TRUE(writer.append(Priority::normal, 20, Durability::os, 2000).ok());
    }
  };
  append_until_logs(1);
  // Were the second buffer full before the first is taken, both would become one table.
  ASSERT_TRUE(first_table.wait());
  append_until_logs(2);
  const auto end = writer.next(Priority::normal);
  ASSERT_TRUE(journal->sync().ok());
  ASSERT_TRUE(writer.trim(Priority::normal, end, Durability::os).ok());
  go_on.set();
  ASSERT_TRUE(eventually([&] { return tables_synced >= 2; }));
  files_->cut_power();
  journal.reset();
  files_->set_hook({});
  files_->restore_synced_only();
  ++boot_;
  opened = open();
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  EXPECT_EQ((*opened)->state().trim[Priority::normal], 1U);
  const auto scanned = scan_lane(**opened, Priority::normal);
  EXPECT_TRUE(scanned.status.ok()) << scanned.status.to_string();
  EXPECT_EQ(scanned.events() + 1, end);
}

TEST_F(JournalPowerCut, TheTablesOfANewManifestHaveDurableNamesBeforeItIsTheCurrentOne) {
  auto opened = open();
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  JournalWriter writer(**opened);
  ASSERT_TRUE(writer.append(Priority::normal, 20, Durability::durable).ok());
  lose_power(*std::move(opened));

  // A disk that has the rename need not have any other name that was not synced.
  std::set<std::string> unsynced;
  int tables = 0;
  int renames = 0;
  files_->set_hook([&](const std::string& operation, const std::string& path) {
    if (operation == "create" && path.ends_with(".sst")) {
      unsynced.insert(path);
      ++tables;
    }
    if (operation == "sync folder" && path == "/journal") unsynced.clear();
    // The engine makes CURRENT under another name.
    if (operation == "rename" && path.ends_with(".dbtmp") && tables > 0) {
      ++renames;
      EXPECT_EQ(unsynced, std::set<std::string>{});
    }
    return rocksdb::IOStatus::OK();
  });
  opened = open();
  ASSERT_TRUE(opened.ok()) << opened.status().to_string();
  EXPECT_GE(tables, 1);
  EXPECT_GE(renames, 1);
  files_->set_hook({});
}

TEST_P(JournalPowerLoss, WhileTheJournalIsMadeLeavesNoneOrAnEmptyOne) {
  // At every operation in turn.
  int at = 0;
  for (std::uint64_t step = 0; step < 200; ++step) {
    const auto last = static_cast<int>(step * 3 + GetParam() % 3);
    at = 0;
    files_->set_hook([&](const std::string&, const std::string&) {
      if (++at > last) files_->cut_power();
      return rocksdb::IOStatus::OK();
    });
    auto opened = open();
    const bool is_open = opened.ok();
    if (is_open) {
      lose_power(*std::move(opened));
    } else {
      files_->cut_power();
      files_->restore(random_);
      ++boot_;
    }
    files_->set_hook({});
    auto again = open();
    ASSERT_TRUE(again.ok()) << "step " << step << ": " << again.status().to_string();
    EXPECT_EQ(scan_lane(**again, Priority::normal).events(), 0U);
    JournalWriter writer(**again);
    ASSERT_TRUE(writer.append(Priority::normal, 1, Durability::durable).ok());
    again->reset();
    if (is_open) break;
    // From the start again.
    std::vector<std::string> names;
    ASSERT_TRUE(memory_->GetChildren("/journal", &names).ok());
    for (const auto& name : names) static_cast<void>(memory_->DeleteFile("/journal/" + name));
  }
}

}  // namespace
}  // namespace holdfast::testing
