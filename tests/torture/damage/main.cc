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

#include "damage/judge.h"
#include "damage/tally.h"
#include "support/bus_test.h"
#include "support/child_process.h"

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

[[noreturn]] void usage(const std::string& why = {}) {
  if (!why.empty()) std::fprintf(stderr, "holdfast_damage: %s\n", why.c_str());
  std::fprintf(
      why.empty() ? stdout : stderr,
      "holdfast_damage [OPTIONS]\n"
      "  --short               a few seconds: strides of some hundred bytes\n"
      "  --flip N, --set N, --cut N, --zeros N\n"
      "                        damage every N-th byte so; 0 = none\n"
      "  --tool N, --again N   of every N-th damage, ask the command; open twice what is refused\n"
      "  --only CLASS          files of one class, as in the table at the end\n"
      "  --seed N              where the strides begin\n"
      "  --jobs N, --group N   children at a time, and damages a child\n"
      "  --made DIR            a journal that an earlier run has kept\n"
      "  --kind KIND --file NAME [--offset N] [--other NAME] [--stale]\n"
      "                        one damage alone: flip set zeros cut append empty remove swap\n"
      "Exit code 1: a violation, and the journal is kept; 2: it was not run.\n");
  std::exit(why.empty() ? 0 : 2);
}

std::uint64_t number_of(const std::string& name, const std::string& value) {
  if (value.empty() || value.find_first_not_of("0123456789") != std::string::npos ||
      value.size() > 18) {
    usage(name + " needs a number");
  }
  return std::stoull(value);
}

TortureOptions parse(int argc, char** argv) {
  TortureOptions options;
  std::string kind;
  Damage single;
  std::uint64_t jobs = options.jobs;
  const std::map<std::string, std::uint64_t*> numbers = {
      {"--flip", &options.plan.flip_stride}, {"--set", &options.plan.set_stride},
      {"--cut", &options.plan.cut_stride},   {"--zeros", &options.plan.zeros_stride},
      {"--tool", &options.tool_stride},      {"--again", &options.again_stride},
      {"--seed", &options.plan.seed},        {"--jobs", &jobs},
      {"--group", &options.group},           {"--offset", &single.offset}};
  const std::map<std::string, std::string*> texts = {{"--made", &options.made},
                                                     {"--only", &options.plan.only},
                                                     {"--kind", &kind},
                                                     {"--file", &single.file},
                                                     {"--other", &single.other}};
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help" || name == "-h") {
      usage();
    } else if (name == "--short") {
      options.be_short();
    } else if (name == "--stale") {
      single.stale = true;
    } else if (!numbers.contains(name) && !texts.contains(name)) {
      usage("there is no option " + name);
    } else if (++i == argc) {
      usage(name + " needs a value");
    } else if (numbers.contains(name)) {
      *numbers.at(name) = number_of(name, argv[i]);
    } else {
      *texts.at(name) = argv[i];
    }
  }
  options.jobs = std::max(1U, static_cast<unsigned>(jobs));
  options.group = std::max<std::uint64_t>(1, options.group);
  if (!options.made.empty() && !std::filesystem::is_directory(options.made + "/image")) {
    usage("--made " + options.made + ": there is no journal of an earlier run");
  }
  if (kind.empty()) return options;
  if (single.file.empty() || options.made.empty()) usage("--kind goes with --file and --made");
  const auto known = kind_of(kind);
  if (!known) usage("there is no damage '" + kind + "'");
  single.kind = *known;
  options.single = single;
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

int run(int argc, char** argv) {
  const auto options = parse(argc, argv);
  const auto begin = std::chrono::steady_clock::now();
  auto made = options.made;
  if (made.empty()) {
    made = make_folder();
    if (!ChildProcess::start("damage_maker", {made}).succeeded()) {
      std::fprintf(stderr, "holdfast_damage: no journal to damage could be made\n");
      return 1;
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
    usage("nothing of that is to be damaged");
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
  return holdfast::testing::run(argc, argv);
}
