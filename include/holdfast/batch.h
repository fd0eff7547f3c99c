// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "holdfast/event.h"
#include "holdfast/export.h"
#include "holdfast/operation.h"
#include "holdfast/receipt.h"
#include "holdfast/result.h"

namespace holdfast {

namespace internal {
struct BatchState;
}

/// What one bad event means for the others of its batch.
enum class BatchMode : std::uint8_t {
  /// Nothing is written; the error names its index and why. Otherwise all are one atomic commit.
  all_or_nothing = 0,
  /// It alone is left out: `BatchReceipt::errors` says why. The good ones are written in their
  /// order, about a thousand in a commit, and not promised to be atomic: a crash meanwhile can
  /// leave the first of them.
  independent = 1,
};

/// What a batch may choose. At most 100,000 events and 64 MiB encoded.
struct BatchOptions {
  BatchMode mode = BatchMode::all_or_nothing;
  std::optional<Durability> durability{};  ///< Unset = as the bus was opened.
  /// Its events are the members, in their order, of a new operation: they succeed together, or what
  /// they have done is undone (docs/operations.md). It is sealed at once. At most 10,000 events
  /// (`kOperationMembersMax`), and not independent. Duplicates (`Event::idempotency_key`) are no
  /// new members; when all are duplicates none is begun.
  std::optional<OperationOptions> operation{};
};

/// Builds one atomic commit out of events and user state. Destroyed without `commit`, nothing
/// happened. The first error sticks: `status` tells it at once, naming the event's index; what is
/// added after it is left out, and `commit` returns it and writes nothing. Move-only; must not
/// outlive its bus. One that was moved from may be destroyed or assigned to, and nothing else.
/// Threads: one at a time. `commit` blocks for one commit; `add` of an event with an `ordering_key`
/// reads the disk.
class [[nodiscard]] HOLDFAST_EXPORT Batch {
 public:
  /// The state `name` as changed by this batch. Refers to its batch, also after that was moved;
  /// must not outlive it. Keys 1 to 255 bytes of any kind, values up to 1 MiB; at most 10,000
  /// changes and 16 MiB of keys and values a batch (`kTxWritesMax`, `kTxBytesMax`).
  class HOLDFAST_EXPORT State {
   public:
    State& put(std::string_view key, std::string_view value);
    State& erase(std::string_view key);

   private:
    friend class Batch;
    State(internal::BatchState* batch, std::string name) : batch_(batch), name_(std::move(name)) {}
    internal::BatchState* batch_;
    std::string name_;
  };

  Batch(Batch&&) noexcept;
  Batch& operator=(Batch&&) noexcept;
  ~Batch();

  /// Checks and encodes `event` behind those before it. With an error it is left out.
  Batch& add(const Event& event);
  /// Its name is 1 to 255 bytes, no control characters (below 0x20, 0x7f).
  [[nodiscard]] State state(std::string_view name);
  /// Events added so far, without those that were left out.
  [[nodiscard]] std::size_t size() const noexcept;
  /// The first error since the batch was empty, which `commit` will return: `invalid_argument` for
  /// a limit; with an `ordering_key` also `data_loss`, or `unavailable` once the bus is closed. Ok
  /// says only that all that was added is good, not that it will be written.
  Status status() const;
  /// Writes everything as one commit. When it has events and all of them are duplicates
  /// (`Event::idempotency_key`), it was written before: then its state is not written again either.
  /// Empties the batch whether it is written or not, its error too: who wants to try again builds
  /// it anew. Errors as for `Bus::publish_batch`; it is always all or nothing, and
  /// `BatchMode::independent` is `invalid_argument`, with which the batch stays as it is.
  Result<BatchReceipt> commit(const BatchOptions& options = {});

 private:
  friend class Bus;
  explicit Batch(std::unique_ptr<internal::BatchState> state) noexcept;
  std::unique_ptr<internal::BatchState> state_;
};

}  // namespace holdfast
