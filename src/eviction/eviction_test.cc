// eviction_test.cc: policies, marks and the pool of candidates.
//
// Thread: one.
#include <gtest/gtest.h>

#include "eviction/candidates.h"
#include "eviction/marks.h"
#include "eviction/policy.h"

namespace flash::eviction {
namespace {

using By = Policy::By;

TEST(EvictionPolicy, EachOfTheServersIsKnown) {
  EXPECT_FALSE(ParsePolicy("noeviction", "5").evicts());
  EXPECT_FALSE(ParsePolicy("allkeys-something-new", "5").evicts());
  const struct {
    const char* name;
    By by;
    bool volatile_only;
  } all[] = {{"allkeys-lru", By::kIdleTime, false},  {"volatile-lru", By::kIdleTime, true},
             {"allkeys-lfu", By::kFrequency, false}, {"volatile-lfu", By::kFrequency, true},
             {"allkeys-random", By::kChance, false}, {"volatile-random", By::kChance, true},
             {"volatile-ttl", By::kExpiry, true}};
  for (const auto& each : all) {
    const Policy policy = ParsePolicy(each.name, "7");
    EXPECT_EQ(policy.by, each.by) << each.name;
    EXPECT_EQ(policy.volatile_only, each.volatile_only) << each.name;
    EXPECT_EQ(policy.samples, 7u);
  }
}

TEST(EvictionPolicy, SamplesAreBounded) {
  EXPECT_EQ(ParsePolicy("allkeys-lru", "").samples, 5u);
  EXPECT_EQ(ParsePolicy("allkeys-lru", "0").samples, 5u);
  EXPECT_EQ(ParsePolicy("allkeys-lru", "100000").samples, 64u);
}

TEST(EvictionMarks, LieInOrderWhateverTheSize) {
  for (const uint64_t most : {14 * kMiB, kGiB, 1000 * kGiB}) {
    const Marks marks = Marks::Of(most);
    EXPECT_LT(marks.low, marks.high);
    EXPECT_LT(marks.high, marks.urgent);
    EXPECT_LT(marks.urgent, most);
    EXPECT_GE(marks.low, most / 8 * 7);
  }
}

TEST(EvictionMarks, ATurnTakesLongerTheLessRoomThereIs) {
  const Marks marks = Marks::Of(kGiB);
  EXPECT_EQ(marks.SliceUs(marks.low), kSliceUsMin);
  EXPECT_EQ(marks.SliceUs(marks.high), kSliceUsMin);
  const uint64_t between = marks.SliceUs((marks.high + marks.urgent) / 2);
  EXPECT_GT(between, kSliceUsMin);
  EXPECT_LT(between, kSliceUsMax);
  EXPECT_EQ(marks.SliceUs(marks.urgent), kSliceUsMax);
  EXPECT_EQ(marks.SliceUs(kGiB), kSliceUsMax);
}

TEST(EvictionCandidates, TheBestLeavesFirst) {
  Candidates candidates;
  EXPECT_FALSE(candidates.TakeBest());
  for (const uint64_t score : {3, 9, 1, 7}) candidates.Offer(score, 0, std::to_string(score));
  for (const uint64_t score : {9, 7, 3, 1}) EXPECT_EQ(candidates.TakeBest()->score, score);
  EXPECT_FALSE(candidates.TakeBest());
}

TEST(EvictionCandidates, TheWorstGivesWayToABetterOne) {
  Candidates candidates;
  for (uint64_t i = 0; i < Candidates::kCountMax; ++i) {
    candidates.Offer(10 + i, 0, std::to_string(i));
  }
  candidates.Offer(5, 0, "worse");
  candidates.Offer(100, 1, "better");
  EXPECT_EQ(candidates.count(), Candidates::kCountMax);
  const Candidate best = *candidates.TakeBest();
  EXPECT_EQ(best.name, "better");
  EXPECT_EQ(best.db, 1);
  Candidate last;
  while (candidates.count() > 0) last = *candidates.TakeBest();
  EXPECT_EQ(last.score, 11u);  // 10 went for the better one, 5 never came in.
}

TEST(EvictionCandidates, AKeyIsThereOnceAndByDatabase) {
  Candidates candidates;
  candidates.Offer(1, 0, "key");
  candidates.Offer(2, 0, "key");
  candidates.Offer(3, 4, "key");
  EXPECT_EQ(candidates.count(), 2u);
  EXPECT_EQ(candidates.TakeBest()->db, 4);
  EXPECT_EQ(candidates.TakeBest()->score, 2u);
}

}  // namespace
}  // namespace flash::eviction
