// SPDX-License-Identifier: MIT
// The merge of the lanes alone, over a journal that is damaged, trimmed or has lost something.
#include "runtime/replay_reader.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/chunks.h"

namespace holdfast::runtime {
namespace {

using model::Sequence;
using testing::make_chunk;

/// Chunks by lane and sequence, and where reading fails.
class Chunks final : public journal::JournalReader, public ReplayAccess {
 public:
  void add(Priority lane, std::size_t count, std::uint64_t commit) {
    auto chunk = make_chunk({lane, next_[lane]}, count, "a.b", {commit});
    next_[lane] = chunk->last() + 1;
    commit_ = {commit};
    chunks_[lane][chunk->first()] = std::move(chunk);
  }
  void lose(Priority lane, std::uint64_t count) {
    state_.lost.push_back({lane, next_[lane], next_[lane] + count - 1});
    next_[lane] += count;
  }
  /// The chunk that begins with it.
  void damage(EventId first) { damaged_.insert(first); }
  void trim_to(Priority lane, Sequence sequence) { trim_[lane] = sequence; }
  std::size_t chunks_read = 0;

  [[nodiscard]] const journal::JournalState& state() const override { return state_; }
  [[nodiscard]] Result<std::optional<model::Record>> find(
      const journal::RecordRef& /*ref*/) const override {
    return std::optional<model::Record>();
  }
  Status scan(const journal::ScanSpec& spec, const journal::Sink& sink) const override {
    const auto& range = std::get<journal::EventRange>(spec);
    const auto from = std::max(range.from, trim_[range.lane]);
    for (const auto& [first, chunk] : chunks_[range.lane]) {
      if (chunk->last() < from || first >= range.to) continue;
      if (damaged_.contains({range.lane, first})) {
        return {StatusCode::data_loss, "damaged: " + to_string(EventId{range.lane, first})};
      }
      ++const_cast<Chunks*>(this)->chunks_read;
      if (!sink(chunk)) return {};
    }
    return {};
  }
  [[nodiscard]] journal::JournalStats stats() const override { return {}; }

  [[nodiscard]] End end() const override { return {commit_, next_}; }
  [[nodiscard]] Sequence trim(Priority lane) const override { return trim_[lane]; }
  Status read(Priority lane, Sequence from, const Read& read) const override {
    return read(*this, std::max(from, trim_[lane]));
  }

 private:
  journal::JournalState state_;
  model::PerLane<std::map<Sequence, model::ChunkPtr>> chunks_;
  model::PerLane<Sequence> next_{{1, 1, 1, 1}};
  model::PerLane<Sequence> trim_{{1, 1, 1, 1}};
  CommitNumber commit_;
  std::set<EventId> damaged_;
};

class ReplayReaderTest : public ::testing::Test {
 protected:
  struct Read {
    std::vector<EventId> ids;
    Status status;
    std::uint64_t missed = 0;
  };
  Read read(const ReplayOptions& options = {}) const {
    Read all;
    ReplayReader reader(chunks_, options);
    all.status = reader.open();
    while (all.status.ok()) {
      const auto next = reader.next();
      all.status = next.status();
      if (!next.ok() || *next == nullptr) break;
      all.ids.push_back((*next)->id);
    }
    all.missed = reader.missed();
    return all;
  }

  Chunks chunks_;
};

TEST_F(ReplayReaderTest, DamageIsToldAfterWhatIsBeforeIt) {
  chunks_.add(Priority::normal, 2, 1);
  chunks_.add(Priority::low, 1, 2);
  chunks_.add(Priority::normal, 1, 3);
  chunks_.add(Priority::normal, 1, 4);
  chunks_.add(Priority::low, 1, 5);
  chunks_.damage({Priority::normal, 4});
  const auto all = read();
  EXPECT_EQ(all.status, StatusCode::data_loss);
  EXPECT_EQ(all.ids, (std::vector<EventId>{{Priority::normal, 1},
                                           {Priority::normal, 2},
                                           {Priority::low, 1},
                                           {Priority::normal, 3}}));
}

TEST_F(ReplayReaderTest, DamageElsewhereDoesNotKeepItFromFindingItsEnds) {
  for (std::uint64_t commit = 1; commit <= 64; ++commit) chunks_.add(Priority::normal, 1, commit);
  for (Sequence sequence = 20; sequence < 50; ++sequence) {
    chunks_.damage({Priority::normal, sequence});
  }
  const auto before = read({.from = ReplayPoint::commit({3}), .to = ReplayPoint::commit({19})});
  EXPECT_EQ(before.status, StatusCode::data_loss) << "what would follow cannot be known";
  EXPECT_EQ(before.ids.size(), 17U);
  EXPECT_EQ(before.ids.front().sequence, 3U);
  const auto early = read({.from = ReplayPoint::commit({3}), .to = ReplayPoint::commit({10})});
  EXPECT_TRUE(early.status.ok()) << early.status.to_string();
  EXPECT_EQ(early.ids.size(), 8U);
  EXPECT_EQ(read({.from = ReplayPoint::event({Priority::normal, 30})}).status,
            StatusCode::data_loss);
}

TEST_F(ReplayReaderTest, LostSequencesAreGoneOverAndAreNotMissed) {
  chunks_.add(Priority::normal, 2, 1);
  chunks_.lose(Priority::normal, 100'000);
  chunks_.add(Priority::normal, 2, 2);
  chunks_.lose(Priority::normal, 5'000);
  const auto all = read();
  EXPECT_TRUE(all.status.ok());
  EXPECT_EQ(all.ids.size(), 4U);
  EXPECT_EQ(all.missed, 0U);
  EXPECT_EQ(read({.from = ReplayPoint::commit({2})}).ids.size(), 2U);
  EXPECT_EQ(read({.to = ReplayPoint::commit({1})}).ids.size(), 2U);
  EXPECT_EQ(read({.from = ReplayPoint::event({Priority::normal, 50})}).status,
            StatusCode::not_found);
}

TEST_F(ReplayReaderTest, WhatIsTrimmedWhileItReadsIsMissedButForWhatWasLost) {
  for (std::uint64_t commit = 1; commit <= 3; ++commit)
    chunks_.add(Priority::normal, 1'000, commit);
  chunks_.lose(Priority::normal, 10);
  chunks_.add(Priority::normal, 1'000, 4);
  const ReplayOptions options;
  ReplayReader reader(chunks_, options);
  ASSERT_TRUE(reader.open().ok());
  ASSERT_TRUE(reader.next().ok());
  chunks_.trim_to(Priority::normal, 3'511);  // half of the last chunk, and all that is lost
  std::size_t given = 1;
  while (*reader.next() != nullptr) ++given;
  EXPECT_GT(reader.missed(), 0U);
  EXPECT_EQ(given + reader.missed(), 4'000U);
}

TEST_F(ReplayReaderTest, ReadsAFewChunksOfALaneAtATime) {
  for (std::uint64_t commit = 1; commit <= 500; ++commit) {
    chunks_.add(static_cast<Priority>(commit % kLaneCount), 500, commit);
  }
  const ReplayOptions options;
  ReplayReader reader(chunks_, options);
  ASSERT_TRUE(reader.open().ok());
  const auto searching = chunks_.chunks_read;
  EXPECT_LE(searching, 200U);
  for (int i = 0; i < 500; ++i) ASSERT_NE(*reader.next(), nullptr);
  EXPECT_LE(chunks_.chunks_read, searching + 3 * kLaneCount);
}

}  // namespace
}  // namespace holdfast::runtime
