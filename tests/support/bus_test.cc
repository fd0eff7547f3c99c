// SPDX-License-Identifier: MIT
#include "support/bus_test.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace holdfast::testing {

::testing::AssertionResult is_ok(const Status& status) {
  if (status.ok()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << status.to_string();
}

::testing::AssertionResult fails(const Status& status, StatusCode code,
                                 const std::vector<std::string>& parts) {
  if (status.code() != code) {
    return ::testing::AssertionFailure()
           << "expected " << to_string(code) << ", got " << status.to_string();
  }
  for (const auto& part : parts) {
    if (status.message().find(part) != std::string::npos) continue;
    return ::testing::AssertionFailure()
           << "\"" << part << "\" is not in \"" << status.message() << "\"";
  }
  return ::testing::AssertionSuccess();
}

void give_up(const Status& status) {
  std::fprintf(stderr, "unexpected: %s\n", status.to_string().c_str());
  std::abort();
}

std::vector<std::string> Runs::payloads() const {
  std::vector<std::string> payloads;
  for (const auto& run : all()) payloads.push_back(run.payload);
  return payloads;
}

std::vector<EventId> Runs::ids() const {
  std::vector<EventId> ids;
  for (const auto& run : all()) ids.push_back(run.id);
  return ids;
}

BusBench::BusBench() {
  // What is not a test of group commit need not wait for the disk.
  options.durability = Durability::os;
}

BusBench::~BusBench() = default;

void BusBench::open() { bus = must(Bus::open(path(), options)); }

void BusBench::reopen() {
  if (bus != nullptr) {
    must(bus->close());
    bus.reset();
  }
  bus = must(Bus::open(path(), options));
}

Receipt BusBench::publish(std::string_view type, std::string_view payload, Priority priority) {
  return must(bus->publish({.type = type, .payload = payload, .priority = priority}));
}

BatchReceipt BusBench::publish_many(std::string_view type, std::size_t count, Priority priority) {
  std::vector<OwnedEvent> events;
  events.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    events.push_back(
        {.type = std::string(type), .payload = std::to_string(i), .priority = priority});
  }
  return must(bus->publish_batch(events));
}

EventState BusBench::state_of(EventId id) const {
  const auto stored = must(bus->get(id));
  if (!stored.has_value()) give_up({StatusCode::not_found, to_string(id)});
  return stored->state;
}

SubscriptionStats BusBench::stats_of(std::string_view subscription) const {
  for (auto& each : bus->stats().subscriptions) {
    if (each.name == subscription) return each;
  }
  return {};
}

void BusBench::give_every_worker_an_occasion() {
  Collected<int> done;
  const auto noise =
      must(bus->subscribe({.types = {"noise"}, .concurrency = 8}, [&](Delivery&) { done.add(0); }));
  for (int i = 0; i < 50; ++i) {
    for (const auto lane : kAllPriorities) publish("noise", {}, lane);
  }
  EXPECT_TRUE(done.wait_for_count(200));
}

std::vector<std::pair<EventId, EventState>> BusBench::scan(const ScanFilter& filter) const {
  std::vector<std::pair<EventId, EventState>> found;
  must(bus->scan(filter, [&](const EventView& event, EventState state) {
    found.emplace_back(event.id, state);
    return true;
  }));
  return found;
}

std::vector<OwnedEvent> members(const std::vector<std::string>& payloads) {
  std::vector<OwnedEvent> events;
  for (const auto& payload : payloads) events.push_back({.type = "a.b", .payload = payload});
  return events;
}

RetryPolicy retry_at_once(std::uint32_t attempts) {
  return {.attempts_max = attempts,
          .backoff_first = std::chrono::milliseconds(0),
          .backoff_max = std::chrono::milliseconds(0),
          .jitter = 0};
}

std::string store_name(const ::testing::TestParamInfo<Store>& info) {
  return info.param == Store::memory ? "Memory" : "Disk";
}

}  // namespace holdfast::testing
