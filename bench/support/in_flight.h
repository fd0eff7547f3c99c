// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <stop_token>
#include <thread>

#include "holdfast/bus.h"
#include "support/load.h"
#include "support/measure.h"

namespace holdfast::bench {

/// Publishes batches, so many of them at a time on their way to the disk.
class InFlight {
 public:
  static constexpr std::uint64_t kUsual = 4;

  explicit InFlight(Bus& bus, std::uint64_t limit = kUsual) : bus_(bus), gate_(limit) {}
  ~InFlight() { gate_.wait_empty(); }
  InFlight(const InFlight&) = delete;
  InFlight& operator=(const InFlight&) = delete;

  void publish(std::span<const OwnedEvent> batch) {
    gate_.enter();
    check(bus_.publish_batch_async(batch, [this](const Result<BatchReceipt>& receipt) {
      if (!receipt.ok()) failed_ = true;
      gate_.leave();
    }));
  }
  /// All of `load`'s events [0, events).
  void publish_all(const Load& load, std::uint64_t events) {
    for (std::uint64_t i = 0; i < events; i += load.batch_events()) publish(load.batch(i));
    wait();
  }
  /// Until everything is durable. Throws when something was not published.
  void wait() {
    gate_.wait_empty();
    require(!failed_, "a batch was not published");
  }

 private:
  Bus& bus_;
  Gate gate_;
  std::atomic<bool> failed_{false};
};

/// Publishes until it is destroyed.
class Publisher {
 public:
  Publisher(Bus& bus, const Load& load)
      : thread_([&bus, &load](const std::stop_token& stop) {
          InFlight flight(bus);
          for (std::uint64_t i = 0; !stop.stop_requested(); i += load.batch_events()) {
            flight.publish(load.batch(i));
          }
          flight.wait();
        }) {}

 private:
  std::jthread thread_;
};

}  // namespace holdfast::bench
