// SPDX-License-Identifier: MIT
// Operations: members that succeed together, or what they have done is undone.
#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

class OperationTest : public BusTest {
 protected:
  /// What was done, in its order: "+" with the payload of what ran, "-" of what was compensated.
  Collected<std::string> done;
  std::mutex mutex;
  std::map<std::string, Outcome> outcomes;  // by what would be done; an ack without

  Outcome work(std::string_view sign, const Delivery& delivery) {
    const auto what = std::string(sign) + std::string(delivery.event().payload_text());
    done.add(what);
    const std::lock_guard lock(mutex);
    const auto found = outcomes.find(what);
    return found == outcomes.end() ? Outcome::ack() : found->second;
  }
  void answer(const std::string& what, Outcome outcome) {
    const std::lock_guard lock(mutex);
    outcomes.insert_or_assign(what, std::move(outcome));
  }
  SubscribeOptions compensating(const std::string& name = "s", std::uint32_t attempts = 3) {
    SubscribeOptions made{.name = name, .concurrency = 4, .retry = retry_at_once(attempts)};
    made.compensate = [this](Delivery& delivery) { return work("-", delivery); };
    return made;
  }
  Subscription subscribe(SubscribeOptions made) {
    return must(bus->subscribe(std::move(made),
                               [this](Delivery& delivery) { return work("+", delivery); }));
  }
  BatchReceipt publish(const Texts& payloads, const OperationOptions& how = {}) {
    return must(bus->publish_batch(members(payloads), {.operation = how}));
  }
  OperationState ended(OperationId id) {
    must(bus->wait_settled(id, kPatience));
    return must(bus->operation(id)).state;
  }
  std::vector<MemberState> member_states(OperationId id) {
    std::vector<MemberState> states;
    for (const auto& member : must(bus->operation(id)).members) states.push_back(member.state);
    return states;
  }
};
HOLDFAST_ON_BOTH_STORES(OperationTest);

constexpr auto kDone = MemberState::done;
constexpr auto kUndone = MemberState::undone;
constexpr auto kPending = MemberState::pending;

TEST_P(OperationTest, MembersRunOneAfterTheOtherInTheirOrderWhateverTheirLanes) {
  open();
  auto events = members({"1", "2", "3"});
  events[0].priority = Priority::low;
  events[2].priority = Priority::critical;
  std::vector<OperationInfo> seen;
  auto s = must(bus->subscribe({.name = "s", .concurrency = 4}, [&](Delivery& delivery) {
    EXPECT_NE(delivery.event().operation_id.value, 0U);
    seen.push_back(must(bus->operation(delivery.event().operation_id)));
    return work("+", delivery);
  }));
  const auto receipt = must(bus->publish_batch(events, {.operation = OperationOptions{}}));
  EXPECT_NE(receipt.operation_id.value, 0U);
  EXPECT_EQ(ended(receipt.operation_id), OperationState::committed);
  EXPECT_EQ(done.all(), (Texts{"+1", "+2", "+3"}));
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_EQ(seen[2].members[0].state, kDone);
  EXPECT_EQ(seen[2].members[2].state, kPending);
  const auto info = must(bus->operation(receipt.operation_id));
  EXPECT_TRUE(info.sealed);
  EXPECT_NE(info.ended_at, 0);
  ASSERT_EQ(info.members.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(info.members[i].event, receipt.receipts[i].id);
    EXPECT_EQ(info.members[i].state, kDone);
    EXPECT_NE(info.members[i].done_at, 0);
  }
  EXPECT_EQ(bus->stats().operations.committed, 1U);
}

TEST_P(OperationTest, MemberThatIsGivenUpHasTheOthersCompensatedFromTheLastToTheFirst) {
  open();
  answer("+3", Outcome::reject("no room"));
  auto s = subscribe(compensating());
  const auto id = publish({"1", "2", "3", "4"}).operation_id;
  EXPECT_EQ(ended(id), OperationState::rolled_back);
  EXPECT_EQ(done.all(), (Texts{"+1", "+2", "+3", "-3", "-2", "-1"}));
  EXPECT_EQ(member_states(id), std::vector(4, kUndone));
  const auto info = must(bus->operation(id));
  EXPECT_NE(info.reason.find("no room"), std::string::npos) << info.reason;
  EXPECT_EQ(state_of(info.members[3].event), EventState::cancelled);
  EXPECT_EQ(must(bus->dead_letters()).size(), 1U);
  // Its compensation has taken care of it.
  EXPECT_EQ(must(bus->redrive()), 0U);
  EXPECT_EQ(bus->stats().operations.rolled_back, 1U);
}

TEST_P(OperationTest, CompensationIsTriedAgainAndItsTxHasItsEffectOnce) {
  open();
  answer("+2", Outcome::reject("no"));
  auto made = compensating();
  made.compensate = [this](Delivery& delivery) {
    delivery.tx().state().put(delivery.event().payload_text(), "undone");
    if (delivery.attempt() < 3) return Outcome::retry("not yet");
    return work("-", delivery);
  };
  auto s = subscribe(std::move(made));
  EXPECT_EQ(ended(publish({"1", "2"}).operation_id), OperationState::rolled_back);
  EXPECT_EQ(done.all(), (Texts{"+1", "+2", "-2", "-1"}));
  EXPECT_EQ(must(bus->state("s", "1")), "undone");
}

TEST_P(OperationTest, CompensationThatFailsIsADeadLetterAndGoesOnWhenItIsRedriven) {
  open();
  answer("+3", Outcome::reject("no"));
  answer("-2", Outcome::reject("cannot be undone"));
  auto s = subscribe(compensating());
  const auto id = publish({"1", "2", "3"}).operation_id;
  EXPECT_EQ(ended(id), OperationState::rollback_failed);
  EXPECT_EQ(member_states(id), (std::vector{kDone, MemberState::compensating, kUndone}));
  EXPECT_NE(must(bus->operation(id)).reason.find("cannot be undone"), std::string::npos);
  EXPECT_EQ(bus->stats().operations.rollback_failed, 1U);
  EXPECT_EQ(must(bus->dead_letters()).size(), 2U);
  answer("-2", Outcome::ack());
  EXPECT_EQ(must(bus->redrive()), 1U);
  EXPECT_EQ(ended(id), OperationState::rolled_back);
  EXPECT_EQ(done.all(), (Texts{"+1", "+2", "+3", "-3", "-2", "-2", "-1"}));
}

TEST_P(OperationTest, CancelOfAMemberRollsBack) {
  open();
  Signal started;
  std::optional<StopReason> reason;
  auto s = must(bus->subscribe(compensating(), [&](Delivery& delivery) {
    if (delivery.event().payload_text() != "2") return work("+", delivery);
    std::mutex stop_mutex;
    std::condition_variable_any stopped;
    std::unique_lock lock(stop_mutex);
    started.set();
    stopped.wait(lock, delivery.stop_token(), [] { return false; });
    reason = delivery.stop_reason();
    return work("+", delivery);
  }));
  const auto receipt = publish({"1", "2", "3"});
  ASSERT_TRUE(started.wait());
  // The last one: the one that runs is asked to stop because they belong together.
  EXPECT_EQ(must(bus->cancel(receipt.receipts[2].id, "changed my mind")).outcome,
            CancelOutcome::prevented);
  EXPECT_EQ(ended(receipt.operation_id), OperationState::rolled_back);
  EXPECT_EQ(reason, StopReason::cancelled);
  EXPECT_EQ(done.all(), (Texts{"+1", "+2", "-2", "-1"}));
  EXPECT_NE(must(bus->operation(receipt.operation_id)).reason.find("changed my mind"),
            std::string::npos);
  EXPECT_EQ(stats_of("s").acked, 1U);
}

TEST_P(OperationTest, CancelOfATokenRollsBackWhatHasAMemberUnderIt) {
  open();
  const auto token = must(bus->make_token());
  auto events = members({"1", "2"});
  events[1].token = token;
  const auto receipt = must(bus->publish_batch(events, {.operation = OperationOptions{}}));
  const auto other = publish({"3"});
  must(bus->cancel(token, "stop"));
  auto s = subscribe(compensating());
  EXPECT_EQ(ended(receipt.operation_id), OperationState::rolled_back);
  EXPECT_EQ(ended(other.operation_id), OperationState::committed);
  EXPECT_EQ(done.all(), (Texts{"+3"}));
}

TEST_P(OperationTest, BuiltStepByStepItIsCommittedOnceItIsSealedAndDone) {
  open();
  auto s = subscribe(compensating());
  auto operation = must(bus->begin_operation());
  const auto first = must(operation.add({.type = "a.b", .payload = "1"}));
  must(bus->wait_settled(first.id, kPatience));
  must(operation.add({.type = "a.b", .payload = "2", .priority = Priority::high}));
  ASSERT_TRUE(eventually([&] { return member_states(operation.id()) == std::vector(2, kDone); }));
  EXPECT_EQ(must(bus->operation(operation.id())).state, OperationState::open);
  must(operation.seal());
  EXPECT_EQ(must(bus->operation(operation.id())).state, OperationState::committed);
  must(operation.seal());
  EXPECT_TRUE(fails(operation.add({.type = "a.b"}), StatusCode::conflict, {"committed"}));
  EXPECT_TRUE(fails(operation.roll_back(), StatusCode::conflict, {"committed"}));
  EXPECT_EQ(done.all(), (Texts{"+1", "+2"}));
}

TEST_P(OperationTest, SealedOneTakesNoMoreAndAnEmptyOneIsCommittedAtOnce) {
  open();
  auto operation = must(bus->begin_operation());
  must(operation.add({.type = "a.b", .payload = "1"}));
  must(operation.seal());
  EXPECT_TRUE(fails(operation.add({.type = "a.b"}), StatusCode::conflict, {"sealed"}));
  EXPECT_EQ(scan().size(), 1U);
  auto empty = must(bus->begin_operation());
  must(empty.seal());
  EXPECT_EQ(ended(empty.id()), OperationState::committed);
}

TEST_P(OperationTest, RolledBackByHandItUndoesWhatIsDone) {
  open();
  auto s = subscribe(compensating());
  auto operation = must(bus->begin_operation());
  must(bus->wait_settled(must(operation.add({.type = "a.b", .payload = "1"})).id, kPatience));
  must(operation.roll_back("not needed"));
  must(operation.roll_back("again"));
  EXPECT_EQ(ended(operation.id()), OperationState::rolled_back);
  EXPECT_EQ(must(bus->operation(operation.id())).reason, "not needed");
  EXPECT_TRUE(fails(operation.add({.type = "a.b"}), StatusCode::conflict, {"rolled back"}));
  EXPECT_TRUE(fails(operation.seal(), StatusCode::conflict, {"rolled back"}));
  EXPECT_EQ(done.all(), (Texts{"+1", "-1"}));
}

TEST_P(OperationTest, DeadlineRollsItBack) {
  open();
  auto s = subscribe(compensating());
  auto operation = must(bus->begin_operation({.deadline = 50ms}));
  must(operation.add({.type = "a.b", .payload = "1"}));
  EXPECT_EQ(ended(operation.id()), OperationState::rolled_back);
  EXPECT_EQ(must(bus->operation(operation.id())).reason, "deadline passed");
}

TEST_P(OperationTest, WithoutSequenceAllRunAtOnceAndAreStillUndoneInReverse) {
  open();
  Signal first;
  Signal second;
  auto s = must(bus->subscribe(compensating(), [&](Delivery& delivery) {
    if (delivery.event().payload_text() == "1") {
      first.set();
      EXPECT_TRUE(second.wait());
      return work("+", delivery);
    }
    EXPECT_TRUE(first.wait());
    second.set();
    return work("+", delivery);
  }));
  auto operation = must(bus->begin_operation({.sequential = false}));
  must(operation.add({.type = "a.b", .payload = "1"}));
  must(operation.add({.type = "a.b", .payload = "2"}));
  ASSERT_TRUE(eventually([&] { return member_states(operation.id()) == std::vector(2, kDone); }));
  must(operation.roll_back());
  EXPECT_EQ(ended(operation.id()), OperationState::rolled_back);
  const auto all = done.all();
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ((Texts{all[2], all[3]}), (Texts{"-2", "-1"}));
}

TEST_P(OperationTest, MemberIsDoneOnceAllWhoWantItHaveAcked) {
  open();
  Signal let_go;
  auto quick = subscribe(compensating("quick"));
  auto slow = must(bus->subscribe(compensating("slow"), [&](Delivery& delivery) {
    EXPECT_TRUE(let_go.wait());
    return delivery.event().payload_text() == "1" ? Outcome::ack() : Outcome::reject("no");
  }));
  const auto receipt = publish({"1", "2"});
  ASSERT_TRUE(done.wait_for_count(1));
  EXPECT_EQ(member_states(receipt.operation_id), std::vector(2, kPending));
  let_go.set();
  EXPECT_EQ(ended(receipt.operation_id), OperationState::rolled_back);
  // Each of the two undoes what it did.
  const auto all = done.all();
  EXPECT_EQ(std::count(all.begin(), all.end(), "-1"), 2);
}

TEST_P(OperationTest, UnclaimedMemberStaysPendingAndTheOperationOpen) {
  open();
  const auto receipt = publish({"1", "2"});
  EXPECT_EQ(must(bus->operation(receipt.operation_id)).state, OperationState::open);
  EXPECT_TRUE(fails(bus->wait_settled(receipt.operation_id, 1ms), StatusCode::deadline_exceeded));
  auto s = subscribe(compensating());
  EXPECT_EQ(ended(receipt.operation_id), OperationState::committed);
}

TEST_P(OperationTest, RemovedSubscriptionIsWaitedForNoMore) {
  open();
  must(bus->subscribe({.name = "gone"}, [](Delivery&) {})).end();
  auto s = subscribe(compensating());
  const auto receipt = publish({"1", "2"});
  ASSERT_TRUE(done.wait_for_count(1));
  must(bus->remove_subscription("gone"));
  EXPECT_EQ(ended(receipt.operation_id), OperationState::committed);
}

TEST_P(OperationTest, ChangedFilterLetsGoOfAMember) {
  open();
  must(bus->subscribe({.name = "other"}, [](Delivery&) {})).end();
  auto s = subscribe(compensating());
  const auto receipt = publish({"1", "2"});
  ASSERT_TRUE(done.wait_for_count(1));
  auto other = must(bus->subscribe({.name = "other", .types = {"x.y"}}, [](Delivery&) {}));
  EXPECT_EQ(ended(receipt.operation_id), OperationState::committed);
}

TEST_P(OperationTest, EphemeralSubscriptionSeesMembersInTurnAndDecidesNothing) {
  open();
  Collected<std::string> seen;
  Collected<std::string> early;
  auto ephemeral = must(bus->subscribe({.concurrency = 4}, [&](Delivery& delivery) {
    const auto payload = std::string(delivery.event().payload_text());
    // Several handlers run, so that who comes first says nothing; what was done before does.
    const auto done_by_now = done.all();
    for (const std::string before : {"1", "2"}) {
      const bool is_done = std::count(done_by_now.begin(), done_by_now.end(), '+' + before) > 0;
      if (before < payload && !is_done) early.add(payload);
    }
    seen.add(payload);
    return Outcome::reject("never");
  }));
  auto s = subscribe(compensating());
  EXPECT_EQ(ended(publish({"1", "2", "3"}).operation_id), OperationState::committed);
  ASSERT_TRUE(seen.wait_for_count(3));
  EXPECT_EQ(early.all(), Texts{});
}

TEST_P(OperationTest, WithoutCompensateWhatWasAckedStaysAndTheRestIsCancelled) {
  open();
  answer("+2", Outcome::reject("no"));
  auto s = subscribe({.name = "s", .concurrency = 4});
  const auto id = publish({"1", "2", "3"}).operation_id;
  EXPECT_EQ(ended(id), OperationState::rolled_back);
  EXPECT_EQ(done.all(), (Texts{"+1", "+2"}));
}

TEST_P(OperationTest, MemberInARetryWaitIsCompensatedWhenItsOperationGoesBack) {
  open();
  auto made = compensating();
  made.retry.backoff_first = 20ms;
  made.retry.backoff_max = 20ms;
  answer("+2", Outcome::retry("later"));
  auto s = subscribe(std::move(made));
  auto operation = must(bus->begin_operation());
  must(operation.add({.type = "a.b", .payload = "1", .ordering_key = "k"}));
  must(operation.add({.type = "a.b", .payload = "2", .ordering_key = "k"}));
  ASSERT_TRUE(done.wait_for_count(2));
  must(operation.roll_back("enough"));
  EXPECT_EQ(ended(operation.id()), OperationState::rolled_back);
  const auto all = done.all();
  EXPECT_EQ((Texts{all.end()[-2], all.end()[-1]}), (Texts{"-2", "-1"}));
}

TEST_P(OperationTest, OnCancelCleansUpWhatHadBegunWhereThereIsNoCompensate) {
  open();
  auto made = SubscribeOptions{.name = "s", .concurrency = 4, .retry = retry_at_once(3)};
  made.on_cancel = [this](Delivery& delivery) { return work("c", delivery); };
  Signal started;
  Signal let_go;
  auto s = must(bus->subscribe(std::move(made), [&](Delivery& delivery) {
    if (delivery.event().payload_text() == "2") {
      started.set();
      EXPECT_TRUE(let_go.wait());
    }
    return work("+", delivery);
  }));
  auto receipt = publish({"1", "2"});
  ASSERT_TRUE(started.wait());
  must(must(bus->find_operation(receipt.operation_id)).roll_back());
  let_go.set();
  EXPECT_EQ(ended(receipt.operation_id), OperationState::rolled_back);
  EXPECT_EQ(done.all(), (Texts{"+1", "+2", "c2"}));
}

TEST_P(OperationTest, BatchHandlerGetsMembersAndRollsBack) {
  open();
  auto made = compensating();
  made.batch_size = 10;
  auto s = must(bus->subscribe_batch(std::move(made), [&](BatchDelivery& batch) {
    for (auto member : batch) {
      done.add("+" + std::string(member.event().payload_text()));
      if (member.event().payload_text() == "2") member.answer(Outcome::reject("no"));
    }
    return Outcome::ack();
  }));
  auto operation = must(bus->begin_operation({.sequential = false}));
  must(bus->pause("s"));
  for (const auto* payload : {"1", "2", "3"})
    must(operation.add({.type = "a.b", .payload = payload}));
  must(bus->resume("s"));
  EXPECT_EQ(ended(operation.id()), OperationState::rolled_back);
  EXPECT_EQ(done.all(), (Texts{"+1", "+2", "+3", "-3", "-2", "-1"}));
}

TEST_P(OperationTest, BuilderMakesAnOperationWithItsState) {
  open();
  auto s = subscribe(compensating());
  auto batch = bus->batch();
  batch.add({.type = "a.b", .payload = "1", .priority = Priority::high});
  batch.add({.type = "a.b", .payload = "2"});
  batch.state("mine").put("k", "v");
  const auto receipt = must(batch.commit({.operation = OperationOptions{}}));
  EXPECT_EQ(receipt.receipts[0].id.priority, Priority::high);
  EXPECT_EQ(ended(receipt.operation_id), OperationState::committed);
  EXPECT_EQ(must(bus->state("mine", "k")), "v");
  EXPECT_EQ(done.all(), (Texts{"+1", "+2"}));
}

TEST_P(OperationTest, PublishedAgainItIsTheSameOperation) {
  open();
  auto events = members({"1", "2"});
  events[0].idempotency_key = "one";
  events[1].idempotency_key = "two";
  const BatchOptions how{.operation = OperationOptions{}};
  const auto first = must(bus->publish_batch(events, how));
  const auto again = must(bus->publish_batch(events, how));
  EXPECT_TRUE(again.receipts[0].duplicate);
  EXPECT_EQ(again.operation_id, first.operation_id);
  EXPECT_EQ(bus->operations().size(), 1U);
  EXPECT_EQ(must(bus->operation(first.operation_id)).members.size(), 2U);
}

TEST_P(OperationTest, RewindIsRefusedWhileAnOperationNeedsWhatItWouldForget) {
  open();
  auto operation = must(bus->begin_operation());
  {
    auto s = subscribe(compensating());
    must(bus->wait_settled(must(operation.add({.type = "a.b", .payload = "1"})).id, kPatience));
  }
  EXPECT_TRUE(fails(bus->rewind("s", Start::earliest()), StatusCode::conflict,
                    {to_string(operation.id())}));
  must(operation.seal());
  EXPECT_EQ(must(bus->rewind("s", Start::earliest())).total, 1U);
  auto s = subscribe(compensating());
  ASSERT_TRUE(done.wait_for_count(2));
  EXPECT_EQ(must(bus->operation(operation.id())).state, OperationState::committed);
}

TEST_P(OperationTest, RewindLetsGoOfAMemberThatNobodyHasBegun) {
  open();
  must(bus->subscribe({.name = "other"}, [](Delivery&) {})).end();
  auto s = subscribe(compensating());
  const auto receipt = publish({"1", "2"});
  ASSERT_TRUE(done.wait_for_count(1));
  must(bus->rewind("other", Start::new_only()));
  EXPECT_EQ(ended(receipt.operation_id), OperationState::committed);
}

// It was done, and somebody who came later is at it again: what becomes of that matters as well.
TEST_P(OperationTest, CancelOfADoneMemberThatSomebodyElseHasRollsBack) {
  open();
  auto s = subscribe(compensating());
  auto operation = must(bus->begin_operation());
  const auto id = must(operation.add({.type = "a.b", .payload = "1"})).id;
  must(bus->wait_settled(id, kPatience));
  ASSERT_EQ(member_states(operation.id()), std::vector{kDone});
  Signal started;
  Signal let_go;
  auto late = must(bus->subscribe({.name = "late"}, [&](Delivery&) {
    started.set();
    (void)let_go.wait();
    return Outcome::ack();
  }));
  ASSERT_TRUE(started.wait());
  EXPECT_EQ(must(bus->cancel(id)).outcome, CancelOutcome::signalled);
  EXPECT_NE(must(bus->operation(operation.id())).state, OperationState::open);
  let_go.set();
  EXPECT_EQ(ended(operation.id()), OperationState::rolled_back);
  EXPECT_EQ(done.all(), (Texts{"+1", "-1"}));
}

class OperationOnDisk : public OperationTest {};
INSTANTIATE_TEST_SUITE_P(On, OperationOnDisk, ::testing::Values(Store::disk), store_name);

TEST_P(OperationOnDisk, GoesOnAfterARestart) {
  open();
  auto operation = must(bus->begin_operation());
  {
    auto s = subscribe(compensating());
    must(bus->wait_settled(must(operation.add({.type = "a.b", .payload = "1"})).id, kPatience));
  }
  reopen();
  EXPECT_EQ(member_states(operation.id()), std::vector(1, kDone));
  auto again = must(bus->find_operation(operation.id()));
  must(again.add({.type = "a.b", .payload = "2"}));
  must(again.seal());
  reopen();
  answer("+2", Outcome::reject("no"));
  auto s = subscribe(compensating());
  EXPECT_EQ(ended(operation.id()), OperationState::rolled_back);
  EXPECT_EQ(done.all(), (Texts{"+1", "+2", "-2", "-1"}));
  s.end();
  reopen();
  const auto info = must(bus->operation(operation.id()));
  EXPECT_EQ(info.state, OperationState::rolled_back);
  EXPECT_NE(info.reason.find("no"), std::string::npos);
}

TEST_P(OperationOnDisk, GoesOnBackAfterARestart) {
  open();
  answer("+2", Outcome::reject("no"));
  answer("-2", Outcome::retry("not now"));
  auto made = compensating("s", 1'000'000);
  made.retry.backoff_first = 1ms;
  made.retry.backoff_max = 1ms;
  auto s = subscribe(std::move(made));
  const auto id = publish({"1", "2"}).operation_id;
  ASSERT_TRUE(done.wait_for_count(4));
  s.end();
  reopen();
  EXPECT_EQ(must(bus->operation(id)).state, OperationState::rolling_back);
  answer("-2", Outcome::ack());
  auto again = subscribe(compensating());
  EXPECT_EQ(ended(id), OperationState::rolled_back);
  EXPECT_EQ(done.all().back(), "-1");
}

TEST_P(OperationOnDisk, CompensationThatHasLostItsHandlerIsADeadLetterAndNotForgotten) {
  open();
  auto operation = must(bus->begin_operation());
  {
    auto s = subscribe(compensating());
    must(bus->wait_settled(must(operation.add({.type = "a.b", .payload = "1"})).id, kPatience));
  }
  auto without = must(bus->subscribe({.name = "s"}, [](Delivery&) {}));
  must(operation.roll_back());
  EXPECT_EQ(ended(operation.id()), OperationState::rollback_failed);
  without.end();
  reopen();
  EXPECT_EQ(must(bus->operation(operation.id())).state, OperationState::rollback_failed);
  auto s = subscribe(compensating());
  EXPECT_EQ(must(bus->redrive()), 1U);
  EXPECT_EQ(ended(operation.id()), OperationState::rolled_back);
  EXPECT_EQ(done.all(), (Texts{"+1", "-1"}));
}

TEST_P(OperationOnDisk, IsReadByAView) {
  open();
  const auto id = publish({"1", "2"}).operation_id;
  must(bus->close());
  const auto view = must(JournalView::open(path()));
  EXPECT_EQ(must(view->operation(id)).members.size(), 2U);
  EXPECT_EQ(view->operations().size(), 1U);
  EXPECT_EQ(must(view->stats()).operations.open, 1U);
}

}  // namespace
}  // namespace holdfast::testing
