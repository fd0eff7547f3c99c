// SPDX-License-Identifier: MIT
#include "torture/power_loss/book.h"

#include <algorithm>
#include <cstring>

namespace holdfast::testing {

const char* type_of(EventKind kind) {
  switch (kind) {
    case EventKind::work: return "work";
    case EventKind::drop: return "drop";
    case EventKind::step: return "step";
    case EventKind::follow: return "follow";
    case EventKind::rare: return "rare";
  }
  return "";
}

std::vector<Consumer> consumers_of(EventKind kind) {
  switch (kind) {
    case EventKind::work: return {kCount, kAudit};
    case EventKind::drop:
    case EventKind::step: return {kCount};
    case EventKind::follow: return {kFollow};
    case EventKind::rare: return {};
  }
  return {};
}

std::string encode_body(const EventBody& body, std::size_t padding) {
  std::string text(sizeof(body) + padding, static_cast<char>(body.key));
  std::memcpy(text.data(), &body, sizeof(body));
  return text;
}

std::optional<EventBody> decode_body(Bytes payload) {
  EventBody body;
  if (payload.size() < sizeof(body)) return std::nullopt;
  std::memcpy(&body, payload.data(), sizeof(body));
  const auto padding = as_text(payload.subspan(sizeof(body)));
  if (padding.find_first_not_of(static_cast<char>(body.key)) != std::string_view::npos) {
    return std::nullopt;
  }
  return body;
}

void PowerBook::violation(const std::string& what) {
  const std::lock_guard lock(mutex_);
  violate(what);
}

void PowerBook::violate(const std::string& what) {
  ++figures_.violations;
  tell_(what);
}

/// Somebody was told that this event has this id, or has seen it there.
PowerBook::Known& PowerBook::know(EventId id, const EventBody& body, CommitNumber commit) {
  auto& known = known_[id];
  if (!known.is_known) {
    known.is_known = true;
    known.body = body;
    known.commit = commit;
    if (commit <= floor_) {
      violate(to_string(id) + " is new, and of commit " + std::to_string(commit.value) +
              ", which was before the last crash");
    }
    live_.insert(id);
    if (body.batch != 0) {
      batches_[body.batch].size = body.batch_size;
      batches_[body.batch].has_state = body.has_state != 0;
    }
    const auto [other, is_first] = ids_.try_emplace(body.key, id);
    if (!is_first && !known_.at(other->second).is_lost) {
      violate("event " + std::to_string(body.key) + " is " + to_string(other->second) + " and " +
              to_string(id));
    }
    other->second = id;
  } else if (known.body.key != body.key || known.commit != commit) {
    violate(to_string(id) + " was event " + std::to_string(known.body.key) + " of commit " +
            std::to_string(known.commit.value) + ", and is event " + std::to_string(body.key) +
            " of commit " + std::to_string(commit.value));
  } else if (known.is_lost) {
    violate(to_string(id) + " was lost and has come back");
  }
  newest_ = std::max(newest_, commit);
  return known;
}

void PowerBook::note_once(const EventBody& body, EventId id) {
  if (body.once == 0) return;
  auto& once = once_[body.once];
  if (once.is_known && once.first != id) {
    violate(to_string(id) + " and " + to_string(once.first) + " have the same idempotency key");
  }
  once = {id, true};
}

void PowerBook::receipt(const EventBody& body, const Receipt& receipt, Durability durability) {
  const std::lock_guard lock(mutex_);
  auto& known = know(receipt.id, body, receipt.commit);
  known.has_receipt = true;
  note_once(body, receipt.id);
  if (durability == Durability::durable) {
    known.is_durable = true;
    note_durable(receipt.commit);
  } else {
    ++figures_.os_receipts;
  }
}

void PowerBook::duplicate(const EventBody& body, const Receipt& receipt) {
  const std::lock_guard lock(mutex_);
  ++figures_.duplicates;
  note_once(body, receipt.id);
  const auto first = known_.find(receipt.id);
  if (first != known_.end() && first->second.is_lost) {
    violate("a duplicate of " + to_string(receipt.id) + ", which is lost");
  }
}

void PowerBook::cancel_begins(EventId id) {
  const std::lock_guard lock(mutex_);
  known_[id].was_cancelled = true;
}

void PowerBook::cancelled(const CancelReceipt& receipt) {
  const std::lock_guard lock(mutex_);
  note_durable(receipt.commit);
  for (const auto& event : receipt.events) {
    if (event.outcome != CancelOutcome::prevented) continue;
    auto& known = known_[event.id];
    known.is_prevented = known.is_durable = true;
    ++figures_.cancelled;
  }
}

void PowerBook::token_made(TokenId id) {
  const std::lock_guard lock(mutex_);
  tokens_[id.value] = {};
}

void PowerBook::token_cancel_begins(TokenId id) {
  const std::lock_guard lock(mutex_);
  tokens_[id.value].may_be_cancelled = true;
}

void PowerBook::token_cancelled(TokenId id) {
  const std::lock_guard lock(mutex_);
  tokens_[id.value].is_cancelled = true;
}

void PowerBook::operation(const BatchReceipt& receipt) {
  const std::lock_guard lock(mutex_);
  ++figures_.operations;
  auto& members = operations_[receipt.operation_id.value];
  for (const auto& each : receipt.receipts) {
    members.push_back(each.id);
    known_[each.id].operation = receipt.operation_id;
  }
}

void PowerBook::delivered(Consumer consumer, const EventView& event) {
  const std::lock_guard lock(mutex_);
  const auto body = decode_body(event.payload);
  if (!body) return violate(to_string(event.id) + " was delivered damaged");
  auto& known = know(event.id, *body, event.commit);
  note_once(*body, event.id);
  const auto again = [&](const char* why) {
    violate(to_string(event.id) + " is delivered to " + std::to_string(consumer) + ", and " + why);
  };
  if (known.settled[consumer]) again("was settled durably");
  if (known.is_prevented) again("was cancelled");
  if (known.is_gone) again("had gone");
}

void PowerBook::answered(Consumer consumer, EventId id) {
  const std::lock_guard lock(mutex_);
  known_[id].answered[consumer] = true;
  if (consumer == kCount) touched_.insert(id);
}

void PowerBook::settled(Consumer consumer, EventId id, Settled how) {
  const std::lock_guard lock(mutex_);
  auto& known = known_[id];
  // A member that was acked is told of again once it is undone.
  const bool is_undone = known.body.kind == EventKind::step && how == Settled::cancelled;
  if (known.settled[consumer] && !is_undone) violate(to_string(id) + " was settled twice");
  known.settled[consumer] = known.is_durable = true;
  known.acked[consumer] = known.acked[consumer] || how == Settled::acked;
  if (how == Settled::cancelled) known.was_cancelled = true;
  ++figures_.settled;
  // Skipped or cancelled, it may never have been seen.
  if (known.commit.value != 0) note_durable(known.commit);
}

}  // namespace holdfast::testing
