// SPDX-License-Identifier: MIT
#include "indexer/hasher.h"

#include <string>
#include <thread>

#include <holdfast/throwing.h>

#include "indexer/catalog.h"
#include "indexer/events.h"
#include "indexer/sha256.h"

namespace indexer {

using holdfast::Delivery;
using holdfast::Outcome;
using holdfast::StatusCode;

namespace {

Outcome hash(Delivery& delivery) {
  const std::string path(delivery.event().payload_text());
  const auto hashed = hash_file(path, delivery.stop_token());
  if (!hashed) {
    const auto& why = hashed.status();
    if (why == StatusCode::cancelled) return Outcome::stopped();
    if (why == StatusCode::resource_exhausted) return Outcome::retry(why.message());
    return Outcome::reject(why.message());
  }

  // Read, raise, write: were the entry changed by another commit meanwhile, the whole tx would be
  // refused and this handler run again. No lock is needed, and no count is lost.
  auto state = delivery.tx().state();
  const auto key = entry_key(path);
  const auto known = state.get(key);
  if (!known) return Outcome::retry(known.status().to_string());
  FileEntry entry{1, hashed->digest, hashed->size, hashed->changed, path};
  if (*known) {
    const auto before = FileEntry::decode(**known);
    if (!before) return Outcome::reject("its entry in the state is unreadable");
    entry.times += before->times;
  }
  state.put(key, entry.encode());
  return Outcome::ack();
}

}  // namespace

holdfast::Subscription start_hasher(holdfast::Bus& bus, std::chrono::microseconds hold) {
  return unwrap(
      bus.subscribe({.name = kHasherName,
                     .types = {std::string(kFileType)},
                     .concurrency = 5,  // Four, since one slot is kept for critical events.
                     .retry = kPatient},
                    [hold](Delivery& delivery) {
                      auto outcome = hash(delivery);
                      if (hold.count() > 0) std::this_thread::sleep_for(hold);
                      return outcome;
                    }));
}

}  // namespace indexer
