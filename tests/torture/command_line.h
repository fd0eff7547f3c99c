// SPDX-License-Identifier: MIT
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <system_error>

#include <CLI/CLI.hpp>

namespace holdfast::torture {

// How each of these programs ends when it is not well.
inline constexpr int kViolated = 1;  ///< A promise was broken.
inline constexpr int kNotRun = 2;    ///< Nothing was looked at: what was asked for makes no sense.
inline constexpr int kIncomplete =
    3;  ///< No violation, and less was met than a run of its length has.

/// A whole number from `least` on; CLI11 by itself takes -1, and what is too large, for the
/// largest.
inline CLI::Validator at_least(std::uint64_t least) {
  return {[least](const std::string& text) -> std::string {
            std::uint64_t value = 0;
            const auto* end = text.data() + text.size();
            const auto [read_to, error] = std::from_chars(text.data(), end, value);
            if (error == std::errc() && read_to == end && value >= least) return {};
            return "'" + text + "' is no number from " + std::to_string(least) + " on";
          },
          "NUMBER"};
}

/// `seed`, or one drawn when that is 0.
inline std::uint64_t seed_or_any(std::uint64_t seed) {
  return seed != 0 ? seed : std::random_device{}() | std::uint64_t{1};
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
