// SPDX-License-Identifier: MIT
// How much memory does a backlog need? What a process of its own grows by: while ten million events
// become pending, over the bus that it has open already; and over what it was before it opened the
// bus, at its highest.

#include <chrono>
#include <cstdio>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "baselines/rocks_store.h"
#include "holdfast/bus.h"
#include "sections.h"
#include "support/child.h"
#include "support/in_flight.h"
#include "support/load.h"
#include "support/measure.h"

namespace holdfast::bench {
namespace {

const SubscribeOptions kSubscription{.name = "bench"};

std::vector<double> memory_of_child(const std::string& how, const std::string& folder,
                                    std::uint64_t events) {
  Child child({"--child", "memory", how, folder, std::to_string(events)});
  std::istringstream answer(child.line());
  std::vector<double> values(4);
  for (auto& value : values) require(bool(answer >> value), "the child told no figures");
  return values;
}

}  // namespace

/// How: "detached", a durable subscription is owed everything and has no handler; "attached", its
/// handler takes its time; "unclaimed", there is none; "reopened", "detached" was there before;
/// "rocksdb" is the baseline.
void memory_child(const std::vector<std::string>& arguments) {
  const auto& how = arguments.at(0);
  const auto& folder = arguments.at(1);
  const auto events = std::stoull(arguments.at(2));
  const Load load(128);
  const auto before = memory_now();
  MemoryWatch watch;
  Memory idle;
  Memory end;
  if (how == "rocksdb") {
    RocksStore store(folder);
    idle = memory_now();
    for (std::uint64_t i = 0; i < events; i += Load::kBatchEvents) {
      store.write(load, i, Load::kBatchEvents, true);
    }
    end = memory_now();
  } else {
    const auto bus = check(Bus::open(folder));
    Subscription subscription;
    if (how != "unclaimed") {
      subscription = check(bus->subscribe(kSubscription, [](Delivery&) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }));
    }
    if (how == "detached") subscription.end();
    std::this_thread::sleep_for(std::chrono::seconds(1));  // as an idle bus is
    idle = memory_now();
    if (how != "reopened") InFlight(*bus).publish_all(load, events);
    end = memory_now();
    subscription.end();
  }
  const auto highest = watch.stop();
  const auto grown = [](double now, double then) { return (now - then) / kMiB; };
  std::printf("%f %f %f %f\n", grown(highest.resident, before.resident),
              grown(highest.anonymous, before.anonymous), grown(end.resident, before.resident),
              grown(highest.resident, idle.resident));
}

void memory(Report& report) {
  const std::vector<Figure> figures = {{"peak MiB", 1},
                                       {"peak MiB, no libraries", 1},
                                       {"in the end MiB", 1},
                                       {"peak over idle MiB", 1}};
  for (const std::string how : {"detached", "attached", "unclaimed", "reopened"}) {
    if (report.quick() && how != "detached") continue;
    // Minutes go into writing as many; the other ways of being pending differ in nothing by then.
    const std::uint64_t events = report.quick()      ? 200'000
                                 : how == "detached" ? 10'000'000
                                                     : 1'000'000;
    const auto measure = [&report, events](const std::string& who) {
      return [&report, events, who] {
        const Removed folder{report.temp().fresh()};
        if (who == "reopened") memory_of_child("detached", folder.folder, events);
        return memory_of_child(who, folder.folder, events);
      };
    };
    Case what{.name = "memory/pending:" + std::to_string(events) + "/" + how,
              .figures = figures,
              .contenders = {{"holdfast", measure(how)}},
              .targets = {{"P9.budget-MiB-" + how, "", 0, Wanted::at_most, 64}},
              .rounds_max = 1};
    if (how == "detached") {
      what.targets.push_back({"P9.over-idle-MiB", "", 3, Wanted::at_most, 32});
      what.contenders.push_back({"rocksdb, options of the bus", measure("rocksdb")});
      if (!report.quick()) what.rounds_max = 2;
    }
    report.compare(what);
  }
}

}  // namespace holdfast::bench
