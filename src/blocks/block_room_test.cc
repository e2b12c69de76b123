// block_room_test.cc: writers that wait for room, in line or on the thread, and what ends a wait.
//
// Over a store whose puts end when the test says so, on a manual clock. Thread: main.
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <vector>

#include "blocks/block_pool.h"
#include "tests/support/block_budget_fixture.h"

namespace flash::blocks {
namespace {

using testing::kCache;
using testing::kHard;
using testing::kSlack;
using testing::Waiter;

using BlockRoomTest = testing::BlockBudgetFixture;

TEST_F(BlockRoomTest, WritersAreServedInOrder) {
  store->hold_puts = true;
  FillToHardMark();
  Waiter large;
  Waiter small;
  pool->WaitForRoom(300'000, &large);
  pool->WaitForRoom(1024, &small);
  Drive();
  EXPECT_EQ(large.answers + small.answers, 0);
  store->FinishPuts(20);  // Room for the small one alone.
  Drive();
  EXPECT_EQ(large.answers + small.answers, 0);
  store->hold_puts = false;
  Settle();
  EXPECT_EQ(large.answers, 1);
  EXPECT_EQ(small.answers, 1);
  EXPECT_FALSE(large.code || small.code);
  EXPECT_EQ(pool->stats().stalls, 2u);
}

TEST_F(BlockRoomTest, AGrantIsItsHoldersAlone) {
  FillToHardMark();
  Waiter waiter;
  waiter.keeps = true;
  pool->WaitForRoom(kCache / 2, &waiter);
  Settle();
  ASSERT_EQ(waiter.grant.bytes(), kCache / 2);
  FillToHardMark();
  EXPECT_LE(Load() + waiter.grant.bytes(), kHard);
  Settle();
  EXPECT_TRUE(pool->Admit(1024));  // Room is made for both.
  waiter.grant.Release();
  FillToHardMark();
  EXPECT_GT(Load() + 1024, kHard);
}

TEST_F(BlockRoomTest, WhoWaitsOnTheThreadDoesNotWaitForAGrant) {
  FillToHardMark();
  Waiter waiter;
  waiter.keeps = true;
  pool->WaitForRoom(kCache, &waiter);
  Settle();
  ASSERT_EQ(waiter.grant.bytes(), kCache);
  EXPECT_EQ(pool->Admit(kCache / 2).code(), Code::kBusy);
  const Result<RoomGrant> room = pool->AwaitRoom(kCache / 2, WaitCause::kHardMark);
  ASSERT_TRUE(room);
  EXPECT_EQ(room->bytes(), kCache / 2);

  const std::vector<std::byte> payload = BytesOf(1, 1000);
  EXPECT_EQ(pool->CreateCold(payload).code(), Code::kBusy);
  const auto create = [&]() -> Result<void> {
    const Result<BlockId> id = pool->CreateCold(payload);
    if (!id) return id.code();
    return {};
  };
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(pool->AwaitRoomFor(payload.size(), WaitCause::kHardMark, create));
  }
}

TEST_F(BlockRoomTest, NoGrantIsGivenWhileTheThreadWaits) {
  FillToHardMark();
  std::array<Waiter, 8> waiters;
  for (Waiter& waiter : waiters) {
    waiter.keeps = true;
    pool->WaitForRoom(kCache / 8, &waiter);
  }
  Result<RoomGrant> room = pool->AwaitRoom(kCache, WaitCause::kHardMark);
  ASSERT_TRUE(room);
  EXPECT_LE(Load() + kCache, kHard);  // And not a byte more had to leave.
  *room = RoomGrant();
  Settle();
  for (const Waiter& waiter : waiters) EXPECT_EQ(waiter.grant.bytes(), kCache / 8);
}

TEST_F(BlockRoomTest, TheThreadDoesNotAwaitWhatTheEndOfAChildWouldBring) {
  store->room_bytes_max = 0;
  pool->Freeze();
  FillToHardMark();
  EXPECT_LT(AwaitNoSpace(), 100'000u);
  store->room_bytes_max = ~uint64_t{0};
  EXPECT_TRUE(pool->AwaitRoom(1024, WaitCause::kHardMark));
}

TEST_F(BlockRoomTest, SmallBlocksLeaveWhereALargeOneFindsNoRoom) {
  store->room_bytes_max = 50'000;
  for (uint64_t seed = 0; seed < 9; ++seed) Create(seed, 100'000);
  std::vector<BlockId> small;
  while (pool->Admit(1024)) small.push_back(Create(1));
  ASSERT_GT(small.size(), 20u);
  Settle();
  EXPECT_EQ(pool->stats().evictions, 50u);
  // There would be room for what is wanted, but what would have to leave for it is larger.
  store->room_bytes_max += 500;
  while (pool->Admit(400)) Create(1);
  EXPECT_LT(AwaitNoSpace(400), 200'000u);
}

TEST_F(BlockRoomTest, AGrantMayOutliveThePool) {
  Waiter waiter;
  waiter.keeps = true;
  pool->WaitForRoom(1024, &waiter);
  Settle();
  ASSERT_EQ(waiter.grant.bytes(), 1024u);
  pool.reset();
}

TEST_F(BlockRoomTest, ForgottenWriterIsNotAnswered) {
  store->hold_puts = true;
  FillToHardMark();
  Waiter first;
  Waiter second;
  pool->WaitForRoom(1024, &first);
  pool->WaitForRoom(1024, &second);
  pool->Forget(&first);
  store->hold_puts = false;
  Drive();
  pool->Drive(Deliver::kQueueOnly);
  pool->Forget(&second);  // Due, not delivered.
  Drive();
  EXPECT_EQ(first.answers + second.answers, 0);
}

/// A writer in line, all puts under way: what it hears, and that it waits for so long.
class BlockRoomInLineTest : public BlockRoomTest {
 protected:
  void SetUp() override {
    BlockRoomTest::SetUp();
    store->hold_puts = true;
    FillToHardMark();
    pool->WaitForRoom(1024, &waiter);
    Drive();
  }
  void ExpectNoSpaceAfter(uint64_t us) {
    clock.Advance(us - 100'000);
    Drive();
    EXPECT_EQ(waiter.answers, 0);
    clock.Advance(200'000);
    Drive();
    EXPECT_EQ(waiter.answers, 1);
    EXPECT_EQ(waiter.code, Code::kNoSpace);
  }
  Waiter waiter;
};

TEST_F(BlockRoomInLineTest, NothingMovesBesideAChild) {
  store->room_bytes_max = 0;
  pool->Freeze();
  ExpectNoSpaceAfter(1'000'000);
}

TEST_F(BlockRoomInLineTest, ADeviceThatIsSlowIsWaitedForLonger) { ExpectNoSpaceAfter(10'000'000); }

TEST_F(BlockRoomInLineTest, FailingWritesAreNotWaitedForLong) {
  store->SayWritesFail();
  ExpectNoSpaceAfter(1'000'000);
}

TEST_F(BlockRoomTest, TheThreadItselfWaitsAsLongForADeviceThatIsSlowButOnlyOnce) {
  store->hold_puts = true;
  FillToHardMark();
  Drive();
  store->refuse_puts = Code::kBusy;  // Its buffers are full.
  EXPECT_GE(AwaitNoSpace(), 9'900'000u);
  EXPECT_LT(AwaitNoSpace(), 100'000u);
}

TEST_F(BlockRoomTest, ProgressProlongsTheWait) {
  store->hold_puts = true;
  FillToHardMark();
  Waiter waiter;
  pool->WaitForRoom(500'000, &waiter);
  for (int i = 0; i < 5; ++i) {
    clock.Advance(900'000);
    store->FinishPuts(1);
    Drive();
  }
  EXPECT_EQ(waiter.answers, 0);
}

TEST_F(BlockRoomTest, FullTierIsToldAtOnce) {
  store->room_bytes_max = 0;
  FillToHardMark();
  EXPECT_EQ(pool->Admit(1024).code(), Code::kBusy);  // Not tried yet.
  Waiter waiter;
  pool->WaitForRoom(1024, &waiter);
  Drive();
  EXPECT_EQ(waiter.code, Code::kNoSpace);
  EXPECT_EQ(pool->Admit(1024).code(), Code::kNoSpace);
  EXPECT_EQ(pool->CreateCold(BytesOf(1, 1000)).code(), Code::kNoSpace);
}

TEST_F(BlockRoomTest, NobodyIsRefusedWhileBlocksAreStillToBeFreed) {
  store->room_bytes_max = 0;
  bool pending = true;
  pool->SetFreesPending([&] { return pending; });
  FillToHardMark();
  Waiter waiter;
  pool->WaitForRoom(1024, &waiter);
  Drive();
  clock.Advance(9'000'000);
  Drive();
  EXPECT_EQ(waiter.answers, 0);
  EXPECT_EQ(pool->Admit(1024).code(), Code::kBusy);
  AwaitNoSpace();  // Free first.
  pending = false;
  Drive();
  EXPECT_EQ(waiter.code, Code::kNoSpace);
}

TEST_F(BlockRoomTest, WhatGoesStraightToFlashWaitsForWhatIsStillToBeFreed) {
  store->room_bytes_max = 0;
  pool->SetFreesPending([] { return true; });
  EXPECT_EQ(pool->CreateCold(BytesOf(1, 1000)).code(), Code::kBusy);
  pool->Freeze();  // It would make no room before the child's end.
  EXPECT_EQ(pool->CreateCold(BytesOf(1, 1000)).code(), Code::kNoSpace);
}

TEST_F(BlockRoomTest, WhatCannotLeaveForWantOfRoomIsToldAsStuck) {
  std::vector<BlockId> ids = CreateMany(800);
  EXPECT_EQ(pool->StuckBytes(), 0u);
  store->room_bytes_max = 0;
  while (pool->Admit(1024)) ids.push_back(Create(1));
  EXPECT_EQ(pool->StuckBytes(), 0u);  // Not tried yet.
  Drive();
  const uint64_t stuck = pool->StuckBytes();
  EXPECT_EQ(stuck, Load() - (kCache - kSlack));
  for (size_t i = 0; pool->StuckBytes() > 0; ++i) pool->Free(ids[i]);
  EXPECT_LE(Load(), kCache - kSlack);
  EXPECT_TRUE(pool->Admit(1024));
  while (pool->Admit(1024)) Create(1);
  EXPECT_GT(pool->StuckBytes(), 0u);
  store->room_bytes_max = ~uint64_t{0};
  EXPECT_EQ(pool->StuckBytes(), 0u);
}

TEST_F(BlockRoomTest, ACleanBlockThatTheWaiterItselfHoldsIsNoHope) {
  const BlockId own = CreateAndChill(1);
  const Fetch pinned = FetchOne(own);
  ASSERT_EQ(pool->StateOf(own), State::kHotClean);
  store->room_bytes_max = 0;
  FillToHardMark();
  EXPECT_LT(AwaitNoSpace(), 100'000u);
}

TEST_F(BlockRoomTest, FullTierWhileFrozenIsWorthWaitingFor) {
  store->room_bytes_max = 0;
  pool->Freeze();
  FillToHardMark();
  Drive();
  EXPECT_EQ(pool->Admit(1024).code(), Code::kBusy);
  pool->Thaw();
  EXPECT_EQ(pool->Admit(1024).code(), Code::kNoSpace);
}

}  // namespace
}  // namespace flash::blocks
