// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "damage/dump.h"
#include "damage/log_records.h"
#include "damage/plan.h"

namespace holdfast::testing {

/// A journal that was made to be damaged, and a folder to do it in.
class Subject {
 public:
  /// `made` is what `make_damage_journal` left.
  Subject(const std::string& made, std::string scratch);

  /// The journal as it was, with the watermark that goes with `stale`.
  [[nodiscard]] Image image(bool stale) const;
  [[nodiscard]] const Facts& facts() const { return facts_; }
  [[nodiscard]] const std::vector<LoggedCommit>& commits() const { return commits_; }
  [[nodiscard]] CommitNumber watermark(bool stale) const {
    return stale ? stale_durable_ : durable_;
  }
  /// The folder `name`, with `image` and nothing else.
  [[nodiscard]] std::string lay_out(const Image& image, const std::string& name = "journal") const;

 private:
  std::string scratch_;
  Image image_;
  std::string stale_watermark_;
  Facts facts_;
  std::vector<LoggedCommit> commits_;
  CommitNumber durable_;
  CommitNumber stale_durable_;
};

/// What undamaged journals say that end at one commit of the log or another: whatever a damaged one
/// says must be what one of them says. Made when they are asked for.
class References {
 public:
  using Read = std::function<Dump(const std::string& folder)>;
  References(const Subject& subject, Read read) : subject_(subject), read_(std::move(read)) {}

  struct Match {
    bool found = false;
    bool is_whole = false;  ///< Nothing is missing.
    bool had_error = false;
    std::string difference;  ///< From the ones that are most like it, if none was found.
  };
  /// It must not end before what the watermark and the rest of the logs call durable.
  Match match(const Dump& dump, const Damage& damage);

 private:
  const Dump& at(bool stale, std::size_t commits);

  const Subject& subject_;
  Read read_;
  std::map<std::pair<bool, std::size_t>, Dump> made_;
};

/// "" when each section of `dump` is as in `whole`, or, where it met an error, has nothing that is
/// not there. Otherwise what is wrong.
std::string difference_of(const Dump& dump, const Dump& whole);

}  // namespace holdfast::testing
