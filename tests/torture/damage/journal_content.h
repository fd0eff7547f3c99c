// SPDX-License-Identifier: MIT
#pragma once

// The journal that is damaged: small, as a killed process leaves it, and with every kind of record
// that the format knows, in its tables and in its log.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/holdfast.h"

namespace holdfast::testing {

/// What was done to it and cannot be found by looking: names and ids to ask for.
struct Facts {
  struct Published {
    EventId id;
    std::string content;  ///< As `content_of` has it.
  };
  std::vector<Published> events;  ///< In the order of publishing; what handlers published is not.
  std::vector<std::pair<std::string, EventId>> idempotency_keys;
  std::vector<std::pair<std::string, EventId>> ordering_keys;  ///< With the newest event of each.
  std::vector<TokenId> tokens;

  void save(const std::string& file) const;
  static Facts load(const std::string& file);
};

/// Everything that a publisher said, as one line.
std::string content_of(const OwnedEvent& event);

/// How the journal is opened: nothing in it changes by itself.
Options damage_options();

/// What its subscriptions have on the disk: one for orders, and one for the members of operations,
/// which needs a handler to undo them.
SubscribeOptions mailer_options();
SubscribeOptions steps_options();

/// Names of what is in it.
inline constexpr const char* kStateName = "counts";
inline constexpr const char* kTailType = "tail.event";

/// Makes `folder` with
///
///     image/            the journal
///     stale-watermark   as it was when the last run began, and so up to a second before its end
///     facts             what is in it
///
/// and ends the program when the journal does not hold what it should, or cannot be read whole.
void make_damage_journal(const std::string& folder);

}  // namespace holdfast::testing
