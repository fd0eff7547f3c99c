// SPDX-License-Identifier: MIT
// What operations refuse, and how many members they take.
#include <string>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

class OperationLimits : public BusTest {};
HOLDFAST_ON_BOTH_STORES(OperationLimits);

TEST_P(OperationLimits, LimitsAndBadInputAreToldAndChangeNothing) {
  options.limits.operations_max = 2;
  options.limits.operation_members_max = 3;
  open();
  EXPECT_TRUE(fails(bus->begin_operation({.deadline = -1ns}), StatusCode::invalid_argument,
                    {"deadline", "-1"}));
  EXPECT_TRUE(fails(bus->publish_batch(members({"1"}), {.mode = BatchMode::independent,
                                                        .operation = OperationOptions{}}),
                    StatusCode::invalid_argument, {"all or nothing"}));
  EXPECT_TRUE(fails(bus->publish_batch(members(Texts(4, "x")), {.operation = OperationOptions{}}),
                    StatusCode::resource_exhausted, {"limits.operation_members_max", "3"}));
  EXPECT_TRUE(
      fails(bus->publish_batch(members(Texts(10'001, "x")), {.operation = OperationOptions{}}),
            StatusCode::invalid_argument, {"10001", "10000"}));
  auto cancelled = members({"1", "2"});
  cancelled[1].token = must(bus->make_token());
  must(bus->cancel(cancelled[1].token));
  EXPECT_TRUE(fails(bus->publish_batch(cancelled, {.operation = OperationOptions{}}),
                    StatusCode::cancelled, {"event 1"}));
  EXPECT_TRUE(bus->operations().empty());
  EXPECT_TRUE(scan().empty());
  EXPECT_TRUE(fails(bus->operation({77}), StatusCode::not_found, {"operation:77"}));
  EXPECT_TRUE(fails(bus->find_operation({77}), StatusCode::not_found));
  EXPECT_TRUE(fails(bus->wait_settled(OperationId{77}, 1s), StatusCode::not_found));
  EXPECT_TRUE(fails(Operation().add({.type = "a.b"}), StatusCode::invalid_argument));
  EXPECT_TRUE(fails(bus->subscribe({.compensate = [](Delivery&) {}}, [](Delivery&) {}),
                    StatusCode::invalid_argument, {"compensate"}));
  auto first = must(bus->begin_operation());
  auto second = must(bus->begin_operation());
  EXPECT_TRUE(fails(bus->begin_operation(), StatusCode::resource_exhausted,
                    {"2", "limits.operations_max"}));
  for (int i = 0; i < 3; ++i) must(first.add({.type = "a.b"}));
  EXPECT_TRUE(fails(first.add({.type = "a.b"}), StatusCode::resource_exhausted,
                    {"limits.operation_members_max"}));
  // What has ended makes room.
  must(second.seal());
  auto third = must(bus->begin_operation());
  EXPECT_TRUE(fails(bus->operation(second.id()), StatusCode::not_found));
  must(bus->close());
  EXPECT_TRUE(fails(third.add({.type = "a.b"}), StatusCode::unavailable));
}

TEST_P(OperationLimits, TakesAsManyMembersAsThereMayBeAndNoMore) {
  options.limits.operation_members_max = 2 * kOperationMembersMax;
  options.durability = Durability::os;
  open();
  auto operation = must(bus->begin_operation());
  for (std::size_t i = 0; i < kOperationMembersMax; ++i) must(operation.add({.type = "a.b"}));
  EXPECT_TRUE(fails(operation.add({.type = "a.b"}), StatusCode::resource_exhausted,
                    {"10000 events", "10000"}));
  EXPECT_EQ(must(bus->operation(operation.id())).members.size(), kOperationMembersMax);
}

}  // namespace
}  // namespace holdfast::testing
