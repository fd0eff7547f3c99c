// SPDX-License-Identifier: MIT
#include "torture/power_loss/run.h"

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <mutex>
#include <ostream>
#include <thread>

#include "torture/power_loss/load.h"

namespace holdfast::testing {

namespace {

using std::chrono::steady_clock;

/// Ends the program when nothing happens for long: what hangs cannot be told otherwise.
class Watchdog {
 public:
  Watchdog() : thread_([this](const std::stop_token& stop) { run(stop); }) {}
  void stroke(std::string doing) {
    const std::lock_guard lock(mutex_);
    ++strokes_;
    doing_ = std::move(doing);
  }

 private:
  void run(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      const auto strokes = strokes_;
      constexpr std::chrono::minutes kLong{3};
      changed_.wait_for(lock, stop, kLong, [] { return false; });
      if (stop.stop_requested() || strokes != strokes_) continue;
      std::cerr << "hangs: " << doing_ << std::endl;
      std::abort();
    }
  }

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::uint64_t strokes_ = 0;
  std::string doing_;
  std::jthread thread_;
};

class Torture {
 public:
  Torture(const PowerLossOptions& options, const std::function<void(const std::string&)>& tell)
      : options_(options), machine_(options.seed), book_([this, tell](const std::string& what) {
          tell("seed " + std::to_string(options_.seed) + ", round " + std::to_string(round_) +
               ", cut at \"" + last_cut_ + "\": " + what);
        }) {
    result_.seed = options.seed;
  }

  PowerLossResult run() {
    const auto started = steady_clock::now();
    const auto is_over = [&] {
      return options_.seconds != 0 &&
             steady_clock::now() - started >= std::chrono::seconds(options_.seconds);
    };
    while (round_ < options_.rounds && !is_over() && is_fine()) {
      watchdog_.stroke("round " + std::to_string(++round_));
      one_round();
      ++result_.rounds;
    }
    if (is_fine()) end();
    result_.figures = book_.figures();
    result_.seconds = std::chrono::duration<double>(steady_clock::now() - started).count();
    return result_;
  }

 private:
  [[nodiscard]] bool is_fine() const { return book_.figures().violations == 0; }
  std::mt19937_64& random() { return machine_.random(); }

  Options options_of(const PowerLoadPlan& plan) {
    Options options;
    options.durability =
        plan.is_quiet || random()() % 2 == 0 ? Durability::os : Durability::durable;
    options.memory_budget = std::size_t{16} << 20U;
    // Most of what is settled goes, so that trims and reclaiming go on.
    options.retention.bytes = 1U << 16U;
    options.unclaimed_retention = Retention::forever();
    options.ack_linger = std::chrono::milliseconds(random()() % 3);
    return options;
  }

  PowerLoadPlan plan_of_round() {
    PowerLoadPlan plan;
    plan.number = round_;
    plan.seed = random()();
    plan.publishers = static_cast<std::uint32_t>(1 + random()() % 3);
    plan.calls = static_cast<std::uint32_t>(1 + random()() % 60);
    plan.has_listeners = random()() % 2 == 0;
    plan.is_quiet = random()() % 3 == 0;
    plan.durable_of_8 = plan.is_quiet ? 0 : static_cast<std::uint32_t>(random()() % 9);
    // Now and then so much that write buffers become full and tables are written meanwhile.
    plan.padding_max = random()() % 6 == 0 ? 20'000 : 200;
    return plan;
  }

  void one_round() {
    const auto plan = plan_of_round();
    const auto options = options_of(plan);
    const bool is_long = random()() % 20 == 0;
    if (!is_long) machine_.arm_somewhere();
    auto bus = machine_.open_bus(options);
    if (bus.ok()) {
      work(**bus, plan, is_long);
    } else if (!machine_.is_off()) {
      book_.violation("cannot be opened: " + bus.status().to_string());
      return;
    } else {
      ++result_.opens_cut;
    }
    const bool is_closed = bus.ok() && !machine_.is_off() && random()() % 3 == 0;
    if (is_closed) {
      const auto closed = (*bus)->close();
      if (!closed.ok() && !machine_.is_off()) book_.violation("closing: " + closed.to_string());
    }
    machine_.cut(is_closed ? "closed" : "idle");
    if (bus.ok()) bus->reset();
    end_round();
  }

  /// `is_long`: power lasts until something has been trimmed, and goes while that is reclaimed.
  void work(Bus& bus, const PowerLoadPlan& plan, bool is_long) {
    book_.check(bus, was_power_lost_);
    was_power_lost_ = false;
    PowerLoad load(bus, machine_, book_, plan);
    const auto subscribed = load.subscribe();
    if (!subscribed.ok()) {
      if (!machine_.is_off()) book_.violation("subscribing: " + subscribed.to_string());
      return;
    }
    load.publish();
    if (is_long) {
      load.wait_trimmed();
      machine_.arm_somewhere();
      load.publish();
    }
    if (random()() % 3 != 0) load.wait_handled();
  }

  void end_round() {
    last_cut_ = machine_.cut_at();
    if (random()() % 6 == 0) {
      ++result_.kills;
      machine_.disarm();
      machine_.restart_process();
      return;
    }
    ++result_.power_cuts;
    ++result_.cuts[last_cut_];
    const auto losses = machine_.boot();
    result_.losses.files_cut += losses.files_cut;
    result_.losses.holes += losses.holes;
    result_.losses.names_reverted += losses.names_reverted;
    was_power_lost_ = true;
  }

  void end() {
    watchdog_.stroke("the end");
    machine_.disarm();
    for (const bool is_second : {false, true}) {
      auto bus = machine_.open_bus(options_of({}));
      if (!bus.ok()) return book_.violation("cannot be opened: " + bus.status().to_string());
      book_.check(**bus, was_power_lost_);
      was_power_lost_ = false;
      if (is_second) return book_.check_end(**bus);
      {
        PowerLoad load(**bus, machine_, book_, {});
        const auto subscribed = load.subscribe();
        if (!subscribed.ok()) return book_.violation("subscribing: " + subscribed.to_string());
        load.finish();
      }
      const auto closed = (*bus)->close();
      if (!closed.ok()) book_.violation("closing: " + closed.to_string());
    }
  }

  const PowerLossOptions options_;
  PowerMachine machine_;
  PowerLossResult result_;
  std::uint64_t round_ = 0;
  std::string last_cut_;
  bool was_power_lost_ = false;
  PowerBook book_;
  Watchdog watchdog_;
};

using Rows = std::vector<std::pair<std::string, std::uint64_t>>;

Rows rows_of(const PowerLossResult& result) {
  const auto& figures = result.figures;
  return {{"seed", result.seed},
          {"rounds", result.rounds},
          {"power_cuts", result.power_cuts},
          {"kills", result.kills},
          {"opens_cut", result.opens_cut},
          {"commits", figures.commits},
          {"events_seen", figures.events},
          {"durable_receipts_checked", figures.durable_receipts},
          {"os_receipts", figures.os_receipts},
          {"os_receipts_lost", figures.os_receipts_lost},
          {"settled", figures.settled},
          {"cancelled", figures.cancelled},
          {"batches", figures.batches},
          {"duplicates", figures.duplicates},
          {"operations", figures.operations},
          {"files_cut", result.losses.files_cut},
          {"holes", result.losses.holes},
          {"names_reverted", result.losses.names_reverted},
          {"violations", figures.violations}};
}

}  // namespace

PowerLossResult lose_power_again_and_again(const PowerLossOptions& options,
                                           const std::function<void(const std::string&)>& tell) {
  return Torture(options, tell).run();
}

void print_table(std::ostream& out, const PowerLossResult& result) {
  for (const auto& [name, value] : rows_of(result)) {
    out << std::left << std::setw(28) << name << std::right << std::setw(12) << value << '\n';
  }
  out << "power was cut at\n";
  for (const auto& [kind, count] : result.cuts) {
    out << "  " << std::left << std::setw(26) << kind << std::right << std::setw(12) << count
        << '\n';
  }
}

void print_json(std::ostream& out, const PowerLossResult& result) {
  out << "{\"torture\":\"power-loss\"";
  for (const auto& [name, value] : rows_of(result)) out << ",\"" << name << "\":" << value;
  out << ",\"seconds\":" << std::fixed << std::setprecision(1) << result.seconds << ",\"cuts\":{";
  const char* comma = "";
  for (const auto& [kind, count] : result.cuts) {
    out << comma << '"' << kind << "\":" << count;
    comma = ",";
  }
  out << "}}" << std::endl;
}

}  // namespace holdfast::testing
