// SPDX-License-Identifier: MIT
#pragma once

// Each adds its subcommand to `app`. When it is the one that is asked for it runs while the
// arguments are being parsed, and leaves in `result` what the process ends with.

#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "tools/exit_code.h"

namespace holdfast::tool {

void add_stat(CLI::App& app, ExitCode& result);
void add_ls(CLI::App& app, ExitCode& result);
void add_show(CLI::App& app, ExitCode& result);
void add_publish(CLI::App& app, ExitCode& result);

/// A new subcommand. What `Options` the arguments filled in goes to `run`.
template <typename Options>
CLI::App& add_command(CLI::App& app, const std::string& name, const std::string& what,
                      const std::string& examples, const std::shared_ptr<Options>& options,
                      ExitCode& result, ExitCode (*run)(const Options&)) {
  auto& command = *app.add_subcommand(name, what);
  command.footer("Examples:\n" + examples);
  command.add_option("JOURNAL", options->journal, "The folder of the journal")->required();
  command.callback([options, &result, run] { result = run(*options); });
  return command;
}

}  // namespace holdfast::tool
