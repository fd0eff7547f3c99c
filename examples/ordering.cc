// SPDX-License-Identifier: MIT
// In order: what belongs to one account is handled one at a time and as it was published, however
// urgent it is and however often it fails; and nobody publishes behind an event he has not seen.
#include <chrono>
#include <exception>
#include <iostream>
#include <string>

#include <holdfast/holdfast.h>
#include <holdfast/throwing.h>  // `unwrap`: the value, or an exception

using holdfast::unwrap;

int main() try {
  const auto bus = unwrap(holdfast::Bus::open("journal", {.in_memory = true}));
  const auto deposit = unwrap(bus->publish(
      {.type = "account.deposit", .priority = holdfast::Priority::low, .ordering_key = "account 7"},
      {.expect_last = holdfast::EventId{}}));
  const holdfast::Event withdrawal{.type = "account.withdrawal",
                                   .priority = holdfast::Priority::critical,
                                   .ordering_key = "account 7"};
  const auto withdrawn = unwrap(bus->publish(withdrawal, {.expect_last = deposit.id}));

  // Somebody else has seen the deposit, too, and decides on the same balance: too late.
  const auto second = bus->publish(withdrawal, {.expect_last = deposit.id});
  std::cout << "second withdrawal: " << to_string(second.status().code()) << '\n';

  const auto accounts = unwrap(
      bus->subscribe({.name = "accounts", .concurrency = 4}, [](holdfast::Delivery& delivery) {
        const bool again = delivery.event().type == "account.deposit" && delivery.attempt() == 1;
        std::cout << delivery.event().type << (again ? ": try again" : "") << std::endl;
        return again ? holdfast::Outcome::retry_after(std::chrono::milliseconds(1))
                     : holdfast::Outcome::ack();
      }));
  unwrap(bus->wait_settled(withdrawn.id, std::chrono::seconds(30)));
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
