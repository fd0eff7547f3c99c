#include <chrono>
#include <iostream>

#include <holdfast/holdfast.h>

int fail(const holdfast::Status& why) {
  std::cerr << why.to_string() << '\n';  // e.g. locked, and the process that has the journal open
  return 1;
}

int main() {
  auto bus = holdfast::Bus::open("journal");  // recovers whatever the last run left
  if (!bus) return fail(bus.status());

  // Durable, because it has a name: the next run goes on where this one was.
  auto mailer = (*bus)->subscribe({.name = "mailer", .types = {"order.>"}}, [](auto& delivery) {
    std::cout << "mail: " << delivery.event().payload_text() << std::endl;
  });
  if (!mailer) return fail(mailer.status());

  auto receipt = (*bus)->publish("order.placed", "one kettle");  // returns once it is on disk
  if (!receipt) return fail(receipt.status());
  auto settled = (*bus)->wait_settled(receipt->id, std::chrono::seconds(10));
  return settled ? 0 : fail(settled);
}
