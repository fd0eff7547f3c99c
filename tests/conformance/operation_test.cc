// SPDX-License-Identifier: MIT
// Operations and their members: the operations of a commit that write them, and what finds them
// again.

#include "stores.h"

namespace holdfast::testing {
namespace {

using namespace journal;

class OperationRecords : public JournalTest {
 protected:
  static model::PutOperation head(std::uint64_t id, std::uint32_t members) {
    return {{.id = {id},
             .state = OperationState::rolling_back,
             .sequential = false,
             .sealed = true,
             .members = members,
             .begun_at = 11,
             .ended_at = 12,
             .ended_bus = -13,
             .deadline = 14,
             .reason = "why"}};
  }
  static model::PutMember member(std::uint64_t id, std::uint32_t index) {
    return {{.operation = {id},
             .index = index,
             .event = {Priority::high, 70 + index},
             .token = {6},
             .state = MemberState::compensating,
             .done_at = 21,
             .undone_at = 22}};
  }
  [[nodiscard]] bool has(std::uint64_t id) {
    const auto found = journal_->find(OperationRef{{id}});
    EXPECT_TRUE(found.ok()) << found.status().to_string();
    return found.ok() && found->has_value();
  }
  std::vector<std::uint32_t> members(const Members& spec = {}) {
    std::vector<std::uint32_t> indices;
    for (const auto& each : scan_all<model::MemberRecord>(*journal_, spec)) {
      indices.push_back(each.index);
    }
    return indices;
  }
};
HOLDFAST_OVER_ALL_STORES(OperationRecords);

TEST_P(OperationRecords, AreFoundWithAllThatIsKnownOfThem) {
  ASSERT_TRUE(writer_->commit({head(5, 2), member(5, 0), member(5, 1)}).ok());
  const auto check = [&] {
    const auto operations = scan_all<model::OperationRecord>(*journal_, Operations{});
    ASSERT_EQ(operations.size(), 1U);
    const auto& found = operations[0];
    EXPECT_EQ(found.id, OperationId{5});
    EXPECT_EQ(found.state, OperationState::rolling_back);
    EXPECT_FALSE(found.sequential);
    EXPECT_TRUE(found.sealed);
    EXPECT_EQ(found.members, 2U);
    EXPECT_EQ(found.begun_at, 11);
    EXPECT_EQ(found.ended_at, 12);
    EXPECT_EQ(found.ended_bus, -13);
    EXPECT_EQ(found.deadline, 14);
    EXPECT_EQ(found.reason, "why");
    const auto all = scan_all<model::MemberRecord>(*journal_, Members{OperationId{5}});
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[1].operation, OperationId{5});
    EXPECT_EQ(all[1].index, 1U);
    EXPECT_EQ(all[1].event, (EventId{Priority::high, 71}));
    EXPECT_EQ(all[1].token, TokenId{6});
    EXPECT_EQ(all[1].state, MemberState::compensating);
    EXPECT_EQ(all[1].done_at, 21);
    EXPECT_EQ(all[1].undone_at, 22);
  };
  check();
  if (!store_.persists()) return;
  ASSERT_TRUE(journal_->sync().ok());
  if (reopen()) check();
}

TEST_P(OperationRecords, MembersAreScannedInTheirOrderAndGoWithTheirOperation) {
  std::vector<model::Operation> written = {head(5, 300), head(6, 1), member(6, 0)};
  for (std::uint32_t i = 0; i < 300; ++i) written.emplace_back(member(5, 299 - i));
  ASSERT_TRUE(writer_->commit(std::move(written)).ok());
  auto found = members({OperationId{5}});
  ASSERT_EQ(found.size(), 300U);
  for (std::uint32_t i = 0; i < 300; ++i) EXPECT_EQ(found[i], i);
  EXPECT_EQ(members().size(), 301U);
  ASSERT_TRUE(writer_->commit({model::EraseOperation{{5}, 300}}).ok());
  EXPECT_FALSE(has(5));
  EXPECT_TRUE(has(6));
  EXPECT_TRUE(members({OperationId{5}}).empty());
  EXPECT_EQ(members().size(), 1U);
}

}  // namespace
}  // namespace holdfast::testing
