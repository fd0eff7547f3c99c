// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::internal {

/// How far a handler run says it is: the latest only. Threads: any, but for `reset`.
class Progress {
 public:
  struct Told {
    std::optional<double> fraction;
    std::string note;
  };

  void tell(double fraction, std::string_view note);
  [[nodiscard]] Told told() const;
  /// For the next run. Nobody else may know of this one any more.
  void reset();

 private:
  std::atomic<bool> is_told_{false};
  mutable std::mutex mutex_;
  Told told_;
};

/// At most `bytes_max` of `text`, not cut inside a character.
[[nodiscard]] std::string_view cut(std::string_view text, std::size_t bytes_max) noexcept;

}  // namespace holdfast::internal
