// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "torture/power_loss/book.h"
#include "torture/power_loss/machine.h"

namespace holdfast::testing {

/// What a round does. Drawn from the seed.
struct PowerLoadPlan {
  std::uint64_t number = 0;  ///< Of the round: keys are made of it.
  std::uint64_t seed = 0;
  std::uint32_t publishers = 1;
  std::uint32_t calls = 0;         ///< Of each publisher, if power lasts.
  std::uint32_t durable_of_8 = 4;  ///< How many publishes of eight are durable.
  std::uint32_t padding_max = 100;
  bool has_listeners = true;
  bool is_quiet = false;  ///< Nothing but publishes: what is not durable stays so for a while.
};

/// Publishers and handlers at work on a bus until power goes, or they are done. Everything that
/// they ask for and are told goes into the book.
class PowerLoad {
 public:
  PowerLoad(Bus& bus, PowerMachine& machine, PowerBook& book, PowerLoadPlan plan)
      : bus_(bus), machine_(machine), book_(book), plan_(plan) {}

  /// Ok, or why not: power may have gone.
  Status subscribe();
  /// Returns when every publisher has ended. A few times at most.
  void publish();
  /// Waits until nothing is owed that could be handled now, or power is off.
  void wait_handled();
  /// Waits until settled events have been trimmed, for some seconds, or power is off.
  void wait_trimmed();
  /// Cancels what nobody would otherwise end, and waits until nothing is owed at all.
  void finish();

 private:
  class Publisher;

  /// Whether nothing is owed that could be handled at once; and whether nothing is at all.
  [[nodiscard]] bool is_handled() const;
  [[nodiscard]] bool is_at_rest() const;
  [[nodiscard]] std::string what_is_owed() const;
  Outcome count(Delivery& delivery);
  Outcome compensate(Delivery& delivery);
  Outcome audit(Delivery& delivery);
  Outcome plain(Delivery& delivery);

  Bus& bus_;
  PowerMachine& machine_;
  PowerBook& book_;
  const PowerLoadPlan plan_;
  std::uint64_t threads_ = 0;  // so far
  std::vector<Subscription> subscriptions_;
};

}  // namespace holdfast::testing
