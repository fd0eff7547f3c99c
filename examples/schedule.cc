// SPDX-License-Identifier: MIT
// Not yet, and not any more: events that wait for their time, also while no process runs, events
// that a handler puts off, and events that nobody is given once it is too late.
#include <chrono>
#include <exception>
#include <future>
#include <iostream>
#include <memory>
#include <thread>

#include <holdfast/holdfast.h>
#include <holdfast/throwing.h>  // `unwrap`: the value, or an exception

using holdfast::unwrap;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::system_clock;

/// Times of events are moments of the wall clock, in nanoseconds since 1970.
holdfast::WallTime from_now(milliseconds wait) {
  const auto since_1970 = (system_clock::now() + wait).time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(since_1970).count();
}

int main() try {
  auto bus = unwrap(holdfast::Bus::open("journal"));
  // In the journal at once, and with a handler when its time has come. It keeps nothing that
  // is published after it from going first.
  const auto tea = unwrap(bus->publish({.type = "remind",
                                        .payload = "the tea is ready",
                                        .not_before = from_now(milliseconds(1500))}));
  const auto kettle = unwrap(bus->publish({.type = "remind", .payload = "put the kettle on"}));
  // Nobody should be told of this when it is over.
  unwrap(bus->publish(
      {.type = "remind", .payload = "the soup is hot", .expires_at = from_now(milliseconds(50))}));
  // What waits can be cancelled as everything else.
  const auto nap = unwrap(
      bus->publish({.type = "remind", .payload = "wake up", .not_before = from_now(hours(1))}));
  std::cout << "nap: " << to_string(unwrap(bus->cancel(nap.id)).outcome) << '\n';

  // The process ends, and it takes a while until the next one begins. What is due comes then.
  bus.reset();
  std::this_thread::sleep_for(milliseconds(100));
  bus = unwrap(holdfast::Bus::open("journal"));

  holdfast::SubscribeOptions options{.name = "clock", .types = {"remind"}};
  std::promise<void> expired;
  bool hob_is_free = false;
  options.on_settled = [&](holdfast::EventId /*id*/, holdfast::Settled how) {
    if (how == holdfast::Settled::expired) expired.set_value();
  };
  auto clock = unwrap(bus->subscribe(options, [&](holdfast::Delivery& delivery) {
    const auto& event = delivery.event();
    if (event.payload_text() == "put the kettle on" && !hob_is_free) {
      // Not a failure: it comes again after that time, and this was no attempt.
      std::cout << "the hob is taken" << std::endl;
      hob_is_free = true;
      return holdfast::Outcome::snooze(milliseconds(10));
    }
    const bool early = from_now(milliseconds(0)) < event.not_before;
    std::cout << (early ? "too early: " : "") << event.payload_text() << ", attempt "
              << delivery.attempt() << std::endl;
    return holdfast::Outcome::ack();
  }));
  unwrap(bus->wait_settled(kettle.id, std::chrono::seconds(30)));
  expired.get_future().wait();
  std::cout << "soup: expired" << std::endl;
  unwrap(bus->wait_settled(tea.id, std::chrono::seconds(30)));
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
