// SPDX-License-Identifier: MIT
// Changing one's mind: cancel an event, or many by one token, also in a later run, or let a token
// time out; and clean up after a handler that had begun already.
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <future>
#include <iostream>
#include <string_view>
#include <thread>

#include <holdfast/holdfast.h>
#include <holdfast/throwing.h>  // `unwrap`: the value, or an exception

using holdfast::unwrap;
using std::chrono::milliseconds;
using std::chrono::seconds;

void tell(std::string_view what, const holdfast::CancelReceipt& receipt) {
  std::cout << what << ": " << to_string(receipt.outcome) << '\n';
}

int main() try {
  auto bus = unwrap(holdfast::Bus::open("journal"));
  std::promise<void> begun;
  std::promise<void> cleaned_up;
  holdfast::SubscribeOptions options{.name = "exporter", .types = {"export"}};
  // For an event that was cancelled after its handler had begun: called when the handler has
  // returned or, should the process end before that, after the next open. Tried again if it fails.
  options.on_cancel = [&](holdfast::Delivery& /*delivery*/) {
    std::remove("film.part");
    cleaned_up.set_value();
  };
  auto exporter = unwrap(bus->subscribe(options, [&](holdfast::Delivery& delivery) {
    if (delivery.event().payload_text() == "photo") return holdfast::Outcome::ack();
    std::ofstream("film.part") << "the first minutes";
    begun.set_value();
    // What takes long looks at its stop token now and then.
    while (!delivery.stop_token().stop_requested()) std::this_thread::sleep_for(milliseconds(1));
    return holdfast::Outcome::stopped();
  }));

  const auto photo = unwrap(bus->publish("export", "photo")).id;
  unwrap(bus->wait_settled(photo, seconds(30)));
  const auto film = unwrap(bus->publish("export", "film")).id;
  begun.get_future().wait();
  const auto song = unwrap(bus->publish("export", "song")).id;  // waits until the film is done

  // The answer is durable: what was prevented stays so, whatever happens to this process.
  tell("photo", unwrap(bus->cancel(photo)));  // it was acked before
  tell("song", unwrap(bus->cancel(song, "wrong song")));
  // Its handler is asked to stop, before this returns. The receipt says signalled, or prevented
  // where the handler has stopped by then: `on_cancel` cleans up in either case.
  unwrap(bus->cancel(film, "no space"));
  cleaned_up.get_future().wait();
  std::cout << "film: film.part is " << (std::ifstream("film.part") ? "there" : "gone") << '\n';

  // One token for many events, a million if need be: cancelling it is a single small commit.
  const auto trip = unwrap(bus->make_token());
  for (const auto* what : {"flight", "hotel", "car"}) {
    unwrap(bus->publish({.type = "book", .payload = what, .token = trip}));
  }
  const auto receipt = unwrap(bus->cancel(trip, "the trip is off"));
  std::cout << "trip: " << receipt.prevented << " bookings prevented\n";
  const auto late = bus->publish({.type = "book", .payload = "boat", .token = trip});
  std::cout << "boat: " << to_string(late.status().code()) << '\n';

  // Cancels itself, also when nobody is there to do it: the time goes on while no process runs.
  const auto offer = unwrap(bus->make_token({.timeout = milliseconds(300)}));
  const auto reply = unwrap(bus->publish({.type = "reply", .token = offer})).id;
  unwrap(bus->wait_settled(reply, seconds(30)));
  std::cout << "reply: " << unwrap(bus->get(reply))->cancelled->reason << '\n';

  // A token of its own for one event, which costs nothing, so that whoever may cancel does not have
  // to know which of the two kinds he has. Its id is a number that can be kept anywhere, for the
  // next run too.
  const auto ferry = unwrap(bus->publish_cancellable({.type = "book", .payload = "ferry"}));
  const auto kept = to_string(ferry.token.id());
  exporter.end();
  bus.reset();
  bus = unwrap(holdfast::Bus::open("journal"));
  const auto token = unwrap(bus->token(*holdfast::parse_token_id(kept)));
  tell("ferry", unwrap(bus->cancel(token, "a storm")));
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
