// SPDX-License-Identifier: MIT
// An operation that is built over time. Run this twice: the first run dies in the middle of its
// second member, and the next finds the operation by its id and goes on. See operation.cc for one
// that is known as a whole from the start.
#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

#include <holdfast/holdfast.h>
#include <holdfast/throwing.h>  // `unwrap`: the value, or an exception

using holdfast::unwrap;
using std::chrono::hours;
using std::chrono::seconds;

/// Its id is all that has to be kept, anywhere. Should the process die between the two commits,
/// nobody knows of the operation any more, and its deadline ends it.
holdfast::Operation find_or_begin_trip(holdfast::Bus& bus) {
  if (const auto id = unwrap(bus.state("trips", "trip 7"))) {
    std::cout << "trip 7: found" << std::endl;
    return unwrap(bus.find_operation(*holdfast::parse_operation_id(*id)));
  }
  std::cout << "trip 7: begun" << std::endl;
  auto trip = unwrap(bus.begin_operation({.deadline = hours(24)}));
  auto batch = bus.batch();
  batch.state("trips").put("trip 7", to_string(trip.id()));
  unwrap(batch.commit());
  return trip;
}

int main() try {
  const auto bus = unwrap(holdfast::Bus::open("journal"));
  holdfast::SubscribeOptions options{.name = "agent", .types = {"book"}};
  options.compensate = [](holdfast::Delivery& delivery) {
    std::cout << "undone: " << delivery.event().payload_text() << std::endl;
  };
  const auto agent = unwrap(bus->subscribe(options, [](holdfast::Delivery& delivery) {
    const auto what = delivery.event().payload_text();
    if (what == "hotel" && delivery.attempt() == 1) {
      std::cout << "hotel: the process dies" << std::endl;
      std::_Exit(3);
    }
    delivery.tx().state().put(what, std::to_string(delivery.attempt()));
  }));

  // The same in every run: what an earlier one has added is not added again, thanks to its key.
  auto trip = find_or_begin_trip(*bus);
  for (const std::string what : {"flight", "hotel", "car"}) {
    const auto member =
        unwrap(trip.add({.type = "book", .payload = what, .idempotency_key = "trip 7, " + what}));
    // Without this wait they would be done one after the other as well. Here what comes next may
    // depend on what has come of it.
    unwrap(bus->wait_settled(member.id, seconds(30)));
    std::cout << what << (member.duplicate ? ": there already" : ": added")
              << ", booked by attempt " << *unwrap(bus->state("agent", what)) << std::endl;
  }
  unwrap(trip.seal());  // nothing more is added: once all are done, nothing is undone any more
  unwrap(bus->wait_settled(trip.id(), seconds(30)));
  std::cout << "trip 7: " << to_string(unwrap(bus->operation(trip.id())).state) << std::endl;

  // As long as it is not committed it can be called off, whatever of it is done.
  auto picnic = unwrap(bus->begin_operation());
  for (const auto* what : {"meadow", "boat"}) {
    const auto member = unwrap(picnic.add({.type = "book", .payload = what}));
    unwrap(bus->wait_settled(member.id, seconds(30)));
  }
  unwrap(picnic.roll_back("it rains"));
  unwrap(bus->wait_settled(picnic.id(), seconds(30)));
  const auto end = unwrap(bus->operation(picnic.id()));
  std::cout << "picnic: " << to_string(end.state) << ", " << end.reason << std::endl;
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
