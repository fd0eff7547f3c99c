// SPDX-License-Identifier: MIT
// Batches: which way they go, and what is counted of them. Those that are all or nothing are one
// request (engine_publish.cc); of independent ones the good events go as several.
#include <algorithm>
#include <future>
#include <mutex>
#include <string>
#include <utility>

#include "base/status_or.h"
#include "core/event_limits.h"
#include "runtime/engine.h"

namespace holdfast::runtime {

using std::chrono::steady_clock;

namespace {

Status check_mode(const BatchOptions& options) {
  HOLDFAST_TRY(core::check_enum(options.mode, BatchMode::independent, "mode of a batch"));
  if (!options.operation.has_value() || options.mode == BatchMode::all_or_nothing) return {};
  return {StatusCode::invalid_argument, "the members of an operation are all or nothing"};
}

}  // namespace

Status check_batch_size(std::size_t events) {
  if (events == 0) return {StatusCode::invalid_argument, "the batch has no events"};
  if (events <= kBatchEventsMax) return {};
  return {StatusCode::invalid_argument, "the batch has " + std::to_string(events) +
                                            " events, the limit is " +
                                            std::to_string(kBatchEventsMax)};
}

Status check_batch_bytes(std::size_t bytes) {
  if (bytes <= kBatchBytesMax) return {};
  return {StatusCode::invalid_argument, "the batch has more than " + std::to_string(bytes) +
                                            " bytes encoded, the limit is " +
                                            std::to_string(kBatchBytesMax)};
}

Result<BatchReceipt> Engine::counted(steady_clock::time_point begun, Result<BatchReceipt> outcome) {
  const auto took = steady_clock::now() - begun;
  const std::lock_guard lock(batch_stats_mutex_);
  const auto refused = outcome.ok() ? outcome->refused() : 0;
  batch_stats_.events_refused += refused;
  if (!outcome.ok() || (refused > 0 && refused == outcome->receipts.size())) {
    ++batch_stats_.refused;
    return outcome;
  }
  ++batch_stats_.published;
  batch_stats_.events += outcome->receipts.size() - refused;
  batch_stats_.commit_time += took;
  batch_stats_.commit_time_max =
      std::max<std::chrono::nanoseconds>(batch_stats_.commit_time_max, took);
  return outcome;
}

Result<BatchReceipt> Engine::publish_batch(std::span<const OwnedEvent> events,
                                           const BatchOptions& options) {
  const auto begun = steady_clock::now();
  HOLDFAST_TRY(check_mode(options));
  return counted(begun, options.mode == BatchMode::independent ? publish_each(events, options)
                                                               : publish_whole(events, options));
}

Status Engine::publish_batch_async(std::span<const OwnedEvent> events,
                                   std::function<void(Result<BatchReceipt>)> done,
                                   const BatchOptions& options) {
  const auto begun = steady_clock::now();
  HOLDFAST_TRY(check_mode(options));
  const std::function<void(Result<BatchReceipt>)> told =
      [this, begun, done = std::move(done)](Result<BatchReceipt> outcome) {
        outcome = counted(begun, std::move(outcome));
        if (done) done(std::move(outcome));
      };
  auto status = options.mode == BatchMode::independent ? publish_each_async(events, told, options)
                                                       : publish_whole_async(events, told, options);
  if (!status.ok()) (void)counted(begun, status);
  return status;
}

// --- Independent ones ---------------------------------------------------------------------------

/// One on its way. Its parts may come back in any order, and on any thread.
struct Engine::Independent {
  struct Part {
    Request request;
    std::vector<std::size_t> places;  // of its events in the batch
  };
  std::vector<Part> parts;
  std::function<void(Result<BatchReceipt>)> done;

  std::mutex mutex;
  BatchReceipt receipt;
  std::size_t written = 0;
  Status failed;         // a part, as a whole
  std::size_t left = 1;  // parts, and whoever submits them

  void fail(std::size_t place, const Status& status) {
    receipt.errors.resize(receipt.receipts.size());
    receipt.errors[place] = status;
  }
};

/// The good ones into parts as a commit takes them.
Status Engine::encode_each(std::span<const OwnedEvent> events, const BatchOptions& options,
                           Independent& batch) const {
  HOLDFAST_TRY(check_open());
  HOLDFAST_TRY(check_batch_size(events.size()));
  HOLDFAST_ASSIGN(const auto durability, durability_of(options.durability, options_.durability));
  batch.receipt.receipts.resize(events.size());
  std::vector<MetadataPair> pairs;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (batch.parts.empty() || batch.parts.back().places.size() == kCommitEventsMax ||
        batch.parts.back().request.events.bytes() >= kCommitBytesMax) {
      auto& part = batch.parts.emplace_back();
      part.request.durability = durability;
      part.request.independent = true;
    }
    auto& part = batch.parts.back();
    const auto before = part.request.events.bytes();
    if (auto status = encode(core::borrow(events[i], pairs), part.request.events); !status.ok()) {
      batch.fail(i, status);
      continue;
    }
    part.places.push_back(i);
    bytes += part.request.events.bytes() - before;
    HOLDFAST_TRY(check_batch_bytes(bytes));
  }
  if (batch.parts.back().places.empty()) batch.parts.pop_back();
  batch.left += batch.parts.size();
  return {};
}

void Engine::part_done(Independent& batch, std::size_t part, const Result<Committed>& committed) {
  {
    const std::lock_guard lock(batch.mutex);
    const auto& places = batch.parts[part].places;
    if (!committed.ok()) {
      if (batch.failed.ok()) batch.failed = committed.status();
      for (const auto place : places) batch.fail(place, committed.status());
    } else {
      const auto receipts = batch_receipt_of(*committed).receipts;
      auto next = receipts.begin();
      for (std::size_t i = 0; i < places.size(); ++i) {
        if (!committed->errors.empty() && !committed->errors[i].ok()) {
          batch.fail(places[i], committed->errors[i]);
        } else {
          batch.receipt.receipts[places[i]] = *next++;
        }
      }
      batch.written += receipts.size();
      if (!receipts.empty()) {
        batch.receipt.commit = std::max(batch.receipt.commit, committed->commit);
      }
    }
  }
  part_ended(batch);
}

/// The last to end tells.
void Engine::part_ended(Independent& batch) {
  {
    const std::lock_guard lock(batch.mutex);
    if (--batch.left > 0) return;
  }
  // What kept all of it from being written is told as such, and not of each event.
  const bool nothing = batch.written == 0 && !batch.failed.ok();
  tell(
      log_, batch.done,
      nothing ? Result<BatchReceipt>(batch.failed) : Result<BatchReceipt>(std::move(batch.receipt)),
      "a publish");
}

/// In their order; behind one that is not let in, none is. With `wait` the last is waited for.
/// Fails when none was let in at all.
Status Engine::submit_parts(const std::shared_ptr<Independent>& batch, bool wait) {
  Status refused;
  const auto count = batch->parts.size();
  for (std::size_t i = 0; i < count; ++i) {
    auto& request = batch->parts[i].request;
    if (refused.ok() && wait && i + 1 == count) {
      part_done(*batch, i, run(request));
      continue;
    }
    if (refused.ok()) {
      request.done = [this, batch, i](const Result<Committed>& committed) {
        part_done(*batch, i, committed);
      };
      refused = committer_->submit(request, may_block());
      if (refused == StatusCode::resource_exhausted) ++refused_;
      // It knows of the batch, which has it.
      if (!refused.ok()) request.done = nullptr;
      if (!refused.ok() && i == 0) return refused;
    }
    if (!refused.ok()) part_done(*batch, i, refused);
  }
  part_ended(*batch);
  return {};
}

Result<std::shared_ptr<Engine::Independent>> Engine::begin_each(std::span<const OwnedEvent> events,
                                                                const BatchOptions& options) {
  auto batch = std::make_shared<Independent>();
  HOLDFAST_TRY(encode_each(events, options, *batch));
  std::size_t bytes = 0;
  for (const auto& part : batch->parts) bytes += part.request.events.bytes();
  HOLDFAST_TRY(check_disk(bytes));
  return batch;
}

Result<BatchReceipt> Engine::publish_each(std::span<const OwnedEvent> events,
                                          const BatchOptions& options) {
  HOLDFAST_ASSIGN(const auto batch, begin_each(events, options));
  HOLDFAST_TRY(internal::check_may_wait());
  std::promise<Result<BatchReceipt>> told;
  auto outcome = told.get_future();
  batch->done = [&told](Result<BatchReceipt> result) { told.set_value(std::move(result)); };
  HOLDFAST_TRY(submit_parts(batch, true));
  return outcome.get();
}

Status Engine::publish_each_async(std::span<const OwnedEvent> events,
                                  const std::function<void(Result<BatchReceipt>)>& done,
                                  const BatchOptions& options) {
  HOLDFAST_ASSIGN(const auto batch, begin_each(events, options));
  batch->done = done;
  return submit_parts(batch, false);
}

}  // namespace holdfast::runtime
