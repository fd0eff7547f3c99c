// SPDX-License-Identifier: MIT
// A process that is stopped (SIGSTOP, a debugger, a frozen container) for longer than every
// time-out it has: when it goes on, all of them are over at the same moment.
//
// Method: a child comes to where everything that has a time-out is under way, is stopped, and looks
// at what became of it once it goes on.
#include <atomic>
#include <csignal>
#include <map>
#include <memory>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/bus_test.h"
#include "support/child_check.h"

namespace holdfast::testing {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTimeout{200};
constexpr milliseconds kAbandonAfter{400};
/// Longer than all of them, and than the interval of the upkeep and the age of the watermark (1 s).
constexpr milliseconds kStopped{1'200};

/// Before any other thread is there, so that none of them takes the signal.
void hold_back_sigcont() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCONT);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void wait_for_sigcont() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCONT);
  int signal = 0;
  sigwait(&set, &signal);
}

Options stopped_options() {
  Options options;
  options.ack_linger = milliseconds(20);
  options.stuck_after = std::chrono::seconds(1);
  return options;
}

/// What is under way when the process is stopped, and the books of it.
class UnderWay {
 public:
  explicit UnderWay(const std::string& path) : bus_(must(Bus::open(path, stopped_options()))) {}
  ~UnderWay() { end(); }

  void begin();
  std::string check();

 private:
  static constexpr int kPublishers = 2;

  void subscribe_slow_ones();
  void publish_for_a_while();
  void end();
  [[nodiscard]] SubscriptionStats stats_of(std::string_view name) const;

  std::unique_ptr<Bus> bus_;
  Runs patient_, abandoned_, retried_, deferring_, flow_, under_token_;
  Collected<StopReason> reasons_;
  Collected<std::shared_ptr<Deferred>> owed_;
  Settlements settled_;
  Signal let_go_;
  std::atomic<bool> enough_{false};
  Collected<EventId> published_;
  CancellationToken token_;
  EventId late_ack_, taken_, put_off_, answered_later_, cancelled_;
  std::vector<std::jthread> publishers_;
  std::vector<Subscription> subscriptions_;  // go first: their handlers use the rest
};

void UnderWay::subscribe_slow_ones() {
  const auto told = [this](EventId id, Settled how) { settled_.add({id, how}); };
  subscriptions_.push_back(must(bus_->subscribe({.name = "patient",
                                                 .types = {"patient"},
                                                 .concurrency = 4,
                                                 .retry = retry_at_once(5),
                                                 .timeout = kTimeout,
                                                 .on_settled = told},
                                                [this](Delivery& delivery) {
                                                  patient_.note(delivery);
                                                  let_go_.wait();
                                                  reasons_.add(delivery.stop_reason());
                                                })));
  subscriptions_.push_back(must(bus_->subscribe({.name = "abandoned",
                                                 .types = {"abandoned"},
                                                 .retry = retry_at_once(50),
                                                 .timeout = kTimeout,
                                                 .abandon_after = kAbandonAfter,
                                                 .on_settled = told},
                                                [this](Delivery& delivery) {
                                                  abandoned_.note(delivery);
                                                  delivery.tx().state().put(
                                                      "winner", std::to_string(delivery.attempt()));
                                                  if (delivery.attempt() == 1) let_go_.wait();
                                                })));
  subscriptions_.push_back(must(bus_->subscribe(
      {.name = "deferring", .types = {"deferring"}, .timeout = kTimeout, .on_settled = told},
      [this](Delivery& delivery) {
        deferring_.note(delivery);
        owed_.add(std::make_shared<Deferred>(delivery.defer()));
      })));
}

void UnderWay::begin() {
  subscribe_slow_ones();
  subscriptions_.push_back(
      must(bus_->subscribe({.name = "retried", .types = {"retried"}}, [this](Delivery& delivery) {
        retried_.note(delivery);
        return delivery.attempt() == 1 ? Outcome::retry_after(kTimeout) : Outcome::ack();
      })));
  subscriptions_.push_back(
      must(bus_->subscribe({.name = "flow",
                            .types = {"flow"},
                            .concurrency = 4,
                            .on_settled =
                                [this](EventId id, Settled how) {
                                  settled_.add({id, how});
                                }},
                           [this](Delivery& delivery) { flow_.note(delivery); })));
  subscriptions_.push_back(
      must(bus_->subscribe({.name = "token", .types = {"under.token"}},
                           [this](Delivery& delivery) { under_token_.note(delivery); })));
  must(bus_->pause("token"));
  late_ack_ = must(bus_->publish("patient", {})).id;
  taken_ = must(bus_->publish("abandoned", {})).id;
  answered_later_ = must(bus_->publish("deferring", {})).id;
  put_off_ = must(bus_->publish("retried", {})).id;
  token_ = must(bus_->make_token({.timeout = kTimeout}));
  cancelled_ = must(bus_->publish({.type = "under.token", .token = token_.id()})).id;
  patient_.wait_for_count(1);
  abandoned_.wait_for_count(1);
  owed_.wait_for_count(1);
  retried_.wait_for_count(1);
  for (int i = 0; i < kPublishers; ++i) {
    publishers_.emplace_back([this] { publish_for_a_while(); });
  }
  published_.wait_for_count(20);
}

void UnderWay::publish_for_a_while() {
  while (!enough_) published_.add(must(bus_->publish("flow", {})).id);
}

void UnderWay::end() {
  enough_ = true;
  let_go_.set();
  publishers_.clear();
}

SubscriptionStats UnderWay::stats_of(std::string_view name) const {
  for (auto& each : bus_->stats().subscriptions) {
    if (each.name == name) return each;
  }
  return {};
}

std::string UnderWay::check() {
  // Every time-out that is over does what it is for.
  CHILD_EXPECT(retried_.wait_for_count(2));
  CHILD_EXPECT(abandoned_.wait_for_count(2));
  CHILD_EXPECT(
      eventually([&] { return must(bus_->get(cancelled_))->state == EventState::cancelled; }));
  CHILD_EXPECT(eventually([&] { return owed_.all()[0]->stop_reason() == StopReason::timed_out; }));
  CHILD_EXPECT(eventually([&] { return bus_->stats().stuck.size() >= 2; }));
  // And publishing goes on.
  CHILD_EXPECT(published_.wait_for_count(published_.size() + 20));
  end();
  for (const auto id : published_.all()) must(bus_->wait_settled(id, kPatience));
  must(owed_.all()[0]->settle(Outcome::ack()));
  for (const auto id : {late_ack_, taken_, put_off_, answered_later_}) {
    CHILD_EXPECT(bus_->wait_settled(id, kPatience).ok());
    CHILD_EXPECT(must(bus_->get(id))->state == EventState::settled);
  }
  must(bus_->drain());
  // A late ack has acked, and nobody else was given the event.
  CHILD_EXPECT_EQ(patient_.size(), std::size_t{1});
  CHILD_EXPECT(reasons_.all().at(0) == StopReason::timed_out);
  CHILD_EXPECT_EQ(stats_of("patient").retried, std::uint64_t{0});
  CHILD_EXPECT_EQ(deferring_.size(), std::size_t{1});
  // Only who asked for that gets his event taken away; the late answer loses.
  const auto runs = abandoned_.all();
  for (std::size_t i = 0; i < runs.size(); ++i) CHILD_EXPECT_EQ(runs[i].attempt, i + 1);
  CHILD_EXPECT_EQ(stats_of("abandoned").retried, runs.size() - 1);
  CHILD_EXPECT(must(bus_->state("abandoned", "winner")) != "1");
  // No storm: what waited for its time ran once, and the rest once in all.
  CHILD_EXPECT_EQ(retried_.size(), std::size_t{2});
  CHILD_EXPECT_EQ(under_token_.size(), std::size_t{0});
  CHILD_EXPECT_EQ(flow_.size(), published_.size());
  std::map<EventId, int> told;
  for (const auto& [id, how] : settled_.all()) {
    CHILD_EXPECT(how == Settled::acked);
    CHILD_EXPECT_EQ(++told[id], 1);
  }
  CHILD_EXPECT(bus_->stats().health.ok());
  return kFine;
}

const ChildRole kStoppedInTheMiddle("stopped-in-the-middle", [](const ChildArguments& given) {
  hold_back_sigcont();
  UnderWay under_way(given.values.at(0));
  under_way.begin();
  tell(given, "ready");
  wait_for_sigcont();
  const auto said = under_way.check();
  report(given.report_fd, said.data(), said.size());
  return 0;
});

const ChildRole kStoppedWhileDraining("stopped-while-draining", [](const ChildArguments& given) {
  hold_back_sigcont();
  const auto& path = given.values.at(0);
  const auto check = [&]() -> std::string {
    auto bus = must(Bus::open(path, stopped_options()));
    Runs runs;
    Signal let_go;
    auto s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) {
      runs.note(delivery);
      let_go.wait();
    }));
    const auto held = must(bus->publish("a.b", "held")).id;
    CHILD_EXPECT(runs.wait_for_count(1));
    const auto pending = must(bus->publish("a.b", "pending")).id;
    tell(given, "ready");
    CHILD_EXPECT(fails(bus->drain(kTimeout), StatusCode::deadline_exceeded, {to_string(held)}));
    let_go.set();
    CHILD_EXPECT(bus->drain(kPatience).ok());
    s.end();
    CHILD_EXPECT(bus->close().ok());
    bus = must(Bus::open(path, stopped_options()));
    CHILD_EXPECT(must(bus->get(held))->state == EventState::settled);
    s = must(bus->subscribe({.name = "s"}, [&](Delivery& delivery) { runs.note(delivery); }));
    CHILD_EXPECT(bus->wait_settled(pending, kPatience).ok());
    CHILD_EXPECT_EQ(runs.size(), std::size_t{2});
    CHILD_EXPECT_EQ(runs.all()[1].attempt, 1U);
    return kFine;
  };
  const auto said = check();
  report(given.report_fd, said.data(), said.size());
  return 0;
});

class Stopped : public DiskBusTest {
 protected:
  /// Stops `child` for `kStopped`, once it is ready.
  static void stop_for_a_while(ChildProcess& child) {
    ASSERT_EQ(child.read_line(), "ready");
    ASSERT_EQ(::kill(child.pid(), SIGSTOP), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child.pid(), &status, WUNTRACED), child.pid());
    ASSERT_TRUE(WIFSTOPPED(status));
    std::this_thread::sleep_for(kStopped);  // lint: allow sleep, because it is what is tested
  }
  static void go_on_and_expect_fine(ChildProcess& child) {
    ASSERT_EQ(::kill(child.pid(), SIGCONT), 0);
    EXPECT_EQ(child.read_all(), kFine);
    EXPECT_TRUE(child.succeeded());
  }
};

TEST_F(Stopped, ForLongerThanEveryTimeOutLosesNothingAndRunsNothingTwice) {
  auto child = ChildProcess::start("stopped-in-the-middle", {path()});
  ASSERT_NO_FATAL_FAILURE(stop_for_a_while(child));
  // It is not dead: nobody else gets its journal, but anybody may look.
  EXPECT_TRUE(fails(Bus::open(path(), options), StatusCode::locked, {std::to_string(child.pid())}));
  const auto view = must(JournalView::open(path()));
  EXPECT_GE(must(view->stats()).lanes[static_cast<std::size_t>(Priority::normal)].newest, 25U);
  go_on_and_expect_fine(child);
  open();
  EXPECT_TRUE(bus->recovery().clean);
  EXPECT_TRUE(bus->recovery().lost.empty());
}

TEST_F(Stopped, WhileItDrainsBurnsNoAttempts) {
  auto child = ChildProcess::start("stopped-while-draining", {path()});
  ASSERT_NO_FATAL_FAILURE(stop_for_a_while(child));
  go_on_and_expect_fine(child);
}

}  // namespace
}  // namespace holdfast::testing
