// SPDX-License-Identifier: MIT
// Events handled together: one visit to a slow neighbour for many of them, and an answer for each.
#include <chrono>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include <holdfast/holdfast.h>
#include <holdfast/throwing.h>  // `unwrap`: the value, or an exception

using holdfast::unwrap;
using namespace std::chrono_literals;

int main() try {
  const auto bus = unwrap(holdfast::Bus::open("journal"));

  // Up to a hundred at a time; whatever has come within half a second of the first goes without
  // waiting for more.
  auto uploader = unwrap(bus->subscribe_batch(
      {.name = "uploader", .types = {"photo.*"}, .batch_size = 100, .batch_linger = 500ms},
      [](holdfast::BatchDelivery& batch) {
        std::cout << "uploading " << batch.size() << " photos" << std::endl;
        std::size_t stored = 0;
        for (auto photo : batch) {
          if (photo.event().payload.empty()) {
            photo.answer(holdfast::Outcome::reject("nothing in it"));
          } else {
            ++stored;
          }
        }
        // Acks and count are one commit: after a crash all of it is there, or all comes again.
        auto tx = batch.tx();
        auto state = tx.state();
        const auto before = unwrap(state.get("stored"));
        state.put("stored", std::to_string(std::stoul(before.value_or("0")) + stored));
        return holdfast::Outcome::ack();  // for those without an answer of their own
      }));

  // Each for itself: the bad one is left out, and its error says why.
  const std::vector<holdfast::OwnedEvent> photos{{.type = "photo.taken", .payload = "a lake"},
                                                 {.type = "photo taken", .payload = "a typo"},
                                                 {.type = "photo.taken"},
                                                 {.type = "photo.taken", .payload = "a hill"}};
  const auto receipt =
      unwrap(bus->publish_batch(photos, {.mode = holdfast::BatchMode::independent}));
  for (std::size_t i = 0; i < photos.size(); ++i) {
    if (const auto each = receipt.result(i); !each) {
      std::cout << "photo " << i << ": " << to_string(each.status().code()) << std::endl;
    }
  }

  unwrap(bus->wait_settled(receipt, 30s));
  std::cout << "stored: " << *unwrap(bus->state("uploader", "stored")) << '\n';
  for (const auto& letter : unwrap(bus->dead_letters())) {
    std::cout << "given up: " << to_string(letter.id) << ", " << letter.reason << '\n';
  }
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
