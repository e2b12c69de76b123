// block_table_test.cc: ids, entries and flags of the block table, and the layout of a hot block.
//
// States themselves are tested in block_state_test.cc. Thread: main.
#include "blocks/block_table.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>

namespace flash::blocks {
namespace {

TEST(BlockTable, HandsOutLowIdsFirstAndRecyclesTheLastFreed) {
  BlockTable table;
  EXPECT_EQ(table.Allocate(), 1u);
  EXPECT_EQ(table.Allocate(), 2u);
  EXPECT_EQ(table.Allocate(), 3u);
  table.Recycle(2);
  EXPECT_EQ(table.counts()[0], 1u);
  EXPECT_EQ(table.Allocate(), 2u);
  EXPECT_EQ(table.counts()[0], 0u);
  EXPECT_EQ(table.Allocate(), 4u);
}

TEST(BlockTable, CostsEightBytesABlock) {
  BlockTable table;
  constexpr uint64_t kBlocks = 100'000;
  std::set<BlockId> ids;
  for (uint64_t i = 0; i < kBlocks; ++i) ids.insert(table.Allocate());
  EXPECT_EQ(ids.size(), kBlocks);
  EXPECT_LE(table.bytes(), kBlocks * 8 + 64 * 1024 + 1024);
}

TEST(BlockTable, KeepsFlagsAndPayloadApart) {
  BlockTable table;
  const BlockId id = table.Allocate();
  table.Apply(id, BlockEvent::kCreateCold);
  table.Set(id, BlockTable::Flag::kOwned, true);
  table.Set(id, BlockTable::Flag::kHeld, true);
  table.Apply(id, BlockEvent::kStored);
  const store::Place place((uint64_t{1} << store::kPlaceUnitBits) - 1, 1u << 16);
  table.Point(id, place);
  EXPECT_EQ(table.StateOf(id), BlockState::kCold);
  EXPECT_EQ(table.PlaceOf(id), place);
  EXPECT_TRUE(table.Has(id, BlockTable::Flag::kOwned));
  EXPECT_FALSE(table.Has(id, BlockTable::Flag::kShared));
  table.Set(id, BlockTable::Flag::kOwned, false);
  EXPECT_TRUE(table.Has(id, BlockTable::Flag::kHeld));
  EXPECT_EQ(table.PlaceOf(id), place);
  EXPECT_EQ(table.counts()[static_cast<size_t>(BlockState::kCold)], 1u);
}

TEST(BlockTable, PointsAtMemory) {
  BlockTable table;
  HotBlock hot;
  const BlockId id = table.Allocate();
  table.Apply(id, BlockEvent::kCreate);
  table.Point(id, &hot);
  EXPECT_EQ(table.HotOf(id), &hot);
  EXPECT_TRUE(table.IsHot(id));
}

TEST(BlockTableDeathTest, RefusesATransitionThatDoesNotExist) {
  BlockTable table;
  const BlockId id = table.Allocate();
  table.Apply(id, BlockEvent::kCreate);
  EXPECT_DEATH(table.Apply(id, BlockEvent::kPromote), "check failed");
  EXPECT_DEATH(table.Recycle(id), "check failed");
}

TEST(HotBlock, FieldsDoNotTouchEachOther) {
  // As in use: with payload and owner's word behind it.
  const auto memory = std::make_unique<std::byte[]>(kHotHeaderBytes + (1u << 20) + kOwnerBytes);
  HotBlock& hot = *reinterpret_cast<HotBlock*>(memory.get());
  hot.Init(kBlockIdMax, 1u << 20);
  hot.set_uses(2);
  hot.set_queue(Queue::kMain);
  hot.set_next(kBlockIdMax - 1);
  hot.set_prev(0x5a5a5a5a5);
  const store::Place place((uint64_t{1} << store::kPlaceUnitBits) - 3, 4097);
  hot.set_place(place);
  EXPECT_EQ(hot.id(), kBlockIdMax);
  EXPECT_EQ(hot.size(), 1u << 20);
  EXPECT_EQ(hot.uses(), 2u);
  EXPECT_EQ(hot.queue(), Queue::kMain);
  EXPECT_EQ(hot.next(), kBlockIdMax - 1);
  EXPECT_EQ(hot.prev(), 0x5a5a5a5a5u);
  EXPECT_EQ(hot.place(), place);
  EXPECT_EQ(hot.owner(), nullptr);
  hot.Init(0x123456789, 1);
  EXPECT_EQ(hot.id(), 0x123456789u);
  EXPECT_EQ(hot.size(), 1u);
  EXPECT_EQ(hot.queue(), Queue::kNone);
}

TEST(HotBlock, ChargeIsHeaderAndPayloadRoundedUp) {
  EXPECT_EQ(HotCharge(1), 32u);
  EXPECT_EQ(HotCharge(8), 32u);
  EXPECT_EQ(HotCharge(9), 48u);
  EXPECT_EQ(HotCharge(1000), 1024u);
}

}  // namespace
}  // namespace flash::blocks
