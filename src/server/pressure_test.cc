// pressure_test.cc: the cache gives way before maxmemory, and only then.
//
// Runs without a server. Thread: main.
#include "server/pressure.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace flash::server {
namespace {

PressureInput Input(uint64_t max_mib, double ratio, uint64_t hot_mib, uint64_t cache_mib) {
  return {max_mib * kMiB, ratio, hot_mib * kMiB, cache_mib * kMiB};
}

TEST(PressureLimit, NoneWithoutMaxmemoryOrWithPlentyOfIt) {
  EXPECT_EQ(PressureLimit(Input(0, 0, 500, 256)), 0u);
  EXPECT_EQ(PressureLimit(Input(1024, 0.25, 200, 256)), 0u);
}

TEST(PressureLimit, IsThereBeforeMemoryIsShort) {
  // Empty cache, little used: a burst could still fill 256 MiB of cache and exceed 100 MiB.
  const uint64_t limit = PressureLimit(Input(100, 0.10, 0, 256));
  EXPECT_GT(limit, 70 * kMiB);
  // What is used, plus the bound and the tenth above it, stays below maxmemory.
  EXPECT_LT(10 * kMiB + limit + limit / 10, 100 * kMiB);
}

TEST(PressureLimit, ShrinksByWhatIsOverTheMark) {
  // 98 of 100 MiB used, 50 of them hot: 3 must go, and the tenth.
  const uint64_t limit = PressureLimit(Input(100, 0.98, 50, 256));
  EXPECT_LT(limit + limit / 10, 48 * kMiB);
  EXPECT_GT(limit, 40 * kMiB);
}

TEST(PressureLimit, NeverBelowItsFloor) {
  EXPECT_EQ(PressureLimit(Input(100, 3.0, 5, 256)), kPressureFloorBytes);
}

TEST(PressureLimit, IsStableWhereItSettles) {
  // A cache that obeys the bound is given the same bound again: no swinging.
  const uint64_t other = 30 * kMiB;
  uint64_t hot = 100 * kMiB;
  uint64_t limit = 0;
  for (int i = 0; i < 60; ++i) {
    const double ratio = static_cast<double>(other + hot) / static_cast<double>(100 * kMiB);
    limit = PressureLimit({100 * kMiB, ratio, hot, 256 * kMiB});
    if (limit != 0 && hot > limit) hot = limit;
  }
  EXPECT_NEAR(static_cast<double>(hot), static_cast<double>(limit), 1.0 * kKiB);
  EXPECT_LT(other + hot, 95 * kMiB);
  EXPECT_GT(other + hot, 80 * kMiB);
}

TEST(PressureTest, ClientsMayWaitUntilMemoryIsShort) {
  EXPECT_TRUE(MayPark(100 << 20, 0.5));
  EXPECT_TRUE(MayPark(100 << 20, 0.96));
  EXPECT_FALSE(MayPark(100 << 20, 0.97));
  EXPECT_FALSE(MayPark(100 << 20, 1.5));
  // Of a small limit one client is a good part.
  EXPECT_FALSE(MayPark(1 << 20, 0.95));
}

TEST(PressureTest, TheLimitIsNearOnlyBeyondWhereTheCacheSettles) {
  EXPECT_FALSE(IsNearLimit(0.95));
  EXPECT_FALSE(IsNearLimit(0.97));
  EXPECT_TRUE(IsNearLimit(0.99));
  EXPECT_TRUE(IsNearLimit(1.2));
}

TEST(ReplyBytes, AreWhatMaxmemoryLeavesWhenTheCacheHasGivenWay) {
  EXPECT_EQ(ReplyBytesMax(Input(0, 0, 50, 256), 0, 0), ~uint64_t{0});
  // Of 97 usable MiB 60 are taken, 31 of them by hot blocks that can leave.
  const uint64_t most = ReplyBytesMax(Input(100, 0.60, 31, 256), 0, 0);
  EXPECT_NEAR(static_cast<double>(most), 67.0 * kMiB, 0.1 * kMiB);
  // What is built already is among what is taken.
  const uint64_t later = ReplyBytesMax(Input(100, 0.70, 31, 256), 0, 10 * kMiB);
  EXPECT_NEAR(static_cast<double>(later), 67.0 * kMiB, 0.1 * kMiB);
}

TEST(ReplyBytes, NeverLessThanTheFloor) {
  EXPECT_EQ(ReplyBytesMax(Input(10, 2.0, 0, 4), 0, 0), kReplyBytesFloor);
  EXPECT_EQ(ReplyBytesMax(Input(640, 2.0, 0, 4), 0, 0), 10 * kMiB);
}

TEST(ReplyBytes, AreWhatTheSettingSays) {
  EXPECT_EQ(ReplyBytesMax(Input(100, 2.0, 0, 4), 5 * kMiB, 0), 5 * kMiB);
  EXPECT_EQ(ReplyBytesMax(Input(0, 0, 0, 4), 5 * kMiB, 9 * kMiB), 5 * kMiB);
  EXPECT_EQ(ReplyBytesMax(Input(0, 0, 0, 4), 17, 0), kReplyBytesFloor);
}

}  // namespace
}  // namespace flash::server
