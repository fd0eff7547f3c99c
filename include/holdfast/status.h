// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/export.h"

namespace holdfast {

/// What went wrong, as far as the caller has to act differently. Numbers are frozen.
enum class StatusCode : std::uint8_t {
  ok = 0,
  invalid_argument = 1,    ///< The request can never succeed as it is. Nothing was changed, unless
                           ///< the call says so.
  not_found = 2,           ///< What was named does not exist (any more).
  already_exists = 3,      ///< The name is taken by something live.
  resource_exhausted = 4,  ///< A named limit was reached (intake, disk reserve, memory). Nothing
                           ///< was changed, unless the call says so; try again later.
  deadline_exceeded = 5,   ///< The caller's deadline passed; what was asked for may still happen.
  indeterminate = 6,       ///< May or may not have happened: reopen the journal and read.
  stale = 7,               ///< This delivery is no longer yours; the answer changed nothing.
  cancelled = 8,           ///< The event was cancelled first.
  conflict = 9,        ///< It does not fit how things stand: what was read has changed, a name is
                       ///< in use, an operation is sealed or has ended; or the call would wait
                       ///< for itself. The message says which.
  unavailable = 10,    ///< Not to be had now: the bus is closing or closed; or the system says
                       ///< no (permission, another user's folder, read-only, no space), and
                       ///< the message has its reason.
  locked = 11,         ///< Another process has the journal open; the message names its pid.
  fenced = 12,         ///< Another writer went on with this journal; this handle is out of date.
  poisoned = 13,       ///< A write or sync failed earlier on this handle: reopen and compare.
  data_loss = 14,      ///< Stored data is damaged or missing; the message says what and where.
                       ///< For an operator, nothing was deleted.
  unimplemented = 15,  ///< Known, and not in this version.
  internal = 16,       ///< A defect of holdfast itself.
};

/// The snake_case name of `code`, e.g. "resource_exhausted". Static storage.
[[nodiscard]] HOLDFAST_EXPORT std::string_view to_string(StatusCode code) noexcept;

/// The outcome of a call that returns nothing else: a code, and a message for people.
/// A value type. Threads: const methods concurrently; otherwise the caller's lock.
class [[nodiscard]] HOLDFAST_EXPORT Status {
 public:
  Status() noexcept = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  [[nodiscard]] bool ok() const noexcept { return code_ == StatusCode::ok; }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] StatusCode code() const noexcept { return code_; }

  /// For people; not stable between versions. Empty when ok.
  [[nodiscard]] const std::string& message() const noexcept { return message_; }

  /// "ok", or "code: message".
  [[nodiscard]] std::string to_string() const;

  /// The same code, with `context` and a colon before the message.
  [[nodiscard]] Status with_context(std::string_view context) const;

  friend bool operator==(const Status& status, StatusCode code) noexcept {
    return status.code_ == code;
  }

 private:
  StatusCode code_ = StatusCode::ok;
  std::string message_;
};

}  // namespace holdfast
