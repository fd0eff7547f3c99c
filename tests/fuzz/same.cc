// SPDX-License-Identifier: MIT
#include "fuzz/same.h"

#include <algorithm>
#include <tuple>
#include <variant>

namespace holdfast::fuzz {

namespace {

bool same(const model::ChunkPtr& a, const model::ChunkPtr& b) { return a->bytes() == b->bytes(); }

auto whole(const Match& match) {
  const auto& [priorities, kinds, names, metadata] = match;
  return std::tie(priorities, kinds, names, metadata);
}
auto whole(const model::FilterRecord& record) {
  const auto& [types, match] = record;
  return std::tuple_cat(std::tie(types), whole(match));
}
bool same(const model::EarlierFilter& a, const model::EarlierFilter& b) {
  const auto& [filter_a, until_a] = a;
  const auto& [filter_b, until_b] = b;
  return whole(filter_a) == whole(filter_b) && until_a == until_b;
}
bool same(const model::SubscriptionRecord& a, const model::SubscriptionRecord& b) {
  const auto rest = [](const model::SubscriptionRecord& record) {
    const auto& [id, name, filter, earlier, start, attempts_max, paused, compensates] = record;
    return std::tuple_cat(std::tie(id, name, start, attempts_max, paused, compensates),
                          whole(filter));
  };
  return rest(a) == rest(b) &&
         std::equal(a.earlier.begin(), a.earlier.end(), b.earlier.begin(), b.earlier.end(),
                    [](const auto& one, const auto& two) { return same(one, two); });
}

auto whole(const model::CursorRecord& record) {
  const auto& [subscription, lane, floor, ahead, owed, parked, as_of] = record;
  return std::tie(subscription, lane, floor, ahead, owed, parked, as_of);
}
auto whole(const model::SettlementRecord& record) {
  const auto& [subscription, event, attempts, due, suspect, error, started, cleanup, place] =
      record;
  const auto& [key, commit, index] = place;
  return std::tie(subscription, event, attempts, due, suspect, error, started, cleanup, key, commit,
                  index);
}
auto whole(const model::DueRecord& record) {
  const auto& [subscription, event, due, attempts, suspect, started, cleanup] = record;
  return std::tie(subscription, event, due, attempts, suspect, started, cleanup);
}
bool same(const model::ParkedEvent& a, const model::ParkedEvent& b) {
  const auto& [subscription_a, event_a, chunk_a] = a;
  const auto& [subscription_b, event_b, chunk_b] = b;
  return subscription_a == subscription_b && event_a == event_b && same(chunk_a, chunk_b);
}
bool same(const model::DeadLetterRecord& a, const model::DeadLetterRecord& b) {
  const auto rest = [](const model::DeadLetterRecord& record) {
    const auto& [subscription, event, attempts, reason, died_at, chunk, cleanup, started] = record;
    return std::tie(subscription, event, attempts, reason, died_at, cleanup, started);
  };
  return rest(a) == rest(b) && same(a.chunk, b.chunk);
}
auto whole(const model::StateRecord& record) {
  const auto& [name, key, value, version] = record;
  return std::tie(name, key, value, version);
}
auto whole(const model::RetentionMark& mark) {
  const auto& [lane, sequence, at, bus, bytes, unclaimed, counted_to, forgotten] = mark;
  return std::tie(lane, sequence, at, bus, bytes, unclaimed, counted_to, forgotten);
}
auto whole(const model::LostRange& range) {
  const auto& [lane, from, to] = range;
  return std::tie(lane, from, to);
}
auto whole(const model::TokenRecord& record) {
  const auto& [id, made, used, deadline, first, last, published, ended, in, at, reason] = record;
  return std::tie(id, made, used, deadline, first, last, published, ended, in, at, reason);
}
auto whole(const model::TombstoneRecord& record) {
  const auto& [event, at, reason] = record;
  return std::tie(event, at, reason);
}
auto whole(const model::OrderingKeyRecord& record) {
  const auto& [key, last, newest] = record;
  return std::tie(key, last, newest);
}
auto whole(const model::IdempotencyRecord& record) {
  const auto& [key, use, event, commit, batch, token, used_at] = record;
  return std::tie(key, use, event, commit, batch, token, used_at);
}
auto whole(const model::IdempotencyUse& use) {
  const auto& [number, used_at, key] = use;
  return std::tie(number, used_at, key);
}
auto whole(const model::IdempotencyRange& range) {
  const auto& [first, next] = range;
  return std::tie(first, next);
}
auto whole(const model::OperationRecord& record) {
  const auto& [id, state, sequential, is_sealed, members, begun, ended, bus, deadline, reason] =
      record;
  return std::tie(id, state, sequential, is_sealed, members, begun, ended, bus, deadline, reason);
}
auto whole(const model::MemberRecord& record) {
  const auto& [operation, index, event, token, state, done_at, undone_at] = record;
  return std::tie(operation, index, event, token, state, done_at, undone_at);
}
auto whole(const model::PausedTypesRecord& record) {
  const auto& [patterns, releasing] = record;
  return std::tie(patterns, releasing);
}
template <typename T>
bool same(const T& a, const T& b) {
  return whole(a) == whole(b);
}

}  // namespace

bool same(const model::Record& a, const model::Record& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&](const auto& one) { return same(one, std::get<std::decay_t<decltype(one)>>(b)); }, a);
}

bool same(const model::Commit& a, const model::Commit& b) {
  const auto rest = [](const model::Commit& commit) {
    const auto& [epoch, number, durable_known, written_at, next, trim, clean, operations] = commit;
    return std::tie(epoch, number, durable_known, written_at.wall, written_at.boot, written_at.bus,
                    next, trim, clean);
  };
  return rest(a) == rest(b);
}

bool same(const EventView& a, const EventView& b) {
  const auto rest = [](const EventView& event) {
    const auto& [id, commit, index, batch, published_at, timestamp, type, payload, content_type,
                 source, metadata, not_before, expires_at, token, ordering_key, idempotency_key,
                 operation] = event;
    return std::tie(id, commit, index, batch, published_at, timestamp, type, content_type, source,
                    not_before, expires_at, token, ordering_key, idempotency_key, operation);
  };
  if (rest(a) != rest(b) || a.payload_text() != b.payload_text()) return false;
  if (a.metadata.size() != b.metadata.size()) return false;
  for (std::size_t i = 0; i < a.metadata.size(); ++i) {
    if (a.metadata[i] != b.metadata[i]) return false;
  }
  return true;
}

}  // namespace holdfast::fuzz
