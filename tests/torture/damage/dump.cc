// SPDX-License-Identifier: MIT
#include "damage/dump.h"

#include <algorithm>
#include <chrono>
#include <sstream>

#include "support/waiting.h"

namespace holdfast::testing {

namespace {

class SectionWriter {
 public:
  SectionWriter(Dump& dump, std::string name) : dump_(dump) { section_.name = std::move(name); }
  ~SectionWriter() { dump_.push_back(std::move(section_)); }
  SectionWriter(const SectionWriter&) = delete;
  SectionWriter& operator=(const SectionWriter&) = delete;

  void line(std::string text) { section_.lines.push_back(std::move(text)); }
  /// The first error is the one that is told.
  void note(const Status& status) {
    if (section_.status.ok()) section_.status = status;
  }
  void sort() { std::sort(section_.lines.begin(), section_.lines.end()); }

 private:
  Dump& dump_;
  Section section_;
};

/// Bus time is told as wall time, which moves by what the clocks differ: a day is near enough.
std::int64_t days(WallTime time) {
  constexpr std::int64_t kDay = std::int64_t{86'400} * 1'000'000'000;
  return time == 0
             ? 0
             : (time - std::chrono::system_clock::now().time_since_epoch().count() + kDay / 2) /
                   kDay;
}

template <typename Source>
void put_events(Dump& dump, const Source& source) {
  SectionWriter out(dump, "events");
  out.note(source.scan({}, [&](const EventView& event, EventState state) {
    std::ostringstream line;
    line << to_string(event.id) << " c" << event.commit.value << '.' << event.index << " b"
         << event.batch_id.value << " at " << event.published_at << ' ' << event.timestamp << " op"
         << event.operation_id.value << ' ' << to_string(state) << ' '
         << content_of(event.to_owned());
    out.line(line.str());
    return true;
  }));
}

template <typename Source>
void put_each(Dump& dump, const Source& source, const Facts& facts) {
  SectionWriter out(dump, "get");
  for (const auto& published : facts.events) {
    const auto found = source.get(published.id);
    out.note(found.status());
    if (!found.ok() || !found->has_value()) continue;
    const auto& event = **found;
    std::ostringstream line;
    line << to_string(event.id) << " c" << event.commit.value << ' ' << to_string(event.state)
         << ' ' << content_of(event.event);
    if (event.cancelled) {
      line << " cancelled at " << event.cancelled->at << ' ' << event.cancelled->reason << " token "
           << event.cancelled->token.value;
    }
    for (const auto& each : event.standings) {
      line << " [" << each.subscription << ' ' << to_string(each.state) << ' ' << each.attempts
           << " in " << days(each.next_try) << " d: " << each.last_error << ']';
    }
    out.line(line.str());
  }
}

template <typename Source>
void put_dead_letters(Dump& dump, const Source& source) {
  SectionWriter out(dump, "dead letters");
  out.note(source.scan_dead_letters({}, [&](const DeadLetter& letter) {
    out.line(letter.subscription + ' ' + to_string(letter.id) + ' ' +
             std::to_string(letter.attempts) + ' ' + letter.reason + " at " +
             std::to_string(letter.died_at) + ' ' + content_of(letter.event));
    return true;
  }));
}

void put_operations(Dump& dump, const std::vector<OperationInfo>& operations) {
  SectionWriter out(dump, "operations");
  for (const auto& each : operations) {
    std::ostringstream line;
    line << to_string(each.id) << ' ' << to_string(each.state) << ' ' << each.sequential
         << each.sealed << " \"" << each.reason << "\" begun " << each.begun_at << " due in "
         << days(each.deadline) << " d, ended " << each.ended_at;
    for (const auto& member : each.members) {
      line << " [" << to_string(member.event) << ' ' << to_string(member.state) << ' '
           << member.done_at << ' ' << member.undone_at << ']';
    }
    out.line(line.str());
  }
}

void put_stats(Dump& dump, const Stats& stats) {
  SectionWriter out(dump, "subscriptions");
  for (const auto& each : stats.subscriptions) {
    std::ostringstream line;
    line << each.name << (each.paused ? " paused" : "");
    for (const auto& lane : each.lanes) {
      line << " [" << lane.ready + lane.leased << ' ' << lane.scheduled << ' ' << lane.paused << ' '
           << lane.dead << ']';
    }
    out.line(line.str());
  }
  std::string paused = "types paused:";
  for (const auto& pattern : stats.paused_types) paused += ' ' + pattern;
  out.line(paused);
  for (const auto& lane : stats.lanes) out.line("unclaimed " + std::to_string(lane.unclaimed));
}

void put_state(Dump& dump, const JournalView& view, const std::vector<std::string>& keys) {
  SectionWriter out(dump, "state");
  for (const auto& key : keys) {
    const auto value = view.state(kStateName, key);
    out.note(value.status());
    if (value.ok() && value->has_value()) out.line(key + '=' + **value);
  }
}

void put_state(Dump& dump, const Bus& bus, const std::vector<std::string>&) {
  SectionWriter out(dump, "state");
  out.note(bus.scan_state(kStateName, "", [&](std::string_view key, std::string_view value) {
    out.line(std::string(key) + '=' + std::string(value));
    return true;
  }));
}

/// Keys that runs have put, and erased.
std::vector<std::string> state_keys(const Facts& facts) {
  std::vector<std::string> keys = {"total"};
  for (int run = 1; run <= 6; ++run) {
    for (int i = 0; i < 4; ++i) {
      keys.push_back("key-" + std::to_string(run) + std::to_string(i));
    }
  }
  for (const auto& event : facts.events) {
    if (event.content.starts_with("order.tx ")) keys.push_back("tx-" + to_string(event.id));
  }
  return keys;
}

template <typename Source>
void put_readable(Dump& dump, const Source& source, const Facts& facts, Depth depth) {
  put_events(dump, source);
  if (depth == Depth::whole) put_each(dump, source, facts);
  put_dead_letters(dump, source);
  put_state(dump, source, state_keys(facts));
  put_operations(dump, source.operations());
}

void put_tokens(Dump& dump, const Bus& bus, const Facts& facts) {
  SectionWriter out(dump, "tokens");
  for (const auto id : facts.tokens) {
    const auto token = bus.token(id);
    // One that is not known is a line as well: it must be so without damage, too.
    if (token.ok() || token.status() == StatusCode::not_found) {
      out.line(to_string(id) +
               (token.ok() ? token->cancelled() ? " cancelled" : " live" : " none"));
    } else {
      out.note(token.status());
    }
  }
}

/// What has been used under a key must not be published again, and what comes after an event of a
/// key must come after that one.
void put_keys(Dump& dump, Bus& bus, const Facts& facts) {
  SectionWriter out(dump, "keys");
  for (const auto& [key, id] : facts.idempotency_keys) {
    const auto again = bus.publish({.type = "probe", .idempotency_key = key});
    out.note(again.status());
    if (!again.ok()) continue;
    out.line(key + (again->duplicate ? " is " + to_string(again->id) : " was published again"));
  }
  for (const auto& [key, id] : facts.ordering_keys) {
    const auto after = bus.publish({.type = "probe", .ordering_key = key}, {.expect_last = id});
    const bool is_told = after.ok() || after.status() == StatusCode::conflict;
    if (is_told) out.line(key + (after.ok() ? " went on" : " has another newest event"));
    if (!is_told) out.note(after.status());
  }
}

/// Whether `bus` owes an event of which it says that its time has come, but does not count it as
/// ready: what is to be tried again at once lies beside its lane until it is looked for there.
bool has_due(const Bus& bus, const Facts& facts) {
  return std::any_of(facts.events.begin(), facts.events.end(), [&](const auto& published) {
    const auto found = bus.get(published.id);
    if (!found.ok() || !found->has_value()) return false;
    const auto& standings = (*found)->standings;
    return std::any_of(standings.begin(), standings.end(), [](const auto& each) {
      return each.state == EventState::scheduled && days(each.next_try) < 1;
    });
  });
}

/// Hands out what there is: a lane that cannot be read says so and holds up nothing else.
void put_deliveries(Dump& dump, Bus& bus, const Facts& facts) {
  SectionWriter out(dump, "deliveries");
  Collected<std::string> given;
  const auto handler = [&](Delivery& delivery) {
    const auto& event = delivery.event();
    if (event.type == "probe") return;
    given.add(std::string(delivery.subscription()) + ' ' + to_string(event.id) + ' ' +
              std::to_string(delivery.attempt()) + ' ' + content_of(event.to_owned()));
  };
  std::vector<Subscription> subscriptions;
  // The one for members as well: nobody is given a member before its turn.
  for (auto options : {mailer_options(), steps_options(), SubscribeOptions{.name = "witness"}}) {
    if (options.name == "steps") options.compensate = handler;
    auto subscription = bus.subscribe(std::move(options), handler);
    out.note(subscription.status());
    if (subscription.ok()) subscriptions.push_back(*std::move(subscription));
  }
  std::string blocked;
  std::string waiting;
  const bool ended = eventually([&] {
    blocked.clear();
    waiting.clear();
    for (const auto& each : bus.stats().subscriptions) {
      if (!each.attached) continue;
      blocked += each.blocked;
      std::uint64_t left = 0;
      for (const auto& lane : each.lanes) left += lane.ready + lane.leased;
      // What is held comes after an event of its key that is not due for long.
      if (left != each.held && each.blocked.empty()) waiting += ' ' + each.name;
    }
    // What stands still for damage says so, and then anything may be missing.
    return waiting.empty() && (!blocked.empty() || !has_due(bus, facts));
  });
  if (!ended)
    out.note({StatusCode::internal, "owed, not handed out, and nobody says why:" + waiting});
  if (!blocked.empty()) out.note({StatusCode::data_loss, blocked});
  for (auto& subscription : subscriptions) subscription.end();
  for (auto& line : given.all()) out.line(std::move(line));
  out.sort();
}

}  // namespace

Dump dump_of(const JournalView& view, const Facts& facts, Depth depth) {
  Dump dump;
  put_readable(dump, view, facts, depth);
  const auto stats = view.stats();
  put_stats(dump, stats.value_or(Stats{}));
  dump.back().status = stats.status();
  return dump;
}

Dump dump_of(Bus& bus, const Facts& facts, Depth depth) {
  Dump dump;
  put_readable(dump, bus, facts, depth);
  put_stats(dump, bus.stats());
  if (depth == Depth::light) return dump;
  put_tokens(dump, bus, facts);
  put_keys(dump, bus, facts);
  put_deliveries(dump, bus, facts);
  return dump;
}

}  // namespace holdfast::testing
