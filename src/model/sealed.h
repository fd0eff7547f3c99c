// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/checksum.h"
#include "holdfast/result.h"
#include "model/flatbuffer.h"

// State records as bytes: see state_codec.h.

namespace holdfast::model {

inline constexpr std::size_t kChecksumBytes = sizeof(std::uint64_t);

[[nodiscard]] inline std::string seal(const flatbuffers::FlatBufferBuilder& builder,
                                      std::string_view key) {
  std::string value(finished(builder));
  value.resize((value.size() + 7) & ~std::size_t{7});
  const auto sum = base::checksum(value, base::checksum(key));
  value.append(reinterpret_cast<const char*>(&sum), sizeof(sum));
  return value;
}

[[nodiscard]] inline Status damaged(std::string_view what, std::string_view why) {
  return {StatusCode::data_loss, std::string(what) + ": " + std::string(why)};
}

/// A record read back: an aligned copy, since the store's bytes may begin anywhere.
template <typename Table>
class Opened {
 public:
  static Result<Opened> open(std::string_view what, std::string_view key, std::string_view value) {
    if (value.size() < kChecksumBytes + 8 || value.size() % 8 != 0) {
      return damaged(what, "has an impossible size");
    }
    const auto body = value.substr(0, value.size() - kChecksumBytes);
    std::uint64_t sum = 0;
    std::memcpy(&sum, value.data() + body.size(), sizeof(sum));
    if (sum != base::checksum(body, base::checksum(key))) return damaged(what, "checksum is wrong");
    Opened opened;
    opened.words_.resize(body.size() / 8);
    std::memcpy(opened.words_.data(), body.data(), body.size());
    const std::string_view aligned(reinterpret_cast<const char*>(opened.words_.data()),
                                   body.size());
    auto verifier = verifier_of(aligned);
    if (!verifier.VerifyBuffer<Table>(nullptr)) return damaged(what, "is malformed");
    return opened;
  }
  const Table* operator->() const { return flatbuffers::GetRoot<Table>(words_.data()); }

 private:
  std::vector<std::uint64_t> words_;
};

}  // namespace holdfast::model
