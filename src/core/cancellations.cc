// SPDX-License-Identifier: MIT
#include "core/cancellations.h"

#include <utility>

#include "base/assert.h"

namespace holdfast::core {

Cancellations::Token* Cancellations::find(TokenId id) {
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? nullptr : &found->second;
}

const Cancellations::Token* Cancellations::find(TokenId id) const {
  const auto found = tokens_.find(id);
  return found == tokens_.end() ? nullptr : &found->second;
}

Cancellations::Token& Cancellations::add(model::TokenRecord record) {
  const auto id = record.id;
  if (record.cancelled_in.value == 0) deadlines_.add(id, record.deadline);
  const auto [at, inserted] = tokens_.emplace(id, Token{std::move(record), {}, false});
  HOLDFAST_ASSERT(inserted);
  return at->second;
}

void Cancellations::erase(TokenId id) {
  drop_deadline(id);
  tokens_.erase(id);
}

void Cancellations::drop_deadline(TokenId id) {
  if (const auto* token = find(id); token != nullptr) {
    deadlines_.drop(id, token->record.deadline);
  }
}

}  // namespace holdfast::core
