// health_log_test.cc: each kind of error is said at once, then rarely, and none is left out of the
// sum.
//
// Runs without a server. Thread: main.
#include "server/health_log.h"

#include <gtest/gtest.h>

namespace flash::server {
namespace {

constexpr uint64_t kStartUs = 1'000'000;

TEST(HealthLog, SaysNothingWhileNothingChanges) {
  HealthLog log;
  store::RecordStore::Stats stats;
  EXPECT_TRUE(log.Look(stats, kStartUs).empty());
  stats.checksum_errors = 1;
  EXPECT_EQ(log.Look(stats, kStartUs).size(), 1u);
  EXPECT_TRUE(log.Look(stats, kStartUs + 2 * HealthLog::kQuietUs).empty());
}

TEST(HealthLog, FirstAtOnceThenTheSumOfTheQuietTime) {
  HealthLog log;
  store::RecordStore::Stats stats;
  stats.read_errors = 1;
  EXPECT_EQ(log.Look(stats, kStartUs).at(0).substr(0, 14), "1 failed reads");
  for (uint64_t i = 1; i <= 50; ++i) {
    ++stats.read_errors;
    EXPECT_TRUE(log.Look(stats, kStartUs + i * 1000).empty());
  }
  const auto lines = log.Look(stats, kStartUs + HealthLog::kQuietUs);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].substr(0, 15), "50 failed reads");
  EXPECT_NE(lines[0].find("(51 since start)"), std::string::npos);
}

TEST(HealthLog, KindsDoNotSilenceEachOther) {
  HealthLog log;
  store::RecordStore::Stats stats;
  stats.checksum_errors = stats.read_timeouts = stats.write_errors = 2;
  EXPECT_EQ(log.Look(stats, kStartUs).size(), 3u);
}

TEST(HealthLog, SaysWhenWritingStopsAndWhenItWorksAgain) {
  HealthLog log;
  store::RecordStore::Stats stats;
  stats.writes_failing = true;
  EXPECT_EQ(log.Look(stats, kStartUs).at(0), "the tier cannot be written now: nothing is demoted");
  EXPECT_TRUE(log.Look(stats, kStartUs + 1).empty());
  stats.writes_failing = false;
  EXPECT_EQ(log.Look(stats, kStartUs + 2).at(0), "the tier can be written again");
}

TEST(HealthLog, ADriveThatFailsEveryOtherWriteIsSaidOnceInTenSeconds) {
  HealthLog log;
  store::RecordStore::Stats stats;
  size_t lines = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    stats.writes_failing = i % 2 == 0;
    lines += log.Look(stats, kStartUs + i).size();
  }
  EXPECT_EQ(lines, 2u);
  stats.writes_failing = true;
  EXPECT_TRUE(log.Look(stats, kStartUs + 1000).empty());
  EXPECT_EQ(log.Look(stats, kStartUs + HealthLog::kQuietUs).at(0),
            "the tier cannot be written now: nothing is demoted");
}

}  // namespace
}  // namespace flash::server
