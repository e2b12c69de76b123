// s3_fifo_test.cc: the order in which blocks leave, the ghost, and resistance against scans.
//
// The cache in the last tests is a model: equal blocks, a bound, and the policy under test; FIFO
// and LRU run beside it on the same accesses. Thread: main.
#include "blocks/s3_fifo.h"

#include <gtest/gtest.h>

#include <list>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "blocks/latency_histogram.h"

namespace flash::blocks {
namespace {

class S3FifoTest : public testing::Test {
 protected:
  ~S3FifoTest() override {
    for (HotBlock* hot : blocks_) base::Release(hot);
  }

  /// A block that exists in the table; cold as far as this test cares until it is inserted.
  BlockId NewBlock(uint32_t bytes = 1000) {
    const BlockId id = table_.Allocate();
    auto* hot = static_cast<HotBlock*>(base::Allocate(kHotHeaderBytes + bytes));
    hot->Init(id, bytes);
    table_.Apply(id, BlockEvent::kCreate);
    table_.Point(id, hot);
    blocks_.push_back(hot);
    return id;
  }
  void Use(BlockId id) {
    HotBlock* hot = table_.HotOf(id);
    if (hot->uses() < HotBlock::kUsesMax) hot->set_uses(hot->uses() + 1);
  }
  BlockId TakeVictim() {
    uint32_t steps = 1'000'000;
    const BlockId id = fifo_.Victim(&steps, {});
    if (id == kNoBlock) return id;
    const bool small = table_.HotOf(id)->queue() == Queue::kSmall;
    fifo_.Remove(id);
    table_.HotOf(id)->set_uses(0);
    if (small) fifo_.Remember(id);
    return id;
  }

  BlockTable table_;
  S3Fifo fifo_{&table_};
  std::vector<HotBlock*> blocks_;
};

TEST_F(S3FifoTest, AQueueOfWhichNoneCanLeaveDoesNotHoldUpTheOther) {
  const BlockId a = NewBlock();
  const BlockId b = NewBlock();
  const BlockId c = NewBlock();
  fifo_.InsertNew(a);
  fifo_.InsertNew(b);
  fifo_.Return(c, Queue::kMain);
  S3Fifo::Passed passed;
  for (const BlockId stays : {a, b, c}) {
    uint32_t steps = 10;
    ASSERT_EQ(fifo_.Victim(&steps, passed), stays);
    fifo_.Skip(stays, &passed);
  }
  uint32_t steps = 10;
  EXPECT_EQ(fifo_.Victim(&steps, passed), kNoBlock);
  EXPECT_EQ(steps, 10u);
}

TEST_F(S3FifoTest, UnusedBlocksLeaveInTheOrderTheyCame) {
  const BlockId a = NewBlock();
  const BlockId b = NewBlock();
  fifo_.InsertNew(a);
  fifo_.InsertNew(b);
  EXPECT_EQ(fifo_.count(), 2u);
  EXPECT_EQ(fifo_.bytes(), 2 * HotCharge(1000));
  EXPECT_EQ(TakeVictim(), a);
  EXPECT_EQ(TakeVictim(), b);
  EXPECT_EQ(TakeVictim(), kNoBlock);
  EXPECT_EQ(fifo_.bytes(), 0u);
}

TEST_F(S3FifoTest, TwoUsesEarnTheMainQueue) {
  std::vector<BlockId> ids;
  for (int i = 0; i < 4; ++i) {
    ids.push_back(NewBlock());
    fifo_.InsertNew(ids.back());
  }
  Use(ids[0]);
  Use(ids[1]);
  Use(ids[1]);
  EXPECT_EQ(TakeVictim(), ids[0]);  // One use is not enough.
  EXPECT_EQ(TakeVictim(), ids[2]);
  EXPECT_EQ(table_.HotOf(ids[1])->queue(), Queue::kMain);
}

TEST_F(S3FifoTest, UseInMainEarnsAnotherRound) {
  fifo_.SetCacheBytes(1 << 20);
  const BlockId a = NewBlock();
  const BlockId b = NewBlock();
  for (const BlockId id : {a, b}) fifo_.Return(id, Queue::kMain);
  Use(a);
  EXPECT_EQ(TakeVictim(), b);
  EXPECT_EQ(TakeVictim(), a);
}

TEST_F(S3FifoTest, TheGhostSendsAReturningBlockToMain) {
  fifo_.SetCacheBytes(1 << 20);
  const BlockId id = NewBlock();
  fifo_.InsertNew(id);
  ASSERT_EQ(TakeVictim(), id);
  fifo_.InsertPromoted(id);
  EXPECT_EQ(table_.HotOf(id)->queue(), Queue::kMain);
}

TEST_F(S3FifoTest, TheGhostForgetsAFreedBlock) {
  fifo_.SetCacheBytes(1 << 20);
  const BlockId id = NewBlock();
  fifo_.InsertNew(id);
  ASSERT_EQ(TakeVictim(), id);
  fifo_.Forget(id);
  fifo_.InsertPromoted(id);
  EXPECT_EQ(table_.HotOf(id)->queue(), Queue::kSmall);
}

TEST_F(S3FifoTest, StepsBoundTheSearchAndNothingIsLost) {
  std::vector<BlockId> ids;
  for (int i = 0; i < 10; ++i) {
    ids.push_back(NewBlock());
    fifo_.InsertNew(ids.back());
    Use(ids.back());
    Use(ids.back());
  }
  uint32_t steps = 3;
  EXPECT_EQ(fifo_.Victim(&steps, {}), kNoBlock);
  EXPECT_EQ(steps, 0u);
  EXPECT_EQ(fifo_.count(), 10u);
  EXPECT_NE(TakeVictim(), kNoBlock);
}

TEST_F(S3FifoTest, SkippedAndResizedBlocksStayCounted) {
  const BlockId a = NewBlock(100);
  const BlockId b = NewBlock(100);
  fifo_.InsertNew(a);
  fifo_.InsertNew(b);
  S3Fifo::Passed passed;
  fifo_.Skip(a, &passed);
  EXPECT_EQ(fifo_.count(), 2u);
  table_.HotOf(b)->set_size(50);
  fifo_.Resized(b, HotCharge(100));
  EXPECT_EQ(fifo_.bytes(), HotCharge(100) + HotCharge(50));
  EXPECT_EQ(TakeVictim(), b);
  EXPECT_EQ(fifo_.bytes(), HotCharge(100));
}

TEST(GhostTest, ANewSizeForgetsNothing) {
  Ghost ghost;
  ghost.Resize(4096);
  for (BlockId id = 1; id <= 1000; ++id) ghost.Insert(id);
  const auto known = [&](uint64_t age_max) {
    uint64_t count = 0;
    for (BlockId id = 1; id <= 1000; ++id) count += ghost.Contains(id, age_max) ? 1 : 0;
    return count;
  };
  const uint64_t before = known(4096);
  EXPECT_GE(before, 990u);
  for (const uint64_t slots : {4096, 4000, 65536, 2048, 8192}) {
    ghost.Resize(slots);
    EXPECT_EQ(known(4096), before) << slots;
  }
  ghost.Erase(7);
  EXPECT_FALSE(ghost.Contains(7, 4096));
  for (BlockId id = 10'000; id < 11'000; ++id) ghost.Insert(id);
  EXPECT_GE(known(4096), 980u);
  EXPECT_EQ(known(999), 0u);  // Insertions into the new array make them older.
  for (BlockId id = 20'000; id < 24'000; ++id) ghost.Insert(id);
  EXPECT_EQ(ghost.bytes(), 8192 * sizeof(uint32_t));  // The old array is gone.
}

TEST(GhostTest, ForgetsByAge) {
  Ghost ghost;
  ghost.Resize(1024);
  ghost.Insert(7);
  EXPECT_TRUE(ghost.Contains(7, 100));
  for (BlockId id = 1000; id < 1200; ++id) ghost.Insert(id);
  EXPECT_FALSE(ghost.Contains(7, 100));
  uint64_t known = 0;
  for (BlockId id = 1000; id < 1200; ++id) known += ghost.Contains(id, 1024) ? 1 : 0;
  EXPECT_GE(known, 198u);
  uint64_t mistaken = 0;
  for (BlockId id = 50'000; id < 60'000; ++id) mistaken += ghost.Contains(id, 1024) ? 1 : 0;
  EXPECT_LT(mistaken, 20u);
}

// --- Scan resistance
// ------------------------------------------------------------------------------

struct Outcome {
  uint64_t hits = 0;
  uint64_t accesses = 0;
  [[nodiscard]] double ratio() const {
    return static_cast<double>(hits) / static_cast<double>(accesses);
  }
};

constexpr uint64_t kCacheBlocks = 1000;
constexpr uint64_t kHotBlocks = 600;

/// The hot set is read over and over (each access one of it, at random) while a scan of ten times
/// the cache passes, one scanned block for each two hot ones. Calls `access(index, of_hot_set)`.
template <typename Access>
void ReadHotSetDuringScan(Access access) {
  base::Random random(42);
  for (uint64_t i = 0; i < 10 * kHotBlocks; ++i) access(random.Below(kHotBlocks), false);
  for (uint64_t i = 0; i < 10 * kCacheBlocks; ++i) {
    access(kHotBlocks + i, false);
    access(random.Below(kHotBlocks), true);
  }
}

template <bool kLru>
Outcome RunSimple() {
  std::list<uint64_t> order;
  std::unordered_map<uint64_t, std::list<uint64_t>::iterator> where;
  Outcome outcome;
  ReadHotSetDuringScan([&](uint64_t index, bool counted) {
    const auto found = where.find(index);
    const bool hit = found != where.end();
    if (hit && kLru) order.splice(order.begin(), order, found->second);
    if (!hit) {
      order.push_front(index);
      where[index] = order.begin();
      if (order.size() > kCacheBlocks) {
        where.erase(order.back());
        order.pop_back();
      }
    }
    outcome.accesses += counted ? 1 : 0;
    outcome.hits += counted && hit ? 1 : 0;
  });
  return outcome;
}

TEST_F(S3FifoTest, AHotSetSurvivesAScanOfTenTimesTheCache) {
  fifo_.SetCacheBytes(kCacheBlocks * HotCharge(1000));
  std::vector<BlockId> ids;
  for (uint64_t i = 0; i < kHotBlocks + 10 * kCacheBlocks; ++i) ids.push_back(NewBlock());
  Outcome s3;
  ReadHotSetDuringScan([&](uint64_t index, bool counted) {
    const BlockId id = ids[index];
    const bool hit = table_.HotOf(id)->queue() != Queue::kNone;
    if (hit) {
      Use(id);
    } else {
      fifo_.InsertPromoted(id);
      while (fifo_.count() > kCacheBlocks) TakeVictim();
    }
    s3.accesses += counted ? 1 : 0;
    s3.hits += counted && hit ? 1 : 0;
  });
  const Outcome fifo = RunSimple<false>();
  const Outcome lru = RunSimple<true>();
  RecordProperty("s3_fifo_percent", static_cast<int>(100 * s3.ratio()));
  RecordProperty("lru_percent", static_cast<int>(100 * lru.ratio()));
  RecordProperty("fifo_percent", static_cast<int>(100 * fifo.ratio()));
  EXPECT_GT(s3.ratio(), 0.95);
  EXPECT_GT(s3.ratio(), lru.ratio() + 0.05);
  EXPECT_GT(s3.ratio(), fifo.ratio() + 0.15);
}

TEST(LatencyHistogramTest, PercentilesAreAtMostAnEighthTooHigh) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.Percentile(500), 0u);
  for (uint64_t us = 1; us <= 100'000; ++us) histogram.Add(us);
  for (const uint64_t per_thousand : {500u, 900u, 990u, 999u}) {
    const uint64_t exact = per_thousand * 100;
    EXPECT_GE(histogram.Percentile(per_thousand), exact);
    EXPECT_LE(histogram.Percentile(per_thousand), exact + exact / 8 + 1);
  }
  LatencyHistogram far;
  far.Add(UINT64_MAX);
  EXPECT_GT(far.Percentile(500), uint64_t{1} << 30);
}

}  // namespace
}  // namespace flash::blocks
