// SPDX-License-Identifier: MIT
#pragma once

// What is done to the journal, one piece of damage at a time.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "damage/log_records.h"
#include "holdfast/types.h"

namespace holdfast::testing {

enum class DamageKind : std::uint8_t {
  flip,    ///< One bit of the byte at `offset`.
  set,     ///< That byte becomes 0x00, or 0xff where it is that.
  zeros,   ///< 512 bytes from there on.
  cut,     ///< The file ends there.
  append,  ///< So many bytes more, of no meaning.
  empty,
  remove,
  swap,  ///< With another file, each under the other's name.
};
std::string_view name_of(DamageKind kind);
/// Ends the program for any other name.
std::optional<DamageKind> kind_of(std::string_view name);

/// Files by their names below the folder.
using Image = std::map<std::string, std::string>;
Image read_image(const std::string& folder);

struct Damage {
  DamageKind kind = DamageKind::flip;
  /// The watermark is that of up to a second before the end: what was durable by then and what
  /// commits say is all that is known.
  bool stale = false;
  std::string file;
  std::uint64_t offset = 0;
  std::string other;  ///< To swap with.

  [[nodiscard]] std::string to_line() const;
  static Damage parse(const std::string& line);
};

/// `image` is the whole one, with the watermark that goes with `damage`.
void apply(const Damage& damage, Image& image);

/// Of what is left of the logs, whichever commit says it: the newest that was durable.
CommitNumber known_durable(const Damage& damage, const std::vector<LoggedCommit>& commits);

/// What a file is to the journal, for the table of outcomes.
std::string_view class_of(std::string_view file);

struct PlanOptions {
  std::uint64_t flip_stride = 1;  ///< Every so many bytes; 0 = not at all.
  std::uint64_t set_stride = 0;
  std::uint64_t cut_stride = 0;
  std::uint64_t zeros_stride = 512;
  std::string only{};      ///< A class of files; empty = all.
  std::uint64_t seed = 1;  ///< Chooses where strides begin, and the bits.
};
std::vector<Damage> make_plan(const Image& image, const PlanOptions& options);

}  // namespace holdfast::testing
