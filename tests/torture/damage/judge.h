// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "damage/references.h"

namespace holdfast::testing {

/// What came of opening and reading a damaged journal in one way.
enum class DamageOutcome : std::uint8_t {
  fine,          ///< All of it was there, and right.
  prefix,        ///< It ends earlier, behind everything that was known durable.
  loss_at_open,  ///< `data_loss`.
  loss_at_read,  ///< `data_loss` at what is damaged; what else was read is right.
  refused,       ///< With another error that says why.
  violation,
};
std::string_view name_of(DamageOutcome outcome);

struct Judgement {
  DamageOutcome outcome = DamageOutcome::violation;
  std::string why;  ///< Of a violation: what; otherwise the error, if there was one.
};

/// Judges one damaged journal after the other. Each call lays it out anew where needed.
class Judge {
 public:
  explicit Judge(const Subject& subject);

  /// `JournalView`, which must leave every byte as it is.
  Judgement view(const Damage& damage);
  /// `Bus::open`, and all that can be read and handed out. A refusal must be one for good, and
  /// leave what was durable.
  /// With `again` it is opened once more when it was refused.
  Judgement bus(const Damage& damage, bool again);
  /// One of the commands of `tool_commands()`.
  Judgement tool(const Damage& damage, const std::string& command);

 private:
  [[nodiscard]] Image damaged(const Damage& damage) const;
  Judgement judge(const Dump& dump, const Damage& damage, References& references) const;
  Judgement judge_open_bus(Bus& bus, const Damage& damage);
  Judgement second_open(const std::string& folder, const Damage& damage, const Judgement& first);
  [[nodiscard]] std::string wrongly_changed(const Image& before, const std::string& folder,
                                            const Status& refusal) const;
  References& tool_references(const std::string& command);

  const Subject& subject_;
  References views_;
  References buses_;
  References buses_without_attempts_;
  std::map<std::string, References> tools_;
};

/// stat, ls, ls --dead, show and publish.
const std::vector<std::string>& tool_commands();

}  // namespace holdfast::testing
