// SPDX-License-Identifier: MIT
#include <algorithm>
#include <future>
#include <optional>
#include <string>
#include <utility>

#include "base/status_or.h"
#include "core/event_limits.h"
#include "core/token_id.h"
#include "runtime/engine.h"

namespace holdfast::runtime {

Receipt receipt_of(const Committed& committed) {
  if (committed.duplicates.empty()) return {committed.ids.front(), committed.commit, false};
  return {committed.ids.front(), committed.duplicates.front().commit, true};
}

BatchReceipt batch_receipt_of(const Committed& committed) {
  BatchReceipt receipt;
  receipt.batch_id = committed.batch;
  receipt.operation_id = committed.operation;
  receipt.commit = committed.commit;
  receipt.receipts.reserve(committed.ids.size());
  for (const auto& id : committed.ids) receipt.receipts.push_back({id, committed.commit, false});
  const auto& duplicates = committed.duplicates;
  for (const auto& duplicate : duplicates) {
    auto& one = receipt.receipts[duplicate.index];
    one.commit = duplicate.commit;
    one.duplicate = true;
  }
  if (duplicates.empty() || duplicates.size() < committed.ids.size()) return receipt;
  // Nothing was written: it is what it was the first time, if that was one batch.
  receipt.batch_id = duplicates.front().batch;
  receipt.commit = duplicates.front().commit;
  for (const auto& duplicate : duplicates) {
    if (duplicate.batch != receipt.batch_id) receipt.batch_id = {};
    receipt.commit = std::max(receipt.commit, duplicate.commit);
  }
  return receipt;
}

Result<Durability> durability_of(const std::optional<Durability>& chosen, Durability otherwise) {
  const auto durability = chosen.value_or(otherwise);
  HOLDFAST_TRY(core::check_enum(durability, Durability::os, "durability"));
  return durability;
}

Status Engine::check_open() const {
  if (closed_) return {StatusCode::unavailable, "the bus is closed"};
  return committer_->health();
}

Status Engine::check_disk(std::size_t bytes) {
  // A fast publisher could write the whole reserve between two rounds of the upkeep.
  const auto look_every = options_.limits.disk_reserve_bytes / 8;
  bool low = disk_low_;
  if (!low && look_every > 0 && unlooked_bytes_.fetch_add(bytes) + bytes > look_every) {
    const auto open = reading();
    HOLDFAST_TRY(open.status());
    low = look_at_disk(bytes);
  }
  if (!low) return {};
  ++refused_;
  return {StatusCode::resource_exhausted,
          "the journal's file system has less than limits.disk_reserve_bytes = " +
              std::to_string(options_.limits.disk_reserve_bytes) + " free"};
}

bool Engine::may_block() const {
  return options_.intake == IntakePolicy::block && !inside_handler();
}

Status Engine::encode(const Event& event, model::EncodedEvents& out, OperationId operation) const {
  HOLDFAST_TRY(core::check_event(event, options_.limits.payload_bytes_max));
  std::optional<model::OrderingKeyRecord> stored;
  if (!event.ordering_key.empty()) {
    HOLDFAST_ASSIGN(stored, stored_key(event.ordering_key));
  }
  out.add(event, event.timestamp != 0 ? event.timestamp : clock_.now().wall, operation);
  if (stored.has_value()) out.last_admission().stored_last = stored->last;
  return {};
}

Result<std::optional<model::OrderingKeyRecord>> Engine::stored_key(std::string_view key) const {
  const auto open = reading();
  HOLDFAST_TRY(open.status());
  HOLDFAST_ASSIGN(auto found, journal_->find(journal::OrderingKeyRef{std::string(key)}));
  if (!found.has_value()) return std::optional<model::OrderingKeyRecord>();
  return std::optional(std::get<model::OrderingKeyRecord>(*std::move(found)));
}

/// The request to publish `event` alone.
Status Engine::encode_one(const Event& event, const PublishOptions& options, Request& request,
                          OperationId operation) const {
  HOLDFAST_ASSIGN(request.durability, durability_of(options.durability, options_.durability));
  HOLDFAST_TRY(encode(event, request.events, operation));
  request.joins_operation = operation.value != 0;
  if (!options.expect_last.has_value()) return {};
  if (event.ordering_key.empty()) {
    return {StatusCode::invalid_argument,
            "expect_last is given, and the event has no ordering key"};
  }
  HOLDFAST_TRY(
      core::check_enum(options.expect_last->priority, Priority::low, "priority of expect_last"));
  request.expect = std::make_shared<Request::Expectation>(
      Request::Expectation{std::string(event.ordering_key), *options.expect_last, {}});
  request.prepare = [this, expect = request.expect]() -> Status {
    HOLDFAST_ASSIGN(const auto stored, stored_key(expect->key));
    if (stored.has_value()) expect->stored = stored->newest;
    return {};
  };
  return {};
}

Result<Committed> Engine::run(Request& request) {
  HOLDFAST_TRY(check_open());
  auto result = committer_->submit_and_wait(request, may_block());
  if (!result.ok() && result.status() == StatusCode::resource_exhausted) ++refused_;
  return result;
}

Result<Committed> Engine::publish_one(const Event& event, const PublishOptions& options,
                                      OperationId operation) {
  Request request;
  HOLDFAST_TRY(encode_one(event, options, request, operation));
  HOLDFAST_TRY(check_disk(request.events.bytes()));
  return run(request);
}

Result<Receipt> Engine::publish(const Event& event, const PublishOptions& options) {
  HOLDFAST_ASSIGN(const auto committed, publish_one(event, options));
  return receipt_of(committed);
}

Result<CancellableReceipt> Engine::publish_cancellable(const Event& event,
                                                       const PublishOptions& options) {
  HOLDFAST_ASSIGN(const auto committed, publish_one(event, options));
  const auto receipt = receipt_of(committed);
  // Of a duplicate it is what the first was published under.
  const auto given = receipt.duplicate ? committed.duplicates.front().token : event.token;
  const auto id = given.value != 0 ? given : core::token_of(receipt.id);
  return CancellableReceipt{receipt, CancellationToken(id, link_)};
}

Status Engine::publish_async(const Event& event, std::function<void(Result<Receipt>)> done,
                             const PublishOptions& options) {
  HOLDFAST_TRY(check_open());
  Request request;
  HOLDFAST_TRY(encode_one(event, options, request));
  HOLDFAST_TRY(check_disk(request.events.bytes()));
  request.done = [this, done = std::move(done)](Result<Committed> committed) {
    tell(log_, done, committed.ok() ? Result<Receipt>(receipt_of(*committed)) : committed.status(),
         "a publish");
  };
  auto status = committer_->submit(request, may_block());
  if (status == StatusCode::resource_exhausted) ++refused_;
  return status;
}

Status Engine::encode_all(std::span<const OwnedEvent> events, model::EncodedEvents& out,
                          OperationId operation) const {
  HOLDFAST_TRY(check_batch_size(events.size()));
  std::vector<MetadataPair> pairs;
  for (std::size_t i = 0; i < events.size(); ++i) {
    auto status = encode(core::borrow(events[i], pairs), out, operation);
    if (!status.ok()) return status.with_context("event " + std::to_string(i) + " of the batch");
    HOLDFAST_TRY(check_batch_bytes(out.bytes()));
  }
  return {};
}

Result<BatchReceipt> Engine::commit_batch(model::EncodedEvents events,
                                          std::vector<core::TxWrites::StateWrite> state,
                                          const BatchOptions& options) {
  Request request;
  HOLDFAST_ASSIGN(request.durability, durability_of(options.durability, options_.durability));
  HOLDFAST_TRY(check_disk(events.bytes()));
  if (options.operation.has_value()) {
    HOLDFAST_ASSIGN(request.operation, begin_with(*options.operation, events.size()));
    events = as_members(events, request.operation->id);
  }
  request.atomic_batch = !events.empty();
  request.events = std::move(events);
  request.state = std::move(state);
  HOLDFAST_ASSIGN(const auto committed, run(request));
  return batch_receipt_of(committed);
}

/// The request to publish all of `events` as one.
Status Engine::encode_whole(std::span<const OwnedEvent> events, const BatchOptions& options,
                            Request& request) {
  HOLDFAST_ASSIGN(request.durability, durability_of(options.durability, options_.durability));
  if (options.operation.has_value()) {
    HOLDFAST_ASSIGN(request.operation, begin_with(*options.operation, events.size()));
  }
  const auto operation = request.operation.has_value() ? request.operation->id : OperationId{};
  HOLDFAST_TRY(encode_all(events, request.events, operation));
  HOLDFAST_TRY(check_disk(request.events.bytes()));
  request.atomic_batch = true;
  return {};
}

Result<BatchReceipt> Engine::publish_whole(std::span<const OwnedEvent> events,
                                           const BatchOptions& options) {
  Request request;
  HOLDFAST_TRY(encode_whole(events, options, request));
  HOLDFAST_ASSIGN(const auto committed, run(request));
  return batch_receipt_of(committed);
}

Status Engine::publish_whole_async(std::span<const OwnedEvent> events,
                                   const std::function<void(Result<BatchReceipt>)>& done,
                                   const BatchOptions& options) {
  HOLDFAST_TRY(check_open());
  Request request;
  HOLDFAST_TRY(encode_whole(events, options, request));
  request.done = [this, done](Result<Committed> committed) {
    tell(log_, done,
         committed.ok() ? Result<BatchReceipt>(batch_receipt_of(*committed)) : committed.status(),
         "a publish");
  };
  auto status = committer_->submit(request, may_block());
  if (status == StatusCode::resource_exhausted) ++refused_;
  return status;
}

Status Engine::wait_durable(CommitNumber commit) {
  if (commit <= committer_->durable()) return {};
  HOLDFAST_TRY(check_open());
  if (commit > committer_->written()) {
    return {StatusCode::invalid_argument, "commit " + std::to_string(commit.value) +
                                              " does not exist, the newest is " +
                                              std::to_string(committer_->written().value)};
  }
  HOLDFAST_TRY(internal::check_may_wait());
  std::promise<Status> reached;
  auto result = reached.get_future();
  committer_->when_durable(commit, [&reached](const Status& status) { reached.set_value(status); });
  return result.get();
}

}  // namespace holdfast::runtime
