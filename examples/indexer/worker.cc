// SPDX-License-Identifier: MIT
#include "indexer/worker.h"

#include <cstdint>
#include <iostream>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include <holdfast/holdfast.h>
#include <holdfast/throwing.h>

#include "indexer/events.h"
#include "indexer/hasher.h"
#include "indexer/walker.h"

namespace indexer {

namespace {

constexpr std::chrono::milliseconds kReportEvery(5);

/// Writes a line at once. Whoever started us and reads no longer is gone, and there is nothing to
/// go on for.
template <typename... Parts>
void say(const Parts&... parts) {
  ((std::cout << parts), ...);
  if (!(std::cout << std::endl)) throw std::runtime_error("nobody listens any more");
}

/// A subscription's own counts. Throws when it stands still, since nobody would ever finish then.
const holdfast::SubscriptionStats& find(const holdfast::Stats& stats, std::string_view name) {
  for (const auto& subscription : stats.subscriptions) {
    if (subscription.name != name) continue;
    if (!subscription.blocked.empty()) throw std::runtime_error(subscription.blocked);
    return subscription;
  }
  throw std::runtime_error("there is no subscription " + std::string(name));
}

/// The events that it has still to settle.
std::uint64_t left_for(const holdfast::SubscriptionStats& subscription) {
  std::uint64_t left = 0;
  for (const auto& lane : subscription.lanes) left += lane.ready + lane.leased + lane.scheduled;
  return left;
}

std::uint64_t count_hashed(const holdfast::Bus& bus) {
  std::uint64_t count = 0;
  unwrap(bus.scan_state(kHasherName, "", [&](std::string_view, std::string_view) {
    ++count;
    return true;
  }));
  return count;
}

void wait_until_indexed(const holdfast::Bus& bus, std::uint64_t hashed_before) {
  while (true) {
    const auto stats = bus.stats();
    if (!stats.health) throw holdfast::StatusError(stats.health);
    const auto& hasher = find(stats, kHasherName);
    const auto& lane = hasher.lanes[static_cast<std::size_t>(kFilePriority)];
    const auto left = left_for(hasher);
    say("progress ", hashed_before + hasher.acked + lane.dead, ' ', left);
    // Follow-up events count from the very commit that takes away what they follow from. So there
    // is no moment at which both are nothing and something is still to come.
    if (left == 0 && left_for(find(stats, kWalkerName)) == 0) return;
    std::this_thread::sleep_for(kReportEvery);
  }
}

}  // namespace

int work(const WorkOptions& options) {
  const auto bus =
      unwrap(holdfast::Bus::open(options.journal,
                                 // A worker takes events at least as urgent as its class: four for
                                 // files, and one more for folders.
                                 {.workers = {.critical = 0, .high = 1, .normal = 3, .low = 1}}));
  const auto& recovery = bus->recovery();
  say("open ", std::accumulate(recovery.pending.begin(), recovery.pending.end(), std::uint64_t{0}),
      ' ', recovery.suspects.size());

  const auto hashed_before = count_hashed(*bus);
  // In any order: a new subscription begins with the earliest event that is kept.
  const auto hasher = start_hasher(*bus, options.hold);
  const auto walker = start_walker(*bus, options.journal);
  plant_root(*bus, options.root);
  wait_until_indexed(*bus, hashed_before);

  // The last acks become durable here. Until then "done" would be a promise that a crash could
  // break.
  unwrap(bus->close());
  say("done");
  return 0;
}

}  // namespace indexer
