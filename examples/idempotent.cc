// SPDX-License-Identifier: MIT
// Once and no more: what may or may not have been published is simply published again, under the
// same key, and is in the journal once.
#include <chrono>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include <holdfast/holdfast.h>
#include <holdfast/throwing.h>  // `unwrap`: the value, or an exception

using holdfast::unwrap;

/// Orders as they come from a file, or from somebody who sends them again when no answer came.
const std::vector<std::string> kOrders = {"kettle", "teapot", "cup"};

/// Publishes the first `count`, and returns the event of the last.
holdfast::EventId import(holdfast::Bus& bus, std::size_t count) {
  holdfast::EventId last;
  for (std::size_t number = 0; number < count; ++number) {
    // Whatever names the thing for good will do: an order's number, a line of a file, a request.
    const auto key = "order-" + std::to_string(number);
    const auto receipt = unwrap(bus.publish(
        {.type = "order.placed", .payload = kOrders.at(number), .idempotency_key = key}));
    std::cout << kOrders.at(number) << ": " << to_string(receipt.id)
              << (receipt.duplicate ? ", there already" : "") << '\n';
    last = receipt.id;
  }
  return last;
}

int main() try {
  auto bus = unwrap(holdfast::Bus::open("journal"));
  import(*bus, 2);

  // The process ends here, and nobody knows how far it came. The next one begins at the beginning.
  bus.reset();
  bus = unwrap(holdfast::Bus::open("journal"));
  const auto cup = import(*bus, 3);

  // What a handler publishes with its ack happens once anyway. A key keeps it from happening beside
  // the same thing that comes another way.
  const auto billing = unwrap(bus->subscribe(
      {.name = "billing", .types = {"order.placed"}}, [](holdfast::Delivery& delivery) {
        const auto key = "invoice for " + std::string(delivery.event().payload_text());
        delivery.tx().publish({.type = "invoice.due", .idempotency_key = key});
      }));
  unwrap(bus->wait_settled(cup, std::chrono::seconds(30)));
  const auto by_hand =
      unwrap(bus->publish({.type = "invoice.due", .idempotency_key = "invoice for cup"}));
  std::cout << "invoice for cup" << (by_hand.duplicate ? ": there already" : "") << '\n';
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
