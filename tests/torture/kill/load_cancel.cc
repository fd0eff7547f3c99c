// SPDX-License-Identifier: MIT
// What publishers take back: cancels, tokens and operations.

#include <algorithm>
#include <utility>

#include "torture/kill/load.h"

namespace holdfast::torture {

namespace {

using Kind = Note::Kind;
using std::chrono::microseconds;
using std::chrono::milliseconds;

}  // namespace

/// Tells how each of `events` stands by `receipt`.
void Publisher::tell_cancel(const CancelReceipt& receipt,
                            const std::vector<std::pair<EventId, Body>>& events) const {
  // A cancel of what was cancelled before changes nothing, and names nothing.
  if (receipt.already_cancelled) return;
  if (receipt.prevented + receipt.signalled + receipt.too_late != events.size()) {
    teller_.wrong("4.3: a cancel counts " + std::to_string(receipt.prevented) + " + " +
                  std::to_string(receipt.signalled) + " + " + std::to_string(receipt.too_late) +
                  " events of " + std::to_string(events.size()));
  }
  for (const auto& [id, outcome] : receipt.events) {
    const auto found = std::find_if(events.begin(), events.end(),
                                    [&, id = id](const auto& each) { return each.first == id; });
    if (found == events.end()) {
      teller_.wrong("4.3: a cancel names " + to_string(id) + ", which is none of its events");
      continue;
    }
    teller_.tell({.kind = Kind::cancelled,
                  .what = static_cast<std::uint8_t>(outcome),
                  .key = found->second.key});
  }
}

void Publisher::cancel_single() {
  Made made;
  make(made, Type::cancellable, draws(25) ? kIsDeferred : 0U);
  intend(made.body);
  if (draws(20)) {  // some live on
    publish(made);
    return;
  }
  const bool by_token = draws(50);
  TokenId token;
  EventId id{Priority::normal, 0};
  if (by_token) {
    const auto receipt = bus_.publish_cancellable(made.event);
    if (!teller_.expect_ok(receipt.status(), "publish_cancellable")) return;
    confirm(made.body.key, receipt->receipt, Durability::durable);
    token = receipt->token;
    id = receipt->receipt.id;
  } else {
    const auto receipt = bus_.publish(made.event);
    if (!teller_.expect_ok(receipt.status(), "publish")) return;
    confirm(made.body.key, *receipt, Durability::durable);
    id = receipt->id;
  }
  rest(microseconds(draw(10'000)));
  teller_.tell({.kind = Kind::asked, .key = made.body.key});
  const auto cancelled = by_token ? bus_.cancel(token, "torture") : bus_.cancel(id, "torture");
  // A token all of whose events have ended may be gone by now.
  if (by_token && cancelled.status().code() == StatusCode::not_found) return;
  if (!teller_.expect_ok(cancelled.status(), "cancel")) return;
  tell_cancel(*cancelled, {{id, made.body}});
  teller_.did(by_token ? Feature::cancel_token : Feature::cancel_id);
}

void Publisher::cancel_many() {
  const auto token = bus_.make_token();
  if (!teller_.expect_ok(token.status(), "make_token")) return;
  std::vector<std::pair<EventId, Body>> events;
  for (auto count = 2 + draw(4); count > 0; --count) {
    Made made;
    make(made, Type::cancellable);
    made.event.token = *token;
    intend(made.body);
    const auto durability = any_durability();
    const auto receipt = bus_.publish(made.event, {.durability = durability});
    if (!teller_.expect_ok(receipt.status(), "publish under a token")) return;
    confirm(made.body.key, *receipt, durability);
    events.emplace_back(receipt->id, made.body);
  }
  rest(microseconds(draw(6'000)));
  for (const auto& [id, body] : events) teller_.tell({.kind = Kind::asked, .key = body.key});
  const auto cancelled = bus_.cancel(*token, "torture");
  if (cancelled.status().code() == StatusCode::not_found) return;
  if (!teller_.expect_ok(cancelled.status(), "cancel of a token")) return;
  tell_cancel(*cancelled, events);
  teller_.did(Feature::token_over_many);

  Made late;
  make(late, Type::cancellable);
  late.event.token = *token;
  intend(late.body, true);
  const auto refused = bus_.publish(late.event);
  // The token may be gone, with the last of its events.
  if (refused.status().code() != StatusCode::cancelled &&
      refused.status().code() != StatusCode::not_found) {
    teller_.wrong("4.3: publish under a cancelled token: " + refused.status().to_string());
  }
  refuse(late.body.key, refused.status().code());
  teller_.did(Feature::cancelled_publish);
}

void Publisher::time_out_token() {
  const auto token = bus_.make_token({.timeout = milliseconds(3 + draw(20))});
  if (!teller_.expect_ok(token.status(), "make_token")) return;
  for (auto count = 1 + draw(3); count > 0; --count) {
    Made made;
    make(made, Type::cancellable);
    made.event.token = *token;
    intend(made.body);
    // It may be over at any moment.
    teller_.tell({.kind = Kind::asked, .key = made.body.key});
    const auto receipt = bus_.publish(made.event);
    if (receipt.ok()) {
      confirm(made.body.key, *receipt, Durability::durable);
      continue;
    }
    if (receipt.status().code() != StatusCode::cancelled &&
        receipt.status().code() != StatusCode::not_found) {
      teller_.wrong("publish under a token with a time-out: " + receipt.status().to_string());
    }
    refuse(made.body.key, receipt.status().code());
  }
  teller_.did(Feature::token_timeout);
}

void Publisher::publish_operation() {
  const auto group = next_key_ + 1;
  const auto size = static_cast<std::uint32_t>(2 + draw(3));
  const auto rejected = draws(30) ? draw(size) : size;
  std::vector<Body> bodies;
  std::vector<OwnedEvent> events;
  for (std::uint32_t i = 0; i < size; ++i) {
    auto body = make_body(Type::member, group, size);
    if (i == rejected) body.special = kRejects;
    intend(body);
    bodies.push_back(body);
    events.push_back({.type = std::string(name_of(Type::member)),
                      .payload = encode_body(body, any_padding()),
                      .priority = any_lane()});
  }
  OperationOptions operation{.sequential = draws(70)};
  const bool is_cancelled = draws(20);
  if (draws(20)) operation.deadline = milliseconds(2 + draw(20));
  if (is_cancelled || operation.deadline < std::chrono::minutes(1)) {
    teller_.tell({.kind = Kind::undo, .group = group});
  }
  const auto durability = any_durability();
  const auto receipt =
      bus_.publish_batch(events, {.durability = durability, .operation = operation});
  if (!teller_.expect_ok(receipt.status(), "publish_batch as an operation")) return;
  for (std::uint32_t i = 0; i < size; ++i) {
    confirm(bodies[i].key, receipt->receipts[i], durability);
  }
  teller_.did(Feature::operation);
  if (!is_cancelled) return;
  rest(microseconds(draw(8'000)));
  const auto victim = receipt->receipts[draw(size)].id;
  teller_.expect_ok(bus_.cancel(victim, "torture").status(), "cancel of a member");
}

void Publisher::compose_operation() {
  const auto group = next_key_ + 1;
  const auto operation = bus_.begin_operation({.sequential = draws(70)});
  if (!teller_.expect_ok(operation.status(), "begin_operation")) return;
  auto composite = *operation;
  const bool is_rolled_back = draws(30);
  if (is_rolled_back) teller_.tell({.kind = Kind::undo, .group = group});
  const auto rejected = draws(20) ? draw(3) : 3;
  for (std::uint64_t i = 0; i < 3; ++i) {
    // Once a member was rejected it is no surprise that no more are taken.
    Made made;
    make(made, Type::member, i == rejected ? kRejects : 0U);
    made.body.group = group;
    made.payload = encode_body(made.body, 20);
    made.event.payload = made.payload;
    intend(made.body);
    const auto receipt = composite.add(made.event);
    if (receipt.ok()) {
      confirm(made.body.key, *receipt, Durability::durable);
      continue;
    }
    if (i <= rejected) teller_.wrong("add to an operation: " + receipt.status().to_string());
    refuse(made.body.key, receipt.status().code());
    return;
  }
  teller_.did(Feature::composite);
  rest(microseconds(draw(3'000)));
  const auto status = is_rolled_back ? composite.roll_back("torture") : composite.seal();
  if (is_rolled_back) teller_.did(Feature::roll_back);
  if (rejected == 3) teller_.expect_ok(status, is_rolled_back ? "roll_back" : "seal");
}

}  // namespace holdfast::torture
