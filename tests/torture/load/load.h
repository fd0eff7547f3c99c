// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "holdfast/holdfast.h"
#include "load/books.h"
#include "load/latencies.h"

namespace holdfast::testing {

struct LoadOptions {
  std::uint64_t seconds = 60;
  std::uint64_t seed = 1;
  std::uint64_t rate = 3'000;          ///< Events a second, of all publishers together.
  std::size_t payload_bytes = 1'024;   ///< On average.
  std::uint64_t backlog_max = 20'000;  ///< Publishers wait while so many events are not done.
  Options bus{};
};

/// What an event is like, and by that alone who wants it.
struct LoadEvent {
  std::size_t kind = 0;  ///< Its type is "load.k<kind>".
  Priority priority = Priority::normal;
  bool from_user = false;
  std::size_t shard = 0;  ///< In its metadata.
};

/// Four publishers, and a hundred subscriptions of which some are slow, fail, give up or run into
/// their time-out, on one bus.
class MixedLoad {
 public:
  static constexpr std::size_t kPublishers = 4;
  static constexpr std::size_t kDurable = 80;
  static constexpr std::size_t kEphemeral = 20;

  MixedLoad(const LoadOptions& options, const std::string& folder);
  ~MixedLoad();
  MixedLoad(const MixedLoad&) = delete;
  MixedLoad& operator=(const MixedLoad&) = delete;

  void begin_publishing();
  void end_publishing();
  /// Waits until everything is done, or for `kPatience`.
  void finish();
  /// Closes and opens the bus, and sees that everything that was not done is still owed.
  void check_what_is_left();

  [[nodiscard]] Stats stats() const { return bus_->stats(); }
  Books& books() { return books_; }
  /// From before the publish to the beginning of a handler, of critical events; since it was called
  /// last.
  Latencies take_latencies();
  [[nodiscard]] std::uint64_t deliveries() const { return deliveries_; }
  [[nodiscard]] std::uint64_t retries() const { return retries_; }
  [[nodiscard]] std::uint64_t time_outs() const { return time_outs_; }

 private:
  void subscribe();
  void subscribe_durable(std::size_t number);
  Outcome handle(std::size_t number, Delivery& delivery);
  void publish_for_a_while(std::size_t number, const std::stop_token& stop);
  void publish(std::mt19937_64& random, std::size_t count);
  bool wait(std::stop_token stop, std::chrono::microseconds time);
  [[nodiscard]] std::string name_of(std::size_t number) const;

  const LoadOptions options_;
  const std::string path_;
  Books books_;
  std::mutex mutex_;  // guards the latencies, and is what waiting is on
  std::condition_variable_any nothing_;
  Latencies latencies_;
  std::atomic<std::uint64_t> deliveries_{0};
  std::atomic<std::uint64_t> retries_{0};
  std::atomic<std::uint64_t> time_outs_{0};
  std::unique_ptr<Bus> bus_;
  std::vector<Subscription> subscriptions_;
  std::vector<std::jthread> publishers_;
};

}  // namespace holdfast::testing
