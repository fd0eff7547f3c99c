// SPDX-License-Identifier: MIT
#include "holdfast/delivery.h"

#include <algorithm>
#include <map>
#include <shared_mutex>
#include <utility>

#include "base/assert.h"
#include "base/status_or.h"
#include "core/event_limits.h"
#include "holdfast/options.h"
#include "runtime/delivery_state.h"
#include "runtime/engine.h"
#include "runtime/guarded_visitor.h"

namespace holdfast {

namespace internal {

core::TxWrites& DeliveryState::open_tx() {
  if (tx == nullptr) tx = std::make_unique<core::TxWrites>();
  return *tx;
}

void DeliveryState::fail_tx(Status status) {
  auto& writes = open_tx();
  if (writes.status.ok()) writes.status = std::move(status);
}

bool DeliveryState::tx_may_grow(std::size_t writes, std::size_t bytes) {
  // What comes after an error would only take memory.
  if (!open_tx().status.ok()) return false;
  if (writes > kTxWritesMax) {
    fail_tx({StatusCode::invalid_argument, "tx has " + std::to_string(writes) +
                                               " writes, the limit is " +
                                               std::to_string(kTxWritesMax)});
    return false;
  }
  if (tx_bytes + bytes > kTxBytesMax) {
    fail_tx({StatusCode::invalid_argument, "tx has " + std::to_string(tx_bytes + bytes) +
                                               " bytes, the limit is " +
                                               std::to_string(kTxBytesMax)});
    return false;
  }
  tx_bytes += bytes;
  return true;
}

Status DeliveryState::note_read(core::StateReads::Read read) {
  auto& writes = open_tx();
  if (writes.reads.reads.size() >= kTxReadsMax) {
    fail_tx({StatusCode::invalid_argument,
             "tx has more than " + std::to_string(kTxReadsMax) + " reads, which is the limit"});
    return writes.status;
  }
  writes.reads.reads.push_back(std::move(read));
  return {};
}

namespace {

/// The engine for as long as this lives, if the bus is still open.
class EngineGuard {
 public:
  explicit EngineGuard(const DeliveryState& state)
      : lock_(state.handle->link()->mutex), engine_(state.handle->link()->engine) {}
  runtime::Engine* operator->() const { return engine_; }
  explicit operator bool() const { return engine_ != nullptr; }
  static Status closed() { return {StatusCode::unavailable, "the bus is closed"}; }

 private:
  std::shared_lock<std::shared_mutex> lock_;
  runtime::Engine* engine_;
};

/// How many writes `tx` has.
std::size_t writes_of(const core::TxWrites& tx) { return tx.events.size() + tx.state.size(); }

/// A state needs a name; an ephemeral subscription has none of its own.
bool names_state(DeliveryState& delivery, const std::string& name) {
  if (!name.empty()) return true;
  delivery.fail_tx(
      {StatusCode::invalid_argument, "an ephemeral subscription has no state of its own"});
  return false;
}

}  // namespace
}  // namespace internal

// --- State --------------------------------------------------------------------------------------

Result<std::optional<std::string>> TxState::get(std::string_view key) {
  if (auto status = core::check_state_key(key); !status.ok()) return status;
  if (!internal::names_state(*delivery_, name_)) return delivery_->tx->status;
  auto& tx = delivery_->open_tx();
  const auto own = std::find_if(tx.state.rbegin(), tx.state.rend(), [&](const auto& write) {
    return write.key == key && write.name == name_;
  });
  if (own != tx.state.rend()) return own->value;
  const internal::EngineGuard engine(*delivery_);
  if (!engine) return internal::EngineGuard::closed();
  HOLDFAST_TRY(delivery_->note_read(
      {core::StateVersions::full_key(name_, key), false, engine->visible_commit()}));
  return engine->state(name_, key);
}

void TxState::put(std::string_view key, std::string_view value) {
  if (!internal::names_state(*delivery_, name_)) return;
  auto status = core::check_state_key(key);
  if (status.ok()) status = core::check_state_value(value);
  if (!status.ok()) return delivery_->fail_tx(std::move(status));
  auto& tx = delivery_->open_tx();
  if (!delivery_->tx_may_grow(internal::writes_of(tx) + 1, key.size() + value.size())) return;
  tx.state.push_back({name_, std::string(key), std::string(value)});
}

void TxState::erase(std::string_view key) {
  if (!internal::names_state(*delivery_, name_)) return;
  if (auto status = core::check_state_key(key); !status.ok()) {
    return delivery_->fail_tx(std::move(status));
  }
  auto& tx = delivery_->open_tx();
  if (!delivery_->tx_may_grow(internal::writes_of(tx) + 1, key.size())) return;
  tx.state.push_back({name_, std::string(key), std::nullopt});
}

Status TxState::scan(std::string_view prefix,
                     const std::function<bool(std::string_view, std::string_view)>& visitor) {
  if (!internal::names_state(*delivery_, name_)) return delivery_->tx->status;
  auto& tx = delivery_->open_tx();
  std::map<std::string, std::optional<std::string>> merged;
  {
    const internal::EngineGuard engine(*delivery_);
    if (!engine) return internal::EngineGuard::closed();
    HOLDFAST_TRY(delivery_->note_read(
        {core::StateVersions::full_key(name_, prefix), true, engine->visible_commit()}));
    auto status =
        engine->scan_state(name_, prefix, [&](std::string_view key, std::string_view value) {
          merged.emplace(key, value);
          return true;
        });
    if (!status.ok()) return status;
  }
  for (const auto& write : tx.state) {
    if (write.name == name_ && write.key.starts_with(prefix)) {
      merged[write.key] = write.value;
    }
  }
  runtime::GuardedVisitor guarded(visitor);
  for (const auto& [key, value] : merged) {
    if (value.has_value() && !guarded(key, *value)) break;
  }
  return guarded.status();
}

// --- Tx -----------------------------------------------------------------------------------------

void Tx::publish(const Event& event) {
  const auto& writes = delivery_->open_tx();
  if (!delivery_->tx_may_grow(internal::writes_of(writes) + 1, 0)) return;
  const auto bytes_before = writes.events.bytes();
  const internal::EngineGuard engine(*delivery_);
  auto status =
      engine ? engine->encode(event, delivery_->tx->events) : internal::EngineGuard::closed();
  if (!status.ok()) return delivery_->fail_tx(std::move(status));
  (void)delivery_->tx_may_grow(internal::writes_of(writes), writes.events.bytes() - bytes_before);
}

TxState Tx::state() { return {delivery_, delivery_->handle->options().name}; }

TxState Tx::state(std::string_view name) {
  if (auto status = core::check_name(name, "state name"); !status.ok()) {
    delivery_->fail_tx(std::move(status));
  }
  return {delivery_, std::string(name)};
}

const Status& Tx::status() const { return delivery_->open_tx().status; }

// --- Delivery -----------------------------------------------------------------------------------

const EventView& Delivery::event() const { return state_->view; }
std::uint32_t Delivery::attempt() const { return state_->lease.attempt; }
std::string_view Delivery::subscription() const { return state_->handle->options().name; }
std::stop_token Delivery::stop_token() const { return state_->stop.token(); }
StopReason Delivery::stop_reason() const noexcept { return state_->stop.reason(); }
void Delivery::progress(double fraction, std::string_view note) {
  state_->progress.tell(fraction, note);
}
Tx Delivery::tx() { return Tx(state_); }

Deferred Delivery::defer() {
  if (state_->deferred) return {};
  state_->deferred = true;
  if (state_->stretch != nullptr) {
    // Before anybody else can answer it.
    const internal::EngineGuard engine(*state_);
    HOLDFAST_ASSERT(bool(engine));
    engine->hand_over(*state_);
  }
  return Deferred(state_->shared_from_this());
}

// --- Deferred -----------------------------------------------------------------------------------

Deferred::Deferred() noexcept = default;
Deferred::Deferred(std::shared_ptr<internal::DeliveryState> state) noexcept
    : state_(std::move(state)) {}
Deferred::Deferred(Deferred&&) noexcept = default;

Deferred& Deferred::operator=(Deferred&& other) noexcept {
  if (this != &other) {
    if (state_ != nullptr) (void)settle(Outcome::retry("its Deferred was dropped unanswered"));
    state_ = std::move(other.state_);
  }
  return *this;
}

Deferred::~Deferred() {
  if (state_ != nullptr) (void)settle(Outcome::retry("its Deferred was dropped unanswered"));
}

const EventView& Deferred::event() const {
  static const EventView none;
  return state_ == nullptr ? none : state_->view;
}

std::stop_token Deferred::stop_token() const {
  return state_ == nullptr ? std::stop_token() : state_->stop.token();
}

StopReason Deferred::stop_reason() const noexcept {
  return state_ == nullptr ? StopReason::none : state_->stop.reason();
}

void Deferred::progress(double fraction, std::string_view note) {
  if (state_ != nullptr) state_->progress.tell(fraction, note);
}

Tx Deferred::tx() {
  HOLDFAST_ASSERT(state_ != nullptr);
  return Tx(state_.get());
}

Status Deferred::settle(Outcome outcome) {  // NOLINT(performance-unnecessary-value-param)
  const auto state = std::move(state_);
  if (state == nullptr || state->answered.exchange(true)) {
    return {StatusCode::stale, "nothing is left to be answered"};
  }
  const internal::EngineGuard engine(*state);
  if (!engine) return internal::EngineGuard::closed();
  return engine->answer(*state, outcome);
}

}  // namespace holdfast
