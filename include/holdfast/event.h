// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/export.h"
#include "holdfast/token.h"
#include "holdfast/types.h"

namespace holdfast {

/// Who published an event. On disk since format 1; never renumber.
enum class SourceKind : std::uint8_t { system = 0, plugin = 1, user = 2, external = 3 };

/// A source: its kind and, for plug-ins, the name, which must not be empty. Borrows the name.
struct Source {
  SourceKind kind = SourceKind::system;
  std::string_view name{};

  [[nodiscard]] static constexpr Source system() noexcept { return {}; }
  [[nodiscard]] static constexpr Source plugin(std::string_view name) noexcept {
    return {SourceKind::plugin, name};
  }
  [[nodiscard]] static constexpr Source user() noexcept { return {SourceKind::user, {}}; }
  [[nodiscard]] static constexpr Source external() noexcept { return {SourceKind::external, {}}; }

  friend constexpr bool operator==(const Source&, const Source&) = default;
};

/// "system", "plugin(name)", "user" or "external"; and back, or nothing for any other text. The
/// parsed source borrows from `text`.
[[nodiscard]] HOLDFAST_EXPORT std::string to_string(const Source& source);
[[nodiscard]] HOLDFAST_EXPORT std::optional<Source> parse_source(std::string_view text) noexcept;

/// One metadata entry of an event to publish; borrows both strings.
using MetadataPair = std::pair<std::string_view, std::string_view>;

/// An event payload: bytes, or text given as bytes. Borrows.
struct Payload {
  constexpr Payload() noexcept = default;
  constexpr Payload(Bytes value) noexcept : bytes(value) {}  // NOLINT(google-explicit-constructor)
  Payload(std::string_view text) noexcept                    // NOLINT(google-explicit-constructor)
      : bytes(as_bytes(text)) {}
  Payload(const std::string& text) noexcept  // NOLINT(google-explicit-constructor)
      : bytes(as_bytes(text)) {}
  Payload(const char* text) noexcept  // NOLINT(google-explicit-constructor)
      : bytes(as_bytes(std::string_view(text))) {}
  Payload(const std::vector<std::byte>& value) noexcept  // NOLINT(google-explicit-constructor)
      : bytes(value) {}
  Bytes bytes;
};

/// What is published. Borrows everything: it only has to live for the call, which encodes it.
///
/// Limits (each with an error that states the value and the limit): `type` 255 bytes, dotted tokens
/// of [A-Za-z0-9_-]; `payload` 1 MiB (`Limits::payload_bytes_max`, at most 64 MiB); `content_type`,
/// the source's name and both keys 255 bytes; `metadata` 64 pairs and 16 KiB together, keys 1 to
/// 255 bytes; `timestamp`, `not_before` and `expires_at` are not before 1970.
struct Event {
  std::string_view type{};          ///< Dotted name, e.g. "order.placed".
  Payload payload{};                ///< Opaque to the bus.
  std::string_view content_type{};  ///< e.g. "application/json"; passed through.
  Priority priority = Priority::normal;
  Source source{};
  std::span<const MetadataPair> metadata{};  ///< Ordered; keys may repeat. `traceparent` and
                                             ///< `correlation_id` pass through.
  WallTime timestamp = 0;                    ///< When it happened; 0 = now.
  /// No handler is given it before this moment of the wall clock; 0, or one that is over, = at
  /// once. It is in the journal, and can be cancelled meanwhile. Waiting is no attempt, holds up no
  /// other event, and goes on over restarts: what became due while the process was down is given
  /// out after the next open.
  WallTime not_before = 0;
  /// No handler starts on it from this moment of the wall clock on: whoever is owed it then ends it
  /// as `Settled::expired`; retries and snoozes as well. A handler that runs already goes on, and
  /// what it answers counts. 0 = never; otherwise later than `not_before`. May be over already.
  WallTime expires_at = 0;
  /// The cancellation token it is published under (`Bus::make_token`); none by default. Publishing
  /// fails with `cancelled` when it is, and with `not_found` when it is forgotten or is that of a
  /// single event (`Bus::publish_cancellable`).
  TokenId token{};
  /// Events with the same key are handled one at a time and in the order of their commits, whatever
  /// their lanes, by each subscription for itself: the next is given out once the one before it is
  /// settled, also over its retries, snoozes, `not_before` and `on_cancel`. A dead letter is
  /// settled; redriven, it goes before what is not settled yet. So an urgent event waits for a less
  /// urgent one of its key. Events of other keys go by; with 65,536 events of keys waiting
  /// (`kKeyedWaitingMax`, shared by all subscriptions) a lane stands still at the next that would
  /// have to. Empty = none.
  std::string_view ordering_key{};
  /// Published again under the same key, an event is not published again: the call returns the
  /// receipt of the first, with `Receipt::duplicate` set, and nothing is written. So what may or
  /// may not have happened (a time-out, a crash, `indeterminate`) can be tried again. Any bytes;
  /// one set of keys for the whole journal, over all types and priorities. Empty = none.
  ///
  /// Decided in the order of commits, before anything else is looked at: the key alone counts. The
  /// rest of the event may differ, its token may be cancelled, and what was published first may be
  /// settled, cancelled or gone. A key holds for `Options::idempotency_window` from its first use,
  /// which trying again does not prolong, and as long as it is among the last
  /// `Limits::idempotency_keys_max`, as a batch finds it; across restarts. After that it is new.
  std::string_view idempotency_key{};
};

/// An event that owns its strings: for collections, and for events that outlive their origin.
struct OwnedEvent {
  std::string type{};
  std::string payload{};
  std::string content_type{};
  Priority priority = Priority::normal;
  SourceKind source_kind = SourceKind::system;
  std::string source_name{};
  std::vector<std::pair<std::string, std::string>> metadata{};
  WallTime timestamp = 0;
  WallTime not_before = 0;
  WallTime expires_at = 0;
  TokenId token{};
  std::string ordering_key{};
  std::string idempotency_key{};
};

/// The metadata of a stored event, read in place.
/// Threads: any, concurrently, as long as the event it came from lives.
class HOLDFAST_EXPORT MetadataView {
 public:
  MetadataView() noexcept = default;
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  /// `index` must be below `size()`; this is not checked.
  [[nodiscard]] MetadataPair operator[](std::size_t index) const noexcept;
  /// The value of the first entry with `key`.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view key) const noexcept;

 private:
  friend struct EventViewAccess;
  explicit MetadataView(const void* record) noexcept : record_(record) {}
  const void* record_ = nullptr;
};

/// An event as it is in the journal, read in place, without a copy.
///
/// Valid only as long as what gave it says: a `Delivery` for as long as the handler runs (or until
/// its `Deferred` is settled), a visitor's argument for the call. Copy what you keep (`to_owned`).
/// Threads: any, concurrently.
struct HOLDFAST_EXPORT EventView {
  EventId id;
  CommitNumber commit;        ///< (commit, index) is the total order over all lanes.
  std::uint32_t index = 0;    ///< Position inside its commit.
  BatchId batch_id;           ///< 0 = published alone.
  WallTime published_at = 0;  ///< When its commit was made.
  WallTime timestamp = 0;     ///< When it happened, as the publisher says.
  std::string_view type;
  Bytes payload;
  std::string_view content_type;
  Source source;
  MetadataView metadata;
  WallTime not_before = 0;  ///< 0 = none, as for an `Event`; so are the next two.
  WallTime expires_at = 0;
  TokenId token;
  std::string_view ordering_key;
  std::string_view idempotency_key;
  OperationId operation_id;  ///< It is a member of it; 0 = of none.

  [[nodiscard]] Priority priority() const noexcept { return id.priority; }
  [[nodiscard]] std::string_view payload_text() const noexcept { return as_text(payload); }
  [[nodiscard]] OwnedEvent to_owned() const;
};

}  // namespace holdfast
