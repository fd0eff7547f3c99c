// SPDX-License-Identifier: MIT
#include "holdfast/bus.h"

#include <shared_mutex>
#include <utility>

#include "base/status_or.h"
#include "core/event_limits.h"
#include "runtime/bus_impl.h"
#include "runtime/out_of_memory.h"

namespace holdfast {

namespace {

/// What `start` calls back with, or the refusal it returns.
template <typename T, typename Start>
std::future<Result<T>> future_of(const Start& start) {
  const auto promise = std::make_shared<std::promise<Result<T>>>();
  auto future = promise->get_future();
  auto status = start([promise](Result<T> result) { promise->set_value(std::move(result)); });
  if (!status.ok()) promise->set_value(std::move(status));
  return future;
}

}  // namespace

Bus::Bus(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Bus::~Bus() = default;

Result<std::unique_ptr<Bus>> Bus::open(const std::string& path, const Options& options) {
  return runtime::answered([&]() -> Result<std::unique_ptr<Bus>> {
    HOLDFAST_ASSIGN(auto engine, runtime::Engine::open(path, options));
    return internal::BusMaker::make(std::move(engine));
  });
}

const RecoveryReport& Bus::recovery() const noexcept { return impl_->engine->recovery(); }

Result<Receipt> Bus::publish(const Event& event, const PublishOptions& options) {
  return runtime::answered([&] { return impl_->engine->publish(event, options); });
}

Result<Receipt> Bus::publish(std::string_view type, Payload payload) {
  return runtime::answered(
      [&] { return impl_->engine->publish({.type = type, .payload = payload}, {}); });
}

Status Bus::publish_async(const Event& event, std::function<void(Result<Receipt>)> done,
                          const PublishOptions& options) {
  return runtime::answered(
      [&] { return impl_->engine->publish_async(event, std::move(done), options); });
}

std::future<Result<Receipt>> Bus::publish_future(const Event& event,
                                                 const PublishOptions& options) {
  return future_of<Receipt>(
      [&](auto done) { return publish_async(event, std::move(done), options); });
}

Result<BatchReceipt> Bus::publish_batch(std::span<const OwnedEvent> events,
                                        const BatchOptions& options) {
  return runtime::answered([&] { return impl_->engine->publish_batch(events, options); });
}

Status Bus::publish_batch_async(std::span<const OwnedEvent> events,
                                std::function<void(Result<BatchReceipt>)> done,
                                const BatchOptions& options) {
  return runtime::answered(
      [&] { return impl_->engine->publish_batch_async(events, std::move(done), options); });
}

std::future<Result<BatchReceipt>> Bus::publish_batch_future(std::span<const OwnedEvent> events,
                                                            const BatchOptions& options) {
  return future_of<BatchReceipt>(
      [&](auto done) { return publish_batch_async(events, std::move(done), options); });
}

CommitNumber Bus::durable_commit() const noexcept { return impl_->engine->durable_commit(); }
Status Bus::wait_durable(CommitNumber commit) {
  return runtime::answered([&] { return impl_->engine->wait_durable(commit); });
}

Result<CancellationToken> Bus::make_token(const TokenOptions& options) {
  return runtime::answered([&] { return impl_->engine->make_token(options); });
}

Result<CancellationToken> Bus::token(TokenId id) const {
  return runtime::answered([&] { return impl_->engine->token(id); });
}

Result<CancellableReceipt> Bus::publish_cancellable(const Event& event,
                                                    const PublishOptions& options) {
  return runtime::answered([&] { return impl_->engine->publish_cancellable(event, options); });
}

Result<CancelReceipt> Bus::cancel(TokenId token, std::string_view reason) {
  return runtime::answered([&] { return impl_->engine->cancel(token, std::string(reason)); });
}

Result<CancelReceipt> Bus::cancel(EventId id, std::string_view reason) {
  return runtime::answered([&] { return impl_->engine->cancel(id, std::string(reason)); });
}

Status Bus::cancel_async(TokenId token, std::string_view reason,
                         std::function<void(Result<CancelReceipt>)> done) {
  return runtime::answered(
      [&] { return impl_->engine->cancel_async(token, std::string(reason), std::move(done)); });
}

Status Bus::cancel_async(EventId id, std::string_view reason,
                         std::function<void(Result<CancelReceipt>)> done) {
  return runtime::answered(
      [&] { return impl_->engine->cancel_async(id, std::string(reason), std::move(done)); });
}

std::future<Result<CancelReceipt>> Bus::cancel_future(TokenId token, std::string_view reason) {
  return future_of<CancelReceipt>(
      [&](auto done) { return cancel_async(token, reason, std::move(done)); });
}

std::future<Result<CancelReceipt>> Bus::cancel_future(EventId id, std::string_view reason) {
  return future_of<CancelReceipt>(
      [&](auto done) { return cancel_async(id, reason, std::move(done)); });
}

bool CancellationToken::cancelled() const {
  if (link_ == nullptr || id_.value == 0) return false;
  const std::shared_lock lock(link_->mutex);
  return link_->engine != nullptr && link_->engine->is_cancelled(id_);
}

Result<Subscription> Bus::subscribe(SubscribeOptions options, Handler handler) {
  return runtime::answered([&]() -> Result<Subscription> {
    HOLDFAST_ASSIGN(auto handle, impl_->engine->subscribe(std::move(options), std::move(handler)));
    return Subscription(std::move(handle));
  });
}

Result<Subscription> Bus::subscribe_batch(SubscribeOptions options, BatchHandler handler) {
  return runtime::answered([&]() -> Result<Subscription> {
    if (!handler) return Status(StatusCode::invalid_argument, "the handler is empty");
    HOLDFAST_ASSIGN(auto handle,
                    impl_->engine->subscribe(std::move(options), {}, std::move(handler)));
    return Subscription(std::move(handle));
  });
}

Result<Subscription> Bus::subscribe(std::string_view type, Handler handler) {
  return runtime::answered([&]() -> Result<Subscription> {
    return subscribe({.types = {std::string(type)}}, std::move(handler));
  });
}

Status Bus::remove_subscription(std::string_view name) {
  return runtime::answered([&] { return impl_->engine->remove_subscription(name); });
}

Status Bus::pause(std::string_view subscription) {
  return runtime::answered([&] { return impl_->engine->set_paused(subscription, true); });
}

Status Bus::resume(std::string_view subscription) {
  return runtime::answered([&] { return impl_->engine->set_paused(subscription, false); });
}

Status Bus::pause(TypePattern types) {
  return runtime::answered([&] { return impl_->engine->pause_types(types.pattern); });
}

Status Bus::resume(TypePattern types) {
  return runtime::answered([&] { return impl_->engine->resume_types(types.pattern); });
}

Status Bus::wait_settled(EventId id, std::chrono::nanoseconds timeout) {
  return runtime::answered(
      [&] { return impl_->engine->wait_settled(id, runtime::deadline_after(timeout)); });
}

Result<Operation> Bus::begin_operation(const OperationOptions& options) {
  return runtime::answered([&] { return impl_->engine->begin_operation(options); });
}

Result<Operation> Bus::find_operation(OperationId id) const {
  return runtime::answered([&] { return impl_->engine->find_operation(id); });
}

Result<OperationInfo> Bus::operation(OperationId id) const {
  return runtime::answered([&]() -> Result<OperationInfo> {
    const auto reading = impl_->engine->reading();
    HOLDFAST_TRY(reading.status());
    return reading->operation(id);
  });
}

std::vector<OperationInfo> Bus::operations() const {
  const auto reading = impl_->engine->reading();
  if (!reading.status().ok()) return {};
  return reading->operations();
}

Status Bus::wait_settled(OperationId id, std::chrono::nanoseconds timeout) {
  return runtime::answered(
      [&] { return impl_->engine->wait_settled(id, runtime::deadline_after(timeout)); });
}

Status Bus::wait_settled(const BatchReceipt& batch, std::chrono::nanoseconds timeout) {
  return runtime::answered([&]() -> Status {
    const auto deadline = runtime::deadline_after(timeout);
    for (std::size_t i = 0; i < batch.receipts.size(); ++i) {
      const auto receipt = batch.result(i);
      if (receipt.ok()) HOLDFAST_TRY(impl_->engine->wait_settled(receipt->id, deadline));
    }
    return {};
  });
}

Result<std::optional<StoredEvent>> Bus::get(EventId id) const {
  return runtime::answered([&] { return impl_->engine->get(id); });
}

Status Bus::scan(const ScanFilter& filter, const ScanVisitor& visitor) const {
  return runtime::answered([&]() -> Status {
    const auto reading = impl_->engine->reading();
    HOLDFAST_TRY(reading.status());
    return reading->scan(filter, visitor);
  });
}

Status Bus::scan_dead_letters(const DeadLetterFilter& filter,
                              const DeadLetterVisitor& visitor) const {
  return runtime::answered([&]() -> Status {
    const auto reading = impl_->engine->reading();
    HOLDFAST_TRY(reading.status());
    return reading->scan_dead_letters(filter, visitor);
  });
}

Result<std::vector<DeadLetter>> Bus::dead_letters(const DeadLetterFilter& filter) const {
  return runtime::answered([&]() -> Result<std::vector<DeadLetter>> {
    const auto reading = impl_->engine->reading();
    HOLDFAST_TRY(reading.status());
    return reading->dead_letters(filter);
  });
}

Result<std::uint64_t> Bus::redrive(const DeadLetterFilter& filter) {
  return runtime::answered([&] { return impl_->engine->redrive(filter); });
}

Result<std::optional<std::string>> Bus::state(std::string_view name, std::string_view key) const {
  return runtime::answered([&]() -> Result<std::optional<std::string>> {
    const auto reading = impl_->engine->reading();
    HOLDFAST_TRY(reading.status());
    return reading->state(name, key);
  });
}

Status Bus::scan_state(
    std::string_view name, std::string_view prefix,
    const std::function<bool(std::string_view, std::string_view)>& visitor) const {
  return runtime::answered([&]() -> Status {
    const auto reading = impl_->engine->reading();
    HOLDFAST_TRY(reading.status());
    return reading->scan_state(name, prefix, visitor);
  });
}

Result<ReplayReceipt> Bus::replay(const ReplayOptions& options,
                                  const ReplayHandler& handler) const {
  return runtime::answered([&] { return impl_->engine->replay(options, handler); });
}

Result<ReplayReceipt> Bus::replay(const ReplayOptions& options, Bus& into) const {
  return runtime::answered([&] { return impl_->engine->replay(options, *into.impl_->engine); });
}

Result<RewindReceipt> Bus::rewind(std::string_view subscription, const Start& position) {
  return runtime::answered([&] { return impl_->engine->rewind(subscription, position); });
}

Stats Bus::stats() const { return impl_->engine->stats(); }

Status Bus::drain(std::chrono::nanoseconds timeout) {
  return runtime::answered([&] { return impl_->engine->drain(timeout); });
}
Status Bus::close() {
  return runtime::answered([&] { return impl_->engine->close(); });
}

}  // namespace holdfast
