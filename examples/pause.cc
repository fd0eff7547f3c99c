// SPDX-License-Identifier: MIT
// The mail server is down: nothing that sends mail is handed out until it is up again, and
// everything else goes on.
#include <chrono>
#include <exception>
#include <iostream>

#include <holdfast/holdfast.h>
#include <holdfast/throwing.h>  // `unwrap`: the value, or an exception

using holdfast::TypePattern;
using holdfast::unwrap;

int main() try {
  const auto wait = std::chrono::seconds(30);
  auto bus = unwrap(holdfast::Bus::open("journal"));
  const auto handle = [](holdfast::Delivery& delivery) {
    std::cout << delivery.event().type << ": " << delivery.event().payload_text() << std::endl;
  };
  auto shop = unwrap(bus->subscribe({.name = "shop", .types = {"order.>"}}, handle));

  unwrap(bus->pause(TypePattern{"order.*.mail"}));
  const auto mail = unwrap(bus->publish("order.paid.mail", "thank you"));
  const auto parcel = unwrap(bus->publish("order.paid.parcel", "one kettle"));
  unwrap(bus->wait_settled(parcel.id, wait));

  // It is durable: who opens the journal next finds it paused.
  shop.end();
  bus.reset();
  bus = unwrap(holdfast::Bus::open("journal"));
  shop = unwrap(bus->subscribe({.name = "shop", .types = {"order.>"}}, handle));
  std::cout << "paused: " << bus->stats().paused_types.front() << ", the mail is "
            << to_string(unwrap(bus->get(mail.id))->state) << std::endl;

  // A whole subscription can be paused as well, by its name.
  unwrap(bus->pause("shop"));
  unwrap(bus->resume(TypePattern{"order.*.mail"}));
  unwrap(bus->resume("shop"));
  unwrap(bus->wait_settled(mail.id, wait));
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
