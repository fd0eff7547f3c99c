// SPDX-License-Identifier: MIT
#include "tools/publisher.h"

#include <algorithm>
#include <optional>
#include <unistd.h>
#include <utility>

#include "tools/event_line.h"
#include "tools/json.h"
#include "tools/text.h"

namespace holdfast::tool {

namespace {

Event borrow(const OwnedEvent& owned, std::vector<MetadataPair>& pairs) {
  pairs.assign(owned.metadata.begin(), owned.metadata.end());
  return {.type = owned.type,
          .payload = owned.payload,
          .content_type = owned.content_type,
          .priority = owned.priority,
          .source = {owned.source_kind, owned.source_name},
          .metadata = pairs,
          .timestamp = owned.timestamp};
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

/// Without "event 0 of the batch: ": the line says which.
std::string_view without_index(std::string_view message) {
  static constexpr std::string_view kEnd = " of the batch: ";
  const auto at = message.find(kEnd);
  return at == std::string_view::npos ? message : message.substr(at + kEnd.size());
}

}  // namespace

Publisher::Publisher(Bus& bus, Input& input, Waiter& waiter, const PublisherOptions& options)
    : bus_(bus),
      input_(input),
      waiter_(waiter),
      options_(options),
      out_(STDOUT_FILENO),
      progress_(input.bytes_total()) {}

// --- Lines --------------------------------------------------------------------------------------

void Publisher::complain_above_progress(const std::string& message) {
  progress_.clear();
  complain(message);
}

void Publisher::refuse(std::uint64_t line, std::string_view reason) {
  ++refused_;
  complain_above_progress("line " + std::to_string(line) + ": " + std::string(reason));
}

void Publisher::fail(std::uint64_t line, const Status& status) {
  complain_above_progress("line " + std::to_string(line) + ": " + status.to_string());
  if (failure_ == ExitCode::fine) failure_ = exit_code_of(status.code());
}

bool Publisher::go_on() const {
  return failure_ == ExitCode::fine && !(options_.strict && refused_ > 0) && !is_out_of_reader_;
}

std::optional<OwnedEvent> Publisher::parse(const LineReader::Line& line) {
  if (line.is_too_long()) {
    refuse(line.number, "has " + with_thousands(line.bytes) + " bytes, the limit is " +
                            with_thousands(kLineBytesMax));
    return std::nullopt;
  }
  if (is_blank(line.text)) return std::nullopt;
  auto event = parse_event_line(line.text);
  if (!event) {
    refuse(line.number,
           (line.is_complete ? "" : "(the last, cut off?) ") + event.status().message());
    return std::nullopt;
  }
  return *std::move(event);
}

void Publisher::note(Input::Ended ended) {
  if (ended == Input::Ended::by_signal) is_interrupted_ = true;
  if (ended != Input::Ended::by_error) return;
  complain_above_progress("reading the input failed: " + input_.error());
  if (failure_ == ExitCode::fine) failure_ = ExitCode::unavailable;
}

// --- Each on its own ----------------------------------------------------------------------------

ExitCode Publisher::publish_each() {
  Input::Visitor visitor;
  visitor.line = [this](const LineReader::Line& line) {
    const auto event = parse(line);
    return event.has_value() ? submit(line.number, *event) : go_on();
  };
  visitor.between = [this] {
    progress_.update(input_.bytes_read(), published_);
    return take_answers();
  };
  note(input_.each_line(waiter_, visitor));
  await_answers();
  return report();
}

bool Publisher::submit(std::uint64_t line, const OwnedEvent& event) {
  std::vector<MetadataPair> pairs;
  const auto status = bus_.publish_async(
      borrow(event, pairs),
      [this, line](Result<Receipt> receipt) { answer(line, std::move(receipt)); },
      {.durability = options_.durability});
  if (status.ok()) {
    ++submitted_;
  } else if (status == StatusCode::invalid_argument) {
    refuse(line, status.message());
  } else {
    fail(line, status);
  }
  return go_on();
}

/// On a thread of the bus.
void Publisher::answer(std::uint64_t line, Result<Receipt> receipt) {
  bool is_first = false;
  {
    const std::lock_guard lock(mutex_);
    is_first = answers_.empty();
    answers_.push_back({line, std::move(receipt)});
  }
  if (is_first) waiter_.wake();
}

bool Publisher::take_answers() {
  std::vector<Answer> answers;
  {
    const std::lock_guard lock(mutex_);
    answers.swap(answers_);
  }
  for (const auto& [line, receipt] : answers) {
    ++answered_;
    if (receipt.ok()) {
      print(line, *receipt, {});
    } else {
      fail(line, receipt.status());
    }
  }
  if (options_.json && !out_.flush()) is_out_of_reader_ = true;
  return go_on();
}

void Publisher::await_answers() {
  while (take_answers(), answered_ < submitted_) {
    progress_.update(input_.bytes_read(), published_);
    if (!waiter_.wait(-1).signalled) continue;
    if (std::exchange(is_interrupted_, true)) {
      // Asked twice: what is still on its way may or may not get there.
      complain_above_progress("interrupted again: " + plural(published_, "event") +
                              " confirmed, of " + plural(submitted_ - answered_, "event") +
                              " it is not known");
      ::_exit(static_cast<int>(ExitCode::interrupted));
    }
  }
}

void Publisher::print(std::uint64_t line, const Receipt& receipt, BatchId batch) {
  ++published_;
  last_line_ = line;
  if (first_commit_.value == 0) first_commit_ = receipt.commit;
  last_commit_ = receipt.commit;
  if (!options_.json) return;
  Json json;
  json["line"] = line;
  json["id"] = to_string(receipt.id);
  json["commit"] = receipt.commit.value;
  json["batch"] = batch.value;
  json["duplicate"] = receipt.duplicate;
  json["durability"] = to_string(options_.durability);
  out_ << to_line(json) << "\n";
}

// --- All as one ---------------------------------------------------------------------------------

ExitCode Publisher::publish_batch() {
  auto batch = bus_.batch();
  Input::Visitor visitor;
  visitor.line = [&](const LineReader::Line& line) {
    const auto event = parse(line);
    return event.has_value() ? add(batch, line.number, *event) : go_on();
  };
  visitor.between = [&] {
    progress_.update(input_.bytes_read(), batch.size());
    return go_on();
  };
  note(input_.each_line(waiter_, visitor));
  return commit(batch);
}

bool Publisher::add(Batch& batch, std::uint64_t line, const OwnedEvent& event) {
  std::vector<MetadataPair> pairs;
  const auto borrowed = borrow(event, pairs);
  // The batch itself takes nothing behind its first error; one that is thrown away tells of each
  // event whether it is good.
  const auto good = bus_.batch().add(borrowed).status();
  if (!good) {
    refuse(line, without_index(good.message()));
    return go_on();
  }
  if (refused_ > 0) return go_on();
  // All alone are good, so together they are over a limit, and commit will say which.
  if (!batch.add(borrowed).status()) return false;
  batch_lines_.push_back(line);
  return true;
}

ExitCode Publisher::commit(Batch& batch) {
  progress_.clear();
  if (is_interrupted_ || refused_ > 0 || failure_ != ExitCode::fine) {
    complain("nothing was written" +
             (refused_ > 0 ? ": " + plural(refused_, "line") + " refused" : std::string()));
    if (failure_ != ExitCode::fine) return failure_;
    return is_interrupted_ ? ExitCode::interrupted : ExitCode::nothing;
  }
  if (batch.size() == 0) return report();
  const auto receipt = batch.commit({.durability = options_.durability});
  if (!receipt) {
    const auto code = complain(receipt.status());
    // A file that is too large for one commit failed a check; it is not wrongly used.
    return code == ExitCode::usage ? ExitCode::nothing : code;
  }
  for (std::size_t i = 0; i < receipt->receipts.size(); ++i) {
    print(batch_lines_[i], receipt->receipts[i], receipt->batch_id);
  }
  return report();
}

// --- What became of them ------------------------------------------------------------------------

ExitCode Publisher::report() {
  progress_.clear();
  Status status;
  if (options_.durability == Durability::os && last_commit_.value != 0) {
    status = bus_.wait_durable(last_commit_);
  }
  if (status.ok()) status = bus_.close();
  if (!status.ok()) {
    const auto code = complain(status);
    if (failure_ == ExitCode::fine) failure_ = code;
  }
  const auto events = plural(published_, "event");
  const auto durable =
      events + (published_ == 1 ? " is" : " are") + " durable" +
      (published_ > 0 ? ", the last is of line " + std::to_string(last_line_) : "");
  if (is_interrupted_) {
    complain("interrupted: " + durable);
  } else if (failure_ != ExitCode::fine) {
    complain("stopped: " + events + " confirmed" +
             (published_ > 0 ? ", the last is of line " + std::to_string(last_line_) : ""));
  } else if (is_out_of_reader_) {
    complain("nobody takes the receipts any more, stopped: " + durable);
  } else if (!options_.json) {
    const auto took = std::chrono::steady_clock::now() - begun_;
    out_ << "published " << events;
    if (published_ > 0) {
      out_ << " in " << human_duration(took) << " (" << rate(published_, took) << "), "
           << (first_commit_ == last_commit_ ? "commit " : "commits ")
           << with_thousands(first_commit_.value);
      if (first_commit_ != last_commit_) out_ << " to " << with_thousands(last_commit_.value);
    }
    out_ << "\n";
  }
  if (refused_ > 0) complain(plural(refused_, "line") + " refused");
  auto code = failure_;
  if (code == ExitCode::fine && is_interrupted_) code = ExitCode::interrupted;
  if (code == ExitCode::fine && (refused_ > 0 || is_out_of_reader_)) code = ExitCode::nothing;
  return out_.finish(code);
}

}  // namespace holdfast::tool
