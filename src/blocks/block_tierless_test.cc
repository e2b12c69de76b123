// block_tierless_test.cc: a pool whose store is put in late, retired, and taken out.
//
// Over the fake store and a manual clock. Decision: docs/adr/0023. Thread: main.
#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "tests/support/block_pool_fixture.h"

namespace flash::blocks {
namespace {

constexpr uint64_t kCache = kMiB;
constexpr uint32_t kBlock = 10'000;

class BlockTierlessTest : public testing::BlockPoolFixture {
 protected:
  void OpenWithout() {
    BlockPool::Options options;
    options.cache_bytes = kCache;
    options.tiering = false;
    Open(options);
  }
  void PutIn() {
    ASSERT_TRUE(pool->OpenStore(
        &backend,
        [&](const store::RecordStore::Options& options,
            store::RecordOwner* owner) -> Result<std::unique_ptr<store::RecordStore>> {
          auto made = std::make_unique<testing::FakeRecordStore>(options, owner);
          store = made.get();
          return std::unique_ptr<store::RecordStore>(std::move(made));
        }));
  }
  void CreateMany(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
      ++seed_;
      values[Create(seed_, kBlock)] = seed_;
    }
  }
  void Settle() {
    for (int i = 0; i < 1000; ++i) Drive();
  }
  void ExpectAllHold() {
    for (const auto& [id, seed] : values) {
      const Fetch fetch = FetchOne(id);
      ASSERT_TRUE(fetch.outcome());
      EXPECT_TRUE(Holds(pool->Read(id), seed));
    }
  }
  uint64_t Hot() { return pool->stats().hot_bytes; }

  std::map<BlockId, uint64_t> values;  // Seeds.

 private:
  uint64_t seed_ = 0;
};

TEST_F(BlockTierlessTest, AStorePutInLateTakesWhatIsBeyondTheBound) {
  OpenWithout();
  CreateMany(1000);
  Settle();
  EXPECT_GT(Hot(), 9 * kCache);
  EXPECT_FALSE(pool->has_store());
  EXPECT_EQ(pool->store_stats().capacity_bytes, 0u);
  EXPECT_EQ(pool->Demote(values.begin()->first).code(), Code::kUnsupported);
  PutIn();
  EXPECT_TRUE(pool->tiering());
  EXPECT_TRUE(pool->ComesDown());
  Settle();
  EXPECT_LE(Hot(), kCache);
  EXPECT_FALSE(pool->ComesDown());
  ExpectAllHold();
}

TEST_F(BlockTierlessTest, APoolThatBeginsWithAStoreHasItsBoundFromTheFirstBlockOn) {
  BlockPool::Options options;
  options.cache_bytes = 100 * kCache;
  Open(options);
  EXPECT_FALSE(pool->ComesDown());
  pool->SetCacheBytes(kCache);  // No turn yet.
  store->hold_puts = true;
  while (pool->Admit(kBlock)) CreateMany(1);
  EXPECT_LE(Hot(), kCache + kCache / 10);
}

TEST_F(BlockTierlessTest, WritersAreLetInWhileHotBytesComeDownAndDoNotOutrunIt) {
  OpenWithout();
  CreateMany(1000);
  PutIn();
  store->hold_puts = true;
  const uint64_t at_first = Hot();
  uint64_t let_in = 0;
  while (pool->Admit(kBlock)) {
    CreateMany(1);
    ++let_in;
    ASSERT_LE(Hot(), at_first + kCache / 10);
    Drive();
  }
  EXPECT_GE(let_in, 5u);  // The drive takes nothing, and yet a tenth of the cache comes in.
  EXPECT_EQ(pool->Admit(kBlock).code(), Code::kBusy);
  store->FinishPuts(10);
  Drive();
  EXPECT_TRUE(pool->Admit(kBlock));
  EXPECT_LT(Hot(), at_first + kCache / 10);
}

TEST_F(BlockTierlessTest, AWriterOfMoreThanThatTenthIsServedOnTheWayDown) {
  OpenWithout();
  pool->SetDemotionLimits(16, 0);
  CreateMany(1000);
  PutIn();
  store->hold_puts = true;
  Drive();
  const Result<void> first = pool->Admit(kCache / 2);
  ASSERT_EQ(first.code(), Code::kBusy);
  store->hold_puts = false;
  const Result<RoomGrant> room = pool->AwaitRoom(kCache / 2, WaitCause::kHardMark);
  ASSERT_TRUE(room);
  EXPECT_GT(Hot(), 2 * kCache);  // It did not wait for the end.
}

TEST_F(BlockTierlessTest, RetiredNothingLeavesAndWhatIsColdStaysReadable) {
  OpenWithout();
  PutIn();
  CreateMany(300);
  Settle();
  const uint64_t cold = pool->stats().blocks[static_cast<size_t>(State::kCold)];
  ASSERT_GT(cold, 100u);
  pool->Retire();
  EXPECT_FALSE(pool->tiering());
  EXPECT_TRUE(pool->has_store());
  CreateMany(300);
  Settle();
  EXPECT_EQ(pool->stats().blocks[static_cast<size_t>(State::kCold)], cold);
  EXPECT_FALSE(pool->MayCloseStore());
  ExpectAllHold();
  EXPECT_EQ(pool->stats().blocks[static_cast<size_t>(State::kCold)], 0u);
  Drive();  // Their places go with the last of them.
  EXPECT_EQ(store->records(), 0u);
  EXPECT_TRUE(pool->MayCloseStore());
  pool->CloseStore();
  EXPECT_FALSE(pool->has_store());
  ExpectAllHold();
}

TEST_F(BlockTierlessTest, AStoreIsClosedWhenWhatWasColdIsFreed) {
  OpenWithout();
  PutIn();
  CreateMany(300);
  Settle();
  store->hold_reads = true;
  BlockId cold = kNoBlock;
  for (const auto& [id, seed] : values) {
    if (pool->StateOf(id) == State::kCold) cold = id;
  }
  Fetch fetch = Start({cold});  // A client that waits while everything is flushed.
  pool->Retire();
  for (const auto& [id, seed] : std::exchange(values, {})) pool->Free(id);
  Drive();
  EXPECT_FALSE(pool->MayCloseStore());
  store->FinishReads();
  Drive();
  EXPECT_TRUE(pool->MayCloseStore());
  pool->CloseStore();
  CreateMany(300);
  Settle();
  EXPECT_GT(Hot(), 2 * kCache);
  ExpectAllHold();
}

TEST_F(BlockTierlessTest, NoStoreIsClosedUnderAChild) {
  OpenWithout();
  PutIn();
  pool->Freeze();
  pool->Retire();
  EXPECT_FALSE(pool->MayCloseStore());
  pool->Thaw();
  EXPECT_TRUE(pool->MayCloseStore());
}

TEST_F(BlockTierlessTest, AChildOfATimeWithoutAStoreEndsAfterOneWasPutIn) {
  OpenWithout();
  CreateMany(10);
  pool->Freeze();
  PutIn();
  pool->Thaw();
  CreateMany(300);
  Settle();
  EXPECT_LE(Hot(), kCache);
  ExpectAllHold();
}

TEST_F(BlockTierlessTest, ResumedEverythingIsAsBefore) {
  OpenWithout();
  PutIn();
  CreateMany(300);
  Settle();
  pool->Retire();
  CreateMany(300);
  Settle();
  EXPECT_GT(Hot(), 3 * kCache);
  pool->Resume();
  EXPECT_TRUE(pool->Admit(kBlock));
  Settle();
  EXPECT_LE(Hot(), kCache);
  ExpectAllHold();
}

TEST_F(BlockTierlessTest, PassesWithoutAStoreCountAndSumsGoOn) {
  OpenWithout();
  pool->RequestCompaction(0);
  EXPECT_EQ(pool->passes_done(), 1u);
  PutIn();
  EXPECT_EQ(pool->passes_done(), 1u);
  store::RecordStore::Stats sums;
  sums.read_errors = 3;
  sums.capacity_bytes = 5;
  store::RecordStore::Stats all;
  all.read_errors = 1;
  all.AddSums(sums);
  EXPECT_EQ(all.read_errors, 4u);
  EXPECT_EQ(all.capacity_bytes, 0u);
}

}  // namespace
}  // namespace flash::blocks
