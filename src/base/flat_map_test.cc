// flat_map_test.cc: a FlatMap beside the standard library's map.
//
// Thread: the test's.
#include "base/flat_map.h"

#include <gtest/gtest.h>

#include <memory>
#include <unordered_map>

#include "base/random.h"

namespace flash::base {
namespace {

TEST(FlatMap, FindsWhatIsThere) {
  FlatMap<int> map;
  EXPECT_EQ(map.Find(7), nullptr);
  EXPECT_FALSE(map.Erase(7));
  map[7] = 70;
  map[8] = 80;
  EXPECT_EQ(map.At(7), 70);
  EXPECT_EQ(map[8], 80);
  EXPECT_EQ(map[9], 0);  // Made by asking.
  EXPECT_EQ(map.size(), 3U);
  EXPECT_TRUE(map.Erase(7));
  EXPECT_EQ(map.Find(7), nullptr);
  EXPECT_EQ(map.At(8), 80);
  EXPECT_EQ(map.size(), 2U);
}

TEST(FlatMap, AKeyThatCameBackIsFresh) {
  FlatMap<int> map;
  map[7] = 70;
  EXPECT_TRUE(map.Erase(7));
  EXPECT_EQ(map[7], 0);
}

TEST(FlatMap, MovesValuesThatCannotBeCopied) {
  FlatMap<std::unique_ptr<uint64_t>> map;
  for (uint64_t key = 1; key <= 1000; ++key) map[key] = std::make_unique<uint64_t>(key);
  for (uint64_t key = 1; key <= 999; ++key) EXPECT_TRUE(map.Erase(key));
  EXPECT_EQ(*map.At(1000), 1000U);
}

/// Bursts of keys of one neighbourhood, so that runs of occupied places meet, wrap around the end
/// and are torn open at every point.
TEST(FlatMap, IsAsTheStandardMapUnderRandomChanges) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    Random random(seed);
    FlatMap<uint64_t> map;
    std::unordered_map<uint64_t, uint64_t> model;
    for (int round = 0; round < 40'000; ++round) {
      const uint64_t range = round / 10'000 % 2 == 0 ? 4000 : 20;
      const uint64_t key = 1 + random.Next() % range * (seed % 3 == 0 ? uint64_t{1} << 40 : 1);
      if (random.Next() % 4 < (range == 20 ? 2 : 3)) {
        map[key] = model[key] = random.Next();
      } else {
        ASSERT_EQ(map.Erase(key), model.erase(key) != 0) << "seed " << seed;
      }
      if (range == 20 && !model.empty()) {  // A burst ends.
        const uint64_t old = model.begin()->first;
        ASSERT_EQ(map.Erase(old), model.erase(old) != 0);
      }
      ASSERT_EQ(map.size(), model.size());
      const uint64_t asked = 1 + random.Next() % range;
      const uint64_t* const found = map.Find(asked);
      ASSERT_EQ(found != nullptr, model.count(asked) != 0) << "seed " << seed;
      if (found != nullptr) {
        ASSERT_EQ(*found, model[asked]);
      }
    }
    for (const auto& [key, value] : model) ASSERT_EQ(map.At(key), value) << "seed " << seed;
  }
}

}  // namespace
}  // namespace flash::base
