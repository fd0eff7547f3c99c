// SPDX-License-Identifier: MIT
// How soon is a cancel decided, and how soon does a handler see it? With a million events pending,
// one caller cancels them one after the other; each call returns once its commit is durable. Beside
// it the same bus publishes single durable events, which is what one durable commit costs there and
// then: with nothing else to do, and while another thread publishes as much as the bus takes. Then
// handlers that look at their stop token: from the call of `cancel` until they see it.

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "holdfast/bus.h"
#include "sections.h"
#include "support/in_flight.h"
#include "support/load.h"
#include "support/measure.h"

namespace holdfast::bench {
namespace {

constexpr double kMicroseconds = 1e6;
const std::string kPublish = "holdfast publish, durable";
const std::string kIdlePublish = "holdfast publish, durable, idle";
constexpr std::size_t kP99 = 1;
const std::vector<Figure> kLatencies = {{"p50 us", 0}, {"p99 us", 0}};

std::vector<double> latencies(std::vector<double> samples) {
  const auto half = percentile(samples, 0.5);
  return {half * kMicroseconds, percentile(samples, 0.99) * kMicroseconds};
}

/// A bus with a backlog that a durable subscription is owed and nobody takes.
class Backlog {
 public:
  Backlog(Report& report, const Load& load, std::uint64_t pending)
      : load_(load), folder_{report.temp().fresh()} {
    bus_ = check(Bus::open(folder_.folder));
    check(bus_->subscribe({.name = "backlog", .types = {"order.>"}}, [](Delivery&) {})).end();
    InFlight(*bus_).publish_all(load, pending);
    // Each is cancelled once.
    order_.resize(pending);
    for (std::uint64_t i = 0; i < pending; ++i) order_[i] = i + 1;
    std::shuffle(order_.begin(), order_.end(), std::mt19937_64(1));
  }

  [[nodiscard]] Bus& bus() const { return *bus_; }
  [[nodiscard]] const Load& load() const { return load_; }

  std::vector<double> cancel(std::uint64_t count) {
    std::vector<double> samples;
    for (std::uint64_t i = 0; i < count; ++i) {
      const EventId id{Priority::normal, order_.at(next_++)};
      const auto begin = wall_seconds();
      const auto receipt = check(bus_->cancel(id));
      samples.push_back(wall_seconds() - begin);
      require(receipt.outcome == CancelOutcome::prevented, "an event was not pending");
    }
    return latencies(std::move(samples));
  }
  std::vector<double> publish(std::uint64_t count) {
    std::vector<double> samples;
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto begin = wall_seconds();
      check(bus_->publish(load_.event(i)).status());
      samples.push_back(wall_seconds() - begin);
    }
    return latencies(std::move(samples));
  }

 private:
  const Load& load_;
  const Removed folder_;
  std::unique_ptr<Bus> bus_;
  std::vector<std::uint64_t> order_;
  std::uint64_t next_ = 0;
};

/// Keeps the bus as busy as P1 does until it goes out of scope: batches, a handler, its acks.
class Saturation {
 public:
  explicit Saturation(const Backlog& backlog)
      : subscription_(check(backlog.bus().subscribe(
            {.name = "live", .types = {"order.>"}, .start = Start::new_only()}, [](Delivery&) {}))),
        publisher_(backlog.bus(), backlog.load()) {}

 private:
  Subscription subscription_;
  Publisher publisher_;
};

using Loading = std::function<std::unique_ptr<Saturation>()>;

void compare_durable(Report& report, Backlog& backlog, const std::string& name, const Loading& load,
                     std::vector<Target> targets) {
  const std::uint64_t count = report.quick() ? 200 : 1'000;
  report.compare({name,
                  kLatencies,
                  {{"holdfast cancel",
                    [&] {
                      const auto busy = load();
                      return backlog.cancel(count);
                    }},
                   {kPublish,
                    [&] {
                      const auto busy = load();
                      return backlog.publish(count);
                    }},
                   {kIdlePublish, [&] { return backlog.publish(count); }}},
                  std::move(targets)});
}

/// A handler holds each event until it sees that it should stop, and says when that was.
std::vector<double> measure_stop(Backlog& backlog, std::uint64_t count) {
  std::atomic<bool> started{false};
  std::atomic<double> seen{0};
  const auto subscription =
      check(backlog.bus().subscribe({.types = {"held"}}, [&](Delivery& delivery) {
        const auto token = delivery.stop_token();
        started = true;
        started.notify_one();
        while (!token.stop_requested()) std::this_thread::yield();
        seen = wall_seconds();
        seen.notify_one();
        return Outcome::stopped();
      }));
  std::vector<double> samples;
  for (std::uint64_t i = 0; i < count; ++i) {
    started = false;
    seen = 0;
    const auto id =
        check(backlog.bus().publish({.type = "held"}, {.durability = Durability::os})).id;
    started.wait(false);
    const auto begin = wall_seconds();
    const auto receipt = check(backlog.bus().cancel(id));
    require(receipt.outcome == CancelOutcome::signalled, "no handler had it");
    seen.wait(0);
    samples.push_back(seen - begin);
  }
  return latencies(std::move(samples));
}

}  // namespace

void cancel(Report& report) {
  const Load load(128);
  const std::uint64_t pending = report.quick() ? 100'000 : 1'000'000;
  const std::string prefix = "pending:" + std::to_string(pending) + "/bus:";
  Backlog backlog(report, load, pending);
  const Loading idle = [] { return std::unique_ptr<Saturation>(); };
  const Loading busy = [&] { return std::make_unique<Saturation>(backlog); };
  compare_durable(report, backlog, "cancel/" + prefix + "idle", idle,
                  {{"P7.idle", kPublish, kP99, Wanted::at_most, 1.5},
                   {"P0.cancel-us", "", kP99, Wanted::at_most, 10'000}});
  compare_durable(report, backlog, "cancel/" + prefix + "saturated", busy,
                  {{"P7.saturated", kPublish, kP99, Wanted::at_most, 3},
                   {"P7.saturated-to-idle", kIdlePublish, kP99, Wanted::at_most, 3},
                   {"P7.saturated-us", "", kP99, Wanted::at_most, 10'000}});
  const std::uint64_t stops = report.quick() ? 100 : 500;
  for (const bool is_idle : {true, false}) {
    report.compare(
        {"stop/" + prefix + (is_idle ? "idle" : "saturated"),
         kLatencies,
         {{"cancel until its handler sees it",
           [&] {
             const auto load_on = is_idle ? idle() : busy();
             return measure_stop(backlog, stops);
           }}},
         {{is_idle ? "P7.stop-us" : "P7.stop-saturated-us", "", kP99, Wanted::at_most, 100}}});
  }
}

}  // namespace holdfast::bench
