#include <chrono>
#include <iostream>
#include <string_view>

#include <holdfast/holdfast.h>

// Time travel: a report that nobody kept is made from the journal (replay), and one that a
// subscription keeps is made anew (rewind).

int fail(const holdfast::Status& why) {
  std::cerr << why.to_string() << '\n';
  return 1;
}

/// Has the subscription "report" handle what it is owed, up to `last`.
holdfast::Status report(holdfast::Bus& bus, std::string_view round, holdfast::EventId last) {
  auto subscription =
      bus.subscribe({.name = "report", .types = {"visitor.*"}}, [&](auto& delivery) {
        std::cout << round << ": " << delivery.event().payload_text() << '\n';
      });
  if (!subscription) return subscription.status();
  return bus.wait_settled(last, std::chrono::seconds(10));
}

int main() {
  auto bus = holdfast::Bus::open("journal");
  if (!bus) return fail(bus.status());
  for (const auto* city : {"Oslo", "Lima", "Kyoto"}) {
    auto receipt = (*bus)->publish("visitor.came", city);
    if (!receipt) return fail(receipt.status());
  }

  // Replay: the events once more, in the order in which they were committed. Nobody's position
  // moves. With `.speed = 1` they would come at the pace at which they were published.
  auto replayed = (*bus)->replay({.types = {"visitor.*"}}, [](const holdfast::EventView& event) {
    std::cout << "replay: " << event.payload_text() << '\n';
    return true;  // go on
  });
  if (!replayed) return fail(replayed.status());
  const auto last = replayed->last->id;

  if (auto status = report(**bus, "first", last); !status) return fail(status);

  // Rewind: a durable subscription is owed them again, as if it had never seen them. It must have
  // no handler meanwhile.
  auto rewound = (*bus)->rewind("report", holdfast::Start::position(last));
  if (!rewound) return fail(rewound.status());
  std::cout << "owed again: " << rewound->total << '\n';
  auto status = report(**bus, "again", last);
  return status ? 0 : fail(status);
}
