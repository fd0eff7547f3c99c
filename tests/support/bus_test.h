// SPDX-License-Identifier: MIT
#pragma once

// What tests of the whole bus share: a bus in memory or on disk, and short words for what they do.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "holdfast/holdfast.h"
#include "support/temp_folder.h"
#include "support/waiting.h"

namespace holdfast::testing {

inline const Status& status_of(const Status& status) { return status; }
template <typename T>
const Status& status_of(const Result<T>& result) {
  return result.status();
}

::testing::AssertionResult is_ok(const Status& status);
template <typename T>
::testing::AssertionResult is_ok(const Result<T>& result) {
  return is_ok(result.status());
}

/// Whether `status` is an error with this code whose message has all these parts.
::testing::AssertionResult fails(const Status& status, StatusCode code,
                                 const std::vector<std::string>& parts = {});
template <typename T>
::testing::AssertionResult fails(const Result<T>& result, StatusCode code,
                                 const std::vector<std::string>& parts = {}) {
  if (result.ok()) return ::testing::AssertionFailure() << "it succeeded";
  return fails(result.status(), code, parts);
}

[[noreturn]] void give_up(const Status& status);
/// The value; the end of the test program when there is none.
template <typename T>
T must(Result<T> result) {
  if (!result.ok()) give_up(result.status());
  return *std::move(result);
}
inline void must(const Status& status) {
  if (!status.ok()) give_up(status);
}

/// One call of a handler.
struct Run {
  EventId id;
  std::uint32_t attempt = 0;
  std::string type;
  std::string payload;
};

/// The calls of one or several handlers, in their order.
class Runs : public Collected<Run> {
 public:
  std::size_t note(const Delivery& delivery) {
    return add({delivery.event().id, delivery.attempt(), std::string(delivery.event().type),
                std::string(delivery.event().payload_text())});
  }
  [[nodiscard]] std::vector<std::string> payloads() const;
  [[nodiscard]] std::vector<EventId> ids() const;
};

/// What `on_settled` was told.
using Settlements = Collected<std::pair<EventId, Settled>>;

enum class Store : std::uint8_t { memory, disk };

/// A bus with its folder, and what tests ask of it.
class BusBench {
 public:
  BusBench();
  ~BusBench();

 protected:
  /// Opens `bus` with `options`.
  void open();
  /// Closes and opens it again: on disk only.
  void reopen();
  [[nodiscard]] std::string path() const { return folder_.inside("journal"); }

  Receipt publish(std::string_view type, std::string_view payload = {},
                  Priority priority = Priority::normal);
  /// `count` events of `type` whose payloads are their numbers from 0, in one batch.
  BatchReceipt publish_many(std::string_view type, std::size_t count,
                            Priority priority = Priority::normal);
  /// Whatever a worker may take beside its other work has been taken after this. Events of the type
  /// "noise" are for nobody else.
  void give_every_worker_an_occasion();
  [[nodiscard]] EventState state_of(EventId id) const;
  [[nodiscard]] SubscriptionStats stats_of(std::string_view subscription) const;
  /// Every event in the order of a scan.
  [[nodiscard]] std::vector<std::pair<EventId, EventState>> scan(
      const ScanFilter& filter = {}) const;

  Options options;

 private:
  TempFolder folder_;  // goes after the bus

 protected:
  std::unique_ptr<Bus> bus;
};

/// Tests of what holds for both stores.
class BusTest : public ::testing::TestWithParam<Store>, protected BusBench {
 protected:
  BusTest() { options.in_memory = GetParam() == Store::memory; }
};

/// Tests of what files alone can do.
class DiskBusTest : public ::testing::Test, protected BusBench {};

/// Events of the type `a.b`, one for each payload: the members of a batch.
std::vector<OwnedEvent> members(const std::vector<std::string>& payloads);

/// A policy of `attempts` that come again as soon as the clock has ticked.
RetryPolicy retry_at_once(std::uint32_t attempts);

std::string store_name(const ::testing::TestParamInfo<Store>& info);

// NOLINTNEXTLINE(cppcoreguidelines-macro-usage)
#define HOLDFAST_ON_BOTH_STORES(suite)                                                         \
  INSTANTIATE_TEST_SUITE_P(                                                                    \
      On, suite,                                                                               \
      ::testing::Values(::holdfast::testing::Store::memory, ::holdfast::testing::Store::disk), \
      ::holdfast::testing::store_name)

}  // namespace holdfast::testing
