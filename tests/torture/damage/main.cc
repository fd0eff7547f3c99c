// SPDX-License-Identifier: MIT
// Damages each file of a small journal in every way and at every place, and sees what a view, a bus
// and the command say to each. Opens run in children of this process, so that a crash or a hang is
// told with the damage that made it, and the rest goes on.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <unistd.h>
#include <variant>

#include "damage/judge.h"
#include "damage/tally.h"
#include "support/bus_test.h"
#include "support/child_process.h"
#include "torture/command_line.h"

namespace holdfast::testing {
namespace {

// One that takes longer hangs: it is ended by SIGALRM. (A view that finds damage looks sixteen
// times.)
constexpr unsigned kSecondsMax = 100;

struct TortureOptions {
  PlanOptions plan{.flip_stride = 1, .set_stride = 64, .cut_stride = 16};
  std::uint64_t tool_stride = 512;  ///< The command looks at every so many damages.
  std::uint64_t group = 256;        ///< Damages a child.
  std::uint64_t again_stride = 16;  ///< A refused open is tried again for every so many.
  unsigned jobs = 2 * std::max(1U, std::thread::hardware_concurrency());
  std::string made;  ///< Made before; empty = make one.
  std::optional<Damage> single;

  /// Some seconds.
  void be_short() {
    plan.flip_stride = 1999;
    plan.set_stride = 4999;
    plan.cut_stride = 4001;
    plan.zeros_stride = 16'384;
    tool_stride = 0;
    group = 24;
  }
};

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.substr(0, 2000);
}

// --- A child ------------------------------------------------------------------------------------

/// Judges damages of a plan, and says what it is at before it begins with it.
class Worker {
 public:
  Worker(const ChildArguments& given, const Subject& subject) : given_(given), judge_(subject) {}

  void run(const Damage& damage, std::size_t number, bool with_tool, bool again) {
    stage(number, "view", [&] { return judge_.view(damage); });
    stage(number, "bus", [&] { return judge_.bus(damage, again); });
    if (!with_tool) return;
    for (const auto& command : tool_commands()) {
      stage(number, "tool", [&] { return judge_.tool(damage, command); });
    }
  }

 private:
  template <typename Judges>
  void stage(std::size_t number, const char* name, Judges&& judges) {
    alarm(kSecondsMax);
    tell(given_, "at " + std::to_string(number) + ' ' + name);
    const auto judgement = judges();
    tell(given_, "got " + std::to_string(number) + ' ' + name + ' ' +
                     std::to_string(static_cast<int>(judgement.outcome)) + ' ' +
                     one_line(judgement.why));
  }

  const ChildArguments& given_;
  Judge judge_;
};

std::vector<Damage> load_plan(const std::string& file) {
  std::vector<Damage> plan;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) plan.push_back(Damage::parse(line));
  return plan;
}

const ChildRole kWorker("damage_worker", [](const ChildArguments& given) {
  const auto& made = given.values.at(0);
  const auto scratch = made + "/scratch-" + std::to_string(getpid());
  std::filesystem::create_directory(scratch);
  {
    const Subject subject(made, scratch);
    const auto plan = load_plan(made + "/plan");
    const auto end = std::min<std::size_t>(plan.size(), std::stoull(given.values.at(2)));
    const auto tool_stride = std::stoull(given.values.at(3));
    const auto again_stride = std::stoull(given.values.at(4));
    const auto is_among = [](std::size_t i, std::uint64_t stride) {
      return stride != 0 && i % stride == 0;
    };
    Worker worker(given, subject);
    for (auto i = std::stoull(given.values.at(1)); i < end; ++i) {
      // Whole files are few, and all of them are for everything.
      const bool is_whole = plan[i].kind >= DamageKind::append;
      worker.run(plan[i], i, tool_stride != 0 && (is_whole || is_among(i, tool_stride)),
                 is_whole || is_among(i, again_stride));
    }
  }
  std::filesystem::remove_all(scratch);
  return 0;
});

const ChildRole kMaker("damage_maker", [](const ChildArguments& given) {
  make_damage_journal(given.values.at(0));
  return 0;
});

// --- The parent ---------------------------------------------------------------------------------

class Torture {
 public:
  Torture(const TortureOptions& options, std::string made, std::vector<Damage> plan)
      : options_(options), made_(std::move(made)), plan_(std::move(plan)) {
    std::ofstream out(made_ + "/plan");
    for (const auto& damage : plan_) out << damage.to_line() << '\n';
  }

  Tally run() {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < options_.jobs; ++i) threads.emplace_back([this] { work(); });
    threads.clear();
    return std::move(tally_);
  }

 private:
  void work() {
    while (true) {
      std::size_t from = 0;
      {
        const std::lock_guard lock(mutex_);
        from = std::exchange(next_, std::min(plan_.size(), next_ + options_.group));
      }
      if (from == plan_.size()) return;
      const auto to = std::min(plan_.size(), from + options_.group);
      while (from < to) from = run_child(from, to);
    }
  }

  /// Where to go on.
  std::size_t run_child(std::size_t from, std::size_t to) {
    auto child =
        ChildProcess::start("damage_worker", {made_, std::to_string(from), std::to_string(to),
                                              std::to_string(options_.tool_stride),
                                              std::to_string(options_.again_stride)});
    std::size_t number = from;
    std::string stage = "start";
    for (auto line = child.read_line(); !line.empty(); line = child.read_line()) {
      std::istringstream in(line);
      std::string word;
      in >> word >> number >> stage;
      if (word != "got") continue;
      int outcome = 0;
      std::string why;
      in >> outcome;
      std::getline(in, why);
      note(number, stage, static_cast<DamageOutcome>(outcome), why);
    }
    if (child.succeeded()) return to;
    const auto status = child.wait();
    const bool hangs = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    note(number, stage, DamageOutcome::violation,
         hangs                 ? "hangs"
         : WIFSIGNALED(status) ? std::string("ended by ") + sigdescr_np(WTERMSIG(status))
                               : "exit code " + std::to_string(WEXITSTATUS(status)));
    std::filesystem::remove_all(made_ + "/scratch-" + std::to_string(child.pid()));
    return number + 1;
  }

  void note(std::size_t number, const std::string& stage, DamageOutcome outcome,
            const std::string& why) {
    const std::lock_guard lock(mutex_);
    tally_.note(plan_[number], stage, outcome, why);
    if (options_.single) {
      std::printf("%s: %s%s\n", stage.c_str(), std::string(name_of(outcome)).c_str(), why.c_str());
    }
  }

  const TortureOptions& options_;
  const std::string made_;
  const std::vector<Damage> plan_;
  std::mutex mutex_;
  std::size_t next_ = 0;
  Tally tally_;
};

/// What cannot be done is told, and there is nothing to tell of.
int refuse(const std::string& why) {
  std::fprintf(stderr, "holdfast_damage: %s\n", why.c_str());
  return torture::kNotRun;
}

/// Or the exit code.
std::variant<TortureOptions, int> parse(int argc, char** argv) {
  TortureOptions options;
  auto& plan = options.plan;
  std::string kind;
  Damage single;
  CLI::App app("Damages each file of a small journal at every place, and sees what is told of it.");
  app.footer("Exit code 1: a violation, and the journal is kept; 2: it was not run.");
  // Before the strides, which may then say otherwise.
  app.add_flag_callback(
      "--short", [&] { options.be_short(); }, "a few seconds: strides of some hundred bytes");
  const auto number = [&](const char* name, auto& value, const char* help,
                          std::uint64_t least = 0) {
    app.add_option(name, value, help)->check(torture::at_least(least));
  };
  number("--flip", plan.flip_stride, "damage a bit of every N-th byte; 0 = none, as with the next");
  number("--set", plan.set_stride, "set every N-th byte");
  number("--cut", plan.cut_stride, "cut at every N-th byte");
  number("--zeros", plan.zeros_stride, "a run of zeros at every N-th byte");
  number("--tool", options.tool_stride, "ask the command of every N-th damage");
  number("--again", options.again_stride, "open what is refused twice, of every N-th damage");
  app.add_option("--only", plan.only, "files of one class, as in the table at the end");
  number("--seed", plan.seed, "where the strides begin");
  number("--jobs", options.jobs, "children at a time", 1);
  number("--group", options.group, "damages a child", 1);
  auto* made = app.add_option("--made", options.made, "a journal that an earlier run has kept")
                   ->check([](const std::string& folder) {
                     return std::filesystem::is_directory(folder + "/image")
                                ? std::string()
                                : folder + ": there is no journal of an earlier run";
                   });
  auto* file = app.add_option("--file", single.file, "with --kind: of this file");
  app.add_option("--kind", kind, "one damage alone: flip set zeros cut append empty remove swap")
      ->check([](const std::string& name) {
        return kind_of(name) ? std::string() : "there is no damage '" + name + "'";
      })
      ->needs(made, file);
  number("--offset", single.offset, "with --kind: at this byte");
  app.add_option("--other", single.other, "with --kind swap: the other file");
  app.add_flag("--stale", single.stale, "with --kind: with an old watermark");
  if (const auto code = torture::parse(app, argc, argv)) return *code;
  if (!kind.empty()) {
    single.kind = *kind_of(kind);
    options.single = single;
  }
  return options;
}

/// A folder in memory where there is one.
std::string make_folder() {
  std::error_code ignored;
  const auto base = access("/dev/shm", W_OK) == 0 ? std::filesystem::path("/dev/shm")
                                                  : std::filesystem::temp_directory_path(ignored);
  std::string pattern = (base / "holdfast-damage-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) std::abort();
  return pattern;
}

void print_violations(const Tally& tally, const std::string& made) {
  constexpr std::size_t kShownMax = 40;
  std::size_t shown = 0;
  for (const auto& each : tally.violations()) {
    if (++shown > kShownMax) break;
    const auto& damage = each.damage;
    std::printf(
        "VIOLATION by %s:%s\n  holdfast_damage --made %s --kind %s --file %s --offset %llu%s%s\n",
        each.stage.c_str(), each.why.c_str(), made.c_str(),
        std::string(name_of(damage.kind)).c_str(), damage.file.c_str(),
        static_cast<unsigned long long>(damage.offset),
        damage.other.empty() ? "" : (" --other " + damage.other).c_str(),
        damage.stale ? " --stale" : "");
  }
}

int run(const TortureOptions& options) {
  const auto begin = std::chrono::steady_clock::now();
  auto made = options.made;
  if (made.empty()) {
    made = make_folder();
    if (!ChildProcess::start("damage_maker", {made}).succeeded()) {
      return refuse("no journal to damage could be made");
    }
  }
  const auto image = read_image(made + "/image");
  auto plan = options.single ? std::vector{*options.single} : make_plan(image, options.plan);
  std::size_t bytes = 0;
  for (const auto& [name, content] : image) bytes += content.size();
  std::printf("%zu files, %zu bytes, %zu damages, seed %llu\n", image.size(), bytes, plan.size(),
              static_cast<unsigned long long>(options.plan.seed));
  const auto damages = plan.size();
  if (plan.empty()) {
    if (options.made.empty()) std::filesystem::remove_all(made);
    return refuse("nothing of that is to be damaged");
  }
  const auto tally = Torture(options, made, std::move(plan)).run();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  print_violations(tally, made);
  tally.print(damages, took.count());
  // What was found can be looked at.
  if (tally.violations().empty() && options.made.empty()) std::filesystem::remove_all(made);
  return tally.violations().empty() ? 0 : 1;
}

}  // namespace
}  // namespace holdfast::testing

int main(int argc, char** argv) {
  if (const auto code = holdfast::testing::run_child_role(argc, argv)) return *code;
  const auto parsed = holdfast::testing::parse(argc, argv);
  if (const auto* code = std::get_if<int>(&parsed)) return *code;
  return holdfast::testing::run(std::get<holdfast::testing::TortureOptions>(parsed));
}
