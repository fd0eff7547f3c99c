// SPDX-License-Identifier: MIT
#pragma once

// What tests of the holdfast command share: the real binary on journals in a folder of their own.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "holdfast/holdfast.h"
#include "support/bus_test.h"
#include "support/command.h"
#include "support/temp_folder.h"
#include "support/waiting.h"

namespace holdfast::testing {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;
using ::testing::Not;

/// The lines of `text`, without their ends. A last one without an end counts.
inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

inline std::vector<Json> json_lines_of(const std::string& text) {
  std::vector<Json> all;
  for (const auto& line : lines_of(text)) all.push_back(Json::parse(line));
  return all;
}

class ToolTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::string path(const std::string& name = "journal") const {
    return folder_.inside(name);
  }
  static CommandResult tool(std::vector<std::string> arguments,
                            const CommandOptions& options = {}) {
    arguments.insert(arguments.begin(), HOLDFAST_TOOL);
    return run_command(arguments, options);
  }
  /// A line for the shell, in which `$TOOL` and `$J` are what one expects.
  [[nodiscard]] CommandResult shell(const std::string& line) const {
    return run_command({"/bin/sh", "-c", line},
                       {.environment = {"TOOL=" HOLDFAST_TOOL, "J=" + path()}});
  }
  [[nodiscard]] CommandResult publish(const std::string& lines,
                                      std::vector<std::string> options = {}) const {
    options.insert(options.begin(), {"publish", path(), "-"});
    return tool(options, {.input = lines});
  }
  [[nodiscard]] std::vector<Json> list(std::vector<std::string> options = {}) const {
    options.insert(options.begin(), {"ls", path(), "--json"});
    return json_lines_of(tool(options).out);
  }
  [[nodiscard]] Json stat() const { return Json::parse(tool({"stat", path(), "--json"}).out); }

  /// A journal with an event in each state that lasts:
  ///   critical:1 dead, high:1 scheduled, normal:1 settled, normal:2 ready, low:1 unclaimed
  void make_journal_with_a_past() const {
    Options options;
    options.workers = Workers::single();
    auto bus = must(Bus::open(path(), options));
    const auto handle = [](Delivery& delivery) {
      if (delivery.event().priority() == Priority::critical) {
        return Outcome::reject("smtp 451 \x1b[31m");
      }
      if (delivery.event().priority() == Priority::high) {
        return Outcome::retry_after(std::chrono::hours(1), "busy");
      }
      return Outcome::ack();
    };
    {
      auto mailer = must(bus->subscribe({.name = "mailer", .types = {"order.>"}}, handle));
      const auto dead = must(
          bus->publish({.type = "order.placed", .payload = "bad", .priority = Priority::critical}));
      const auto scheduled = must(
          bus->publish({.type = "order.placed", .payload = "later", .priority = Priority::high}));
      const auto settled = must(bus->publish({.type = "order.placed", .payload = "good"}));
      ASSERT_TRUE(eventually([&] {
        return must(bus->get(dead.id))->state == EventState::dead &&
               must(bus->get(scheduled.id))->state == EventState::scheduled &&
               must(bus->get(settled.id))->state == EventState::settled;
      }));
    }
    must(bus->publish({.type = "order.changed", .payload = "waiting"}));
    must(bus->publish({.type = "tree.grew", .payload = "nobody", .priority = Priority::low}));
    must(bus->close());
  }

 private:
  TempFolder folder_;
};

}  // namespace holdfast::testing
