// SPDX-License-Identifier: MIT
// Keys of the journal: what is taken apart is put together to the same bytes.
#include <string>

#include "fuzz/targets.h"
#include "journal/rocks/keys.h"

namespace holdfast::fuzz {

namespace {

namespace keys = journal::keys;

std::string made_again(std::string_view key, const keys::Parsed& parsed) {
  switch (parsed.table) {
    case keys::Table::event: return keys::event(parsed.event);
    case keys::Table::subscription: return keys::subscription(parsed.subscription);
    case keys::Table::cursor: return keys::cursor(parsed.subscription, parsed.event.priority);
    case keys::Table::settlement: return keys::settlement(parsed.subscription, parsed.event);
    case keys::Table::parked: return keys::parked(parsed.subscription, parsed.event);
    case keys::Table::dead_letter: return keys::dead_letter(parsed.subscription, parsed.event);
    case keys::Table::due: return keys::due(parsed.subscription, parsed.event, parsed.due);
    case keys::Table::state: return keys::state(parsed.name, parsed.key);
    case keys::Table::ordering_key: return keys::ordering_key(parsed.key);
    case keys::Table::meta:
      if (const auto lost = keys::parse_lost_range(key)) {
        return keys::lost_range(lost->priority, lost->sequence);
      }
      if (const auto mark = keys::parse_retention_mark(key)) {
        return keys::retention_mark(mark->priority, mark->sequence);
      }
      for (const auto one : {keys::kJournal, keys::kCommit, keys::kResumed, keys::kPausedTypes}) {
        if (key == one) return std::string(one);
      }
      return {};
    case keys::Table::cancel:
      if (const auto token = keys::parse_token(key)) return keys::token(*token);
      if (const auto event = keys::parse_tombstone(key)) return keys::tombstone(*event);
      return {};
    case keys::Table::idempotency:
      if (const auto name = keys::parse_idempotency(key)) return keys::idempotency(*name);
      if (const auto use = keys::parse_idempotency_use(key)) return keys::idempotency_use(*use);
      return key == keys::kIdempotencyRange ? std::string(key) : std::string();
    case keys::Table::operation:
      if (const auto id = keys::parse_operation(key)) return keys::operation(*id);
      if (const auto member = keys::parse_member(key)) {
        return keys::member(member->first, member->second);
      }
      return {};
  }
  return {};
}

}  // namespace

void run_key(std::string_view input) {
  const auto parsed = keys::parse(input);
  if (!input.empty()) {
    const auto end = keys::end_of(input.substr(0, 1) == "\xff" ? "a" : input);
    FUZZ_CHECK(end > input || input.substr(0, 1) == "\xff");
  }
  if (!parsed) return;
  note_accepted();
  FUZZ_CHECK(parsed->event.priority <= Priority::low);
  FUZZ_CHECK(made_again(input, *parsed) == input);
  // It sorts among those of its table, and of its subscription where it has one.
  const auto table = keys::all(parsed->table);
  FUZZ_CHECK(input >= table && input < keys::end_of(table));
  if (parsed->subscription.value != 0) {
    const auto own = keys::of_subscription(parsed->table, parsed->subscription);
    FUZZ_CHECK(input >= own && input < keys::end_of(own));
  }
}

}  // namespace holdfast::fuzz
