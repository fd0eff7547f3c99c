// SPDX-License-Identifier: MIT
#include "support/load.h"

#include <random>

#include "model/chunk.h"

namespace holdfast::bench {

Load::Load(std::size_t payload_bytes, std::size_t batch_events)
    : batch_events_(batch_events), payloads_(payload_bytes > 16'384 ? 61 : 1021) {
  // About as compressible as small JSON; so many that no compressor's window holds one twice.
  std::mt19937_64 random(payload_bytes);
  for (auto& payload : payloads_) {
    while (payload.size() < payload_bytes) {
      payload += "{\"path\":\"/src/" + std::to_string(random()) +
                 "\",\"time\":" + std::to_string(random());
    }
    payload.resize(payload_bytes);
  }
  for (std::size_t i = 0; i < payloads_.size(); ++i) {
    model::EncodedEvents encoded;
    encoded.add(event(i), 1);
    records_.emplace_back(encoded.record(0));
  }
  for (std::size_t i = 0; i < payloads_.size() + batch_events; ++i) {
    owned_.push_back({.type = std::string(kType), .payload = payloads_[i % payloads_.size()]});
  }
}

}  // namespace holdfast::bench
