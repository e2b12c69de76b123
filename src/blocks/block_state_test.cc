// block_state_test.cc: all 55 pairs of state and event against the table of docs/adr/0004.
//
// The expectation is written out as in the document, so that a changed row fails here by name.
// Thread: any.
#include "blocks/block_state.h"

#include <gtest/gtest.h>

#include <array>

namespace flash::blocks {
namespace {

constexpr std::array kEvents = {
    BlockEvent::kCreate,       BlockEvent::kCreateCold, BlockEvent::kDemote, BlockEvent::kStored,
    BlockEvent::kStoredPinned, BlockEvent::kPutFailed,  BlockEvent::kWrite,  BlockEvent::kPlaceLost,
    BlockEvent::kEvict,        BlockEvent::kPromote,    BlockEvent::kFree,
};

// One letter a state, in the order of kEvents: F(ree) D(irty) C(lean) P(ut under way) c(o)L(d).
struct Row {
  BlockState state;
  const char* next;
};

constexpr std::array kRows = {
    Row{BlockState::kFree, "DP........."},     Row{BlockState::kHotDirty, "..P...D...F"},
    Row{BlockState::kHotClean, "......DDL.F"}, Row{BlockState::kDemoting, "...LCDD...F"},
    Row{BlockState::kCold, ".........CF"},
};

char LetterOf(std::optional<BlockState> state) {
  if (!state) return '.';
  switch (*state) {
    case BlockState::kFree:
      return 'F';
    case BlockState::kHotDirty:
      return 'D';
    case BlockState::kHotClean:
      return 'C';
    case BlockState::kDemoting:
      return 'P';
    case BlockState::kCold:
      return 'L';
  }
  return '?';
}

TEST(BlockState, EveryPairIsAsDecided) {
  for (const Row& row : kRows) {
    for (size_t i = 0; i < kEvents.size(); ++i) {
      EXPECT_EQ(LetterOf(Next(row.state, kEvents[i])), row.next[i])
          << "state " << static_cast<int>(row.state) << " event " << i;
    }
  }
}

TEST(BlockState, BytesAreInRamInThreeStates) {
  EXPECT_FALSE(IsHot(BlockState::kFree));
  EXPECT_TRUE(IsHot(BlockState::kHotDirty));
  EXPECT_TRUE(IsHot(BlockState::kHotClean));
  EXPECT_TRUE(IsHot(BlockState::kDemoting));
  EXPECT_FALSE(IsHot(BlockState::kCold));
}

}  // namespace
}  // namespace flash::blocks
