// statistics_test.cc: the estimator against textbook figures and against known populations.
//
// The end-to-end coverage, through SCAN, is in sampling_test.cc. Thread: one.
#include "tools/flash-sizer/statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace flash::tools::sizer {
namespace {

constexpr double kZ = 1.959963984540054;

Design OneStratum(uint32_t stretches, double sampled_part) {
  return {std::vector<uint32_t>(stretches, 0), {sampled_part}};
}

TEST(WilsonInterval, AgreesWithPublishedFigures) {
  // Newcombe 1998, table I: 81/263, 15/148, 0/20, 1/29.
  const Range a = WilsonInterval(81.0 / 263, 263, kZ);
  EXPECT_NEAR(a.low, 0.2553, 5e-5);
  EXPECT_NEAR(a.high, 0.3662, 5e-5);
  const Range b = WilsonInterval(15.0 / 148, 148, kZ);
  EXPECT_NEAR(b.low, 0.0624, 5e-5);
  EXPECT_NEAR(b.high, 0.1605, 5e-5);
  const Range c = WilsonInterval(0, 20, kZ);
  EXPECT_EQ(c.low, 0);
  EXPECT_NEAR(c.high, 0.1611, 5e-5);
  const Range d = WilsonInterval(1.0 / 29, 29, kZ);
  EXPECT_NEAR(d.low, 0.0061, 5e-5);
  EXPECT_NEAR(d.high, 0.1718, 5e-5);
}

TEST(StudentQuantile, AgreesWithTables) {
  EXPECT_NEAR(StudentQuantile(5), 2.571, 0.005);
  EXPECT_NEAR(StudentQuantile(10), 2.228, 0.001);
  EXPECT_NEAR(StudentQuantile(30), 2.042, 0.001);
  EXPECT_NEAR(StudentQuantile(1e6), 1.960, 0.001);
}

TEST(EstimateShare, EqualKeysGiveWilsonOfTheirNumber) {
  std::vector<Observation> keys;
  for (uint32_t i = 0; i < 400; i++) keys.push_back({i, 10, i % 4 == 0 ? 10.0 : 0.0});
  const ShareEstimate estimate = EstimateShare(keys, OneStratum(400, 0));
  EXPECT_DOUBLE_EQ(estimate.share.value, 0.25);
  EXPECT_NEAR(estimate.n_effective, 400, 2);
  EXPECT_NEAR(estimate.share.low, WilsonInterval(0.25, 400, kZ).low, 0.001);
}

TEST(EstimateShare, WeighsByBytes) {
  const ShareEstimate estimate = EstimateShare({{0, 900, 900}, {1, 100, 0}}, OneStratum(2, 0));
  EXPECT_DOUBLE_EQ(estimate.share.value, 0.9);
}

TEST(EstimateShare, AFewHugeKeysLeaveLittleCertainty) {
  std::vector<Observation> keys;
  for (uint32_t i = 0; i < 1000; i++) {
    const double size = i < 4 ? 1e6 : 1;
    keys.push_back({i, size, i % 2 == 0 ? size : 0});
  }
  const ShareEstimate estimate = EstimateShare(keys, OneStratum(1000, 0));
  EXPECT_LT(estimate.n_effective, 6);
  EXPECT_GT(estimate.share.high - estimate.share.low, 0.5);
}

TEST(EstimateShare, KeysAlikeWithinStretchesCountAsOne) {
  std::vector<Observation> keys;
  for (uint32_t stretch = 0; stretch < 50; stretch++) {
    for (int i = 0; i < 20; i++) keys.push_back({stretch, 1, stretch % 2 == 0 ? 1.0 : 0.0});
  }
  EXPECT_NEAR(EstimateShare(keys, OneStratum(50, 0)).n_effective, 50, 2);
}

TEST(EstimateShare, OfEveryKeyIsCertain) {
  const ShareEstimate estimate = EstimateShare({{0, 3, 3}, {1, 7, 0}}, OneStratum(2, 1));
  EXPECT_EQ(estimate.share.low, estimate.share.high);
  EXPECT_TRUE(std::isinf(estimate.n_effective));
}

TEST(EstimateShare, OfNothingKnowsNothing) {
  const ShareEstimate estimate = EstimateShare({}, OneStratum(1, 0));
  EXPECT_EQ(estimate.share.low, 0);
  EXPECT_EQ(estimate.share.high, 1);
}

TEST(EstimateShare, NoneFoundStillLeavesRoomForSome) {
  std::vector<Observation> keys;
  for (uint32_t i = 0; i < 100; i++) keys.push_back({i, 1, 0});
  const ShareEstimate estimate = EstimateShare(keys, OneStratum(100, 0));
  EXPECT_EQ(estimate.share.value, 0);
  EXPECT_NEAR(estimate.share.high, WilsonInterval(0, 100, kZ).high, 0.002);
}

TEST(EstimateShare, StrataAreHeldApart) {
  // Two servers, one all cold, one all hot: each is known exactly, so the whole is nearly so.
  std::vector<Observation> keys;
  Design design{{}, {0, 0}};
  for (uint32_t i = 0; i < 200; i++) {
    keys.push_back({i, 1, i < 100 ? 1.0 : 0.0});
    design.stratum_of_stretch.push_back(i < 100 ? 0 : 1);
  }
  const ShareEstimate apart = EstimateShare(keys, design);
  const ShareEstimate together = EstimateShare(keys, OneStratum(200, 0));
  EXPECT_DOUBLE_EQ(apart.share.value, 0.5);
  EXPECT_LE(apart.share.high - apart.share.low, together.share.high - together.share.low);
}

}  // namespace
}  // namespace flash::tools::sizer
