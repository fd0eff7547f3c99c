// SPDX-License-Identifier: MIT
// What does it cost to settle? A backlog that a durable subscription is owed waits in the journal;
// the clock runs from the moment its handler is subscribed until the last answer is on disk.
// Reading the backlog is in it, publishing it is not. Beside it RocksDB reads each event and
// deletes it, in synced batches of 1000, and SQLite claims and deletes jobs by the thousand.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <latch>
#include <mutex>
#include <random>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "baselines/rocks_store.h"
#include "baselines/sqlite_queue.h"
#include "holdfast/bus.h"
#include "sections.h"
#include "support/in_flight.h"
#include "support/load.h"
#include "support/measure.h"

namespace holdfast::bench {
namespace {

constexpr std::uint64_t kGroup = Load::kBatchEvents;

enum class Answers { in_order, out_of_order, with_tx, some_retried };

/// Keeps up to 48 answers back and gives them in an order of its own.
class Shuffler {
 public:
  explicit Shuffler(std::uint64_t events) : left_(events) {}

  /// Returns how many were answered.
  std::uint64_t answer_later(Deferred deferred) {
    const std::lock_guard lock(mutex_);
    held_.push_back(std::move(deferred));
    --left_;
    if (held_.size() < kHeldMax && left_ > 0) return 0;
    std::shuffle(held_.begin(), held_.end(), random_);
    const std::size_t keep = left_ > 0 ? kHeldMax / 2 : 0;
    const auto answered = held_.size() - keep;
    for (auto i = keep; i < held_.size(); ++i) check(held_[i].settle(Outcome::ack()));
    held_.resize(keep);
    return answered;
  }

 private:
  static constexpr std::size_t kHeldMax = 48;
  std::mutex mutex_;
  std::mt19937_64 random_{1};
  std::vector<Deferred> held_;
  std::uint64_t left_;
};

Handler make_handler(Answers answers, Shuffler& shuffler,
                     const std::function<void(std::uint64_t)>& answered) {
  switch (answers) {
    case Answers::in_order: return {[=](Delivery&) { answered(1); }};
    case Answers::out_of_order:
      return {[=, &shuffler](Delivery& delivery) {
        answered(shuffler.answer_later(delivery.defer()));
      }};
    case Answers::with_tx:
      return {[=](Delivery& delivery) {
        delivery.tx().state().put("u" + std::to_string(delivery.event().id.sequence), "done");
        answered(1);
      }};
    case Answers::some_retried:
      return {[=](Delivery& delivery) {
        const bool again = delivery.event().id.sequence % 20 == 0 && delivery.attempt() == 1;
        if (again) return Outcome::retry_after(std::chrono::milliseconds(1), "try again");
        answered(1);
        return Outcome::ack();
      }};
  }
  throw std::logic_error("no such way to answer");
}

std::vector<double> measure_bus(Report& report, const Load& load, Answers answers,
                                std::uint64_t events) {
  const Removed folder{report.temp().fresh()};
  const SubscribeOptions options{.name = "bench",
                                 .concurrency = answers == Answers::out_of_order ? 64U : 1U};
  {
    const auto bus = check(Bus::open(folder.folder));
    check(bus->subscribe(options, [](Delivery&) {})).end();
    InFlight(*bus).publish_all(load, events);
  }
  // Opened again, so that what was published is in files and nobody pays for writing them.
  const auto bus = check(Bus::open(folder.folder));
  std::atomic<std::uint64_t> answered{0};
  std::binary_semaphore all_answered{0};
  Shuffler shuffler(events);
  const auto note = [&](std::uint64_t count) {
    if (count > 0 && answered.fetch_add(count) + count == events) all_answered.release();
  };
  const Stopwatch watch;
  const auto subscription = check(bus->subscribe(options, make_handler(answers, shuffler, note)));
  all_answered.acquire();
  check(bus->drain());  // Every answer is durable after this.
  const auto rates = watch.rates(events);
  const auto stats = bus->stats();
  require(stats.subscriptions.at(0).acked == events, "not every event was acked");
  return rates;
}

std::vector<double> measure_rocks(Report& report, const Load& load, bool with_state,
                                  std::uint64_t events) {
  const Removed folder{report.temp().fresh()};
  {
    RocksStore store(folder.folder);
    for (std::uint64_t i = 0; i < events; i += kGroup) store.write(load, i, kGroup, true);
  }
  RocksStore store(folder.folder);
  const Stopwatch watch;
  store.read_and_delete(events, kGroup, with_state);
  return watch.rates(events);
}

std::vector<double> measure_sqlite(Report& report, const Load& load, std::uint64_t events) {
  const Removed folder{report.temp().fresh()};
  std::filesystem::create_directory(folder.folder);
  SqliteQueue queue(folder.folder / "jobs");
  for (std::uint64_t i = 0; i < events; i += kGroup) queue.publish(load, i, kGroup);
  const Stopwatch watch;
  std::uint64_t claimed = 0;
  while (claimed < events) claimed += queue.claim(kGroup, true);
  queue.ack();
  return watch.rates(events);
}

// --- Slow handlers, 64 at a time ----------------------------------------------------------------

enum class Times { all_alike, at_random };

constexpr std::uint64_t kMilliseconds = 5;  // of a handler, on average

std::vector<double> measure_slow(Report& report, const Load& load, Times times,
                                 std::uint64_t events) {
  const Removed folder{report.temp().fresh()};
  Options options;
  options.workers = {0, 0, 0, 64};
  const auto bus = check(Bus::open(folder.folder, options));
  const SubscribeOptions subscribe{.name = "bench", .concurrency = 65};  // one is for critical ones
  check(bus->subscribe(subscribe, [](Delivery&) {})).end();
  InFlight(*bus).publish_all(load, events);
  std::latch unacked(static_cast<std::ptrdiff_t>(events));
  const Stopwatch watch;
  const auto subscription = check(bus->subscribe(subscribe, [&](Delivery& delivery) {
    const auto number = delivery.event().id.sequence * 0x9e3779b97f4a7c15U >> 32U;  // scattered
    const auto random = number % (2 * kMilliseconds * 1'000);
    std::this_thread::sleep_for(
        std::chrono::microseconds(times == Times::at_random ? random : kMilliseconds * 1'000));
    if (times == Times::at_random && number % 20 == 0 && delivery.attempt() == 1) {
      return Outcome::retry_after(std::chrono::milliseconds(1), "try again");
    }
    unacked.count_down();
    return Outcome::ack();
  }));
  unacked.wait();
  check(bus->drain());
  return watch.rates(events);
}

void compare_slow(Report& report, const Load& load) {
  const std::uint64_t events = report.quick() ? 8'000 : 40'000;
  const std::string alike = "holdfast, 5 ms each";
  report.compare(
      {"settle/concurrency:64/0to10ms/retried:5%",
       kRateFigures,
       {{"holdfast", [&] { return measure_slow(report, load, Times::at_random, events); }},
        {alike, [&] { return measure_slow(report, load, Times::all_alike, events); }}},
       {{"P15.rate", alike, kRate, Wanted::at_least, 0.8},
        {"P15.bytes", alike, kByCalls, Wanted::at_most, 1.5}}});
}

}  // namespace

void settle(Report& report) {
  const Load load(128);
  const std::uint64_t events = report.quick() ? 30'000 : 150'000;
  struct Variant {
    std::string name;
    Answers answers;
  };
  const Variant variants[] = {{"order:in/concurrency:1", Answers::in_order},
                              {"order:shuffled/concurrency:64", Answers::out_of_order},
                              {"order:in/tx:1", Answers::with_tx},
                              {"order:in/retried:5%", Answers::some_retried}};
  for (const auto& variant : variants) {
    const bool with_state = variant.answers == Answers::with_tx;
    Case what{"settle/payload:128/" + variant.name,
              kRateFigures,
              {{"holdfast", [&] { return measure_bus(report, load, variant.answers, events); }},
               {with_state ? "rocksdb read, Delete, Put" : "rocksdb read, Delete",
                [&] { return measure_rocks(report, load, with_state, events); }}}};
    if (variant.answers == Answers::in_order) {
      what.contenders.push_back(
          {"sqlite claim, delete",
           [&] { return measure_sqlite(report, load, std::min<std::uint64_t>(events, 50'000)); }});
    }
    report.compare(what);
  }
  compare_slow(report, load);
}

}  // namespace holdfast::bench
