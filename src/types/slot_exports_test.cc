// Tests of what is known of migrations under way: found by slot, ended, superseded.
//
// Knows no server: events are told by hand. Thread: one.
#include "types/slot_exports.h"

#include <gtest/gtest.h>

namespace flash::types {
namespace {

TEST(SlotExportsTest, AMigrationIsFoundByEachOfItsSlotsUntilItEnds) {
  SlotExports exports;
  EXPECT_TRUE(exports.With(5).empty());
  exports.Begin("a", {{3, 5}, {9, 9}});
  exports.Begin("b", {{6, 8}});
  for (const int slot : {3, 5, 9}) EXPECT_EQ(exports.With(slot).size(), 2U) << slot;
  for (const int slot : {6, 8}) EXPECT_EQ(exports.With(slot).size(), 1U) << slot;
  for (const int slot : {2, 10}) EXPECT_TRUE(exports.With(slot).empty()) << slot;
  exports.End("a");
  EXPECT_TRUE(exports.With(9).empty());
  EXPECT_EQ(exports.With(7)[0].first, 6);
}

TEST(SlotExportsTest, AnotherMigrationOfASlotEndsWhatWasKnownOfIt) {
  SlotExports exports;
  exports.Begin("a", {{0, 100}});
  exports.Begin("b", {{100, 100}});
  EXPECT_TRUE(exports.With(50).empty());
  EXPECT_EQ(exports.With(100)[0].first, 100);
}

}  // namespace
}  // namespace flash::types
