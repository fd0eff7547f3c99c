// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/bus.h"
#include "tools/exit_code.h"
#include "tools/input.h"
#include "tools/output.h"
#include "tools/progress.h"

namespace holdfast::tool {

struct PublisherOptions {
  bool json = false;    ///< A receipt for each event.
  bool strict = false;  ///< The first line that is refused ends it.
  Durability durability = Durability::durable;
};

/// Publishes what the lines of an input say, each on its own or all of them as one commit, and says
/// what became of them. Threads: one; it is called back by the bus.
class Publisher {
 public:
  Publisher(Bus& bus, Input& input, Waiter& waiter, const PublisherOptions& options);

  /// Each good line, in order, without waiting for one before the next. How many are on their way
  /// is bounded by the bus's intake, which makes this wait when it is full.
  ExitCode publish_each();
  /// All lines, or nothing when one of them is refused.
  ExitCode publish_batch();

 private:
  struct Answer {
    std::uint64_t line;
    Result<Receipt> receipt;
  };

  /// The event of `line`, if it has one; complains of a line that is refused.
  std::optional<OwnedEvent> parse(const LineReader::Line& line);
  void refuse(std::uint64_t line, std::string_view reason);
  /// What ends the publishing as a whole.
  void fail(std::uint64_t line, const Status& status);
  bool go_on() const;

  bool submit(std::uint64_t line, const OwnedEvent& event);
  void answer(std::uint64_t line, Result<Receipt> receipt);
  bool take_answers();
  void await_answers();
  void print(std::uint64_t line, const Receipt& receipt, BatchId batch);

  bool add(Batch& batch, std::uint64_t line, const OwnedEvent& event);
  ExitCode commit(Batch& batch);

  void note(Input::Ended ended);
  ExitCode report();
  void complain_above_progress(const std::string& message);

  Bus& bus_;
  Input& input_;
  Waiter& waiter_;
  const PublisherOptions options_;
  Output out_;
  Progress progress_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();

  std::uint64_t submitted_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t published_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t last_line_ = 0;  // Of what is published.
  CommitNumber first_commit_;
  CommitNumber last_commit_;
  std::vector<std::uint64_t> batch_lines_;
  ExitCode failure_ = ExitCode::fine;
  bool is_interrupted_ = false;
  bool is_out_of_reader_ = false;

  std::mutex mutex_;
  std::vector<Answer> answers_;  // Guarded by mutex_.
};

}  // namespace holdfast::tool
