// slot_lines_test.cc: lines as servers print them, whole, in part and damaged.
//
// Thread: the test's.
#include "durability/slot_lines.h"

#include <gtest/gtest.h>

#include <string>

namespace flash::durability {
namespace {

constexpr const char* kMine =
    "07c37 127.0.0.1:30004@31004,host myself,master - 0 1426238317239 4 connected";
constexpr const char* kOther = "67ed2 127.0.0.1:30002@31002 master - 0 1426238316232 2 connected";
constexpr const char* kReplica =
    "824fe 127.0.0.1:30003@31003 slave 67ed2 0 1426238318243 3 connected";

std::string Line(const char* node, const std::string& slots) {
  return std::string(node) + (slots.empty() ? "" : " " + slots) + "\n";
}

TEST(SlotLines, RangesAndSingleSlotsOfOthers) {
  const SlotSet slots = SlotsOfOthers(Line(kMine, "0-99 200") + Line(kReplica, "") +
                                      Line(kOther, "100-199 5461 16383"));
  EXPECT_EQ(slots.count(), 102U);
  EXPECT_TRUE(slots[100] && slots[199] && slots[5461] && slots[16383]);
  EXPECT_FALSE(slots[99] || slots[200]);
}

TEST(SlotLines, WhatIsImportedIsNotStrange) {
  const SlotSet slots =
      SlotsOfOthers(Line(kOther, "0-10 [3->-07c37]") + Line(kMine, "[3-<-67ed2] [20->-67ed2]"));
  EXPECT_EQ(slots.count(), 10U);
  EXPECT_FALSE(slots[3] || slots[20]);
}

TEST(SlotLines, WhatOthersMoveAmongThemselvesIsStrange) {
  const SlotSet slots = SlotsOfOthers(Line(kMine, "0-9") + Line(kOther, "10-19 [12-<-824fe]"));
  EXPECT_EQ(slots.count(), 10U);
}

TEST(SlotLines, NothingOfNothing) {
  EXPECT_TRUE(SlotsOfOthers("").none());
  EXPECT_TRUE(SlotsOfOthers("ERR This instance has cluster support disabled").none());
  EXPECT_TRUE(SlotsOfOthers(Line(kMine, "0-16383")).none());
}

TEST(SlotLines, DamagedNumbersAreNoSlots) {
  EXPECT_TRUE(SlotsOfOthers(Line(kOther, "x 16384 5-16384 -3 7-y")).none());
  EXPECT_EQ(SlotsOfOthers(Line(kOther, "9-7 8")).count(), 1U);
}

}  // namespace
}  // namespace flash::durability
