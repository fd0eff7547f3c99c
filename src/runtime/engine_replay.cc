// SPDX-License-Identifier: MIT
#include <algorithm>
#include <utility>

#include "base/status_or.h"
#include "runtime/engine.h"
#include "runtime/pins.h"
#include "runtime/replay.h"

namespace holdfast::runtime {

using model::PerLane;
using model::Sequence;

/// Holds the journal, and pins what it reads, for one read at a time: neither closing nor trimming
/// waits for a slow replay.
class Engine::Access final : public ReplayAccess {
 public:
  explicit Access(const Engine& engine) : engine_(engine) {}

  [[nodiscard]] End end() const override {
    End end{engine_.visible_commit(), {}};
    const std::lock_guard lock(engine_.state_.mutex);
    for (const auto lane : kAllPriorities) {
      end.next[lane] = engine_.state_.ledger.lanes[lane].next;
    }
    return end;
  }
  [[nodiscard]] Sequence trim(Priority lane) const override {
    const std::lock_guard lock(engine_.state_.mutex);
    return engine_.state_.ledger.lanes[lane].trim;
  }
  Status read(Priority lane, Sequence from, const Read& read) const override {
    const auto open = engine_.reading();
    HOLDFAST_TRY(open.status());
    if (engine_.closed_) return {StatusCode::unavailable, "the bus is closed"};
    PerLane<Sequence> pinned{{Pins::kNone, Pins::kNone, Pins::kNone, Pins::kNone}};
    std::unique_lock lock(engine_.state_.mutex);
    pinned[lane] = std::max(from, engine_.state_.ledger.lanes[lane].trim);
    const Pins pins(engine_.state_, pinned);
    lock.unlock();
    return read(*engine_.journal_, pinned[lane]);
  }

 private:
  const Engine& engine_;
};

Result<ReplayReceipt> Engine::replay(const ReplayOptions& options,
                                     const ReplayHandler& handler) const {
  HOLDFAST_TRY(reading().status());
  return runtime::replay(Access(*this), options, closing_.get_token(), handler);
}

Result<ReplayReceipt> Engine::replay(const ReplayOptions& options, Engine& into) const {
  if (&into == this) {
    return Status(StatusCode::invalid_argument, "a bus cannot be replayed into itself");
  }
  HOLDFAST_TRY(reading().status());
  HOLDFAST_TRY(into.check_open());
  return runtime::replay(Access(*this), options, closing_.get_token(), into);
}

Status Engine::publish_step(model::EncodedEvents events) {
  HOLDFAST_TRY(check_open());
  HOLDFAST_TRY(check_disk(events.bytes()));
  Request request;
  request.durability = Durability::durable;
  request.events = std::move(events);
  return run(request).status();
}

}  // namespace holdfast::runtime
