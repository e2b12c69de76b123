// block_line_test.cc: whoever waits in line for room gets it after a bounded time, whatever others
// bring in meanwhile.
//
// Over a store whose puts take some turns each, so that what came in late is always still on its
// way out. Thread: main.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <vector>

#include "blocks/block_pool.h"
#include "tests/support/block_budget_fixture.h"

namespace flash::blocks {
namespace {

using testing::kCache;
using testing::kHard;
using testing::Waiter;

constexpr uint32_t kSmall = 1000;
constexpr uint64_t kSmallCharge = 1024;
constexpr int kNewcomersPerTurn = 4;
constexpr size_t kPutTurns = 5;
constexpr int kTurnsMax = 200;

class BlockLineTest : public testing::BlockBudgetFixture {
 protected:
  void SetUp() override {
    BlockBudgetFixture::SetUp();
    store->hold_puts = true;
  }

  /// A turn in which what was put `kPutTurns` turns ago gets its place, at most `ended_max_` puts.
  void Turn() {
    Drive();
    begun_.push_back(store->puts_inflight());
    if (begun_.size() > kPutTurns) {
      // So many were under way then; those that ended since were the oldest of them.
      const size_t then = begun_.front();
      begun_.pop_front();
      const size_t due = then > ended_since_ ? then - ended_since_ : 0;
      const size_t end = std::min(due, ended_max_);
      store->FinishPuts(end);
      ended_.push_back(end);
      ended_since_ += end;
      if (ended_.size() > kPutTurns) {
        ended_since_ -= ended_.front();
        ended_.pop_front();
      }
    }
    clock.Advance(1000);
  }
  /// Turns until the waiter was answered, each with `newcomers`.
  template <typename Newcomers>
  int TurnsToAnswer(uint64_t bytes, const Newcomers& newcomers) {
    for (int i = 0; i < 50; ++i) {  // As it was before somebody waited.
      newcomers();
      Turn();
    }
    Waiter waiter;
    pool->WaitForRoom(bytes, &waiter);
    int turns = 0;
    for (; waiter.answers == 0 && turns < kTurnsMax; ++turns) {
      newcomers();
      Turn();
      EXPECT_LE(Load(), kHard);
    }
    EXPECT_FALSE(waiter.code);
    if (waiter.answers == 0) pool->Forget(&waiter);
    return turns;
  }

  size_t ended_max_ = ~size_t{0};

 private:
  std::deque<size_t> begun_;  // Puts under way at the end of each of the last turns.
  std::deque<size_t> ended_;  // Puts that ended in each of them.
  size_t ended_since_ = 0;    // Their sum.
};

TEST_F(BlockLineTest, NewcomersQueueBehindWhoWaits) {
  FillToHardMark();
  Waiter large;
  pool->WaitForRoom(kCache / 5, &large);
  store->FinishPuts();
  EXPECT_EQ(pool->Admit(16).code(), Code::kBusy);
  pool->Forget(&large);
  for (int i = 0; i < 20; ++i) Turn();
  EXPECT_TRUE(pool->Admit(16));
}

TEST_F(BlockLineTest, NewcomersThatCanWaitDoNotStarveALargeWriter) {
  FillToHardMark();
  const int turns = TurnsToAnswer(kCache / 5, [&] {
    for (int i = 0; i < kNewcomersPerTurn; ++i) {
      if (pool->Admit(kSmallCharge)) Create(1, kSmall);
    }
  });
  EXPECT_LT(turns, 50);
}

TEST_F(BlockLineTest, TransactionsDoNotStarveALargeWriter) {
  FillToHardMark();
  const int turns = TurnsToAnswer(kCache / 5, [&] {
    for (int i = 0; i < kNewcomersPerTurn; ++i) {
      backend.on_wait = [&] { store->FinishPuts(1); };
      ASSERT_TRUE(pool->AwaitRoom(kSmallCharge, WaitCause::kMulti));
      Create(1, kSmall);
    }
  });
  EXPECT_LT(turns, 50);
}

TEST_F(BlockLineTest, TransactionsThatUseUpTheDeviceDoNotStarveALargeWriter) {
  ended_max_ = 1;
  FillToHardMark();
  const int turns = TurnsToAnswer(kCache / 5, [&] {
    for (int i = 0; i < kNewcomersPerTurn; ++i) {
      backend.on_wait = [&] { store->FinishPuts(1); };
      ASSERT_TRUE(pool->AwaitRoom(kSmallCharge, WaitCause::kMulti));
      Create(1, kSmall);
    }
  });
  EXPECT_LT(turns, kTurnsMax);
}

TEST_F(BlockLineTest, WhatIsBuiltOnFlashDoesNotStarveALargeWriter) {
  const std::vector<std::byte> piece = BytesOf(1, kSmall);
  FillToHardMark();
  const int turns = TurnsToAnswer(kCache / 5, [&] {
    for (int i = 0; i < kNewcomersPerTurn; ++i) static_cast<void>(pool->CreateCold(piece));
  });
  EXPECT_LT(turns, 50);
}

TEST_F(BlockLineTest, ChangesInPlaceDoNotStarveALargeWriter) {
  std::vector<BlockId> cold;
  for (uint64_t seed = 0; seed < 1000; ++seed) cold.push_back(CreateAndChill(seed));
  FillToHardMark();
  size_t next = 0;
  const int turns = TurnsToAnswer(kCache / 5, [&] {
    for (int i = 0; i < kNewcomersPerTurn; ++i) {
      const BlockId id = cold[next++ % cold.size()];
      const Fetch fetch = FetchOne(id);
      static_cast<void>(pool->Write(id));  // Dirty from now on; nothing is asked for that.
    }
  });
  EXPECT_LT(turns, 50);
}

TEST_F(BlockLineTest, NoMoreLeavesThanTheWriterNeeds) {
  FillToHardMark();
  Waiter waiter;
  waiter.keeps = true;
  pool->WaitForRoom(kCache / 5, &waiter);
  for (int i = 0; i < 50; ++i) Turn();
  ASSERT_EQ(waiter.answers, 1);
  EXPECT_GT(Load() + kCache / 5 + 2 * kSmallCharge, kHard);
}

}  // namespace
}  // namespace flash::blocks
