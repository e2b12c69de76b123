// segment_table_test.cc: states, victims and totals of segments, scenario by scenario, then at
// random with every total recomputed. Thread: one.
//
#include "store/segment_table.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "base/random.h"

namespace flash::store {
namespace {

constexpr uint32_t kSegmentBytes = 64 * kKiB;
constexpr uint32_t kUnits = kSegmentBytes / kUnitBytes;

SegmentTable Make(uint32_t segments = 8, uint32_t reserve = 2) {
  return SegmentTable({.capacity_bytes = uint64_t{segments} * kSegmentBytes,
                       .segment_bytes = kSegmentBytes,
                       .reserve_segments = reserve});
}

/// Opens a segment, appends one record of `live` units and one dead of `dead`, seals it.
SegmentIndex Sealed(SegmentTable& table, uint32_t live, uint32_t dead) {
  const auto segment = table.Open(true);
  EXPECT_TRUE(segment);
  if (live > 0) table.AppendLive(*segment, live);
  if (dead > 0) {
    table.AppendLive(*segment, dead);
    table.Free(*segment, dead);
  }
  table.Seal(*segment);
  table.CheckInvariants();
  return *segment;
}

TEST(SegmentTable, SegmentSizeFollowsCapacity) {
  EXPECT_EQ(SegmentTable::ChooseSegmentBytes(16 * kMiB), 256 * kKiB);
  EXPECT_EQ(SegmentTable::ChooseSegmentBytes(128 * kMiB), 256 * kKiB);
  EXPECT_EQ(SegmentTable::ChooseSegmentBytes(1 * kGiB), 2 * kMiB);
  EXPECT_EQ(SegmentTable::ChooseSegmentBytes(10 * kGiB), 16 * kMiB);
  EXPECT_EQ(SegmentTable::ChooseSegmentBytes(64 * kTiB), 64 * kMiB);
}

TEST(SegmentTable, GeometryLeavesTheSuperblockAlone) {
  SegmentTable table = Make();
  EXPECT_EQ(table.BeginOf(0), 4096u);
  EXPECT_EQ(table.BeginOf(1), kSegmentBytes);
  EXPECT_EQ(table.EndOf(7), 8 * kSegmentBytes);
  EXPECT_EQ(table.SegmentOf(4096), 0u);
  EXPECT_EQ(table.SegmentOf(kSegmentBytes), 1u);
}

TEST(SegmentTable, TheReserveIsForThoseWhoMayUseIt) {
  SegmentTable table = Make(4, 2);
  EXPECT_TRUE(table.Open(false));
  EXPECT_TRUE(table.Open(false));
  EXPECT_FALSE(table.Open(false));
  EXPECT_TRUE(table.Open(true));
  EXPECT_TRUE(table.Open(true));
  EXPECT_FALSE(table.Open(true));
  table.CheckInvariants();
}

TEST(SegmentTable, WhatWasWrittenOnceStaysPrepared) {
  SegmentTable table = Make(2, 0);
  table.NotePrepared(1, 100);
  table.NotePrepared(1, 60);
  EXPECT_EQ(table.totals().prepared, 100u) << "no less than before";
  const SegmentIndex segment = Sealed(table, 10, 0);
  table.NotePrepared(segment, 10);
  table.Free(segment, 10);
  EXPECT_EQ(table.state(segment), SegmentState::kFree);
  EXPECT_EQ(table.totals().prepared, 110u);
  table.NotePrepared(segment, 30);
  EXPECT_EQ(table.totals().prepared, 130u);
  table.CheckInvariants();
}

TEST(SegmentTable, SequenceNumbersNeverRepeat) {
  SegmentTable table = Make(2, 0);
  uint64_t last = 0;
  for (int i = 0; i < 10; ++i) {
    const auto segment = table.Open(false);
    ASSERT_TRUE(segment);
    EXPECT_GT(table.sequence(*segment), last);
    last = table.sequence(*segment);
    table.Seal(*segment);  // Empty: free at once.
    EXPECT_EQ(table.state(*segment), SegmentState::kFree);
  }
}

TEST(SegmentTable, AnEmptiedSegmentIsFreeAtOnce) {
  SegmentTable table = Make();
  const SegmentIndex segment = Sealed(table, 100, 5);
  EXPECT_EQ(table.totals().live, 100u);
  EXPECT_EQ(table.totals().dead, 5u);
  table.Free(segment, 40);
  EXPECT_EQ(table.totals().dead, 45u);
  table.Free(segment, 60);
  EXPECT_EQ(table.state(segment), SegmentState::kFree);
  EXPECT_EQ(table.totals().dead, 0u);
  EXPECT_EQ(table.free_count(), 8u);
  table.CheckInvariants();
}

TEST(SegmentTable, AnOpenSegmentStaysOpenWhenEmptied) {
  SegmentTable table = Make();
  const auto segment = table.Open(false);
  table.AppendLive(*segment, 10);
  table.Free(*segment, 10);
  EXPECT_EQ(table.state(*segment), SegmentState::kOpen);
  table.CheckInvariants();
}

TEST(SegmentTable, ReuseWaitsForReadersAndWrites) {
  SegmentTable table = Make();
  const auto segment = table.Open(false);
  table.AppendLive(*segment, 10);
  table.AddWriter(*segment);
  table.AddReader(*segment);
  table.Seal(*segment);
  table.Free(*segment, 10);
  EXPECT_EQ(table.state(*segment), SegmentState::kWaiting);
  EXPECT_TRUE(table.AnyHeldByUsers());
  table.DropReader(*segment);
  EXPECT_EQ(table.state(*segment), SegmentState::kWaiting);
  table.CheckInvariants();
  table.DropWriter(*segment);
  EXPECT_EQ(table.state(*segment), SegmentState::kFree);
  EXPECT_FALSE(table.AnyHeldByUsers());
  table.CheckInvariants();
}

TEST(SegmentTable, TheVictimHasFewestLiveAndIsOldest) {
  SegmentTable table = Make();
  const SegmentIndex fuller = Sealed(table, kUnits / 2, kUnits / 4);
  const SegmentIndex older = Sealed(table, kUnits / 8, kUnits / 2);
  const SegmentIndex younger = Sealed(table, kUnits / 8, kUnits / 2);
  EXPECT_EQ(table.PickVictim(), older);
  table.BeginVictim(older);
  EXPECT_EQ(table.PickVictim(), younger);
  table.BeginVictim(younger);
  EXPECT_EQ(table.PickVictim(), fuller);
  table.CheckInvariants();
}

TEST(SegmentTable, NoVictimWithoutEnoughToGain) {
  SegmentTable table = Make();
  const SegmentIndex segment = Sealed(table, kUnits / 2, kUnits / 32 - 1);
  EXPECT_FALSE(table.PickVictim());
  EXPECT_TRUE(table.CanBeVictim(segment));  // On request it may be.
  table.Free(segment, 1);
  EXPECT_EQ(table.PickVictim(), segment);
  const SegmentIndex sealed_early = Sealed(table, 10, 0);
  EXPECT_EQ(table.PickVictim(), sealed_early);
}

TEST(SegmentTable, AVictimIsFreeOnlyAfterItsWalk) {
  SegmentTable table = Make();
  const SegmentIndex segment = Sealed(table, 100, 500);
  table.BeginVictim(segment);
  table.Free(segment, 100);
  EXPECT_EQ(table.state(segment), SegmentState::kVictim);
  table.EndVictim(segment, true);
  EXPECT_EQ(table.state(segment), SegmentState::kFree);
  table.CheckInvariants();
}

TEST(SegmentTable, UnreadableLiveRecordsQuarantineUntilFreed) {
  SegmentTable table = Make();
  const SegmentIndex segment = Sealed(table, 100, 500);
  table.BeginVictim(segment);
  table.Free(segment, 60);
  table.EndVictim(segment, true);
  EXPECT_EQ(table.state(segment), SegmentState::kBad);
  EXPECT_FALSE(table.PickVictim());
  table.CheckInvariants();
  table.Free(segment, 40);
  EXPECT_EQ(table.state(segment), SegmentState::kFree);
  table.CheckInvariants();
}

TEST(SegmentTable, AnAbortedVictimIsSealedAgain) {
  SegmentTable table = Make();
  const SegmentIndex segment = Sealed(table, 100, 500);
  table.BeginVictim(segment);
  table.EndVictim(segment, false);
  EXPECT_EQ(table.state(segment), SegmentState::kSealed);
  EXPECT_EQ(table.PickVictim(), segment);
}

TEST(SegmentTable, ThreeWriteFailuresEndASegment) {
  SegmentTable table = Make(1, 0);
  for (int life = 1; life <= 3; ++life) {
    ASSERT_EQ(table.Open(false), 0u) << life;
    table.NoteWriteFailure(0);
    table.Seal(0);
    table.CheckInvariants();
  }
  EXPECT_EQ(table.state(0), SegmentState::kBad);
  EXPECT_EQ(table.free_count(), 0u);
}

TEST(SegmentTable, FrozenSegmentsAreNeitherVictimsNorReused) {
  SegmentTable table = Make();
  const SegmentIndex before = Sealed(table, 100, 500);
  const SegmentIndex emptied = Sealed(table, 100, 0);
  const auto open = table.Open(false);
  table.AppendLive(*open, 10);
  table.Freeze();
  table.CheckInvariants();
  EXPECT_EQ(table.frozen_units(), 100u + 500u + 100u + 10u);
  EXPECT_FALSE(table.PickVictim());
  table.Free(emptied, 100);
  EXPECT_EQ(table.state(emptied), SegmentState::kWaiting);
  EXPECT_FALSE(table.AnyHeldByUsers());
  table.AppendLive(*open, 10);  // Goes on, behind what the child knows.
  table.Seal(*open);
  const SegmentIndex after = Sealed(table, 100, 500);
  EXPECT_EQ(table.PickVictim(), after);
  table.CheckInvariants();
  table.Thaw();
  EXPECT_EQ(table.state(emptied), SegmentState::kFree);
  EXPECT_EQ(table.frozen_units(), 0u);
  EXPECT_TRUE(table.CanBeVictim(before));
  table.CheckInvariants();
}

TEST(SegmentTable, RandomLivesKeepEveryTotal) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    base::Random random(seed);
    SegmentTable table = Make(12, 2);
    std::vector<std::pair<SegmentIndex, uint32_t>> records;
    constexpr SegmentIndex kNone = ~SegmentIndex{0};
    SegmentIndex open = kNone, victim = kNone;
    uint64_t live = 0;
    bool frozen = false;
    for (int step = 0; step < 3000; ++step) {
      if (open == kNone) open = table.Open(random.Chance(1, 4)).value_or(kNone);
      const auto units = static_cast<uint32_t>(2 + random.Below(500));
      if (open != kNone && table.WrittenEnd(open) + units * kUnitBytes > table.EndOf(open)) {
        table.Seal(open);
        open = kNone;
      } else if (open != kNone) {
        table.AppendLive(open, units);
        if (random.Chance(1, 10)) {
          table.RollBack(open, units);
        } else {
          records.emplace_back(open, units);
          live += units;
        }
      }
      for (uint64_t i = random.Below(3); i > 0 && !records.empty(); --i) {
        std::swap(records[random.Below(records.size())], records.back());
        table.Free(records.back().first, records.back().second);
        live -= records.back().second;
        records.pop_back();
      }
      if (victim != kNone && random.Chance(1, 3)) {
        table.EndVictim(victim, random.Chance(1, 2));
        victim = kNone;
      } else if (victim == kNone && random.Chance(1, 3)) {
        victim = table.PickVictim().value_or(kNone);
        if (victim != kNone) table.BeginVictim(victim);
      }
      if (victim == kNone && random.Chance(1, 50)) {
        frozen ? table.Thaw() : table.Freeze();
        frozen = !frozen;
      }
      ASSERT_EQ(table.totals().live, live);
      if (step % 16 == 0) table.CheckInvariants();
    }
  }
}

}  // namespace
}  // namespace flash::store
