// SPDX-License-Identifier: MIT
// Ending in good order: handlers are asked to stop, one that does not look is waited for only so
// long, and what was not done comes again in the next run, with all its attempts.
#include <chrono>
#include <exception>
#include <future>
#include <iostream>
#include <thread>

#include <holdfast/holdfast.h>
#include <holdfast/throwing.h>  // `unwrap`: the value, or an exception

using holdfast::unwrap;
using std::chrono::milliseconds;
using std::chrono::seconds;

int main() try {
  std::promise<void> copying;
  std::promise<void> scanning;
  std::promise<void> device;
  auto bus = unwrap(holdfast::Bus::open("journal"));
  auto copier = unwrap(
      bus->subscribe({.name = "copier", .types = {"copy"}}, [&](holdfast::Delivery& delivery) {
        copying.set_value();
        // A piece at a time, and a look at the token before the next.
        while (!delivery.stop_token().stop_requested()) {
          std::this_thread::sleep_for(milliseconds(1));
        }
        const bool asked = delivery.stop_reason() == holdfast::StopReason::shutdown;
        std::cout << "copier: " << (asked ? "stops for the shutdown" : "stops") << std::endl;
        return holdfast::Outcome::stopped();
      }));
  auto scanner = unwrap(
      bus->subscribe({.name = "scanner", .types = {"scan"}}, [&](holdfast::Delivery& /*delivery*/) {
        scanning.set_value();
        device.get_future().wait();  // whoever asks it to stop
      }));
  const auto film = unwrap(bus->publish("copy", "a film")).id;
  const auto page = unwrap(bus->publish("scan", "a page")).id;
  copying.get_future().wait();
  scanning.get_future().wait();

  // Nothing is handed out from here on, until the journal is opened again.
  const auto drained = bus->drain(seconds(1));
  std::cout << "drain: " << drained.to_string() << std::endl;
  // Publishing goes on: another part of the program may still have to say something.
  const auto song = unwrap(bus->publish("copy", "a song")).id;

  // `close`, and the destructor, which calls it, wait for handlers as long as they take. A program
  // that cannot ends without it, by `std::_Exit` say. Then the page would be a suspect for the next
  // run, one attempt gone, as after a crash. Here the device answers, and the late ack counts.
  device.set_value();
  unwrap(bus->drain());
  unwrap(bus->close());
  const auto late = bus->publish("copy", "a book");
  std::cout << "closed: " << to_string(late.status().code()) << std::endl;
  copier.end();  // both refer to this run's bus, and may outlive it
  scanner.end();

  bus = unwrap(holdfast::Bus::open("journal"));
  std::cout << "opened: closed " << (bus->recovery().clean ? "properly" : "by a crash")
            << ", suspects: " << bus->recovery().suspects.size() << ", the page is "
            << to_string(unwrap(bus->get(page))->state) << std::endl;
  copier = unwrap(
      bus->subscribe({.name = "copier", .types = {"copy"}}, [](holdfast::Delivery& delivery) {
        std::cout << "copier: " << delivery.event().payload_text() << ", attempt "
                  << delivery.attempt() << std::endl;
      }));
  unwrap(bus->wait_settled(film, seconds(30)));
  unwrap(bus->wait_settled(song, seconds(30)));
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
