// SPDX-License-Identifier: MIT
#include "holdfast/batch.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "core/event_limits.h"
#include "runtime/bus_impl.h"
#include "runtime/out_of_memory.h"

namespace holdfast {

namespace internal {

struct BatchState {
  runtime::Engine& engine;
  model::EncodedEvents events;
  std::vector<core::TxWrites::StateWrite> state;
  std::size_t state_bytes = 0;
  Status status;

  void fail(Status failure) {
    if (status.ok()) status = std::move(failure);
  }

  /// Takes the last event out again when there are too many now, or too much.
  void check_size() {
    const auto over = [this](std::size_t value, std::string_view unit, std::size_t limit) {
      fail({StatusCode::invalid_argument, "the batch has " + std::to_string(value) +
                                              std::string(unit) + ", the limit is " +
                                              std::to_string(limit)});
    };
    if (events.size() > kBatchEventsMax) {
      over(events.size(), " events", kBatchEventsMax);
    } else if (events.bytes() > kBatchBytesMax) {
      over(events.bytes(), " bytes encoded", kBatchBytesMax);
    }
    if (!status.ok()) events.remove_last();
  }

  void write(const std::string& name, std::string_view key, std::optional<std::string> value) {
    if (!status.ok()) return;
    auto checked = core::check_name(name, "state name");
    if (checked.ok()) checked = core::check_state_key(key);
    if (checked.ok() && value.has_value()) checked = core::check_state_value(*value);
    if (!checked.ok()) return fail(std::move(checked));
    state_bytes += key.size() + (value.has_value() ? value->size() : 0);
    state.push_back({name, std::string(key), std::move(value)});
    if (state.size() > kTxWritesMax) {
      fail({StatusCode::invalid_argument, "the batch has " + std::to_string(state.size()) +
                                              " state writes, the limit is " +
                                              std::to_string(kTxWritesMax)});
    } else if (state_bytes > kTxBytesMax) {
      fail({StatusCode::invalid_argument, "the batch has " + std::to_string(state_bytes) +
                                              " bytes of state, the limit is " +
                                              std::to_string(kTxBytesMax)});
    }
  }
};

}  // namespace internal

Batch::Batch(std::unique_ptr<internal::BatchState> state) noexcept : state_(std::move(state)) {}
Batch::Batch(Batch&&) noexcept = default;
Batch& Batch::operator=(Batch&&) noexcept = default;
Batch::~Batch() = default;

Batch Bus::batch() {
  return Batch(
      std::make_unique<internal::BatchState>(internal::BatchState{*impl_->engine, {}, {}, 0, {}}));
}

Batch& Batch::add(const Event& event) {
  auto& batch = *state_;
  if (!batch.status.ok()) return *this;
  const auto index = batch.events.size();
  auto status =
      runtime::answered([&]() -> Status { return batch.engine.encode(event, batch.events); });
  if (!status.ok()) {
    batch.fail(status.with_context("event " + std::to_string(index) + " of the batch"));
  } else {
    batch.check_size();
  }
  return *this;
}

Batch::State Batch::state(std::string_view name) { return {state_.get(), std::string(name)}; }

Batch::State& Batch::State::put(std::string_view key, std::string_view value) {
  batch_->write(name_, key, std::string(value));
  return *this;
}

Batch::State& Batch::State::erase(std::string_view key) {
  batch_->write(name_, key, std::nullopt);
  return *this;
}

std::size_t Batch::size() const noexcept { return state_->events.size(); }
Status Batch::status() const { return state_->status; }

Result<BatchReceipt> Batch::commit(const BatchOptions& options) {
  auto& batch = *state_;
  const auto begun = std::chrono::steady_clock::now();
  if (options.mode != BatchMode::all_or_nothing) {
    return Status(StatusCode::invalid_argument, "a batch that is built is all or nothing");
  }
  const auto status = std::exchange(batch.status, Status());
  auto events = std::exchange(batch.events, {});
  auto state = std::exchange(batch.state, {});
  batch.state_bytes = 0;
  if (!status.ok()) return status;
  if (events.empty() && state.empty()) {
    return Status(StatusCode::invalid_argument, "the batch is empty");
  }
  return runtime::answered([&]() -> Result<BatchReceipt> {
    return batch.engine.counted(
        begun, batch.engine.commit_batch(std::move(events), std::move(state), options));
  });
}

}  // namespace holdfast
