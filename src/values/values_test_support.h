// values_test_support.h: what the tests of collections share: a fake pool, plans carried out,
// random elements.
//
// For tests alone. Thread: one.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"
#include "values/collection.h"

namespace flash::values {

/// Small leaves and nodes make deep trees of few elements.
struct Shape {
  const char* name;
  uint32_t leaf_bytes_max;
  uint32_t inline_bytes_max;
  uint32_t node_children_max;
  uint64_t hash_mask;
};
inline constexpr Shape kShapes[] = {
    {"tiny", 160, 48, 4, ~uint64_t{0}},
    {"small", 512, 100, 8, ~uint64_t{0}},
    {"colliding", 512, 100, 8, 0xfff0000000000000},
    {"alike", 512, 100, 8, 0xff0000000000ffff},  // Many differ in their lowest bits alone.
    {"real", kLeafBytesMax, 1024, 128, ~uint64_t{0}},
};

/// `Pool`: testing::FakeBlockPool.
template <typename Pool>
class ValuesTest : public ::testing::TestWithParam<Shape> {
 protected:
  ValuesTest() {
    const Shape& shape = GetParam();
    env.leaf_bytes_max = shape.leaf_bytes_max;
    env.inline_bytes_max = shape.inline_bytes_max;
    env.node_children_max = shape.node_children_max;
    env.hash_mask = shape.hash_mask;
  }
  ~ValuesTest() override {
    EXPECT_EQ(pool.live_blocks(), 0U);
    EXPECT_EQ(counters.tiered_multi_block_values, 0U);
  }

  /// Carries out plans until nothing is missing; returns how often something was fetched.
  template <typename Plan>
  uint32_t Fetch(const Plan& plan) {
    for (uint32_t round = 0; round < 12; ++round) {
      Missing missing;
      plan(&missing);
      if (missing.empty()) return round;
      pool.Heat(missing.cold());
    }
    ADD_FAILURE() << "a plan that never ends";
    return 0;
  }

  void ChillAtRandom() {
    switch (random.Below(8)) {
      case 0:
        return pool.ChillAll();
      case 1:
        return pool.ChillSome(&random, 1, 4);
      default:
        return;
    }
  }

  /// Mostly short, sometimes empty, a leaf's fraction, large, or a rope.
  std::string RandomText(uint64_t variety) {
    const uint64_t kind = random.Below(200);
    std::string text = std::to_string(random.Below(variety));
    if (kind < 3) text.clear();
    if (kind >= 3 && kind < 20) text += std::string(random.Below(env.inline_bytes_max - 6), 'm');
    if (kind >= 20 && kind < 24) text += std::string(env.inline_bytes_max + random.Below(500), 'l');
    if (kind == 24) text = std::string(pool.block_bytes_max() + 1000, 'r') + text;
    return text;
  }

  template <typename Value>
  void FreeAll(Value value) {
    Missing missing;
    while (!value.FreeSome(static_cast<uint32_t>(1 + random.Below(5)), &missing)) {
      pool.Heat(missing.cold());
      missing.Clear();
      if (random.Chance(1, 4)) pool.ChillSome(&random, 1, 2);
    }
    EXPECT_TRUE(value.empty());
  }

  // Small blocks, so that ropes are short.
  Pool pool{{.block_bytes_max = GetParam().leaf_bytes_max == kLeafBytesMax ? 9000U : 2000U}};
  ValueCounters counters;
  Env env{.store = &pool, .counters = &counters, .hash_seed = 42};
  base::Random random{12345};
};

inline std::string ShapeName(const ::testing::TestParamInfo<Shape>& info) {
  return info.param.name;
}

}  // namespace flash::values
