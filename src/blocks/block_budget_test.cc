// block_budget_test.cc: the cache bound, the demoter's limits, a full or failing tier.
//
// Over a store whose puts end when the test says so, on a manual clock. Thread: main.
#include <gtest/gtest.h>

#include "blocks/block_pool.h"
#include "tests/support/block_budget_fixture.h"

namespace flash::blocks {
namespace {

using testing::kCache;
using testing::kHard;
using testing::kSlack;

using BlockBudgetTest = testing::BlockBudgetFixture;

TEST_F(BlockBudgetTest, DemotesDownToTheSlackAndNoFurther) {
  CreateMany(1050);
  EXPECT_GT(Load(), kCache);
  Settle();
  EXPECT_LE(Load(), kCache - kSlack);
  EXPECT_GT(Load(), kCache - kSlack - 2048);
  const uint64_t load = Load();
  Drive();
  EXPECT_EQ(Load(), load);
  EXPECT_EQ(pool->stats().demotions, pool->stats().evictions);
}

TEST_F(BlockBudgetTest, NothingLeavesBetweenTheSlackAndTheMark) {
  CreateMany(960);  // More than the slack leaves, less than the cache.
  Drive();
  EXPECT_EQ(pool->stats().evictions, 0u);
  while (Load() <= kCache) Create(1);
  Settle();
  const uint64_t evictions = pool->stats().evictions;
  EXPECT_LE(Load(), kCache - kSlack);
  while (Load() + 1024 <= kCache) {  // A turn for each: none of them has anything to demote.
    Create(1);
    Drive();
  }
  EXPECT_EQ(pool->stats().evictions, evictions);
  Create(1);
  Settle();
  EXPECT_LE(Load(), kCache - kSlack);
}

TEST_F(BlockBudgetTest, WhatATurnWasTooShortForIsDoneInTheNext) {
  pool->SetDemotionLimits(5, 0);
  CreateMany(980);
  Drive();
  Drive();  // The first five have left: below the mark now.
  EXPECT_LT(Load(), kCache);
  EXPECT_GT(Load(), kCache - kSlack);
  EXPECT_TRUE(pool->WantsDrive());
  Settle();
  EXPECT_LE(Load(), kCache - kSlack);
}

TEST_F(BlockBudgetTest, BatchAndInflightAreLimits) {
  pool->SetDemotionLimits(5, 8);
  store->hold_puts = true;
  CreateMany(1050);
  Drive();
  EXPECT_EQ(store->puts_inflight(), 5u);
  EXPECT_TRUE(pool->WantsDrive());
  Drive();
  EXPECT_EQ(store->puts_inflight(), 8u);
  Drive();
  EXPECT_EQ(store->puts_inflight(), 8u);
  EXPECT_FALSE(pool->WantsDrive());  // A completion will announce itself.
  EXPECT_EQ(pool->stats().demotions_inflight, 8u);
  EXPECT_EQ(pool->stats().demotion_batch_effective, 5u);
}

TEST_F(BlockBudgetTest, AdmitRefusesAtTheHardMark) {
  store->hold_puts = true;
  FillToHardMark();
  EXPECT_LE(Load(), kHard);
  EXPECT_GT(Load() + 1024, kHard);
  EXPECT_EQ(pool->Admit(1024).code(), Code::kBusy);
  EXPECT_EQ(pool->Admit(kCache + 1).code(), Code::kInvalid);
  store->hold_puts = false;
  Settle();
  EXPECT_TRUE(pool->Admit(1024));
}

TEST_F(BlockBudgetTest, RefusedSizeIsMadeRoomFor) {
  CreateMany(900);
  EXPECT_EQ(pool->Admit(kCache / 2).code(), Code::kBusy);
  Settle();
  EXPECT_TRUE(pool->Admit(kCache / 2));
  EXPECT_GT(Load(), kCache / 2);  // Not more than needed.
}

TEST_F(BlockBudgetTest, PutsPauseAfterARefusalAndGoOn) {
  CreateMany(1050);
  store->refuse_puts = Code::kNoSpace;
  Drive();
  EXPECT_GT(Load(), kCache);
  store->refuse_puts.reset();
  Drive();
  EXPECT_EQ(store->puts_inflight(), 0u);  // The pause is not over.
  clock.Advance(1000);
  Settle();
  EXPECT_LE(Load(), kCache - kSlack);
}

TEST_F(BlockBudgetTest, CleanBlocksLeaveWhileTheTierIsFull) {
  std::vector<BlockId> cold;
  for (uint64_t seed = 0; seed < 200; ++seed) cold.push_back(CreateAndChill(seed));
  for (const BlockId id : cold) FetchOne(id).Release();
  store->refuse_puts = Code::kNoSpace;
  CreateMany(900);  // Dirty, ahead of some clean ones and behind others.
  for (int i = 0; i < 100 && Load() > kCache; ++i) {
    Drive();
    clock.Advance(1000);
  }
  EXPECT_LE(Load(), kCache);
  EXPECT_EQ(store->puts_inflight(), 0u);
}

TEST_F(BlockBudgetTest, CleanBlocksLeaveWhileWritesFail) {
  std::vector<BlockId> cold;
  for (uint64_t seed = 0; seed < 200; ++seed) cold.push_back(CreateAndChill(seed));
  store->refuse_puts = Code::kBusy;  // Every buffer is full of a write that fails.
  CreateMany(900);
  for (const BlockId id : cold) FetchOne(id).Release();
  Drive();
  EXPECT_GT(Load(), kCache - kSlack);  // A completion is thought to come.
  store->SayWritesFail();
  Drive();
  EXPECT_LE(Load(), kCache - kSlack);
}

TEST_F(BlockBudgetTest, ColdReadsGoOnUncachedAtAFullTier) {
  std::vector<BlockId> cold;
  for (uint64_t seed = 0; seed < 100; ++seed) cold.push_back(CreateAndChill(seed));
  store->refuse_puts = Code::kNoSpace;
  FillToHardMark();
  Drive();
  for (uint64_t seed = 0; seed < cold.size(); ++seed) {
    Fetch fetch = FetchOne(cold[seed]);
    ASSERT_TRUE(fetch.ready());
    EXPECT_TRUE(Holds(pool->Touch(cold[seed]), seed));
    fetch.Release();
    EXPECT_LE(Load(), kHard);
  }
  EXPECT_EQ(pool->StateOf(cold.back()), State::kCold);
}

TEST_F(BlockBudgetTest, PinnedBytesAreExemptAndNeverVictims) {
  std::vector<BlockId> pinned = CreateMany(400);
  Fetch fetch = Start(pinned);
  CreateMany(1050);
  Settle();
  EXPECT_EQ(pool->stats().pinned_bytes, 400u * 1024);
  EXPECT_LE(Load(), kCache - kSlack);
  for (const BlockId id : pinned) EXPECT_TRUE(pool->IsHot(id));
  fetch.Release();
  Settle();
  EXPECT_LE(pool->stats().hot_bytes, kCache - kSlack);
}

TEST_F(BlockBudgetTest, PinsInOneQueueDoNotKeepTheOtherFromLeaving) {
  std::vector<BlockId> used = CreateMany(600);
  for (const BlockId id : used) {
    for (int use = 0; use < 3; ++use) static_cast<void>(pool->Touch(id));
  }
  CreateMany(500);
  Settle();  // The used ones are in the main queue now.
  std::vector<BlockId> pinned = CreateMany(400);
  const Fetch fetch = Start(pinned);
  pool->SetCacheBytes(kMiB / 8);
  Settle();
  EXPECT_LE(Load(), kMiB / 8);
}

TEST_F(BlockBudgetTest, EverythingPinnedEndsTheRun) {
  const std::vector<BlockId> pinned = CreateMany(1050);
  const Fetch fetch = Start(pinned);
  pool->SetCacheBytes(kMiB / 8);
  Drive();
  EXPECT_EQ(store->puts_inflight(), 0u);
  EXPECT_FALSE(pool->WantsDrive());
}

TEST_F(BlockBudgetTest, ShrinkingTheCacheDemotesAtOnce) {
  CreateMany(900);
  Drive();
  EXPECT_EQ(pool->stats().evictions, 0u);
  pool->SetCacheBytes(kCache / 2);
  Settle();
  EXPECT_LE(Load(), kCache / 2);
  EXPECT_EQ(pool->stats().cache_bytes, kCache / 2);
}

TEST_F(BlockBudgetTest, PressureLowersTheBoundForAWhile) {
  CreateMany(900);
  pool->SetPressureLimit(kCache / 4);
  Settle();
  EXPECT_LE(Load(), kCache / 4);
  EXPECT_EQ(pool->Admit(kCache / 2).code(), Code::kBusy);
  pool->SetPressureLimit(0);
  EXPECT_TRUE(pool->Admit(kCache / 2));
}

TEST_F(BlockBudgetTest, CreateColdStaysWithinTheHardMark) {
  store->hold_puts = true;
  uint64_t made = 0;
  while (pool->CreateCold(BytesOf(made, 10'000))) ++made;
  EXPECT_LE(Load(), kHard);
  EXPECT_GT(made, 100u);
  const bool went_on = pool->DriveUntil(
      WaitCause::kLoading,
      [&] {
        store->hold_puts = backend.waits < 2;
        return pool->CreateCold(BytesOf(made, 10'000)).ok();
      },
      1'000'000);
  EXPECT_TRUE(went_on);
}

TEST_F(BlockBudgetTest, TheHotSetStaysAndTheScanGoes) {
  const std::vector<BlockId> hot = CreateMany(400);
  const auto use_hot = [&] {
    for (const BlockId id : hot) {
      if (pool->IsHot(id)) static_cast<void>(pool->Touch(id));
    }
  };
  use_hot();
  use_hot();
  for (uint64_t i = 0; i < 10'000; ++i) {  // Ten times the cache, each used once.
    const BlockId id = Create(i);
    static_cast<void>(pool->Touch(id));
    if (i % 50 == 0) Drive();
    if (i % 300 == 0) use_hot();
  }
  uint64_t kept = 0;
  for (const BlockId id : hot) kept += pool->IsHot(id) ? 1 : 0;
  EXPECT_GE(kept, 390u);
}

TEST_F(BlockBudgetTest, ASettingThatChangesKeepsWhatThePolicyKnows) {
  const std::vector<BlockId> hot = CreateMany(100);
  for (uint64_t i = 0; i < 1500; ++i) {  // All of them leave RAM, not long ago.
    static_cast<void>(Create(i));
    if (i % 50 == 0) Drive();
  }
  Settle();
  pool->SetCacheBytes(kCache);  // As after any CONFIG SET of the module.
  pool->SetCacheBytes(2 * kCache);
  for (const BlockId id : hot) {
    ASSERT_EQ(pool->StateOf(id), State::kCold);
    FetchOne(id).Release();
  }
  for (uint64_t i = 0; i < 20'000; ++i) {  // A scan.
    static_cast<void>(Create(i));
    if (i % 50 == 0) Drive();
  }
  uint64_t kept = 0;
  for (const BlockId id : hot) kept += pool->IsHot(id) ? 1 : 0;
  EXPECT_GE(kept, 95u);
}

TEST_F(BlockBudgetTest, StatsAddUp) {
  std::vector<BlockId> ids = CreateMany(1050);
  Settle();
  const BlockPool::Stats& stats = pool->stats();
  uint64_t blocks = 0;
  for (size_t state = 1; state < stats.blocks.size(); ++state) blocks += stats.blocks[state];
  EXPECT_EQ(blocks, 1050u);
  EXPECT_EQ(stats.blocks[static_cast<size_t>(State::kCold)], stats.cold_single_blocks);
  for (const BlockId id : ids) pool->Free(id);
  EXPECT_EQ(pool->stats().blocks[0], 1050u);
  EXPECT_EQ(pool->stats().hot_bytes, 0u);
  EXPECT_EQ(pool->stats().cold_single_blocks, 0u);
  EXPECT_EQ(store->records(), 0u);
}

}  // namespace
}  // namespace flash::blocks
