// SPDX-License-Identifier: MIT
// Who goes first: strict order, ageing, and a worker that is kept for critical events.
#include <chrono>
#include <cstdlib>
#include <future>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <holdfast/holdfast.h>

using std::chrono::milliseconds;

constexpr milliseconds kLowWait{20};

std::unique_ptr<holdfast::Bus> open_bus(holdfast::Workers workers, holdfast::Ageing ageing) {
  holdfast::Options options;
  options.workers = workers;
  options.ageing = ageing;
  options.in_memory = true;  // for this example alone; a program gives `open` a folder
  auto bus = holdfast::Bus::open("", options);
  if (bus) return *std::move(bus);
  std::cerr << bus.status().to_string() << '\n';
  std::exit(1);
}

/// Publishes one event a lane, the least urgent first, while the only worker is busy. They have
/// waited three times the wait of a low one when it comes back; then it tells their order.
void tell_order(const std::string& title, holdfast::Ageing ageing) {
  const auto bus = open_bus(holdfast::Workers::single(), ageing);
  std::promise<void> busy;
  std::promise<void> go_on;
  auto keeper = bus->subscribe("keep.busy", [&](holdfast::Delivery&) {
    busy.set_value();
    go_on.get_future().wait();
  });
  std::promise<void> done;
  auto left = holdfast::kLaneCount;
  std::cout << title;
  auto printer = bus->subscribe("job", [&](holdfast::Delivery& delivery) {
    std::cout << ' ' << to_string(delivery.event().priority());
    if (--left == 0) done.set_value();
  });
  (void)bus->publish("keep.busy", "");
  busy.get_future().wait();
  for (const auto priority : {holdfast::Priority::low, holdfast::Priority::normal,
                              holdfast::Priority::high, holdfast::Priority::critical}) {
    (void)bus->publish({.type = "job", .priority = priority});
  }
  std::this_thread::sleep_for(3 * kLowWait);
  go_on.set_value();
  done.get_future().wait();
  std::cout << std::endl;
}

int main() {
  using holdfast::Ageing;
  // The most urgent lane always goes first, and for ever if there is enough of it.
  tell_order("strict:  ", Ageing::strict());
  // By default what waits moves up: after 5, 15 or 60 s, by its lane. Here low events alone do,
  // and soon: this one is as urgent as a high one by now, and older.
  tell_order("ageing:  ",
             {.high = holdfast::kMaxWaitMax, .normal = holdfast::kMaxWaitMax, .low = kLowWait});

  // A worker takes only what is at least as urgent as its class: one is always free for this.
  const auto bus = open_bus({.critical = 1, .high = 0, .normal = 0, .low = 1}, {});
  std::promise<void> alarm;
  auto handled = alarm.get_future();
  std::promise<bool> met;
  auto slow = bus->subscribe("report", [&](holdfast::Delivery&) {
    (void)bus->publish({.type = "alarm", .priority = holdfast::Priority::critical});
    met.set_value(handled.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
  });
  auto urgent = bus->subscribe("alarm", [&](holdfast::Delivery&) { alarm.set_value(); });
  (void)bus->publish({.type = "report", .priority = holdfast::Priority::low});
  const bool reserved = met.get_future().get();
  if (reserved) std::cout << "reserved: a critical event was handled while a low one was\n";
  return reserved ? 0 : 1;
}
