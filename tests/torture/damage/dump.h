// SPDX-License-Identifier: MIT
#pragma once

// Everything that can be read from a journal, as lines that can be compared.

#include <string>
#include <vector>

#include "damage/journal_content.h"
#include "holdfast/holdfast.h"

namespace holdfast::testing {

/// What one way of reading gave, and the first error it met. Lines come in the order in which they
/// were given.
struct Section {
  std::string name;
  std::vector<std::string> lines;
  Status status;
};
using Dump = std::vector<Section>;

/// How much is read: everything, or what takes little time.
enum class Depth : std::uint8_t { whole, light };

/// The sections of a view, and of a bus that was just opened: events, each event by its id, dead
/// letters, user state, operations, and what each subscription is owed.
Dump dump_of(const JournalView& view, const Facts& facts, Depth depth = Depth::whole);

/// Those, and what only a bus can tell: tokens, what publishing again under a key gives, and what
/// is handed out to a known and to a new subscription until nothing more comes. Changes the
/// journal.
Dump dump_of(Bus& bus, const Facts& facts, Depth depth = Depth::whole);

}  // namespace holdfast::testing
