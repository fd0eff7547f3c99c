// SPDX-License-Identifier: MIT
// The comparison after a crash.
#include <algorithm>
#include <string>

#include "torture/power_loss/book.h"

namespace holdfast::testing {

namespace {

bool is_pending(EventState state) {
  return state == EventState::ready || state == EventState::leased ||
         state == EventState::scheduled || state == EventState::unclaimed;
}

std::string number(CommitNumber commit) { return std::to_string(commit.value); }

}  // namespace

PowerBook::FoundEvents PowerBook::scan(Bus& bus) {
  FoundEvents found;
  const auto status = bus.scan({}, [&](const EventView& event, EventState state) {
    const auto body = decode_body(event.payload);
    if (!body || event.type != type_of(body->kind)) {
      violate(to_string(event.id) + " is damaged, or was never published");
      return true;
    }
    ++figures_.events;
    found[event.id] = {*body, event.commit, state};
    know(event.id, *body, event.commit);
    note_once(*body, event.id);
    return true;
  });
  if (!status.ok()) violate("scanning: " + status.to_string());
  return found;
}

void PowerBook::check_recovery(const RecoveryReport& report, bool power_was_lost) {
  if (!report.damage.empty()) violate("damage is reported: " + report.damage);
  if (!report.suspects.empty()) violate("there are suspects after a boot");
  if (report.bytes_cut > 0 && report.cut_copy.empty()) violate("what was cut was not kept");
  if (!power_was_lost && report.lost.size() != lost_.size()) {
    violate("a process that was killed has lost sequences");
  }
  const auto is_known = [&](const RecoveryReport::LostRange& range) {
    return std::any_of(report.lost.begin(), report.lost.end(), [&](const auto& one) {
      return one.priority == range.priority && one.from <= range.from && range.to <= one.to;
    });
  };
  if (!std::all_of(lost_.begin(), lost_.end(), is_known)) violate("a lost range was forgotten");
  lost_ = report.lost;
}

bool PowerBook::is_in_lost_range(EventId id) const {
  return std::any_of(lost_.begin(), lost_.end(), [&](const auto& range) {
    return range.priority == id.priority && range.from <= id.sequence && id.sequence <= range.to;
  });
}

/// Whether all that were owed it can have ended it, so that it may be trimmed.
bool PowerBook::may_be_gone(Bus& bus, const Known& known) const {
  if (known.was_cancelled || known.is_prevented) return true;
  const auto consumers = consumers_of(known.body.kind);
  if (consumers.empty()) return false;
  const bool is_ended = std::all_of(consumers.begin(), consumers.end(), [&](Consumer consumer) {
    return known.answered[consumer] || known.settled[consumer];
  });
  if (is_ended || known.body.kind != EventKind::step) return is_ended;
  // Cancelled with its operation. Of one whose receipt never came nothing is known.
  if (known.operation.value == 0) return true;
  const auto operation = bus.operation(known.operation);
  return !operation.ok() || operation->state != OperationState::open;
}

void PowerBook::check_found(EventId id, const Known& known, const Found& found) {
  if (is_in_lost_range(id)) violate(to_string(id) + " is there and recorded as lost");
  if (known.is_gone) violate(to_string(id) + " had gone and is back");
  if (known.is_prevented && is_pending(found.state)) {
    violate(to_string(id) + " was cancelled and is " + std::string(to_string(found.state)));
  }
  const auto consumers = consumers_of(known.body.kind);
  const bool is_settled =
      !consumers.empty() && std::all_of(consumers.begin(), consumers.end(),
                                        [&](Consumer consumer) { return known.settled[consumer]; });
  if (is_settled && is_pending(found.state)) {
    violate(to_string(id) + " was settled durably and is " + std::string(to_string(found.state)));
  }
}

/// `newest`: of the commits of before that are there.
void PowerBook::check_lost(EventId id, Known& known, CommitNumber newest) {
  known.is_lost = true;
  if (known.is_durable) violate(to_string(id) + " was promised durably and is lost");
  if (known.commit <= newest) {
    violate(to_string(id) + " of commit " + number(known.commit) + " is lost, and commit " +
            number(newest) + " is there");
  }
  if (known.commit <= durable_) {
    violate(to_string(id) + " of commit " + number(known.commit) + " is lost, and commit " +
            number(durable_) + " was durable");
  }
  if (known.has_receipt) ++figures_.os_receipts_lost;
  const auto once = once_.find(known.body.once);
  if (known.body.once != 0 && once != once_.end() && once->second.first == id) once_.erase(once);
}

void PowerBook::check_live(Bus& bus, const FoundEvents& found) {
  CommitNumber newest;
  for (const auto& [id, each] : found) newest = std::max(newest, each.commit);
  for (auto at = live_.begin(); at != live_.end();) {
    const auto id = *at;
    auto& known = known_.at(id);
    if (known.is_durable && known.has_receipt && known.commit > floor_) ++figures_.durable_receipts;
    if (const auto there = found.find(id); there != found.end()) {
      check_found(id, known, there->second);
      if (known.commit > floor_ && known.body.batch != 0) ++batches_[known.body.batch].present;
      ++at;
      continue;
    }
    if (is_in_lost_range(id)) {
      check_lost(id, known, newest);
      if (known.body.batch != 0) batches_[known.body.batch].is_lost = true;
    } else if (may_be_gone(bus, known)) {
      known.is_gone = true;
      if (known.commit > floor_ && known.body.batch != 0) ++batches_[known.body.batch].present;
    } else {
      violate(to_string(id) + " of commit " + number(known.commit) + " is missing" +
              (known.is_durable ? ", was promised durably," : "") + " and nothing tells of it");
    }
    at = live_.erase(at);
  }
}

void PowerBook::check_batches(Bus& bus) {
  for (const auto& [key, batch] : batches_) {
    ++figures_.batches;
    if (batch.present != 0 && (batch.present != batch.size || batch.is_lost)) {
      violate("of batch " + std::to_string(key) + " there are " + std::to_string(batch.present) +
              " of " + std::to_string(batch.size));
    }
    const auto state = bus.state("batches", std::to_string(key));
    if (!state.ok()) {
      violate("state of a batch: " + state.status().to_string());
    } else if (state->has_value() != (batch.has_state && batch.present > 0)) {
      violate("batch " + std::to_string(key) + " and its state are not one");
    }
  }
  batches_.clear();
}

/// State, follow-up and ack of each event that "count" has answered since the last time.
void PowerBook::check_tx(Bus& bus) {
  for (const auto id : touched_) {
    auto& known = known_.at(id);
    const auto state = bus.state("count", std::to_string(known.body.key));
    if (!state.ok()) {
      violate("state of an event: " + state.status().to_string());
      continue;
    }
    const bool has_follow = [&] {
      const auto follow = ids_.find(known.body.key | kFollowBit);
      return follow != ids_.end() && !known_.at(follow->second).is_lost;
    }();
    if (!state->has_value()) {
      if (known.acked[kCount]) violate("the tx of " + to_string(id) + " is gone, its ack was told");
      if (has_follow) violate("of the tx of " + to_string(id) + " only its event is there");
      continue;
    }
    if (**state != "1") violate("the tx of " + to_string(id) + " happened " + **state + " times");
    if (known.is_lost) violate("the tx of " + to_string(id) + " is there, and the event is not");
    if (!has_follow && is_followed(known.body.key)) {
      violate("of the tx of " + to_string(id) + " only its state is there");
    }
    // What is there after a crash is on the disk, with the ack.
    known.settled[kCount] = known.acked[kCount] = known.is_durable = true;
  }
  touched_.clear();
}

void PowerBook::check_tokens(Bus& bus) {
  for (auto at = tokens_.begin(); at != tokens_.end();) {
    const auto& [id, expected] = *at;
    const auto token = bus.token(TokenId{id});
    const bool may_be_forgotten =
        expected.may_be_cancelled && token.status() == StatusCode::not_found;
    if (!token.ok() && !may_be_forgotten) {
      violate("token " + std::to_string(id) + ": " + token.status().to_string());
    }
    if (token.ok() && expected.is_cancelled && !token->cancelled()) {
      violate("token " + std::to_string(id) + " was cancelled and is not");
    }
    // A cancelled one is forgotten by and by.
    at = expected.may_be_cancelled ? tokens_.erase(at) : std::next(at);
  }
}

void PowerBook::check_operations(Bus& bus) {
  for (const auto& [id, members] : operations_) {
    const auto info = bus.operation(OperationId{id});
    if (!info.ok()) {
      violate("operation " + std::to_string(id) + ": " + info.status().to_string());
      continue;
    }
    const bool is_same =
        std::equal(members.begin(), members.end(), info->members.begin(), info->members.end(),
                   [](EventId event, const auto& member) { return event == member.event; });
    if (!is_same) violate("operation " + std::to_string(id) + " has other members");
    auto& before = operation_states_[id];
    const bool had_ended =
        before == OperationState::committed || before == OperationState::rolled_back;
    if (had_ended && info->state != before) {
      violate("operation " + std::to_string(id) + " was " + std::string(to_string(before)) +
              " and is " + std::string(to_string(info->state)));
    }
    before = info->state;
  }
}

void PowerBook::check(Bus& bus, bool power_was_lost) {
  const std::lock_guard lock(mutex_);
  const auto begin = floor_;
  check_recovery(bus.recovery(), power_was_lost);
  const auto found = scan(bus);
  check_live(bus, found);
  check_batches(bus);
  check_tx(bus);
  check_tokens(bus);
  check_operations(bus);
  // The open's own commit included.
  floor_ = std::max(newest_, bus.durable_commit());
  figures_.commits += newest_.value > begin.value ? newest_.value - begin.value : 0;
}

void PowerBook::check_end(Bus& bus) {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, known] : known_) {
    if (!known.is_known || known.is_lost || known.was_cancelled) continue;
    const bool is_counted = known.body.kind == EventKind::work;
    if (!is_counted) continue;
    const auto state = bus.state("count", std::to_string(known.body.key));
    if (!state.ok() || !state->has_value() || **state != "1") {
      violate("the tx of " + to_string(id) + " did not happen exactly once");
    }
    if (is_followed(known.body.key) && !ids_.contains(known.body.key | kFollowBit)) {
      violate("the follow-up of " + to_string(id) + " is missing");
    }
  }
  for (const auto& [id, members] : operations_) {
    const auto info = bus.operation(OperationId{id});
    if (!info.ok()) continue;  // told already
    if (info->state == OperationState::open || info->state == OperationState::rolling_back) {
      violate("operation " + std::to_string(id) + " does not end");
    }
    for (const auto& member : members) {
      const auto key = std::to_string(known_.at(member).body.key);
      const auto done = bus.state("count", key);
      const auto undone = bus.state("undo", key);
      if (!done.ok() || !undone.ok()) {
        violate("state of a member cannot be read");
        continue;
      }
      const bool is_done = done->has_value();
      const bool is_undone = undone->has_value();
      if (is_undone && (!is_done || **undone != "1")) {
        violate("member " + key + " was undone " + **undone + " times");
      }
      if (is_undone != (is_done && info->state == OperationState::rolled_back)) {
        violate("member " + key + " of an operation that is " +
                std::string(to_string(info->state)) + (is_undone ? " was" : " was not") +
                " undone");
      }
    }
  }
}

}  // namespace holdfast::testing
