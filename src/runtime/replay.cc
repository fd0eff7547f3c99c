// SPDX-License-Identifier: MIT
#include "runtime/replay.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/status_or.h"
#include "core/event_limits.h"
#include "core/filter.h"
#include "runtime/engine.h"
#include "runtime/guarded_visitor.h"
#include "runtime/replay_pace.h"

namespace holdfast::runtime {

namespace {

// One commit of the other bus.
constexpr std::size_t kStepEvents = 256;
constexpr std::size_t kStepBytes = std::size_t{1} << 20U;

Status invalid(std::string message) { return {StatusCode::invalid_argument, std::move(message)}; }

Status check_point(const ReplayPoint& point, std::string_view which) {
  const auto* id = std::get_if<EventId>(&point.value);
  if (id == nullptr) return {};
  auto status = core::check_event_id(*id);
  return status.ok() ? status : status.with_context(which);
}

Status check(const ReplayOptions& options) {
  for (const auto& pattern : options.types) {
    if (auto status = core::check_pattern(pattern); !status.ok()) {
      return status.with_context("\"" + pattern.substr(0, kNameBytesMax) + "\"");
    }
  }
  for (const auto priority : options.priorities) {
    HOLDFAST_TRY(core::check_enum(priority, Priority::low, "priority"));
  }
  if (std::isnan(options.speed) || options.speed < 0) {
    return invalid("speed is " + std::to_string(options.speed) + ", it must be at least 0");
  }
  if (options.gap_max.count() < 0) {
    return invalid("gap_max is " + std::to_string(options.gap_max.count()) +
                   " ns, it must be at least 0");
  }
  HOLDFAST_TRY(check_point(options.from, "from"));
  HOLDFAST_TRY(check_point(options.to, "to"));
  const auto* from = std::get_if<ReplayPoint::AtTime>(&options.from.value);
  const auto* to = std::get_if<ReplayPoint::AtTime>(&options.to.value);
  if (from != nullptr && to != nullptr && from->at > to->at) {
    return invalid("from is behind to: " + std::to_string(from->at) + " is later than " +
                   std::to_string(to->at));
  }
  return {};
}

class IntoHandler final : public ReplayTarget {
 public:
  explicit IntoHandler(const ReplayHandler& handler) : guarded_(handler, "handler") {}
  [[nodiscard]] const Status& status() const noexcept { return guarded_.status(); }
  Result<bool> give(const EventView& event) override {
    const bool go_on = guarded_(event);
    HOLDFAST_TRY(guarded_.status());
    return go_on;
  }

 private:
  GuardedVisitor<const EventView&> guarded_;
};

class IntoBus final : public ReplayTarget {
 public:
  explicit IntoBus(Engine& engine) : engine_(engine) {}

  Result<bool> give(const EventView& event) override {
    auto owned = event.to_owned();
    // A token belongs to the journal that made it. An idempotency key belongs to the time of its
    // use: two events that had it one after the other are to be published both.
    owned.token = {};
    owned.idempotency_key = {};
    std::vector<MetadataPair> pairs;
    auto status = engine_.encode(core::borrow(owned, pairs), step_);
    if (!status.ok()) {
      // Those before it are good.
      HOLDFAST_TRY(flush());
      return told(status.with_context("event " + to_string(event.id)));
    }
    if (step_.size() >= kStepEvents || step_.bytes() >= kStepBytes) HOLDFAST_TRY(flush());
    return true;
  }
  Status flush() override {
    if (step_.empty()) return {};
    const auto count = step_.size();
    auto status = engine_.publish_step(std::exchange(step_, {}));
    if (!status.ok()) return told(status);
    published_ += count;
    return {};
  }

 private:
  [[nodiscard]] Status told(const Status& status) const {
    return status.with_context("after " + std::to_string(published_) + " events were published");
  }

  Engine& engine_;
  model::EncodedEvents step_;
  std::uint64_t published_ = 0;
};

}  // namespace

Result<ReplayReceipt> replay(const ReplayAccess& access, const ReplayOptions& options,
                             const std::stop_token& closing, ReplayTarget& target) {
  HOLDFAST_TRY(check(options));
  ReplayReceipt receipt;
  ReplayReader reader(access, options);
  HOLDFAST_TRY(reader.open());
  ReplayPace pace(options.speed, options.gap_max);
  std::optional<std::chrono::steady_clock::time_point> started;
  const auto give_all = [&]() -> Status {
    while (receipt.events < options.limit) {
      HOLDFAST_ASSIGN(const auto* event, reader.next());
      if (event == nullptr) break;
      if (pace.waits()) {
        if (!started.has_value()) started = std::chrono::steady_clock::now();
        const auto due = *started + pace.due(event->published_at);
        if (due > std::chrono::steady_clock::now()) {
          HOLDFAST_TRY(target.flush());
          wait_until(due, options.stop, closing);
        }
        if (options.stop.stop_requested()) break;
      }
      if (closing.stop_requested()) return {StatusCode::unavailable, "the bus is closed"};
      const ReplayReceipt::Place place{event->id, event->commit};
      HOLDFAST_ASSIGN(const bool go_on, target.give(*event));
      ++receipt.events;
      if (!receipt.first.has_value()) receipt.first = place;
      receipt.last = place;
      if (!go_on) {
        receipt.stopped = true;
        break;
      }
    }
    return {};
  };
  const auto status = give_all();
  // Whatever ended it: what was given is published.
  HOLDFAST_TRY(target.flush());
  HOLDFAST_TRY(status);
  receipt.stopped = receipt.stopped || options.stop.stop_requested();
  receipt.missed = reader.missed();
  return receipt;
}

Result<ReplayReceipt> replay(const ReplayAccess& access, const ReplayOptions& options,
                             const std::stop_token& closing, const ReplayHandler& handler) {
  IntoHandler target(handler);
  HOLDFAST_TRY(target.status());
  return replay(access, options, closing, target);
}

Result<ReplayReceipt> replay(const ReplayAccess& access, const ReplayOptions& options,
                             const std::stop_token& closing, Engine& into) {
  IntoBus target(into);
  return replay(access, options, closing, target);
}

}  // namespace holdfast::runtime
