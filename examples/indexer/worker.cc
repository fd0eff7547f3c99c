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

/// The events that a subscription has still to settle. Throws when it stands still: nobody would
/// finish.
std::uint64_t left_for(const holdfast::Stats& stats, std::string_view name) {
  std::uint64_t left = 0;
  for (const auto& subscription : stats.subscriptions) {
    if (subscription.name != name) continue;
    if (!subscription.blocked.empty()) throw std::runtime_error(subscription.blocked);
    for (const auto& lane : subscription.lanes) left += lane.ready + lane.leased + lane.scheduled;
  }
  return left;
}

void wait_until_indexed(const holdfast::Bus& bus) {
  while (true) {
    const auto stats = bus.stats();
    if (!stats.health) throw holdfast::StatusError(stats.health);
    const auto folders = left_for(stats, kWalkerName);
    const auto files = left_for(stats, kHasherName);
    const auto& lane = stats.lanes[static_cast<std::size_t>(kFilePriority)];
    say("progress ", lane.published, ' ', files);
    // Follow-up events count from the very commit that takes away what they follow from. So there
    // is no moment at which both are nothing and something is still to come.
    if (folders == 0 && files == 0) return;
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

  // In any order: a new subscription begins with the earliest event that is kept.
  const auto hasher = start_hasher(*bus, options.hold);
  const auto walker = start_walker(*bus, options.journal);
  plant_root(*bus, options.root);
  wait_until_indexed(*bus);

  // The last acks become durable here. Until then "done" would be a promise that a crash could
  // break.
  unwrap(bus->close());
  say("done");
  return 0;
}

}  // namespace indexer
