// SPDX-License-Identifier: MIT
#include "holdfast/torture.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <poll.h>
#include <random>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace holdfast::torture {

namespace {

using Clock = std::chrono::steady_clock;

constexpr char kNote = 'n';
constexpr char kReady = 'r';
constexpr char kViolation = 'v';
constexpr int kPipeBytes = 1 << 20;
constexpr std::chrono::microseconds kOpenKillAfterMax{60'000};
constexpr std::chrono::microseconds kLaterMax{5'000};

// The bytes of what follows, and its kind.
constexpr std::size_t kHeadBytes = sizeof(std::uint32_t) + 1;
static_assert(kHeadBytes + kNoteBytesMax <= PIPE_BUF);

Status system_error(const char* what) {
  return {StatusCode::unavailable,
          std::string(what) + ": " + std::system_category().message(errno)};
}

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

/// When a child is to be killed.
struct KillPlan {
  bool is_quiet = false;
  bool before_ready = false;
  std::uint32_t notes = 0;
  std::chrono::microseconds later{0};  // after those, or, before ready, after the start
};

}  // namespace

// --- In a child ---------------------------------------------------------------------------------

void Child::send(char kind, std::string_view bytes) const {
  bytes = bytes.substr(0, kNoteBytesMax);
  char frame[kHeadBytes + kNoteBytesMax];
  const auto size = static_cast<std::uint32_t>(bytes.size());
  std::memcpy(frame, &size, sizeof(size));
  frame[sizeof(size)] = kind;
  std::copy(bytes.begin(), bytes.end(), frame + kHeadBytes);
  const auto total = kHeadBytes + bytes.size();
  while (write(fd_, frame, total) != static_cast<ssize_t>(total)) {
    if (errno != EINTR) _exit(0);  // nobody to tell any more
  }
}

void Child::note(std::string_view bytes) const { send(kNote, bytes); }
void Child::ready() const { send(kReady, {}); }
void Child::violation(std::string_view what) const { send(kViolation, what); }

// --- In the parent ------------------------------------------------------------------------------

/// The rounds of one run.
class Rounds {
 public:
  Rounds(const KillOptions& options, const Workload& workload)
      : options_(options), workload_(workload), random_(options.seed) {
    report_.seed = options.seed;
  }

  Result<Report> run() {
    const auto begun = Clock::now();
    for (bool is_last = false; !is_last && judge_.count_ == 0;) {
      const auto round = ++report_.rounds;
      is_last = round >= options_.rounds ||
                (options_.time.count() != 0 && Clock::now() - begun >= options_.time);
      judge_.round_ = round;
      const auto plan = draw(is_last);
      if (auto status = start(round, plan); !status.ok()) return status;
      watch(plan);
      end();
    }
    report_.violations = judge_.count_;
    report_.first_violations = std::move(judge_.violations_);
    return std::move(report_);
  }

 private:
  KillPlan draw(bool is_last) {
    KillPlan plan;
    // The same number of draws for every kind of round.
    const auto percent = random_() % 100;
    const auto notes = random_();
    const auto later = random_();
    child_seed_ = random_();
    plan.is_quiet =
        is_last || (options_.quiet_every != 0 && report_.rounds % options_.quiet_every == 0);
    plan.before_ready = !plan.is_quiet && percent < options_.before_ready_percent;
    plan.notes = static_cast<std::uint32_t>(1 + notes % options_.notes_max);
    const auto later_max = plan.before_ready ? kOpenKillAfterMax : kLaterMax;
    plan.later = std::chrono::microseconds(
        static_cast<std::int64_t>(later % static_cast<std::uint64_t>(later_max.count())));
    return plan;
  }

  Status start(std::uint64_t round, const KillPlan& plan) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return system_error("pipe");
    Descriptor reader(ends[0]);
    const Descriptor writer(ends[1]);
    // Room for what a child tells while the parent is busy: best effort, a user may have none left.
    static_cast<void>(fcntl(writer.get(), F_SETPIPE_SZ, kPipeBytes));
    std::fflush(nullptr);  // or the child would write it once more
    const auto parent = getpid();
    pid_ = fork();
    if (pid_ < 0) return system_error("fork");
    if (pid_ == 0)
      live(Child(options_.folder, round, child_seed_, plan.is_quiet, writer.get()), parent);
    pipe_ = std::move(reader);
    buffer_.clear();
    is_ready_ = false;
    notes_ = 0;
    was_killed_ = false;
    return {};
  }

  [[noreturn]] void live(Child child, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);
    signal(SIGPIPE, SIG_IGN);
    try {
      workload_.run(child);
    } catch (const std::exception& thrown) {
      child.violation(std::string("the workload threw: ") + thrown.what());
    } catch (...) {
      child.violation("the workload threw something");
    }
    std::fflush(nullptr);
    _exit(0);
  }

  /// Reads the child's notes until it has ended, and kills it when its time has come.
  void watch(const KillPlan& plan) {
    const auto begun = Clock::now();
    const auto hung = begun + options_.round_time_max;
    std::optional<Clock::time_point> kill_at;
    if (plan.before_ready) kill_at = begun + plan.later;
    bool is_counted = plan.before_ready || plan.is_quiet;  // nothing to wait for any more
    std::optional<Clock::time_point> ready_at;
    while (true) {
      const auto now = Clock::now();
      if (is_ready_ && !ready_at) ready_at = now;
      if (!is_counted && ready_at) {
        kill_at = *ready_at + options_.kill_after_max;
        if (notes_ >= plan.notes) {
          kill_at = std::min(*kill_at, now + plan.later);
          is_counted = true;
        }
      }
      if (now >= hung && !was_killed_) {
        judge_.violation(is_ready_ || plan.is_quiet ? "the child did not come to an end in time"
                                                    : "the child was not ready in time");
        kill_child();
      } else if (kill_at && now >= *kill_at && !was_killed_) {
        ++report_.kills;
        report_.kills_before_ready += is_ready_ ? 0 : 1;
        kill_child();
      }
      const auto until = was_killed_ ? now + std::chrono::seconds(1)
                         : kill_at   ? std::min(*kill_at, hung)
                                     : hung;
      if (!read_some(until - now)) return;
    }
  }

  void kill_child() {
    kill(pid_, SIGKILL);
    was_killed_ = true;
  }

  /// Waits for more, no longer than `patience`; false when there is nothing to come.
  bool read_some(Clock::duration patience) {
    const auto us = std::max<std::int64_t>(
        0, std::chrono::duration_cast<std::chrono::microseconds>(patience).count());
    const timespec wait{us / 1'000'000, us % 1'000'000 * 1'000};
    pollfd ready{pipe_.get(), POLLIN, 0};
    if (ppoll(&ready, 1, &wait, nullptr) <= 0) return true;
    char bytes[65'536];
    const auto got = read(pipe_.get(), bytes, sizeof(bytes));
    if (got < 0) return errno == EINTR;
    if (got == 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(got));
    std::size_t at = 0;
    while (buffer_.size() - at >= kHeadBytes) {
      std::uint32_t size = 0;
      std::memcpy(&size, buffer_.data() + at, sizeof(size));
      if (buffer_.size() - at < kHeadBytes + size) break;
      hear(buffer_[at + sizeof(size)], std::string_view(buffer_).substr(at + kHeadBytes, size));
      at += kHeadBytes + size;
    }
    buffer_.erase(0, at);
    return true;
  }

  void hear(char kind, std::string_view bytes) {
    switch (kind) {
      case kReady: is_ready_ = true; return;
      case kViolation: judge_.violation(std::string(bytes)); return;
      default:
        ++notes_;
        ++report_.notes;
        if (workload_.on_note) workload_.on_note(judge_, bytes);
    }
  }

  void end() {
    int status = 0;
    while (waitpid(pid_, &status, 0) != pid_ && errno == EINTR) {
    }
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
      judge_.violation("the child was ended by signal " + std::to_string(WTERMSIG(status)));
      return;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
      judge_.violation("the child ended with code " + std::to_string(WEXITSTATUS(status)));
      return;
    }
    auto ending = Ending::returned;
    if (WIFSIGNALED(status)) ending = was_killed_ ? Ending::killed : Ending::killed_itself;
    if (ending == Ending::killed_itself) ++report_.killed_itself;
    if (ending == Ending::returned) {
      // It was faster than the kill.
      if (was_killed_) --report_.kills;
      ++report_.returned;
    }
    if (workload_.on_end) workload_.on_end(judge_, ending);
  }

  const KillOptions& options_;
  const Workload& workload_;
  std::mt19937_64 random_;
  Report report_;
  Judge judge_;

  // Of the round under way.
  std::uint64_t child_seed_ = 0;
  pid_t pid_ = -1;
  Descriptor pipe_;
  std::string buffer_;
  bool is_ready_ = false;
  std::uint64_t notes_ = 0;
  bool was_killed_ = false;
};

Result<Report> run(const KillOptions& options, const Workload& workload) {
  const auto refuse = [](const char* what) { return Status(StatusCode::invalid_argument, what); };
  if (!workload.run) return refuse("a workload needs its function run");
  if (options.folder.empty()) return refuse("KillOptions::folder is empty");
  if (options.rounds == 0) return refuse("KillOptions::rounds is 0; at least 1 is needed");
  if (options.notes_max == 0) return refuse("KillOptions::notes_max is 0; at least 1 is needed");
  if (options.before_ready_percent > 100)
    return refuse("KillOptions::before_ready_percent is over 100");
  if (options.kill_after_max.count() <= 0)
    return refuse("KillOptions::kill_after_max is not positive");
  if (options.round_time_max.count() <= 0)
    return refuse("KillOptions::round_time_max is not positive");
  if (options.time.count() < 0) return refuse("KillOptions::time is negative");
  std::error_code error;
  std::filesystem::create_directories(options.folder, error);
  if (error)
    return refuse(("KillOptions::folder: " + options.folder + ": " + error.message()).c_str());
  // Of what an earlier run has left there the parent knows nothing, and would find it all wrong.
  if (!std::filesystem::is_empty(options.folder, error) || error)
    return refuse(("KillOptions::folder: " + options.folder + " is not empty").c_str());
  auto drawn = options;
  if (drawn.seed == 0) drawn.seed = std::random_device{}() | std::uint64_t{1};
  return Rounds(drawn, workload).run();
}

}  // namespace holdfast::torture
