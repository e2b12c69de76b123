// block_pool_test.cc: what happens to a block when writes, frees and compaction meet puts and
// reads.
//
// Each test is one interleaving of docs/adr/0004, over a store whose puts and reads end when the
// test says so. Fetches, pins and waits: block_fetch_test.cc; the budget: block_budget_test.cc.
// Thread: main.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <map>

#include "blocks/hot_block.h"
#include "blocks/tiered_pool.h"
#include "tests/support/block_pool_fixture.h"

namespace flash::blocks {
namespace {

class BlockPoolTest : public testing::BlockPoolFixture {
 protected:
  void SetUp() override {
    Open();
    store->hold_puts = true;
    store->hold_reads = true;
  }
};

TEST_F(BlockPoolTest, CreateReadWriteResizeFree) {
  const BlockId id = Create(1, 100);
  EXPECT_TRUE(pool->IsHot(id));
  EXPECT_TRUE(Holds(pool->Read(id), 1));
  EXPECT_EQ(pool->stats().hot_bytes, 128u);
  Fill(pool->Write(id), 2);
  EXPECT_TRUE(Holds(pool->Read(id), 2));

  const auto before = BytesOf(2, 100);
  const MutableBytes grown = pool->Resize(id, 1000);
  ASSERT_EQ(grown.size(), 1000u);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), grown.begin()));
  EXPECT_EQ(pool->stats().hot_bytes, 1024u);
  const MutableBytes shrunk = pool->Resize(id, 50);
  EXPECT_TRUE(std::equal(shrunk.begin(), shrunk.end(), before.begin()));

  pool->Free(id);
  EXPECT_EQ(pool->StateOf(id), State::kFree);
  EXPECT_EQ(pool->stats().hot_bytes, 0u);
  EXPECT_EQ(Create(3), id);  // Recycled.
}

TEST_F(BlockPoolTest, GrowsInPlaceWhereTheAllocatorGaveMore) {
  const BlockId id = Create(1, 100);
  const auto before = BytesOf(1, 100);
  const std::byte* const where = pool->Read(id).data();
  const uint64_t footprint = pool->FootprintOf(id);
  const auto more = static_cast<uint32_t>(footprint - kHotHeaderBytes);
  ASSERT_GE(more, 100u);
  const MutableBytes grown = pool->Resize(id, more);
  EXPECT_EQ(grown.data(), where);
  EXPECT_EQ(grown.size(), more);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), grown.begin()));
  EXPECT_EQ(pool->stats().hot_bytes, HotCharge(more));
  pool->Free(id);
  EXPECT_EQ(pool->stats().hot_bytes, 0u);
}

TEST_F(BlockPoolTest, DemoteAndPromote) {
  const BlockId id = CreateAndChill(1);
  EXPECT_EQ(pool->stats().hot_bytes, 0u);
  EXPECT_EQ(pool->stats().cold_single_blocks, 1u);
  EXPECT_EQ(pool->FootprintOf(id), 1024u);
  store->hold_reads = false;
  const Fetch fetch = FetchOne(id);
  ASSERT_TRUE(fetch.ready());
  EXPECT_TRUE(fetch.outcome());
  EXPECT_EQ(pool->StateOf(id), State::kHotClean);
  EXPECT_TRUE(Holds(pool->Read(id), 1));
  EXPECT_EQ(pool->stats().cold_single_blocks, 0u);
  EXPECT_EQ(store->records(), 1u);
}

TEST_F(BlockPoolTest, ReadWhileDemoting) {
  const BlockId id = Create(1);
  ASSERT_TRUE(*pool->Demote(id));
  EXPECT_EQ(pool->StateOf(id), State::kDemoting);
  EXPECT_TRUE(Holds(pool->Touch(id), 1));
  EXPECT_EQ(pool->stats().demoting_bytes, 1024u);
  EXPECT_FALSE(*pool->Demote(id));
  store->FinishPuts();
  EXPECT_EQ(pool->StateOf(id), State::kCold);
  EXPECT_FALSE(*pool->Demote(id));
}

TEST_F(BlockPoolTest, WriteOrphansPut) {
  const BlockId id = Create(1);
  ASSERT_TRUE(pool->Demote(id));
  Fill(pool->Write(id), 2);
  EXPECT_EQ(pool->StateOf(id), State::kHotDirty);
  store->FinishPuts();
  EXPECT_EQ(pool->StateOf(id), State::kHotDirty);
  EXPECT_TRUE(Holds(pool->Read(id), 2));
  EXPECT_EQ(store->records(), 0u);
}

TEST_F(BlockPoolTest, OrphanDoesNotPassForTheNextPut) {
  const BlockId id = Create(1);
  ASSERT_TRUE(pool->Demote(id));
  Fill(pool->Write(id), 2);
  ASSERT_TRUE(pool->Demote(id));
  store->FinishPuts(1);  // The old bytes.
  EXPECT_EQ(pool->StateOf(id), State::kDemoting);
  store->FinishPuts(1);
  EXPECT_EQ(pool->StateOf(id), State::kCold);
  store->hold_reads = false;
  const Fetch fetch = FetchOne(id);
  EXPECT_TRUE(Holds(pool->Read(id), 2));
}

TEST_F(BlockPoolTest, FreeOrphansPutAlsoWhenTheIdIsUsedAgain) {
  const BlockId id = Create(1);
  ASSERT_TRUE(pool->Demote(id));
  pool->Free(id);
  ASSERT_EQ(Create(2), id);
  ASSERT_TRUE(pool->Demote(id));
  store->FinishPuts(1);
  EXPECT_EQ(pool->StateOf(id), State::kDemoting);
  store->FinishPuts(1);
  EXPECT_EQ(pool->StateOf(id), State::kCold);
  EXPECT_EQ(store->records(), 1u);
}

TEST_F(BlockPoolTest, ResizeOrphansPut) {
  const BlockId id = Create(1);
  ASSERT_TRUE(pool->Demote(id));
  Fill(pool->Resize(id, 2000), 2);
  store->FinishPuts();
  EXPECT_EQ(pool->StateOf(id), State::kHotDirty);
  EXPECT_TRUE(Holds(pool->Read(id), 2));
}

TEST_F(BlockPoolTest, FailedPutLeavesTheBlockDirty) {
  const BlockId id = Create(1);
  ASSERT_TRUE(pool->Demote(id));
  store->FailPuts(Code::kIo);
  EXPECT_EQ(pool->StateOf(id), State::kHotDirty);
  EXPECT_TRUE(Holds(pool->Read(id), 1));
  EXPECT_EQ(pool->stats().demotions_inflight, 0u);
  ASSERT_TRUE(*pool->Demote(id));
  store->FinishPuts();
  EXPECT_EQ(pool->StateOf(id), State::kCold);
}

TEST_F(BlockPoolTest, FailureOfAnOrphanChangesNothing) {
  const BlockId id = Create(1);
  ASSERT_TRUE(pool->Demote(id));
  Fill(pool->Write(id), 2);
  store->FailPuts(Code::kIo);
  EXPECT_EQ(pool->StateOf(id), State::kHotDirty);
  EXPECT_TRUE(Holds(pool->Read(id), 2));
}

TEST_F(BlockPoolTest, WriteToACleanBlockEndsItsRecord) {
  const BlockId id = CreateAndChill(1);
  store->hold_reads = false;
  {
    const Fetch fetch = FetchOne(id);
    Fill(pool->Write(id), 2);
    EXPECT_EQ(pool->StateOf(id), State::kHotDirty);
    EXPECT_EQ(store->records(), 0u);
  }
  ASSERT_TRUE(pool->Demote(id));
  store->FinishPuts();
  const Fetch fetch = FetchOne(id);
  EXPECT_TRUE(Holds(pool->Read(id), 2));
}

TEST_F(BlockPoolTest, EvictingACleanBlockWritesNothing) {
  const BlockId id = CreateAndChill(1);
  store->hold_reads = false;
  FetchOne(id).Release();
  ASSERT_EQ(pool->StateOf(id), State::kHotClean);
  EXPECT_TRUE(*pool->Demote(id));
  EXPECT_EQ(pool->StateOf(id), State::kCold);
  EXPECT_EQ(store->puts_inflight(), 0u);
  EXPECT_EQ(pool->stats().evictions, 2u);
}

TEST_F(BlockPoolTest, CompactionMovesAColdBlock) {
  const BlockId id = CreateAndChill(1);
  EXPECT_TRUE(store->Compact(store->PlaceOf(id)));
  EXPECT_EQ(store->records(), 1u);
  store->hold_reads = false;
  const Fetch fetch = FetchOne(id);
  EXPECT_TRUE(Holds(pool->Read(id), 1));
}

TEST_F(BlockPoolTest, CompactionTakesCleanPlace) {
  const BlockId id = CreateAndChill(1);
  store->hold_reads = false;
  FetchOne(id).Release();
  EXPECT_FALSE(store->Compact(store->PlaceOf(id)));
  EXPECT_EQ(pool->StateOf(id), State::kHotDirty);
  EXPECT_EQ(store->records(), 0u);
  EXPECT_TRUE(Holds(pool->Read(id), 1));
}

TEST_F(BlockPoolTest, CompactionMovesACleanBlockWhilePutsFail) {
  const BlockId id = CreateAndChill(1);
  store->hold_reads = false;
  FetchOne(id).Release();
  const BlockId other = Create(2);
  store->refuse_puts = Code::kNoSpace;
  EXPECT_EQ(pool->Demote(other).code(), Code::kNoSpace);
  EXPECT_TRUE(store->Compact(store->PlaceOf(id)));
  EXPECT_EQ(pool->StateOf(id), State::kHotClean);
  EXPECT_TRUE(*pool->Demote(id));  // To the new place.
  const Fetch fetch = FetchOne(id);
  EXPECT_TRUE(Holds(pool->Read(id), 1));
}

TEST_F(BlockPoolTest, CompactionDuringRead) {
  const BlockId id = CreateAndChill(1);
  Fetch fetch = Start({id});
  EXPECT_TRUE(store->Compact(store->PlaceOf(id)));
  store->FinishReads();
  ASSERT_TRUE(fetch.ready());
  fetch.Release();
  EXPECT_TRUE(*pool->Demote(id));  // Clean, at the place it was moved to.
  store->hold_reads = false;
  const Fetch again = FetchOne(id);
  EXPECT_TRUE(Holds(pool->Read(id), 1));
}

TEST_F(BlockPoolTest, CompactionOfAFreedBlockIsRefused) {
  const BlockId id = CreateAndChill(1);
  const store::Place place = store->PlaceOf(id);
  EXPECT_TRUE(store->Compact(place));
  const store::Place moved = store->PlaceOf(id);
  EXPECT_NE(place.bits(), moved.bits());
  pool->Free(id);
  EXPECT_EQ(store->records(), 0u);
}

TEST_F(BlockPoolTest, SharedBlockEndsWithItsLastHolder) {
  const BlockId id = CreateAndChill(1);
  pool->Share(id);
  pool->Share(id);
  EXPECT_TRUE(pool->IsShared(id));
  EXPECT_EQ(pool->stats().cold_single_blocks, 3u);
  EXPECT_EQ(pool->stats().shared_blocks, 1u);
  pool->Free(id);
  pool->Free(id);
  EXPECT_FALSE(pool->IsShared(id));
  EXPECT_EQ(pool->stats().cold_single_blocks, 1u);
  EXPECT_EQ(pool->stats().shared_blocks, 0u);
  pool->Free(id);
  EXPECT_EQ(pool->StateOf(id), State::kFree);
  EXPECT_EQ(pool->stats().cold_single_blocks, 0u);
  EXPECT_EQ(store->records(), 0u);
}

TEST_F(BlockPoolTest, CreateColdIsReadableUntilItIsCold) {
  const auto bytes = BytesOf(7, 5000);
  const Result<BlockId> id = pool->CreateCold(bytes);
  ASSERT_TRUE(id);
  EXPECT_EQ(pool->StateOf(*id), State::kDemoting);
  EXPECT_TRUE(Holds(pool->Read(*id), 7));
  store->FinishPuts();
  EXPECT_EQ(pool->StateOf(*id), State::kCold);
  EXPECT_EQ(pool->stats().hot_bytes, 0u);
  EXPECT_EQ(pool->stats().cold_single_blocks, 1u);
}

TEST_F(BlockPoolTest, CreateColdSurvivesAFailedPut) {
  const Result<BlockId> id = pool->CreateCold(BytesOf(7, 5000));
  ASSERT_TRUE(id);
  store->FailPuts(Code::kNoSpace);
  EXPECT_EQ(pool->StateOf(*id), State::kHotDirty);
  EXPECT_TRUE(Holds(pool->Read(*id), 7));
}

TEST_F(BlockPoolTest, CreateColdRefusedLeavesNothing) {
  store->refuse_puts = Code::kNoSpace;
  EXPECT_EQ(pool->CreateCold(BytesOf(7, 5000)).code(), Code::kNoSpace);
  EXPECT_EQ(pool->stats().hot_bytes, 0u);
  store->refuse_puts = Code::kBusy;
  EXPECT_EQ(pool->CreateCold(BytesOf(7, 5000)).code(), Code::kBusy);
  EXPECT_EQ(Create(1), 1u);  // No id was lost.
}

class CountingOwner final : public BlockOwner {
 public:
  void OnTemperature(BlockId id, bool cold) override { changes[id].push_back(cold); }
  std::map<BlockId, std::vector<bool>> changes;
};

TEST_F(BlockPoolTest, OwnerHearsOfEachChangeBetweenHotAndCold) {
  CountingOwner owner;
  const BlockId id = Create(1, 1000, &owner);
  ASSERT_TRUE(pool->Demote(id));
  EXPECT_TRUE(owner.changes.empty());
  store->FinishPuts();
  store->hold_reads = false;
  FetchOne(id).Release();
  ASSERT_TRUE(*pool->Demote(id));
  EXPECT_EQ(owner.changes[id], (std::vector<bool>{true, false, true}));
  EXPECT_EQ(pool->stats().cold_single_blocks, 0u);
  pool->Free(id);
  EXPECT_EQ(owner.changes[id].size(), 3u);
  EXPECT_EQ(pool->stats().cold_single_blocks, 0u);
}

TEST_F(BlockPoolTest, ChangeOfOwnerIsAWrite) {
  CountingOwner first;
  CountingOwner second;
  const BlockId id = Create(1, 1000, &first);
  store->hold_reads = false;
  ASSERT_TRUE(pool->Demote(id));
  store->FinishPuts();
  FetchOne(id).Release();
  EXPECT_EQ(pool->StateOf(id), State::kHotClean);
  pool->SetOwner(id, &first);
  EXPECT_EQ(pool->StateOf(id), State::kHotClean);
  pool->SetOwner(id, &second);
  EXPECT_EQ(pool->StateOf(id), State::kHotDirty);
  EXPECT_EQ(store->records(), 0u);
  EXPECT_TRUE(Holds(pool->Read(id), 1));
  ASSERT_TRUE(pool->Demote(id));
  store->FinishPuts();
  EXPECT_EQ(first.changes[id], (std::vector<bool>{true, false}));
  EXPECT_EQ(second.changes[id], (std::vector<bool>{true}));
  FetchOne(id).Release();
  pool->SetOwner(id, nullptr);
  EXPECT_TRUE(Holds(pool->Read(id), 1));
  ASSERT_TRUE(pool->Demote(id));
  store->FinishPuts();
  EXPECT_EQ(pool->stats().cold_single_blocks, 1u);
  EXPECT_EQ(second.changes[id].size(), 2u);
}

TEST_F(BlockPoolTest, OwnerStaysThroughEveryWayOfReading) {
  CountingOwner owner;
  const Result<BlockId> id = pool->CreateCold(BytesOf(7, 5000), &owner);
  ASSERT_TRUE(id);
  EXPECT_EQ(pool->stats().hot_bytes, HotCharge(5000 + kOwnerBytes));
  store->FinishPuts();
  EXPECT_EQ(pool->StateOf(*id), State::kCold);
  store->hold_reads = false;
  bool read = false;
  ASSERT_TRUE(pool->ReadDetached(*id, [&](Result<std::span<const std::byte>> bytes) {
    read = true;
    EXPECT_TRUE(bytes && Holds(*bytes, 7));
  }));
  Drive();
  EXPECT_TRUE(read);
  std::vector<std::byte> copy;
  ASSERT_TRUE(pool->CopyNow(*id, WaitCause::kOther, &copy));
  EXPECT_TRUE(Holds(copy, 7));
  class NoSource final : public store::SnapshotSource {
    Result<void> ReadAt(uint64_t /*offset*/, MutableBytes /*into*/) override { return Code::kIo; }
  } source;
  ASSERT_TRUE(pool->CopyInChild(*id, source, &copy));
  EXPECT_EQ(copy.size(), 5000u);
  pool->CopyMany(std::array{*id}, source, [](size_t /*index*/, Result<Bytes> bytes) {
    EXPECT_TRUE(bytes && bytes->size() == 5000 && Holds(*bytes, 7));
  });
  FetchOne(*id).Release();
  EXPECT_TRUE(Holds(pool->Read(*id), 7));
  const MutableBytes grown = pool->Resize(*id, 9000);
  std::memset(grown.data() + 5000, 1, 4000);
  (void)pool->Resize(*id, 5000);
  EXPECT_TRUE(Holds(pool->Read(*id), 7));
  ASSERT_TRUE(pool->Demote(*id));
  store->FinishPuts();
  EXPECT_EQ(owner.changes[*id], (std::vector<bool>{true, false, true}));
  EXPECT_EQ(pool->stats().hot_bytes, 0u);
}

TEST_F(BlockPoolTest, DemandedDemotionFlushesOnce) {
  const BlockId id = Create(1);
  ASSERT_TRUE(*pool->Demote(id));
  Drive();
  EXPECT_EQ(store->flushes, 1u);
  EXPECT_FALSE(pool->IsOnFlash(id));
  store->hold_puts = false;
  Drive();
  EXPECT_TRUE(pool->IsOnFlash(id));
  EXPECT_EQ(store->flushes, 1u);
}

TEST_F(BlockPoolTest, CopyInChildSeesHotAndCold) {
  class NoSource final : public store::SnapshotSource {
    Result<void> ReadAt(uint64_t /*offset*/, MutableBytes /*into*/) override { return Code::kIo; }
  } source;
  const BlockId hot = Create(1);
  const BlockId cold = CreateAndChill(2);
  pool->Freeze();
  EXPECT_EQ(store->frozen, 1u);
  std::vector<std::byte> bytes;
  ASSERT_TRUE(pool->CopyInChild(hot, source, &bytes));
  EXPECT_TRUE(Holds(bytes, 1));
  ASSERT_TRUE(pool->CopyInChild(cold, source, &bytes));
  EXPECT_TRUE(Holds(bytes, 2));
  pool->Thaw();
  EXPECT_EQ(store->frozen, 0u);
}

TEST_F(BlockPoolTest, CopyManyVisitsEachOnce) {
  class NoSource final : public store::SnapshotSource {
    Result<void> ReadAt(uint64_t /*offset*/, MutableBytes /*into*/) override { return Code::kIo; }
  } source;
  std::vector<BlockId> ids;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    ids.push_back(seed % 3 == 0 ? Create(seed) : CreateAndChill(seed));
  }
  std::vector<int> visits(ids.size());
  pool->CopyMany(ids, source, [&](size_t index, Result<Bytes> bytes) {
    ++visits[index];
    ASSERT_TRUE(bytes);
    EXPECT_TRUE(Holds(*bytes, index));
  });
  EXPECT_EQ(visits, std::vector<int>(ids.size(), 1));
}

TEST_F(BlockPoolTest, ColdSinglesAreColdAndNobodysElse) {
  class Owner final : public BlockOwner {
    void OnTemperature(BlockId /*id*/, bool /*cold*/) override {}
  } owner;
  const BlockId hot = Create(1);
  const BlockId cold = CreateAndChill(2);
  const BlockId shared = CreateAndChill(3);
  pool->Share(shared);
  const BlockId owned = Create(4, 1000, &owner);
  ASSERT_TRUE(pool->Demote(owned));
  store->FinishPuts();
  const BlockId later = CreateAndChill(5);
  std::vector<std::pair<BlockId, uint64_t>> found;
  const auto note = [&](BlockId id, uint64_t offset) { found.emplace_back(id, offset); };
  pool->ForEachColdSingle(0, ~uint64_t{0}, note);
  const uint64_t offset = store->PlaceOf(cold).offset();
  const uint64_t later_offset = store->PlaceOf(later).offset();
  EXPECT_EQ(pool->OffsetOf(later), later_offset);
  EXPECT_EQ(found,
            (std::vector<std::pair<BlockId, uint64_t>>{{cold, offset}, {later, later_offset}}));
  found.clear();
  pool->ForEachColdSingle(offset + 1, later_offset, note);
  EXPECT_TRUE(found.empty());
  for (const BlockId id : {hot, cold, shared, owned, later}) {
    EXPECT_LT(id, pool->block_ids_end());
    pool->Free(id);
  }
  pool->Free(shared);
}

TEST_F(BlockPoolTest, WithoutTieringEverythingStaysHot) {
  BlockPool::Options options;
  options.cache_bytes = kMiB;
  options.tiering = false;
  auto opened = TieredPool::Open(options, nullptr, &clock);
  ASSERT_TRUE(opened);
  pool = std::move(*opened);
  EXPECT_FALSE(pool->tiering());
  std::vector<BlockId> ids;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    EXPECT_TRUE(pool->Admit(100'000));
    ids.push_back(*pool->CreateCold(BytesOf(seed, 100'000)));
    Drive();
  }
  for (uint64_t seed = 0; seed < 40; ++seed) EXPECT_TRUE(Holds(pool->Touch(ids[seed]), seed));
  EXPECT_EQ(pool->Demote(ids[0]).code(), Code::kUnsupported);
  EXPECT_GT(pool->stats().hot_bytes, 3 * kMiB);
  bool ran = false;
  const Fetch fetch = Start(ids, [&] { ran = true; });
  Drive();
  EXPECT_TRUE(ran);
}

TEST_F(BlockPoolTest, HotBlockCostsAHeaderAndItsBytes) {
  static_assert(kHotHeaderBytes == 24);
  Create(1, 1);
  EXPECT_EQ(pool->stats().hot_bytes, 32u);
  EXPECT_EQ(pool->stats().table_bytes, 64 * kKiB + 8);
}

}  // namespace
}  // namespace flash::blocks
