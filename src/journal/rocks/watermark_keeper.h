// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/log.h"
#include "journal/rocks/files.h"
#include "journal/rocks/tail.h"
#include "journal/rocks/watermark.h"

namespace holdfast::journal {

/// Keeps the watermark file young while commits go on, on a thread of its own: writing it takes two
/// fsyncs that no publisher shall wait for. Threads: any.
class WatermarkKeeper {
 public:
  struct Config {
    std::string folder;
    std::uint64_t reserve = 0;
    std::chrono::milliseconds age_max{};
    base::Log log;
  };

  /// `written` is what the file says now.
  WatermarkKeeper(const Files& files, Config config, const Watermark& written);
  ~WatermarkKeeper();
  WatermarkKeeper(const WatermarkKeeper&) = delete;
  WatermarkKeeper& operator=(const WatermarkKeeper&) = delete;

  /// Waits until a commit with this number that leaves these next sequences behind is within the
  /// reserve, which it nearly always is at once. An error says why the file cannot be written.
  Status reserve(CommitNumber number, const model::PerLane<model::Sequence>& next);
  /// The journal has been fsynced up to `end`.
  void note_durable(const End& end);
  /// A write or sync failed. Returns once the file says so, or could not be written.
  void note_failed();
  /// Ends the keeper's work. With `end`, says in the file that the journal was closed there.
  Status close(const std::optional<End>& end);

 private:
  [[nodiscard]] bool covers(CommitNumber number, const model::PerLane<model::Sequence>& next,
                            std::uint64_t ahead) const;
  [[nodiscard]] Watermark next_watermark() const;
  [[nodiscard]] bool owes_failure() const;
  void run(const std::stop_token& stop);

  const Files& files_;
  const Config config_;
  std::mutex mutex_;  // guards everything below
  std::condition_variable_any changed_;
  Watermark written_;  // what the file says
  CommitNumber durable_;
  model::PerLane<model::Sequence> durable_next_;
  CommitNumber asked_;  // the newest commit that went through `reserve`
  model::PerLane<model::Sequence> asked_next_;
  bool has_failed_ = false;  // the journal
  bool is_urgent_ = false;   // somebody waits
  bool is_writing_ = false;
  Status failure_;  // of the newest attempt to write the file
  std::uint64_t attempts_ = 0;
  std::jthread thread_;  // last: it uses all the others
};

}  // namespace holdfast::journal
