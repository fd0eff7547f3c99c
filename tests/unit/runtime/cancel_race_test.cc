// SPDX-License-Identifier: MIT
// Goal: a cancel that races with anything is told exactly what became of it.
// Method: for each state an event can be in, real threads race `cancel` against the way out of that
// state, again and again; what the receipt says is held against what the handlers saw. Delays
// follow the outcomes, so that the race stays close on any machine. HOLDFAST_RACES=10000 is the
// long form, in which each outcome that a state has must have been seen in one race of twenty.

#include <array>
#include <atomic>
#include <chrono>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "support/bus_test.h"
#include "support/environment.h"

namespace holdfast::testing {
namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr std::uint64_t kLongForm = 10'000;

std::uint64_t races() { return from_environment("HOLDFAST_RACES", 300); }

void spin_until(steady_clock::time_point time) {
  while (steady_clock::now() < time) std::this_thread::yield();
}
void spin_until(const std::atomic<bool>& flag) {
  while (!flag) std::this_thread::yield();
}

/// How long one side waits, so that neither wins always: longer after it was too early, shorter
/// after it was too late. Below nothing, the other side waits.
class Delay {
 public:
  Delay(nanoseconds first, nanoseconds step) : delay_(first), step_(step) {}
  [[nodiscard]] nanoseconds mine() const { return std::max(delay_, nanoseconds(0)); }
  [[nodiscard]] nanoseconds theirs() const { return std::max(-delay_, nanoseconds(0)); }
  void was(bool early) {
    // Shorter steps once they go back and forth.
    step_ =
        early == last_early_ ? std::min(step_ * 5 / 4, kStepMax) : std::max(step_ / 2, kStepMin);
    delay_ += early ? step_ : -step_;
    last_early_ = early;
  }

 private:
  static constexpr nanoseconds kStepMin{1'000};
  static constexpr nanoseconds kStepMax{200'000};
  nanoseconds delay_;
  nanoseconds step_;
  bool last_early_ = false;
};

/// What handlers saw of one event.
struct Seen {
  int starts = 0;
  int cleanups = 0;
  std::optional<std::stop_token> stop;  // of the newest run
  bool stopped_at_start = false;
  bool stopped_at_return = false;  // when `cancel` returned; of the run that was there by then
  bool ran_at_return = false;
  bool over = false;  // about to answer: then nobody is left who could be asked
  bool over_at_return = false;
  std::optional<Settled> how;
};

class CancelRace : public ::testing::Test, protected BusBench {
 protected:
  CancelRace() {
    options.in_memory = true;
    options.ack_linger = std::chrono::milliseconds(0);
    options.limits.tokens_max = 1'000'000;
    open();
  }

  /// Ends the subscription before what its handlers refer to is gone: one that has answered may
  /// still be about to return.
  class Subscribed {
   public:
    explicit Subscribed(CancelRace& race) : race_(race) {}
    ~Subscribed() {
      race_.may_return = race_.begun = true;
      race_.subscription.reset();
    }
    Subscribed(const Subscribed&) = delete;
    Subscribed& operator=(const Subscribed&) = delete;

   private:
    CancelRace& race_;
  };

  [[nodiscard]] Subscribed subscribe(std::function<Outcome(Delivery&)> handle,
                                     std::function<bool(const EventView&)> condition = {},
                                     std::uint32_t concurrency = 4) {
    SubscribeOptions wanted{.name = "s", .concurrency = concurrency};
    wanted.condition = std::move(condition);
    wanted.on_cancel = [this](Delivery& delivery) {
      const std::lock_guard lock(mutex);
      ++seen[delivery.event().id].cleanups;
      return Outcome::ack();
    };
    wanted.compensate = wanted.on_cancel;
    wanted.on_settled = [this](EventId id, Settled how) {
      const std::lock_guard lock(mutex);
      seen[id].how = how;
      ++settled;
    };
    subscription = must(bus->subscribe(wanted, [this, handle = std::move(handle)](Delivery& each) {
      note_start(each);
      each.tx().state().put(effect(each.event().id), "yes");
      const auto outcome = handle(each);
      note_over(each);
      return outcome;
    }));
    return Subscribed(*this);
  }
  /// What is of type "first" makes way for the raced one, which has begun until `cancel` returns.
  std::function<Outcome(Delivery&)> first_makes_way(const Delay& delay) {
    return [this, &delay](Delivery& delivery) {
      if (delivery.event().type == "first") {
        spin_until(begun);
        spin_until(steady_clock::now() + delay.theirs());
      } else {
        spin_until(may_return);
      }
      return Outcome::ack();
    };
  }
  void note_start(const Delivery& delivery) {
    const std::lock_guard lock(mutex);
    auto& mine = seen[delivery.event().id];
    ++mine.starts;
    mine.over = false;
    mine.stop = delivery.stop_token();
    mine.stopped_at_start = mine.stop->stop_requested();
    ++started;
  }
  void note_over(const Delivery& delivery) {
    const std::lock_guard lock(mutex);
    seen[delivery.event().id].over = true;
  }
  static std::string effect(EventId id) { return "effect/" + to_string(id); }

  /// Before each race.
  void reset() {
    const std::lock_guard lock(mutex);
    seen.clear();
    may_return = begun = left = false;
    started = settled = 0;
  }
  template <typename What>
  CancelReceipt cancel(const What& what) {
    auto receipt = must(bus->cancel(what));
    {
      const std::lock_guard lock(mutex);
      for (auto& [id, mine] : seen) {
        mine.ran_at_return = mine.stop.has_value();
        mine.stopped_at_return = mine.ran_at_return && mine.stop->stop_requested();
        mine.over_at_return = mine.over;
      }
    }
    may_return = true;
    return receipt;
  }
  void wait_settled(int count) {
    while (settled < count) std::this_thread::yield();
  }
  void wait_cancelled(EventId id) {
    const auto is_cancelled = [&] {
      const std::lock_guard lock(mutex);
      return seen[id].how == Settled::cancelled;
    };
    while (!is_cancelled()) std::this_thread::yield();
  }

  /// `before`: how often it had run, to its end, before it was raced for.
  void check(EventId id, CancelOutcome outcome, int before = 0) {
    ++counts[outcome];
    const std::lock_guard lock(mutex);
    const auto& mine = seen[id];
    const auto what = to_string(id) + ", " + std::string(to_string(outcome));
    ASSERT_TRUE(mine.how.has_value()) << what;
    const bool has_effect = must(bus->state("s", effect(id))).has_value();
    if (outcome == CancelOutcome::too_late) {
      EXPECT_EQ(*mine.how, Settled::acked) << what;
      EXPECT_TRUE(has_effect) << what;
      EXPECT_EQ(mine.cleanups, 0) << what;
      EXPECT_EQ(mine.starts, before + 1) << what;
      return;
    }
    EXPECT_EQ(*mine.how, Settled::cancelled) << what;
    EXPECT_FALSE(has_effect) << what;
    EXPECT_EQ(mine.cleanups, mine.starts > 0 ? 1 : 0) << what;
    if (outcome == CancelOutcome::prevented) {
      EXPECT_EQ(mine.starts, before) << what << ": a handler started";
    } else {
      // A worker can have had it that had not called the handler yet; where it has called it by
      // now, the handler finds itself asked to stop.
      EXPECT_LE(mine.starts, before + 1) << what;
      if (mine.ran_at_return && mine.starts > before) {
        EXPECT_TRUE(mine.stopped_at_return || mine.over_at_return) << what;
      }
      if (!mine.ran_at_return && mine.starts > before) {
        EXPECT_TRUE(mine.stopped_at_start) << what;
      }
      if (mine.starts > before) ++(mine.stopped_at_start ? asked_before : asked_while);
    }
  }

  /// Each of these was possible; of the others none happens.
  void judge(const std::vector<CancelOutcome>& possible) {
    std::uint64_t all = 0;
    for (const auto& [outcome, count] : counts) all += count;
    std::cout << ::testing::UnitTest::GetInstance()->current_test_info()->name() << ": " << all;
    for (const auto outcome :
         {CancelOutcome::prevented, CancelOutcome::signalled, CancelOutcome::too_late}) {
      std::cout << ", " << to_string(outcome) << ' ' << counts[outcome];
      const bool is_possible =
          std::find(possible.begin(), possible.end(), outcome) != possible.end();
      if (!is_possible) {
        EXPECT_EQ(counts[outcome], 0U) << to_string(outcome);
      } else if (possible.size() == 1) {
        EXPECT_EQ(counts[outcome], all) << to_string(outcome);
      } else if (races() >= kLongForm) {
        EXPECT_GE(counts[outcome] * 20, all) << to_string(outcome);
      }
    }
    std::cout << " (asked to stop before it began " << asked_before << ", while it ran "
              << asked_while << ")\n";
  }

  std::mutex mutex;
  std::map<EventId, Seen> seen;
  std::atomic<bool> may_return{false};  // the cancel has returned
  std::atomic<bool> begun{false};
  std::atomic<bool> left{false};
  std::atomic<int> started{0};
  std::atomic<int> settled{0};
  std::map<CancelOutcome, std::uint64_t> counts;
  std::uint64_t asked_before = 0;
  std::uint64_t asked_while = 0;
  std::optional<Subscription> subscription;
};

constexpr auto kPrevented = CancelOutcome::prevented;
constexpr auto kSignalled = CancelOutcome::signalled;
constexpr auto kTooLate = CancelOutcome::too_late;

/// It waits for the one slot there is, and becomes free to be taken when the cancel comes.
TEST_F(CancelRace, Ready) {
  Delay delay(nanoseconds(0), std::chrono::microseconds(5));
  const auto subscribed = subscribe(first_makes_way(delay), {}, 1);
  for (std::uint64_t i = 0; i < races(); ++i) {
    reset();
    publish("first");
    while (started == 0) std::this_thread::yield();
    const auto id = publish("a").id;
    begun = true;
    spin_until(steady_clock::now() + delay.mine());
    const auto receipt = cancel(id);
    wait_settled(2);
    ASSERT_NO_FATAL_FAILURE(check(id, receipt.outcome));
    delay.was(receipt.outcome == kPrevented);
    if (HasFailure()) return;
  }
  judge({kPrevented, kSignalled});
}

TEST_F(CancelRace, Scheduled) {
  const auto subscribed = subscribe([this](Delivery&) {
    spin_until(may_return);
    return Outcome::ack();
  });
  constexpr auto kAhead = std::chrono::milliseconds(2);
  Delay delay(kAhead, std::chrono::microseconds(50));
  for (std::uint64_t i = 0; i < races(); ++i) {
    reset();
    const auto begin = steady_clock::now();
    const auto now = std::chrono::system_clock::now() + kAhead;
    const auto when = nanoseconds(now.time_since_epoch()).count();
    const auto id = must(bus->publish({.type = "a", .not_before = when})).id;
    spin_until(begin + delay.mine());
    const auto receipt = cancel(id);
    wait_settled(1);
    ASSERT_NO_FATAL_FAILURE(check(id, receipt.outcome));
    delay.was(receipt.outcome == kPrevented);
    if (HasFailure()) return;
  }
  judge({kPrevented, kSignalled});
}

TEST_F(CancelRace, LeasedAndNotWithItsHandlerYet) {
  Delay delay(nanoseconds(0), std::chrono::microseconds(5));
  const auto subscribed = subscribe(
      [this](Delivery&) {
        spin_until(may_return);
        return Outcome::ack();
      },
      [&](const EventView&) {
        begun = true;
        spin_until(steady_clock::now() + delay.theirs());
        return true;
      });
  for (std::uint64_t i = 0; i < races(); ++i) {
    reset();
    const auto id = publish("a").id;
    spin_until(begun);
    spin_until(steady_clock::now() + delay.mine());
    const auto before = asked_before;
    const auto receipt = cancel(id);
    wait_settled(1);
    ASSERT_NO_FATAL_FAILURE(check(id, receipt.outcome));
    delay.was(asked_before > before);
    if (HasFailure()) return;
  }
  judge({kSignalled});
  if (races() >= kLongForm) {
    EXPECT_GE(asked_before * 20, races());
    EXPECT_GE(asked_while * 20, races());
  }
}

TEST_F(CancelRace, InItsHandler) {
  Delay delay(nanoseconds(0), std::chrono::microseconds(5));
  const auto subscribed = subscribe([&](Delivery&) {
    begun = true;
    spin_until(steady_clock::now() + delay.theirs());
    return Outcome::ack();
  });
  for (std::uint64_t i = 0; i < races(); ++i) {
    reset();
    const auto id = publish("a").id;
    spin_until(begun);
    spin_until(steady_clock::now() + delay.mine());
    const auto receipt = cancel(id);
    wait_settled(1);
    ASSERT_NO_FATAL_FAILURE(check(id, receipt.outcome));
    delay.was(receipt.outcome != kTooLate);
    if (HasFailure()) return;
  }
  judge({kSignalled, kTooLate});
}

TEST_F(CancelRace, WaitingForItsRetry) {
  constexpr auto kWait = std::chrono::milliseconds(2);
  std::atomic<steady_clock::time_point> returned;
  const auto subscribed = subscribe([&](Delivery& delivery) {
    if (delivery.attempt() == 1) {
      returned = steady_clock::now();
      left = true;
      return Outcome::retry_after(kWait);
    }
    spin_until(may_return);
    return Outcome::ack();
  });
  Delay delay(kWait, std::chrono::microseconds(50));
  for (std::uint64_t i = 0; i < races(); ++i) {
    reset();
    const auto id = publish("a").id;
    spin_until(left);
    // Its answer is in: what is raced for is the second run.
    while (bus->stats().subscriptions.at(0).retried == i) std::this_thread::yield();
    spin_until(returned.load() + delay.mine());
    const auto receipt = cancel(id);
    wait_settled(1);
    ASSERT_NO_FATAL_FAILURE(check(id, receipt.outcome, 1));
    delay.was(receipt.outcome == kPrevented);
    if (HasFailure()) return;
  }
  judge({kPrevented, kSignalled});
}

TEST_F(CancelRace, InABatchUnderOneToken) {
  constexpr std::size_t kMembers = 4;
  constexpr auto kRun = std::chrono::microseconds(30);
  const auto subscribed = subscribe([&](Delivery&) {
    spin_until(steady_clock::now() + kRun);
    return Outcome::ack();
  });
  // In turn close to where members begin, and to where they end.
  std::array<Delay, 2> delays = {
      Delay(std::chrono::microseconds(20), std::chrono::microseconds(5)),
      Delay(std::chrono::microseconds(80), std::chrono::microseconds(5))};
  for (std::uint64_t i = 0; i < races(); ++i) {
    reset();
    const auto token = must(bus->make_token({}));
    std::vector<OwnedEvent> events(kMembers);
    for (auto& each : events) {
      each.type = "a";
      each.token = token;
    }
    const auto batch = must(bus->publish_batch(events));
    auto& delay = delays.at(i % 2);
    spin_until(steady_clock::now() + delay.mine());
    const auto receipt = cancel(token);
    wait_settled(kMembers);
    ASSERT_EQ(receipt.events.size(), kMembers);
    std::map<CancelOutcome, std::uint64_t> told;
    for (const auto& each : receipt.events) {
      ASSERT_NO_FATAL_FAILURE(check(each.id, each.outcome));
      ++told[each.outcome];
    }
    EXPECT_EQ(receipt.prevented, told[kPrevented]);
    EXPECT_EQ(receipt.signalled, told[kSignalled]);
    EXPECT_EQ(receipt.too_late, told[kTooLate]);
    delay.was(i % 2 == 0 ? told[kPrevented] * 2 > kMembers : told[kTooLate] * 2 < kMembers);
    if (HasFailure()) return;
  }
  judge({kPrevented, kSignalled, kTooLate});
}

/// The second of two waits for its turn, which comes with the ack of the first when the cancel
/// does.
TEST_F(CancelRace, InAnOperation) {
  Delay delay(nanoseconds(0), std::chrono::microseconds(5));
  const auto subscribed = subscribe(first_makes_way(delay));
  const std::vector<OwnedEvent> events{{.type = "first"}, {.type = "second"}};
  for (std::uint64_t i = 0; i < races(); ++i) {
    reset();
    const auto batch = must(bus->publish_batch(events, {.operation = OperationOptions{}}));
    const auto first = batch.receipts[0].id;
    const auto second = batch.receipts[1].id;
    while (started == 0) std::this_thread::yield();
    begun = true;
    spin_until(steady_clock::now() + delay.mine());
    const auto receipt = cancel(second);
    must(bus->wait_settled(batch.operation_id, std::chrono::seconds(60)));
    // Of what has ended, each is told a little later. The first may have been acked before, and is
    // told twice then.
    wait_cancelled(first);
    wait_cancelled(second);
    EXPECT_EQ(must(bus->operation(batch.operation_id)).state, OperationState::rolled_back);
    ASSERT_NO_FATAL_FAILURE(check(second, receipt.outcome));
    {
      const std::lock_guard lock(mutex);
      EXPECT_EQ(seen[first].cleanups, 1) << "what the first did is not undone, or twice";
    }
    delay.was(receipt.outcome == kPrevented);
    if (HasFailure()) return;
  }
  judge({kPrevented, kSignalled});
}

/// The handler has said all it has to say, and nothing of it is written.
TEST_F(CancelRace, AckedAndNotDurableYet) {
  Delay delay(nanoseconds(0), std::chrono::microseconds(2));
  // The handler of the round before may still be about to leave when this one begins.
  std::atomic<std::uint64_t> answered{0};
  const auto subscribed = subscribe([&](Delivery& delivery) {
    begun = true;
    auto answer = delivery.defer();
    spin_until(steady_clock::now() + delay.theirs());
    note_over(delivery);
    (void)answer.settle(Outcome::ack());
    ++answered;
    return Outcome::ack();
  });
  for (std::uint64_t i = 0; i < races(); ++i) {
    reset();
    const auto id = publish("a").id;
    if (delay.theirs() > nanoseconds(0)) {
      spin_until(begun);
    } else {
      while (answered <= i) std::this_thread::yield();
    }
    spin_until(steady_clock::now() + delay.mine());
    const auto receipt = cancel(id);
    wait_settled(1);
    ASSERT_NO_FATAL_FAILURE(check(id, receipt.outcome));
    delay.was(receipt.outcome != kTooLate);
    if (HasFailure()) return;
  }
  judge({kSignalled, kTooLate});
}

TEST_F(CancelRace, Settled) {
  const auto subscribed = subscribe([](Delivery&) { return Outcome::ack(); });
  for (std::uint64_t i = 0; i < races(); ++i) {
    reset();
    const auto id = publish("a").id;
    wait_settled(1);
    // Two at once, and neither changes anything.
    std::atomic<bool> go{false};
    std::optional<CancelReceipt> other;
    std::thread second([&] {
      spin_until(go);
      other = must(bus->cancel(id));
    });
    go = true;
    const auto receipt = cancel(id);
    second.join();
    ASSERT_NO_FATAL_FAILURE(check(id, receipt.outcome));
    EXPECT_EQ(other->outcome, kTooLate);
    EXPECT_FALSE(receipt.already_cancelled || other->already_cancelled);
    EXPECT_EQ(state_of(id), EventState::settled);
    if (HasFailure()) return;
  }
  judge({kTooLate});
}

}  // namespace
}  // namespace holdfast::testing
