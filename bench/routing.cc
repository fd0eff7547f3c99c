// SPDX-License-Identifier: MIT
// What does a subscription cost that an event is not for, and what one more that it is for? Events
// go their whole way, in batches of 1000.

#include <atomic>
#include <semaphore>
#include <string>
#include <vector>

#include "holdfast/bus.h"
#include "sections.h"
#include "support/in_flight.h"
#include "support/load.h"
#include "support/measure.h"

namespace holdfast::bench {
namespace {

/// `matching` subscriptions get every event, `others` none of them. Microseconds for an event, wall
/// and processor.
std::vector<double> measure(Report& report, const Load& load, std::uint64_t events,
                            unsigned matching, unsigned others) {
  const Removed folder{report.temp().fresh()};
  Options options;
  options.retention = {std::chrono::seconds(0), 0};
  const auto bus = check(Bus::open(folder.folder, options));
  const std::uint64_t owed = events * matching;
  std::atomic<std::uint64_t> handled{0};
  std::binary_semaphore all_handled{0};
  std::vector<Subscription> subscriptions;
  for (unsigned i = 0; i < matching; ++i) {
    subscriptions.push_back(check(
        bus->subscribe({.name = "for" + std::to_string(i), .types = {"order.*"}}, [&](Delivery&) {
          if (++handled == owed) all_handled.release();
        })));
  }
  for (unsigned i = 0; i < others; ++i) {
    const auto number = std::to_string(i);
    subscriptions.push_back(
        check(bus->subscribe({.name = "not" + number, .types = {"other" + number + ".>"}},
                             [](Delivery&) { require(false, "nothing is for this one"); })));
  }
  const Stopwatch watch;
  InFlight(*bus).publish_all(load, events);
  if (owed > 0) all_handled.acquire();
  check(bus->drain());
  const auto rates = watch.rates(events);
  require(handled == owed, "not everything was handled");
  return {1e3 / rates[kRate], rates[kCpu]};
}

const std::vector<Figure> kCosts = {{"us/event", 2}, {"CPU us/event", 2}};

}  // namespace

void routing(Report& report) {
  const Load load(128);
  const std::uint64_t events = report.quick() ? 50'000 : 200'000;
  const auto with = [&](unsigned matching, unsigned others) {
    return [&, matching, others] { return measure(report, load, events, matching, others); };
  };
  const std::string alone = "holdfast, of 1";
  report.compare({"routing/matching:1/of:1000",
                  kCosts,
                  {{"holdfast, of 1000", with(1, 999)},
                   {alone, with(1, 0)},
                   {"holdfast, of 100", with(1, 99)}},
                  {{"P12.1-of-1000", alone, 0, Wanted::at_most, 1.5}}});
  const std::string nobody = "holdfast, publish alone";
  report.compare({"routing/matching:10/of:10",
                  kCosts,
                  {{"holdfast, each further one",
                    [&] {
                      const auto one = measure(report, load, events, 1, 0);
                      const auto ten = measure(report, load, events, 10, 0);
                      return std::vector<double>{(ten[0] - one[0]) / 9, (ten[1] - one[1]) / 9};
                    }},
                   {nobody, with(0, 0)}},
                  {{"P12.each-further", nobody, 0, Wanted::at_most, 0.5}}});
}

}  // namespace holdfast::bench
