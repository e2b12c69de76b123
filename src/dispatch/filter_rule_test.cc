// filter_rule_test.cc: when a filter comes, goes, and comes back.
//
// Feeds windows of counted commands, as the server's clock would; needs no server. One thread.
#include "dispatch/filter_rule.h"

#include <gtest/gtest.h>

namespace flash::dispatch {
namespace {

constexpr uint64_t kMany = FilterRule::kSavedMin;
constexpr uint64_t kTooManyCommands = kMany * FilterRule::kCommandsPerSaved + 1;

/// Windows without a filter until there is one again, under a load that wants one.
uint32_t WindowsUntilNext(FilterRule* rule) {
  uint32_t windows = 1;
  while (!rule->Next(kMany, 0)) ++windows;
  return windows;
}

TEST(FilterRule, ComesWithTheLoadAndGoesWithIt) {
  FilterRule rule;
  EXPECT_FALSE(rule.Next(kMany - 1, 0));
  EXPECT_TRUE(rule.Next(kMany, 0));
  EXPECT_TRUE(rule.Next(kMany, kTooManyCommands - 1));
  EXPECT_FALSE(rule.Next(kMany, kTooManyCommands));
}

TEST(FilterRule, OneThatHasPaidComesBackAtOnce) {
  FilterRule rule;
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(WindowsUntilNext(&rule), 1U) << round;
    EXPECT_TRUE(rule.Next(kMany, kMany));
    EXPECT_FALSE(rule.Next(0, 100'000));
  }
}

TEST(FilterRule, OneThatNeverPaysRestsForLongerEachTime) {
  FilterRule rule;
  EXPECT_TRUE(rule.Next(kMany, 0));
  for (const uint32_t rest : {1U, 2U, 4U, 8U, 16U, 32U, 60U, 60U}) {
    EXPECT_FALSE(rule.Next(kMany, kTooManyCommands));
    EXPECT_EQ(WindowsUntilNext(&rule), rest + 1);
  }
  EXPECT_TRUE(rule.Next(kMany, kMany)) << "It pays, so it is forgiven.";
  EXPECT_FALSE(rule.Next(0, 0));
  EXPECT_EQ(WindowsUntilNext(&rule), 1U);
}

}  // namespace
}  // namespace flash::dispatch
