// SPDX-License-Identifier: MIT
#include <unistd.h>

#include "support/journal_image.h"
#include "tools/tool_bench.h"

namespace holdfast::testing {
namespace {

using StatTest = ToolTest;

const Json& lane(const Json& stat, std::string_view priority) {
  for (const auto& each : stat["lanes"]) {
    if (each["priority"] == priority) return each;
  }
  return stat;
}

TEST_F(StatTest, CountsByLaneAndSubscription) {
  make_journal_with_a_past();
  const auto found = stat();
  EXPECT_EQ(found["journal"], path());
  EXPECT_EQ(found["format"], 5);
  EXPECT_EQ(found["epoch"], 1);
  EXPECT_EQ(found["uuid"].get<std::string>().size(), 36);
  EXPECT_EQ(found["condition"], "clean");
  EXPECT_TRUE(found["owner_pid"].is_null());
  EXPECT_GE(found["commit"], 5);
  EXPECT_GT(found["disk_bytes"], 0);
  EXPECT_GT(found["disk_free_bytes"], 0);
  EXPECT_TRUE(found["lost"].empty());

  ASSERT_EQ(found["lanes"].size(), kLaneCount);
  EXPECT_EQ(lane(found, "critical")["dead"], 1);
  EXPECT_EQ(lane(found, "high")["scheduled"], 1);
  EXPECT_EQ(lane(found, "normal")["ready"], 1);
  EXPECT_EQ(lane(found, "normal")["leased"], 0);
  EXPECT_EQ(lane(found, "normal")["published"], 2);
  EXPECT_EQ(lane(found, "normal")["newest"], 2);
  EXPECT_EQ(lane(found, "normal")["trimmed"], 0);
  EXPECT_EQ(lane(found, "low")["unclaimed"], 1);

  ASSERT_EQ(found["subscriptions"].size(), 1);
  const auto& mailer = found["subscriptions"][0];
  EXPECT_EQ(mailer["name"], "mailer");
  EXPECT_EQ(mailer["owed"], 1);
  EXPECT_EQ(mailer["scheduled"], 1);
  EXPECT_EQ(mailer["dead"], 1);
}

TEST_F(StatTest, TellsPeopleTheSame) {
  make_journal_with_a_past();
  const auto result = tool({"stat", path()});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.out, HasSubstr("not open, closed properly"));
  EXPECT_THAT(result.out,
              HasSubstr("lane      ready  leased  scheduled  dead  unclaimed  published\n"
                        "critical      0       0          0     1          0          1\n"));
  EXPECT_THAT(result.out, HasSubstr("mailer"));
  EXPECT_THAT(result.out, HasSubstr("format 5"));
}

TEST_F(StatTest, TellsWhichSubscriptionsArePaused) {
  {
    const auto bus = must(Bus::open(path()));
    for (const auto* name : {"sleeper", "worker"}) {
      const auto ended = must(bus->subscribe({.name = name}, [](Delivery&) {}));
    }
    must(bus->pause("sleeper"));
  }
  const auto found = stat();
  for (const auto& each : found["subscriptions"]) {
    EXPECT_EQ(each["paused"], each["name"] == "sleeper");
  }
  const auto text = tool({"stat", path()}).out;
  EXPECT_THAT(text, HasSubstr("sleeper (paused)"));
  EXPECT_THAT(text, Not(HasSubstr("worker (paused)")));
}

TEST_F(StatTest, TellsWhichTypesArePaused) {
  EXPECT_THAT(tool({"stat", path()}).out, Not(HasSubstr("paused types")));
  {
    const auto bus = must(Bus::open(path()));
    must(bus->pause(TypePattern{"mail.*"}));
    const auto s = must(bus->subscribe({.name = "s"}, [](Delivery&) {}));
    must(bus->publish("mail.send", "x"));
    ASSERT_TRUE(eventually([&] {
      return bus->stats().lanes[2].owed.paused == 1 && bus->stats().durable_commit.value > 0;
    }));
  }
  const auto found = stat();
  EXPECT_EQ(found["paused_types"], Json::array({"mail.*"}));
  EXPECT_EQ(lane(found, "normal")["paused"], 1);
  EXPECT_EQ(lane(found, "normal")["ready"], 0);
  EXPECT_EQ(lane(found, "normal")["scheduled"], 0);
  EXPECT_THAT(tool({"stat", path()}).out, HasSubstr("paused types: mail.* (1 held)"));
  EXPECT_THAT(tool({"ls", path(), "--state", "paused"}).out, HasSubstr("mail.send"));
  EXPECT_THAT(tool({"show", path(), "normal:1"}).out,
              HasSubstr("its type is paused, so \"s\" is not given it"));
}

TEST_F(StatTest, NamesTheProcessThatHasTheJournalOpen) {
  const auto bus = must(Bus::open(path()));
  must(bus->publish("a.b", "x"));
  const auto found = stat();
  EXPECT_EQ(found["condition"], "open");
  EXPECT_EQ(found["owner_pid"], ::getpid());
  EXPECT_TRUE(lane(found, "normal")["leased"].is_null());
  EXPECT_EQ(lane(found, "normal")["published"], 1);
  const auto result = tool({"stat", path()});
  EXPECT_THAT(result.out, HasSubstr("open in process " + std::to_string(::getpid())));
}

TEST_F(StatTest, TellsACrash) {
  {
    // A journal as a crash leaves it is one that is copied while it is open.
    const auto bus = must(Bus::open(path("live")));
    must(bus->publish("a.b", "x"));
    std::filesystem::copy(path("live"), path());
  }
  EXPECT_EQ(stat()["condition"], "crashed");
  EXPECT_THAT(tool({"stat", path()}).out, HasSubstr("crashed"));
  const auto result = publish("");
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("did not close it"));
  EXPECT_EQ(stat()["condition"], "clean");
}

TEST_F(StatTest, DoesNotCountWhatAPowerLossSkippedAsPublished) {
  {
    const auto bus = must(Bus::open(path("live")));
    must(bus->publish("a.b", "x"));
    copy_image(path("live"), path());
  }
  pretend_reboot(path());
  EXPECT_EQ(publish("{\"type\":\"a.b\"}\n").exit_code, 0);
  const auto found = stat();
  EXPECT_EQ(found["lost"].size(), kLaneCount);
  EXPECT_EQ(lane(found, "normal")["published"], 2);
  EXPECT_GT(lane(found, "normal")["newest"], 2);
  EXPECT_EQ(lane(found, "low")["published"], 0);
}

TEST_F(StatTest, IsColouredOnATerminalOnly) {
  make_journal_with_a_past();
  const CommandOptions terminal{.environment = {"TERM=xterm", "NO_COLOR="}, .on_terminal = true};
  EXPECT_THAT(tool({"stat", path()}, terminal).out, HasSubstr("\x1b[1mlane"));
  EXPECT_THAT(tool({"stat", path()}).out, Not(HasSubstr("\x1b")));
  for (const auto& plain : std::vector<std::vector<std::string>>{{"TERM=xterm", "NO_COLOR=1"},
                                                                 {"TERM=dumb", "NO_COLOR="}}) {
    const auto result = tool({"stat", path()}, {.environment = plain, .on_terminal = true});
    EXPECT_THAT(result.out, HasSubstr("lane"));
    EXPECT_THAT(result.out, Not(HasSubstr("\x1b")));
  }
}

}  // namespace
}  // namespace holdfast::testing
