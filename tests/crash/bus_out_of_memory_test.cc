// SPDX-License-Identifier: MIT
// No memory: for the caller of a call, one allocation after the other, and for the whole process.
//
// Method: a child has the k-th allocation of its calling thread fail, for every k. Up to the intake
// that is an answer. Inside of the engine, and in a commit, which a caller that waits may be making
// itself, the process ends by std::terminate;
// then the next child goes on behind that k, on the same journal. Not tried: `open`, in which the
// engine allocates thousands of times, and threads of the engine, which end the process likewise.
#include <csignal>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <sys/wait.h>
#include <vector>

#include <gtest/gtest.h>

#include "support/bus_test.h"
#include "support/child_check.h"
#include "support/failing_new.h"
#include "support/limits.h"
#include "support/sanitizer.h"

namespace holdfast::testing {
namespace {

/// More than any of the calls makes: there is an end to it then.
constexpr std::uint64_t kAllocationsMax = 5'000;

struct Tried {
  Status status;
  bool has_failed = false;  // the allocation
  bool has_thrown = false;
};

/// What the caller makes beforehand is his own affair.
template <typename Call>
Tried with_failure(std::uint64_t at, const Call& call) {
  Tried tried;
  const FailingAllocation failing(at);
  try {
    tried.status = call();
  } catch (const std::bad_alloc&) {
    tried.has_thrown = true;
  }
  tried.has_failed = failing.has_failed();
  return tried;
}

/// What is called, over and over. `confirmed` has room, so that adding to it takes no memory.
using Try = Tried (*)(Bus& bus, std::uint64_t at, std::vector<EventId>& confirmed);

Tried try_publish(Bus& bus, std::uint64_t at, std::vector<EventId>& confirmed) {
  return with_failure(at, [&] {
    const auto receipt = bus.publish({.type = "a.b",
                                      .payload = "a payload that is too long to need no memory",
                                      .ordering_key = "a key that is too long to need no memory"});
    if (receipt.ok()) confirmed.push_back(receipt->id);
    return receipt.status();
  });
}

Tried try_publish_async(Bus& bus, std::uint64_t at, std::vector<EventId>& confirmed) {
  Collected<Result<Receipt>> answers;
  std::function<void(Result<Receipt>)> done = [&](Result<Receipt> receipt) {
    answers.add(std::move(receipt));
  };
  auto tried = with_failure(at, [&] {
    return bus.publish_async(
        {.type = "a.b", .payload = "a payload that is too long to need no memory"},
        std::move(done));
  });
  if (tried.has_thrown || !tried.status.ok()) return tried;
  answers.wait_for_count(1);
  const auto receipt = answers.all().at(0);
  if (receipt.ok()) confirmed.push_back(receipt->id);
  tried.status = receipt.status();
  return tried;
}

Tried try_publish_batch(Bus& bus, std::uint64_t at, std::vector<EventId>& confirmed) {
  const std::vector<OwnedEvent> events(3, {.type = "a.b", .payload = std::string(100, 'x')});
  return with_failure(at, [&] {
    const auto batch = bus.publish_batch(events);
    if (batch.ok()) {
      for (const auto& receipt : batch->receipts) confirmed.push_back(receipt.id);
    }
    return batch.status();
  });
}

Tried try_subscribe(Bus& bus, std::uint64_t at, std::vector<EventId>&) {
  SubscribeOptions options{.name = "a name that is too long to need no memory",
                           .types = {"a.pattern.that.is.too.long.to.need.no.memory", "a.>"}};
  Handler handler = [](Delivery&) {};
  // Ended at once: one that was refused must not be in the way of the next.
  return with_failure(
      at, [&] { return bus.subscribe(std::move(options), std::move(handler)).status(); });
}

const std::map<std::string, Try> kTries = {{"publish", try_publish},
                                           {"publish_async", try_publish_async},
                                           {"publish_batch", try_publish_batch},
                                           {"subscribe", try_subscribe}};

/// From this k on, until the process ends or no k is left.
const ChildRole kFails("memory-fails", [](const ChildArguments& given) {
  const auto attempt = kTries.at(given.values.at(1));
  const auto bus = must(Bus::open(given.values.at(0)));
  std::vector<EventId> confirmed;
  confirmed.reserve(16);
  const auto tell_confirmed = [&] {
    for (const auto id : confirmed) tell(given, "receipt " + to_string(id));
    confirmed.clear();
  };
  for (auto k = std::stoull(given.values.at(2)); k < kAllocationsMax; ++k) {
    tell(given, "at " + std::to_string(k));
    const auto tried = attempt(*bus, k, confirmed);
    tell_confirmed();
    tell(given, tried.has_thrown ? "threw" : "answer " + tried.status.to_string());
    // And the next is served.
    tell(given, "then " + attempt(*bus, kAllocationsMax, confirmed).status.to_string());
    tell_confirmed();
    if (!tried.has_failed) break;
  }
  must(bus->close());
  tell(given, "end");
  return 0;
});

class OutOfMemory : public DiskBusTest, public ::testing::WithParamInterface<const char*> {
 protected:
  /// Reads what a child tells, up to its end. Whether it came to the end.
  bool read(ChildProcess& child);

  std::uint64_t next_ = 0;
  std::uint64_t answers_ = 0;
  std::uint64_t ends_ = 0;
  std::set<EventId> receipts_;
};

bool OutOfMemory::read(ChildProcess& child) {
  for (auto line = child.read_line(); !line.empty(); line = child.read_line()) {
    const auto where = "at " + std::to_string(next_ - 1);
    if (line == "end") return true;
    EXPECT_NE(line, "threw") << "nothing throws out of the API, " << where;
    if (line.starts_with("at ")) next_ = std::stoull(line.substr(3)) + 1;
    if (line.starts_with("receipt ")) receipts_.insert(parse_event_id(line.substr(8)).value());
    if (line.starts_with("answer ") && line != "answer ok") {
      ++answers_;
      EXPECT_TRUE(line == "answer resource_exhausted: out of memory" ||
                  line == "answer indeterminate: out of memory")
          << where << ": " << line;
    }
    if (line.starts_with("then ")) {
      EXPECT_EQ(line, "then ok") << where;
    }
  }
  return false;
}

TEST_P(OutOfMemory, OfTheCallerIsAnAnswerOrTheEndOfTheProcessAndLosesNothing) {
  options.durability = Durability::durable;
  for (bool is_done = false; !is_done && !HasFailure();) {
    auto child = ChildProcess::start("memory-fails", {path(), GetParam(), std::to_string(next_)});
    is_done = read(child);
    if (is_done) {
      EXPECT_TRUE(child.succeeded());
      break;
    }
    ++ends_;
    const auto status = child.wait();
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
        << "at " << next_ - 1 << " it ended with wait status " << status;
  }
  std::cout << next_ << " allocations: " << answers_ << " answers, the process ended " << ends_
            << " times" << std::endl;
  EXPECT_GT(answers_, 0U);
  open();
  EXPECT_TRUE(bus->recovery().lost.empty());
  for (const auto id : receipts_) EXPECT_TRUE(must(bus->get(id)).has_value()) << to_string(id);
  EXPECT_TRUE(is_ok(bus->publish("a.b", "x")));
}

INSTANTIATE_TEST_SUITE_P(In, OutOfMemory,
                         ::testing::Values("publish", "publish_async", "publish_batch",
                                           "subscribe"),
                         [](const auto& each) { return std::string(each.param); });

/// A handler that has no memory has failed, as by anything else it throws.
TEST(OutOfMemoryInAHandler, IsAFailedAttempt) {
  const TempFolder folder;
  const auto bus = must(Bus::open(folder.inside("journal")));
  Runs runs;
  const auto s =
      must(bus->subscribe({.name = "s", .retry = retry_at_once(5)}, [&](Delivery& delivery) {
        runs.note(delivery);
        if (delivery.attempt() > 1) return Outcome::ack();
        const FailingAllocation failing(0);
        const std::string text(100, 'x');
        return Outcome::reject(text);
      }));
  const auto id = must(bus->publish("a.b", "x")).id;
  must(bus->wait_settled(id, kPatience));
  EXPECT_EQ(runs.size(), 2U);
  EXPECT_EQ(must(bus->get(id))->state, EventState::settled);
}

// --- The whole process --------------------------------------------------------------------------

/// Works with so many bytes of address space more than it began with, and tells what it was
/// promised.
const ChildRole kBounded("memory-bounded", [](const ChildArguments& given) {
  if (!limit_address_space(std::stoull(given.values.at(1)))) return 2;
  auto bus = Bus::open(given.values.at(0));
  if (!bus.ok()) {
    tell(given, "error " + bus.status().to_string());
    return 0;
  }
  const auto s = (*bus)->subscribe({.name = "s"}, [](Delivery&) {});
  for (int i = 0; i < 200; ++i) {
    const auto receipt = (*bus)->publish({.type = "a.b", .payload = std::string(100'000, 'x')});
    if (!receipt.ok()) break;
    tell(given, "receipt " + to_string(receipt->id));
  }
  return (*bus)->close().ok() ? 0 : 3;
});

class OutOfAddressSpace : public DiskBusTest {};

TEST_F(OutOfAddressSpace, EndsTheProcessOrIsAnAnswerAndTheJournalIsWhole) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer wants the address space for itself";
  open();
  std::set<EventId> receipts = {publish("a.b", "before").id};
  must(bus->wait_durable(must(bus->publish("a.b", "durable")).commit));
  must(bus->close());
  bus.reset();
  std::size_t ended = 0;
  std::size_t worked = 0;
  constexpr std::uint64_t kMiB = std::uint64_t{1} << 20U;
  for (const std::uint64_t more : {0, 1, 2, 4, 8, 16, 32, 64, 96, 128, 160, 192, 256, 384, 1'024}) {
    auto child = ChildProcess::start("memory-bounded", {path(), std::to_string(more * kMiB)});
    for (auto line = child.read_line(); !line.empty(); line = child.read_line()) {
      if (line.starts_with("receipt ")) receipts.insert(parse_event_id(line.substr(8)).value());
    }
    const auto status = child.wait();
    ended += child.succeeded() ? 0 : 1;
    worked += child.succeeded() ? 1 : 0;
    EXPECT_TRUE(WIFEXITED(status) || WTERMSIG(status) == SIGABRT)
        << "with " << more << " MiB it ended with wait status " << status;
    open();
    EXPECT_TRUE(bus->recovery().lost.empty()) << more;
    for (const auto id : receipts) EXPECT_TRUE(must(bus->get(id)).has_value()) << to_string(id);
    bus.reset();
  }
  std::cout << ended << " ended early, " << worked << " worked" << std::endl;
  EXPECT_GT(ended, 0U);
  EXPECT_GT(worked, 0U);
}

}  // namespace
}  // namespace holdfast::testing
