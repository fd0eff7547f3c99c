// SPDX-License-Identifier: MIT
#include "torture/kill/load.h"

#include <algorithm>
#include <latch>
#include <utility>

namespace holdfast::torture {

namespace {

using Kind = Note::Kind;
using std::chrono::milliseconds;

constexpr std::uint64_t kBacklogMax = 20'000;
constexpr std::ptrdiff_t kAtOnce = 8;
constexpr unsigned kSlowOfSteady = 12;      // of a hundred, so that some handler is always at it
constexpr std::uint64_t kPoisonEvery = 25;  // rounds
constexpr std::uint64_t kPoisonAtStep = 2;

WallTime wall_after(milliseconds delay) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch() + delay)
      .count();
}

}  // namespace

const Profile* find_profile(std::string_view name) {
  const auto found = std::find_if(kProfiles.begin(), kProfiles.end(),
                                  [&](const Profile& profile) { return profile.name == name; });
  return found == kProfiles.end() ? nullptr : &*found;
}

Publisher::Publisher(Bus& bus, const Teller& teller, const Profile& profile, std::uint64_t thread)
    : bus_(bus),
      teller_(teller),
      profile_(profile),
      thread_(thread),
      random_(teller.child().seed() * 1'000'003 + thread),
      next_key_(first_key(teller.child().round(), thread)) {}

// --- Making and telling -------------------------------------------------------------------------

Body Publisher::make_body(Type type, std::uint64_t group, std::uint32_t size) {
  return {.key = ++next_key_, .group = group, .size = size, .type = type};
}

std::size_t Publisher::any_padding() { return draws(2) ? draw(20'000) : draw(150); }

/// An event of its own, of which `made` keeps what it refers to.
void Publisher::make(Made& made, Type type, std::uint32_t special) {
  made.body = make_body(type);
  made.body.special = special;
  made.payload = encode_body(made.body, any_padding());
  made.event = {.type = name_of(type), .payload = made.payload, .priority = any_lane()};
}

void Publisher::intend(const Body& body, bool is_doomed) const {
  teller_.tell({.kind = Kind::intent,
                .type = body.type,
                .flag = static_cast<std::uint8_t>(is_doomed ? 1 : 0),
                .size = body.size,
                .key = body.key,
                .group = body.group,
                .number = body.special});
}

void Publisher::confirm(std::uint64_t key, const Receipt& receipt, Durability durability) const {
  if (durability == Durability::durable && bus_.durable_commit() < receipt.commit) {
    teller_.wrong("4.1: a durable receipt before its commit is durable");
  }
  Note note{.kind = Kind::receipt,
            .flag = static_cast<std::uint8_t>(receipt.duplicate ? 1 : 0),
            .key = key,
            .commit = receipt.commit.value};
  note.set_id(receipt.id);
  teller_.tell(note);
  if (receipt.duplicate) teller_.did(Feature::duplicate);
}

void Publisher::refuse(std::uint64_t key, StatusCode code) const {
  teller_.tell({.kind = Kind::refused, .what = static_cast<std::uint8_t>(code), .key = key});
}

bool Publisher::publish(const Made& made, StatusCode otherwise,
                        const std::optional<EventId>& expect_last) {
  const auto durability = any_durability();
  const auto receipt =
      bus_.publish(made.event, {.durability = durability, .expect_last = expect_last});
  if (receipt.ok()) {
    confirm(made.body.key, *receipt, durability);
    return true;
  }
  if (otherwise == StatusCode::ok || receipt.status().code() != otherwise) {
    teller_.wrong("publish: " + receipt.status().to_string());
  }
  refuse(made.body.key, receipt.status().code());
  return false;
}

// --- What is done -------------------------------------------------------------------------------

void Publisher::run_steadily(std::uint64_t steps) {
  std::latch told(static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(steps, std::latch::max())));
  // The next one is asked for before this one is told of: there always is one under way.
  const std::function<void()> publish_next = [&] {
    if (++step_ > steps) return;
    Made made;
    make_plain(made, kSlowOfSteady);
    publish_async(made, Durability::durable, publish_next, [&told] { told.count_down(); });
  };
  publish_next();
  told.wait();
}

void Publisher::run(std::uint64_t steps) {
  for (step_ = 1; step_ <= steps; ++step_) {
    step();
    if (step_ % 8 == 0) wait_for_handlers();
    if (thread_ == 0 && step_ % 16 == 0) tell_memory();
  }
}

void Publisher::step() {
  if (thread_ == 0) {
    if (step_ == kPoisonAtStep && teller_.child().round() % kPoisonEvery == 3) publish_poison();
    if (draws(10)) return change_pause();
  }
  auto choice = static_cast<unsigned>(draw(100));
  const auto is_within = [&choice](unsigned share) {
    if (choice < share) return true;
    choice -= share;
    return false;
  };
  if (is_within(profile_.plain)) {
    return draws(20) ? publish_some_async() : draws(25) ? publish_timed() : publish_plain();
  }
  if (is_within(profile_.batches)) {
    return draws(20) ? publish_bad_batch() : draws(25) ? publish_independent() : publish_batch();
  }
  if (is_within(profile_.cancels)) {
    return draws(25) ? cancel_many() : draws(20) ? time_out_token() : cancel_single();
  }
  if (is_within(profile_.operations)) {
    return draws(40) ? compose_operation() : publish_operation();
  }
  return draws(30) ? publish_once() : draws(50) ? publish_expecting() : publish_keyed();
}

void Publisher::wait_for_handlers() const {
  while (true) {
    std::uint64_t owed = 0;
    for (const auto& lane : bus_.stats().lanes) owed += lane.owed.ready;
    if (owed < kBacklogMax) return;
    rest(milliseconds(2));
  }
}

void Publisher::tell_memory() const {
  const auto stats = bus_.stats();
  teller_.tell({.kind = Kind::memory,
                .group = Options{}.memory_budget,
                .number = stats.resident_bytes + stats.engine_bytes});
}

void Publisher::make_plain(Made& made, unsigned slow) {
  static constexpr std::array<Type, 12> kAny = {Type::work, Type::work,  Type::work,  Type::work,
                                                Type::work, Type::work,  Type::held,  Type::held,
                                                Type::slow, Type::fussy, Type::fussy, Type::loose};
  const bool is_slow = draws(slow);
  const auto type = is_slow ? Type::slow : kAny[draw(kAny.size())];
  std::uint32_t special = 0;
  if (type == Type::slow && (is_slow || draws(40))) special = kIsAbandoned;
  if (type == Type::fussy) special = draws(50) ? kRejects : draws(50) ? kGivesUp : 0U;
  make(made, type, special);
}

void Publisher::publish_plain() {
  Made made;
  make_plain(made);
  intend(made.body);
  publish(made);
  teller_.did(made.body.type == Type::loose ? Feature::unclaimed : Feature::single);
}

void Publisher::publish_async(const Made& made, Durability durability,
                              const std::function<void()>& before_told,
                              const std::function<void()>& told) {
  intend(made.body);
  const auto done = [this, before_told, told, durability,
                     key = made.body.key](const Result<Receipt>& receipt) {
    if (before_told) before_told();
    if (receipt.ok()) {
      confirm(key, *receipt, durability);
    } else {
      teller_.wrong("publish_async: " + receipt.status().to_string());
    }
    told();
  };
  const auto taken = bus_.publish_async(made.event, done, {.durability = durability});
  if (!teller_.expect_ok(taken, "publish_async")) told();
}

void Publisher::publish_some_async() {
  std::latch done(kAtOnce);
  for (std::ptrdiff_t i = 0; i < kAtOnce; ++i) {
    Made made;
    make(made, Type::work);
    publish_async(made, any_durability(), {}, [&done] { done.count_down(); });
  }
  done.wait();
  teller_.did(Feature::async);
}

void Publisher::publish_timed() {
  const bool expires = draws(40);
  Made made;
  make(made, expires ? Type::expiring : Type::later);
  auto& when = expires ? made.event.expires_at : made.event.not_before;
  when = wall_after(milliseconds(5 + draw(expires ? 60 : 200)));
  intend(made.body);
  publish(made);
  teller_.did(expires ? Feature::expiring : Feature::later);
}

void Publisher::publish_batch() {
  const auto size = static_cast<std::uint32_t>(2 + draw(20));
  const auto group = next_key_ + 1;
  std::vector<Body> bodies;
  std::vector<OwnedEvent> events;
  for (std::uint32_t i = 0; i < size; ++i) {
    bodies.push_back(make_body(Type::work, group, size));
    intend(bodies.back());
    events.push_back({.type = std::string(name_of(Type::work)),
                      .payload = encode_body(bodies.back(), any_padding()),
                      .priority = any_lane()});
  }
  const auto durability = any_durability();
  const bool has_state = draws(30);
  auto batch = bus_.batch();
  if (has_state) {
    for (const auto& event : events) {
      batch.add({.type = event.type, .payload = event.payload, .priority = event.priority});
    }
    batch.state("batches").put(std::to_string(group), std::to_string(size));
  }
  const auto receipt = has_state ? batch.commit({.durability = durability})
                                 : bus_.publish_batch(events, {.durability = durability});
  if (!teller_.expect_ok(receipt.status(), "publish_batch")) return;
  for (std::uint32_t i = 0; i < size; ++i) {
    confirm(bodies[i].key, receipt->receipts[i], durability);
  }
  teller_.did(has_state ? Feature::state_batch : Feature::batch);
}

void Publisher::publish_bad_batch() {
  std::vector<Body> bodies;
  std::vector<OwnedEvent> events;
  const auto bad = draw(4);
  for (std::uint64_t i = 0; i < 4; ++i) {
    bodies.push_back(make_body(Type::work));
    intend(bodies.back(), true);
    events.push_back({.type = i == bad ? "no type at all" : std::string(name_of(Type::work)),
                      .payload = encode_body(bodies.back(), 0),
                      .priority = any_lane()});
  }
  const auto receipt = bus_.publish_batch(events);
  if (receipt.status().code() != StatusCode::invalid_argument) {
    teller_.wrong("4.2: a batch with a bad event: " + receipt.status().to_string());
  }
  for (const auto& body : bodies) refuse(body.key, receipt.status().code());
  teller_.did(Feature::bad_batch);
}

void Publisher::publish_independent() {
  std::vector<Body> bodies;
  std::vector<OwnedEvent> events;
  const auto bad = draw(5);
  for (std::uint64_t i = 0; i < 5; ++i) {
    bodies.push_back(make_body(Type::work));
    intend(bodies.back(), i == bad);
    events.push_back({.type = i == bad ? "no.type.*" : std::string(name_of(Type::work)),
                      .payload = encode_body(bodies.back(), any_padding()),
                      .priority = any_lane()});
  }
  const auto durability = any_durability();
  const auto receipt =
      bus_.publish_batch(events, {.mode = BatchMode::independent, .durability = durability});
  if (!teller_.expect_ok(receipt.status(), "independent batch")) return;
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    const auto each = receipt->result(i);
    if (each.ok()) {
      confirm(bodies[i].key, *each, durability);
    } else {
      refuse(bodies[i].key, each.status().code());
      if (i != bad) teller_.wrong("independent batch: " + each.status().to_string());
    }
  }
  teller_.did(Feature::independent);
}

// --- Order and repetition -----------------------------------------------------------------------

void Publisher::publish_keyed() {
  Made made;
  make(made, Type::keyed);
  const auto ordering_key = "shared-" + std::to_string(draw(6));
  made.event.ordering_key = ordering_key;
  intend(made.body);
  publish(made);
  teller_.did(Feature::key);
}

void Publisher::publish_expecting() {
  const auto own = "own-" + std::to_string(teller_.child().round()) + "-" + std::to_string(thread_);
  const bool is_first = last_own_.sequence == 0;
  // The first of all is not the last any more once there are two.
  const bool is_wrong = first_own_ != last_own_ && draws(25);
  Made made;
  make(made, Type::keyed);
  made.event.ordering_key = own;
  intend(made.body, is_wrong);
  const auto durability = any_durability();
  PublishOptions options{.durability = durability};
  if (!is_first) options.expect_last = is_wrong ? first_own_ : last_own_;
  const auto receipt = bus_.publish(made.event, options);
  if (is_wrong) {
    if (receipt.status().code() != StatusCode::conflict) {
      teller_.wrong("expect_last of one that is not the last: " + receipt.status().to_string());
    }
    refuse(made.body.key, receipt.status().code());
    return teller_.did(Feature::conflict);
  }
  if (!teller_.expect_ok(receipt.status(), "expect_last")) return;
  confirm(made.body.key, *receipt, durability);
  last_own_ = receipt->id;
  if (is_first) first_own_ = receipt->id;
  teller_.did(Feature::expect_last);
}

void Publisher::publish_once() { publish_again({next_key_ + 1}); }

void Publisher::publish_again(const std::vector<std::uint64_t>& keys) {
  for (const auto key : keys) {
    next_key_ += key == next_key_ + 1 ? 1 : 0;
    // The same bytes whoever publishes it.
    Made made;
    made.body = {.key = key, .type = Type::once};
    made.payload = encode_body(made.body, key % 50);
    const auto idempotency_key = "once-" + std::to_string(key);
    made.event = {.type = name_of(Type::once),
                  .payload = made.payload,
                  .priority = kAllPriorities[key % kLaneCount],
                  .idempotency_key = idempotency_key};
    for (auto times = 1 + draw(2); times > 0; --times) {
      intend(made.body);
      publish(made);
    }
    teller_.did(Feature::idempotent);
  }
}

void Publisher::change_pause() {
  const bool of_type = draws(50);
  auto& may_be_paused = may_be_paused_[of_type ? 1 : 0];
  const auto flag = static_cast<std::uint8_t>(of_type ? 1 : 0);
  const auto name = name_of(Sub::held);
  if (may_be_paused) {
    teller_.tell({.kind = Kind::resuming, .flag = flag});
    const auto status = of_type ? bus_.resume(TypePattern{"held.*"}) : bus_.resume(name);
    // What a life before this one had paused, if it had.
    if (!status.ok() && status.code() != StatusCode::not_found) teller_.expect_ok(status, "resume");
    may_be_paused = false;
    return;
  }
  const auto status = of_type ? bus_.pause(TypePattern{"held.*"}) : bus_.pause(name);
  may_be_paused = true;
  if (!teller_.expect_ok(status, "pause")) return;
  teller_.tell({.kind = Kind::paused, .flag = flag});
  teller_.did(of_type ? Feature::pause_type : Feature::pause_subscription);
}

void Publisher::publish_poison() {
  Made made;
  make(made, Type::poison);
  intend(made.body);
  publish(made);
}

}  // namespace holdfast::torture
