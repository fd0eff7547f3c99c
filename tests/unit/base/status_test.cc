// SPDX-License-Identifier: MIT
#include "holdfast/status.h"

#include <memory>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "base/status_or.h"

namespace holdfast {
namespace {

TEST(Status, IsOkAndSaysNothingByDefault) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_TRUE(static_cast<bool>(status));
  EXPECT_EQ(status.to_string(), "ok");
  EXPECT_TRUE(status.message().empty());
}

TEST(Status, PrintsItsCodeAndMessage) {
  const Status status(StatusCode::data_loss, "chunk high:7: checksum is wrong");
  EXPECT_FALSE(status.ok());
  EXPECT_TRUE(status == StatusCode::data_loss);
  EXPECT_EQ(status.to_string(), "data_loss: chunk high:7: checksum is wrong");
}

TEST(Status, KeepsItsCodeUnderContext) {
  const auto status = Status(StatusCode::locked, "by 17").with_context("open");
  EXPECT_EQ(status.to_string(), "locked: open: by 17");
  EXPECT_TRUE(Status().with_context("open").ok());
  EXPECT_TRUE(Status().with_context("open").message().empty());
}

TEST(Status, HasADifferentNameForEachCode) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(StatusCode::internal); ++code) {
    names.insert(to_string(static_cast<StatusCode>(code)));
  }
  EXPECT_EQ(names.size(), static_cast<std::size_t>(StatusCode::internal) + 1);
  EXPECT_FALSE(names.contains("unknown"));
  EXPECT_EQ(to_string(static_cast<StatusCode>(200)), "unknown");
}

TEST(Status, CodesAreFrozen) {
  EXPECT_EQ(static_cast<int>(StatusCode::ok), 0);
  EXPECT_EQ(static_cast<int>(StatusCode::invalid_argument), 1);
  EXPECT_EQ(static_cast<int>(StatusCode::resource_exhausted), 4);
  EXPECT_EQ(static_cast<int>(StatusCode::stale), 7);
  EXPECT_EQ(static_cast<int>(StatusCode::poisoned), 13);
  EXPECT_EQ(static_cast<int>(StatusCode::data_loss), 14);
  EXPECT_EQ(static_cast<int>(StatusCode::internal), 16);
}

TEST(Result, HoldsAValueOrTheReasonThereIsNone) {
  const Result<int> good(7);
  EXPECT_TRUE(good.ok());
  EXPECT_EQ(*good, 7);
  EXPECT_EQ(good.value_or(1), 7);
  const Result<int> bad(Status(StatusCode::not_found, "no such event"));
  EXPECT_FALSE(bad.ok());
  EXPECT_EQ(bad.value_or(1), 1);
  EXPECT_TRUE(bad.status() == StatusCode::not_found);
}

TEST(Result, CannotBeMadeOfAnOkStatus) {
  const Result<int> result{Status()};
  EXPECT_FALSE(result.ok());
  EXPECT_TRUE(result.status() == StatusCode::internal);
}

TEST(Result, CarriesWhatCanOnlyBeMoved) {
  Result<std::unique_ptr<int>> result(std::make_unique<int>(3));
  const auto value = *std::move(result);
  EXPECT_EQ(*value, 3);
}

TEST(ResultDeathTest, EndsTheProgramWhenAnAbsentValueIsRead) {
  const Result<int> bad(Status(StatusCode::not_found, ""));
  EXPECT_DEATH((void)*bad, "");
}

Result<int> half(int value) {
  if (value % 2 != 0)
    return Status(StatusCode::invalid_argument, std::to_string(value) + " is odd");
  return value / 2;
}

Status quarter(int value, int& out) {
  HOLDFAST_ASSIGN(const auto once, half(value));
  HOLDFAST_ASSIGN(out, half(once));
  HOLDFAST_TRY(half(2).status());
  return {};
}

TEST(StatusOr, ReturnsTheFirstErrorAndStopsThere) {
  int out = 0;
  EXPECT_TRUE(quarter(12, out).ok());
  EXPECT_EQ(out, 3);
  out = -1;
  EXPECT_EQ(quarter(6, out).to_string(), "invalid_argument: 3 is odd");
  EXPECT_EQ(out, -1);
}

}  // namespace
}  // namespace holdfast
