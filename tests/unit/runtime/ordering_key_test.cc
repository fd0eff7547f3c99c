// SPDX-License-Identifier: MIT
// Events with an ordering key: one at a time and in order, whatever their lanes, over retries and
// restarts; and publishing only behind a certain one.
#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/bus_test.h"

namespace holdfast::testing {
namespace {

/// Runs of each key: whether two were ever at work at once, and in which order they ended.
class PerKey {
 public:
  void enter(const std::string& key) {
    const std::lock_guard lock(mutex_);
    if (!inside_.insert(key).second) overlapped_ = true;
  }
  void leave(const std::string& key, int number, bool ended) {
    const std::lock_guard lock(mutex_);
    inside_.erase(key);
    if (ended) ended_[key].push_back(number);
  }
  [[nodiscard]] bool overlapped() const {
    const std::lock_guard lock(mutex_);
    return overlapped_;
  }
  [[nodiscard]] std::map<std::string, std::vector<int>> ended() const {
    const std::lock_guard lock(mutex_);
    return ended_;
  }
  [[nodiscard]] std::size_t count() const {
    const std::lock_guard lock(mutex_);
    std::size_t count = 0;
    for (const auto& [key, numbers] : ended_) count += numbers.size();
    return count;
  }

 private:
  mutable std::mutex mutex_;
  std::set<std::string> inside_;
  std::map<std::string, std::vector<int>> ended_;
  bool overlapped_ = false;
};

/// A bus, and handlers that tell of each key.
class OrderingBench : protected BusBench {
 protected:
  /// Publishes `count` of each of `keys`, in turns, over all lanes.
  void publish_all(int keys, int count) {
    for (int number = 0; number < count; ++number) {
      for (int key = 0; key < keys; ++key) {
        const auto payload = std::to_string(number);
        const auto name = "key " + std::to_string(key);
        must(bus->publish({.type = "a.b",
                           .payload = payload,
                           .priority = kAllPriorities[(number * 7 + key) % 4],
                           .ordering_key = name},
                          {.durability = Durability::os}));
      }
    }
  }
  Handler in_order(PerKey& keys, bool fails) {
    return [this, &keys, fails](Delivery& delivery) {
      const std::string key(delivery.event().ordering_key);
      const auto number = std::stoi(std::string(delivery.event().payload_text()));
      keys.enter(key);
      std::this_thread::yield();
      // Some fail once or twice, some ask to be called later.
      const bool again = fails && delivery.attempt() <= 2 && number % 3 == 0;
      const bool later = fails && number % 5 == 1 && later_.fetch_add(1) % 2 == 0;
      keys.leave(key, number, !again && !later);
      if (later) return Outcome::snooze(std::chrono::milliseconds(1));
      return again ? Outcome::retry_after(std::chrono::milliseconds(1)) : Outcome::ack();
    };
  }
  static void expect_in_order(const PerKey& keys, std::size_t key_count, int count) {
    EXPECT_FALSE(keys.overlapped());
    const auto ended = keys.ended();
    EXPECT_EQ(ended.size(), key_count);
    for (const auto& [key, numbers] : ended) {
      EXPECT_EQ(numbers.size(), static_cast<std::size_t>(count));
      EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end())) << key;
    }
  }
  std::atomic<int> later_{0};
};

class OrderingKeys : public ::testing::TestWithParam<Store>, protected OrderingBench {
 protected:
  OrderingKeys() { options.in_memory = GetParam() == Store::memory; }
};
HOLDFAST_ON_BOTH_STORES(OrderingKeys);

TEST_P(OrderingKeys, AreHandledOneAtATimeAndInOrderOverAllLanes) {
  open();
  PerKey keys;
  const auto s = must(bus->subscribe({.name = "s", .concurrency = 8}, in_order(keys, false)));
  publish_all(5, 40);
  ASSERT_TRUE(eventually([&] { return keys.count() == 200; }));
  expect_in_order(keys, 5, 40);
}

TEST_P(OrderingKeys, KeepTheirOrderOverRetriesAndSnoozes) {
  open();
  PerKey keys;
  const auto s = must(bus->subscribe({.name = "s", .concurrency = 8}, in_order(keys, true)));
  publish_all(4, 20);
  ASSERT_TRUE(eventually([&] { return keys.count() == 80; }));
  expect_in_order(keys, 4, 20);
}

TEST_P(OrderingKeys, AreInOrderForWhoComesLateAsWell) {
  open();
  publish_all(3, 20);
  PerKey keys;
  const auto s = must(bus->subscribe({.name = "s", .concurrency = 8}, in_order(keys, true)));
  ASSERT_TRUE(eventually([&] { return keys.count() == 60; }));
  expect_in_order(keys, 3, 20);
}

TEST_P(OrderingKeys, DoNotHoldUpOtherEvents) {
  open();
  Signal let_go;
  Collected<std::string> done;
  const auto s = must(bus->subscribe({.name = "s", .concurrency = 8}, [&](Delivery& delivery) {
    if (delivery.event().payload_text() == "first") let_go.wait();
    done.add(std::string(delivery.event().payload_text()));
  }));
  must(bus->publish({.type = "a", .payload = "first", .ordering_key = "k"}));
  must(bus->publish({.type = "a", .payload = "second", .ordering_key = "k"}));
  must(bus->publish({.type = "a", .payload = "other", .ordering_key = "l"}));
  must(bus->publish({.type = "a", .payload = "none"}));
  ASSERT_TRUE(done.wait_for_count(2));
  EXPECT_TRUE(eventually([&] { return stats_of("s").held == 1; }));
  let_go.set();
  ASSERT_TRUE(done.wait_for_count(4));
  EXPECT_EQ(done.all()[2], "first");
  EXPECT_EQ(done.all()[3], "second");
  EXPECT_TRUE(eventually([&] { return stats_of("s").held == 0; }));
}

TEST_P(OrderingKeys, ACancelledOneLetsTheNextGoOn) {
  open();
  Signal let_go;
  Collected<std::string> done;
  const auto s = must(bus->subscribe({.name = "s", .concurrency = 4}, [&](Delivery& delivery) {
    if (delivery.event().payload_text() == "first") let_go.wait();
    done.add(std::string(delivery.event().payload_text()));
  }));
  must(bus->publish({.type = "a", .payload = "first", .ordering_key = "k"}));
  const auto second =
      must(bus->publish({.type = "a", .payload = "second", .ordering_key = "k"})).id;
  must(bus->publish({.type = "a", .payload = "third", .ordering_key = "k"}));
  ASSERT_TRUE(eventually([&] { return stats_of("s").held == 2; }));
  const auto cancelled = must(bus->cancel(second));
  EXPECT_EQ(cancelled.outcome, CancelOutcome::prevented) << "it only waits for its key";
  let_go.set();
  ASSERT_TRUE(done.wait_for_count(2));
  EXPECT_EQ(done.all()[1], "third");
}

class OrderingKeysOnDisk : public ::testing::Test, protected OrderingBench {};

TEST_F(OrderingKeysOnDisk, KeepTheirOrderOverARestart) {
  open();
  {
    const auto s = must(bus->subscribe({.name = "s"}, [](Delivery&) {
      return Outcome::retry_after(std::chrono::milliseconds(5));
    }));
    must(bus->publish(
        {.type = "a", .payload = "0", .priority = Priority::low, .ordering_key = "key 0"}));
    ASSERT_TRUE(eventually([&] { return stats_of("s").retried > 0; }));
  }
  reopen();
  // Published by another run of the bus, and more urgent.
  must(bus->publish(
      {.type = "a", .payload = "1", .priority = Priority::critical, .ordering_key = "key 0"}));
  PerKey keys;
  const auto s = must(bus->subscribe({.name = "s", .concurrency = 4}, in_order(keys, false)));
  ASSERT_TRUE(eventually([&] { return keys.count() == 2; }));
  expect_in_order(keys, 1, 2);
}

TEST_F(OrderingKeysOnDisk, APublishBehindACertainEventIsRefusedBehindAnother) {
  open();
  const Event event{.type = "a", .ordering_key = "account 7"};
  const auto behind = [&](EventId last) { return bus->publish(event, {.expect_last = last}); };
  EXPECT_TRUE(fails(behind({Priority::normal, 5}), StatusCode::conflict, {"account 7", "none"}));
  const auto first = must(behind({}));
  EXPECT_TRUE(fails(behind({}), StatusCode::conflict, {to_string(first.id)}));
  const auto second = must(behind(first.id));
  EXPECT_TRUE(fails(behind(first.id), StatusCode::conflict, {to_string(second.id)}));
  reopen();
  EXPECT_TRUE(fails(behind(first.id), StatusCode::conflict, {to_string(second.id)}));
  const auto third = must(behind(second.id));
  EXPECT_EQ(third.id.sequence, second.id.sequence + 1) << "what was refused took no sequence";
  EXPECT_TRUE(fails(bus->publish({.type = "a"}, {.expect_last = first.id}),
                    StatusCode::invalid_argument, {"ordering key"}));
}

TEST_P(OrderingKeys, OfManyWhoPublishBehindTheSameEventOneDoes) {
  open();
  constexpr int kThreads = 4;
  for (int round = 0; round < 20; ++round) {
    const auto key = "key " + std::to_string(round);
    std::atomic<int> won{0};
    std::atomic<int> lost{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        const auto result =
            bus->publish({.type = "a", .ordering_key = key}, {.expect_last = EventId{}});
        if (result.ok()) ++won;
        if (result.status() == StatusCode::conflict) ++lost;
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(won, 1);
    EXPECT_EQ(lost, kThreads - 1);
  }
}

TEST_P(OrderingKeys, AKeyThatIsTooLongIsRefused) {
  open();
  const std::string key(256, 'k');
  EXPECT_TRUE(fails(bus->publish({.type = "a", .ordering_key = key}), StatusCode::invalid_argument,
                    {"ordering key", "256", "255"}));
}

}  // namespace
}  // namespace holdfast::testing
