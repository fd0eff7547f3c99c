// SPDX-License-Identifier: MIT
// What journal.h says of `commit`, `sync`, `checkpoint` and `state`.

#include <atomic>
#include <filesystem>
#include <thread>

#include "stores.h"

namespace holdfast::testing {
namespace {

using namespace journal;

class Commit : public JournalTest {};
HOLDFAST_OVER_ALL_STORES(Commit);

model::Operation put_state(std::string name, std::string key, std::string value) {
  return model::PutState{std::move(name), std::move(key), std::move(value)};
}

std::string state_of(const JournalReader& journal, const std::string& name,
                     const std::string& key) {
  const auto found = journal.find(StateRef{name, key});
  if (!found.ok()) return found.status().to_string();
  return *found ? std::get<model::StateRecord>(**found).value : "(none)";
}

TEST_P(Commit, ANewJournalIsCreatedCleanAndEmpty) {
  const auto& state = journal_->state();
  EXPECT_TRUE(state.created);
  EXPECT_TRUE(state.clean);
  EXPECT_FALSE(state.rebooted);
  EXPECT_EQ(state.epoch, 1U);
  EXPECT_EQ(state.last_commit, CommitNumber{0});
  EXPECT_EQ(state.next, (model::PerLane<model::Sequence>{{1, 1, 1, 1}}));
  EXPECT_EQ(state.trim, (model::PerLane<model::Sequence>{{1, 1, 1, 1}}));
  EXPECT_NE(state.uuid, model::Uuid{});
  EXPECT_EQ(state.format, 5U);
  EXPECT_TRUE(state.lost.empty());
}

TEST_P(Commit, IsVisibleToFindAndScanWhenItReturns) {
  ASSERT_TRUE(writer_->append(Priority::high, 3).ok());
  EXPECT_EQ(scan_lane(*journal_, Priority::high).events(), 3U);
  const auto found = journal_->find(EventRef{{Priority::high, 2}});
  ASSERT_TRUE(found.ok() && *found);
  EXPECT_TRUE(std::get<model::ChunkPtr>(**found)->contains(2));
}

TEST_P(Commit, AppliesItsOperationsInOrder) {
  ASSERT_TRUE(writer_
                  ->commit({put_state("a", "k", "1"), put_state("a", "k", "2"),
                            model::EraseState{"a", "gone"}, put_state("a", "gone", "x"),
                            model::EraseState{"a", "gone"}})
                  .ok());
  EXPECT_EQ(state_of(*journal_, "a", "k"), "2");
  EXPECT_EQ(state_of(*journal_, "a", "gone"), "(none)");
}

TEST_P(Commit, OfAnotherEpochIsFencedAndChangesNothing) {
  auto commit = writer_->make({put_state("a", "k", "1")});
  ++commit.epoch;
  EXPECT_EQ(journal_->commit(commit, Durability::durable), StatusCode::fenced);
  EXPECT_EQ(state_of(*journal_, "a", "k"), "(none)");
  // Not a failure of the journal: it goes on.
  EXPECT_TRUE(writer_->commit({put_state("a", "k", "2")}, Durability::durable).ok());
}

TEST_P(Commit, WhoseNumberIsNotTheNextIsFencedAndChangesNothing) {
  ASSERT_TRUE(writer_->append(Priority::normal, 1).ok());
  auto commit = writer_->make({put_state("a", "k", "1")});
  for (const std::uint64_t number : {commit.number.value - 1, commit.number.value + 1}) {
    auto wrong = commit;
    wrong.number = {number};
    EXPECT_EQ(journal_->commit(wrong, Durability::os), StatusCode::fenced);
  }
  EXPECT_EQ(state_of(*journal_, "a", "k"), "(none)");
  EXPECT_TRUE(writer_->commit(commit).ok());
}

TEST_P(Commit, ThatCannotBeStoredIsRefusedWholeAndChangesNothing) {
  const std::string with_nul("a\0b", 3);
  EXPECT_EQ(writer_->commit({put_state("a", "k", "1"), put_state(with_nul, "k", "1")}),
            StatusCode::invalid_argument);
  EXPECT_EQ(writer_->commit({model::EraseState{with_nul, "k"}}), StatusCode::invalid_argument);
  auto too_long =
      writer_->make({model::Append{make_chunk({Priority::normal, 1}, model::kChunkEventsMax + 1)}});
  EXPECT_EQ(writer_->commit(too_long), StatusCode::invalid_argument);
  EXPECT_EQ(state_of(*journal_, "a", "k"), "(none)");
  EXPECT_TRUE(writer_->commit({put_state("a", "k", "2")}).ok());
}

TEST_P(Commit, WithoutOperationsIsOneToo) {
  ASSERT_TRUE(writer_->commit(std::vector<model::Operation>{}).ok());
  ASSERT_TRUE(writer_->commit(std::vector<model::Operation>{}, Durability::durable).ok());
  if (!reopen()) return;
  EXPECT_EQ(journal_->state().last_commit, CommitNumber{2});
}

TEST_P(Commit, IsThereAfterReopening) {
  ASSERT_TRUE(writer_->append(Priority::normal, 5, Durability::os).ok());
  ASSERT_TRUE(writer_->commit({put_state("a", "k", "1")}, Durability::durable).ok());
  const auto uuid = journal_->state().uuid;
  if (!reopen()) return;
  const auto& state = journal_->state();
  EXPECT_FALSE(state.created);
  EXPECT_EQ(state.uuid, uuid);
  EXPECT_EQ(state.last_commit, CommitNumber{2});
  EXPECT_EQ(state.next[Priority::normal], 6U);
  EXPECT_EQ(scan_lane(*journal_, Priority::normal).events(), 5U);
  EXPECT_EQ(state_of(*journal_, "a", "k"), "1");
}

TEST_P(Commit, OfTheNextOpenHasTheNextEpoch) {
  ASSERT_TRUE(writer_->append(Priority::normal, 1).ok());
  const auto epoch = journal_->state().epoch;
  if (!reopen()) return;
  EXPECT_EQ(journal_->state().epoch, epoch + 1);
  auto old = writer_->make();
  old.epoch = epoch;
  EXPECT_EQ(journal_->commit(old, Durability::os), StatusCode::fenced);
}

TEST_P(Commit, TellsTheNextOpenWhetherItWasThatOfAProperClose) {
  ASSERT_TRUE(writer_->append(Priority::normal, 1).ok());
  if (!reopen()) return;
  EXPECT_FALSE(journal_->state().clean);
  auto closing = writer_->make();
  closing.clean = true;
  ASSERT_TRUE(writer_->commit(closing, Durability::durable).ok());
  if (!reopen()) return;
  EXPECT_TRUE(journal_->state().clean);
}

TEST_P(Commit, MayBeSyncedByAnotherThreadMeanwhile) {
  std::atomic<bool> is_done = false;
  std::atomic<int> failures = 0;
  std::thread syncer([&] {
    while (!is_done) {
      if (!journal_->sync().ok()) ++failures;
    }
  });
  std::thread scanner([&] {
    while (!is_done) {
      if (!scan_lane(*journal_, Priority::normal).status.ok()) ++failures;
    }
  });
  for (int i = 0; i < 300; ++i) {
    if (!writer_->append(Priority::normal, 3).ok()) ++failures;
    const auto next = writer_->next(Priority::normal);
    if (i % 10 == 9 && !writer_->trim(Priority::normal, next - 20).ok()) ++failures;
  }
  is_done = true;
  syncer.join();
  scanner.join();
  EXPECT_EQ(failures, 0);
}

TEST_P(Commit, ACheckpointHasEverythingBeforeItAndIsAJournalOfItsOwn) {
  ASSERT_TRUE(writer_->append(Priority::normal, 5).ok());
  ASSERT_TRUE(writer_->commit({put_state("a", "k", "1")}).ok());
  const auto status = journal_->checkpoint(store_.other_path());
  if (!store_.persists()) {
    EXPECT_EQ(status, StatusCode::unimplemented);
    return;
  }
  ASSERT_TRUE(status.ok()) << status.to_string();
  // What comes later is not in it, and it does not need the original.
  ASSERT_TRUE(writer_->commit({put_state("a", "k", "2")}, Durability::durable).ok());
  auto copy = store_.open(store_.other_path());
  ASSERT_TRUE(copy.ok()) << copy.status().to_string();
  EXPECT_EQ((*copy)->state().last_commit, CommitNumber{2});
  EXPECT_EQ(scan_lane(**copy, Priority::normal).events(), 5U);
  EXPECT_EQ(state_of(**copy, "a", "k"), "1");
  JournalWriter writer(**copy);
  EXPECT_TRUE(writer.append(Priority::normal, 1, Durability::durable).ok());
  EXPECT_EQ(journal_->checkpoint(store_.other_path()), StatusCode::already_exists);
}

TEST_P(Commit, StatsTellMemoryAndDisk) {
  ASSERT_TRUE(writer_->append(Priority::normal, 100, Durability::durable, 1000).ok());
  const auto stats = journal_->stats();
  EXPECT_GE(stats.memory_bytes, 100'000U);
  EXPECT_GT(stats.disk_free_bytes, 0U);
  EXPECT_GE(stats.disk_bytes, store_.persists() ? 100'000U : 0U);
}

TEST_P(Commit, AReaderSeesWhatWasCommittedAndHasTheWritersEpoch) {
  if (!store_.persists()) return;
  ASSERT_TRUE(writer_->append(Priority::normal, 5, Durability::durable).ok());
  if (!store_.is_on_disk()) journal_.reset();  // in memory the engine's lock is everybody's
  const auto reader = store_.open_reader();
  ASSERT_TRUE(reader.ok()) << reader.status().to_string();
  EXPECT_EQ((*reader)->state().last_commit, CommitNumber{1});
  EXPECT_EQ((*reader)->state().epoch, 1U);
  EXPECT_EQ(scan_lane(**reader, Priority::normal).events(), 5U);
}

}  // namespace
}  // namespace holdfast::testing
