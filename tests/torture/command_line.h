// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

namespace holdfast::torture {

// How each of these programs ends when it is not well.
inline constexpr int kViolated = 1;  ///< A promise was broken.
inline constexpr int kNotRun = 2;    ///< Nothing was looked at: what was asked for makes no sense.
inline constexpr int kIncomplete =
    3;  ///< No violation, and less was met than a run of its length has.

/// A whole number from `least` on; CLI11 by itself takes -1 for a very large one.
inline CLI::Validator at_least(std::uint64_t least) {
  return {[least](const std::string& text) -> std::string {
            const bool is_number =
                !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
            std::uint64_t value = 0;
            if (is_number && CLI::detail::lexical_cast(text, value) && value >= least) return {};
            return "'" + text + "' is no number from " + std::to_string(least) + " on";
          },
          "NUMBER"};
}

/// The exit code when that is all: help was asked for, or something is wrong, which has been told.
inline std::optional<int> parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kNotRun;
  }
  return std::nullopt;
}

}  // namespace holdfast::torture
