// SPDX-License-Identifier: MIT

// The holdfast command: looks into journals and publishes into them, from the shell.

#include <csignal>
#include <exception>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

#include "holdfast/version.h"
#include "tools/commands.h"
#include "tools/output.h"
#include "tools/text.h"

namespace holdfast::tool {

namespace {

ExitCode print(const std::string& text) {
  Output out(STDOUT_FILENO);
  out << text;
  if (!text.ends_with('\n')) out << "\n";
  return out.finish(ExitCode::fine);
}

/// The innermost subcommand that was asked for, whose help is the one wanted.
const CLI::App& asked(const CLI::App& app) {
  const auto subcommands = app.get_subcommands();
  return subcommands.empty() ? app : *subcommands.front();
}

ExitCode usage_error(const CLI::App& app, const CLI::ParseError& error, std::string_view first) {
  std::vector<std::string> names;
  for (const auto* each : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(each->get_name());
  }
  const std::vector<std::string_view> known(names.begin(), names.end());
  const auto& command = asked(app);
  if (&command == &app && !first.empty() && !first.starts_with('-')) {
    complain("there is no command \"" + std::string(first) + "\"" + did_you_mean(first, known));
  } else if (&command == &app && first.empty()) {
    complain("a command is needed");
  } else {
    complain(error.what());
  }
  const auto name = &command == &app ? std::string("holdfast") : "holdfast " + command.get_name();
  complain("\"" + name + " --help\" says how it is used");
  return ExitCode::usage;
}

ExitCode run(int argc, const char* const* argv) {
  CLI::App app(
      "Looks into holdfast journals, also while a program has them open, and publishes "
      "into them.",
      "holdfast");
  app.set_version_flag("--version", "holdfast " HOLDFAST_VERSION_STRING);
  app.require_subcommand(1);
  app.footer(
      "Each command has examples: holdfast COMMAND --help\n"
      "Ends with 0 fine, 1 found nothing or a check failed, 2 usage, 3 damaged, 4 locked,\n"
      "5 not possible now, 6 outcome unknown, 7 a defect, 130 interrupted.");
  auto result = ExitCode::fine;
  add_stat(app, result);
  add_ls(app, result);
  add_show(app, result);
  add_publish(app, result);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return print(asked(app).help());
  } catch (const CLI::CallForVersion& version) {
    return print(version.what());
  } catch (const CLI::ParseError& error) {
    return usage_error(app, error, argc > 1 ? argv[1] : "");
  }
  return result;
}

/// A file of the journal that were given the number of a standard stream would be written into, or
/// read, as if it were that stream.
void occupy_standard_streams() {
  for (const int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(file, F_GETFD) >= 0) continue;
    // The wrong way round, so that using it is the error that it would be.
    (void)::open("/dev/null", file == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

}  // namespace

}  // namespace holdfast::tool

int main(int argc, char** argv) {
  holdfast::tool::occupy_standard_streams();
  // A reader that went away is an error of write, which ends the command in good order.
  (void)std::signal(SIGPIPE, SIG_IGN);
  try {
    return static_cast<int>(holdfast::tool::run(argc, argv));
  } catch (const std::exception& error) {
    holdfast::tool::complain(std::string("unexpected: ") + error.what());
    return static_cast<int>(holdfast::tool::ExitCode::defect);
  }
}
