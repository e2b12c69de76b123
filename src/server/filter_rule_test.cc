// filter_rule_test.cc: when a filter comes, goes, and comes back.
//
// Runs without a server. Thread: one.
#include "server/filter_rule.h"

#include <gtest/gtest.h>

namespace flash::server {
namespace {

constexpr uint64_t kMany = 256;
constexpr uint64_t kTooManyCommands = kMany * 32 + 1;
constexpr FilterRule::Options kRule = {.saved_min = kMany, .commands_per_saved = 32};

/// Windows without a filter until there is one again, under a load that wants one.
uint32_t WindowsUntilNext(FilterRule* rule) {
  uint32_t windows = 1;
  while (!rule->Next(kMany, 0)) ++windows;
  return windows;
}

TEST(FilterRule, ComesWithTheLoadAndGoesWithIt) {
  FilterRule rule(kRule);
  EXPECT_FALSE(rule.Next(kMany - 1, 0));
  EXPECT_TRUE(rule.Next(kMany, 0));
  EXPECT_TRUE(rule.Next(kMany, kTooManyCommands - 1));
  EXPECT_FALSE(rule.Next(kMany, kTooManyCommands));
}

TEST(FilterRule, OneThatHasPaidComesBackAtOnce) {
  FilterRule rule(kRule);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(WindowsUntilNext(&rule), 1U) << round;
    EXPECT_TRUE(rule.Next(kMany, kMany));
    EXPECT_FALSE(rule.Next(0, 100'000));
  }
}

TEST(FilterRule, OneThatNeverPaysRestsForLongerEachTime) {
  FilterRule rule(kRule);
  EXPECT_TRUE(rule.Next(kMany, 0));
  for (const uint32_t rest : {1U, 2U, 4U, 8U, 16U, 32U, 60U, 60U}) {
    EXPECT_FALSE(rule.Next(kMany, kTooManyCommands));
    EXPECT_EQ(WindowsUntilNext(&rule), rest + 1);
  }
  EXPECT_TRUE(rule.Next(kMany, kMany)) << "It pays, so it is forgiven.";
  EXPECT_FALSE(rule.Next(0, 0));
  EXPECT_EQ(WindowsUntilNext(&rule), 1U);
}

TEST(FilterRule, ComesBeforeTheWindowEndsButNeitherGoesNorRestsLess) {
  FilterRule rule(kRule);
  EXPECT_FALSE(rule.WantsOneNow(kMany - 1));
  EXPECT_TRUE(rule.WantsOneNow(kMany));
  EXPECT_TRUE(rule.Next(kMany, 0));
  EXPECT_FALSE(rule.WantsOneNow(kMany));
  EXPECT_FALSE(rule.Next(0, 0));
  EXPECT_FALSE(rule.WantsOneNow(kMany)) << "It never paid, so it rests.";
  EXPECT_FALSE(rule.Next(kMany, 0));
  EXPECT_TRUE(rule.WantsOneNow(kMany));
}

TEST(FilterRule, MayStaySomeWindowsInARowThatDoNotPay) {
  FilterRule rule({.saved_min = 4, .commands_per_saved = 10, .windows_kept = 2});
  EXPECT_TRUE(rule.Next(4, 0));
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(rule.Next(0, 9)) << round;
    EXPECT_TRUE(rule.Next(4, 41)) << round;
    EXPECT_TRUE(rule.Next(4, 40)) << "It pays again.";
  }
  EXPECT_TRUE(rule.Next(3, 0));
  EXPECT_TRUE(rule.Next(3, 0));
  EXPECT_FALSE(rule.Next(3, 0));
}

}  // namespace
}  // namespace flash::server
