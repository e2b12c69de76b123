// collection_bounds_test.cc: the bounds of docs/adr/0008: RAM of a cold collection, blocks read per
// operation, blocks for what fits one leaf.
//
// Real leaf and node sizes. Thread: one.
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/support/fake_block_pool.h"
#include "values/hash_value.h"
#include "values/list_value.h"
#include "values/zset_value.h"

namespace flash::values {
namespace {

using base::AsBytes;

constexpr uint64_t kElements = 60'000;
constexpr uint64_t kTableEntryBytes = 8;
constexpr uint64_t kReadBytesMax = 8192;

class CollectionBoundsTest : public ::testing::Test {
 protected:
  testing::FakeBlockPool pool{{.move_on_resize = false}};
  ValueCounters counters;
  Env env{.store = &pool, .counters = &counters, .hash_seed = 3};
  base::Random random{99};
  uint64_t read_bytes = 0;
  bool has_large = false;

  static std::string Name(const char* prefix, uint64_t i) {
    const std::string digits = std::to_string(i);
    return prefix + std::string(9 - digits.size(), '0') + digits;
  }

  /// RAM of the value when all of it is cold, over the bytes of its blocks.
  double ColdRamShare(const Collection& value) {
    const uint64_t ram = value.RamBytes() + pool.live_blocks() * kTableEntryBytes;
    return static_cast<double>(ram) / static_cast<double>(pool.live_bytes());
  }

  template <typename Value>
  void FreeAll(Value value) {
    Missing missing;
    while (!value.FreeSome(1000, &missing)) ASSERT_TRUE(missing.empty());
    EXPECT_EQ(pool.live_blocks(), 0U);
  }

  /// Makes all cold, carries the plan out, and returns the number of blocks read.
  template <typename Plan>
  uint64_t ColdReads(const Plan& plan) {
    pool.ChillAll();
    const uint64_t reads = pool.reads();
    const uint64_t bytes = pool.read_bytes();
    while (true) {
      Missing missing;
      plan(&missing);
      if (missing.empty()) break;
      pool.Heat(missing.cold());
    }
    read_bytes = pool.read_bytes() - bytes;
    EXPECT_TRUE(has_large || read_bytes <= (pool.reads() - reads) * kReadBytesMax);
    return pool.reads() - reads;
  }
};

TEST_F(CollectionBoundsTest, RamOfColdHashes) {
  uint64_t word = 0;
  HashValue hash(env, &word);
  const std::string value(20, 'v');
  for (uint64_t i = 0; i < kElements; ++i) hash.Set(AsBytes(Name("field:", i)), AsBytes(value));
  EXPECT_LE(ColdRamShare(hash), 0.015);
  FreeAll(hash);
}

TEST_F(CollectionBoundsTest, RamOfColdListsOfSmallElements) {
  for (const bool at_random : {false, true}) {
    uint64_t word = 0;
    ListValue list(env, &word);
    for (uint64_t i = 0; i < kElements; ++i) {
      list.Insert(at_random ? random.Below(i + 1) : i, AsBytes("e"));
    }
    EXPECT_LE(ColdRamShare(list), 0.015);
    FreeAll(list);
  }
}

TEST_F(CollectionBoundsTest, RamOfColdSortedSetsWithBothTrees) {
  enum class Scores : uint8_t { kDistinct, kFew, kEqual };
  for (const Scores kind : {Scores::kDistinct, Scores::kFew, Scores::kEqual}) {
    uint64_t word = 0;
    ZSetValue zset(env, &word);
    for (uint64_t i = 0; i < kElements; ++i) {
      const double score = kind == Scores::kEqual ? 1
                           : kind == Scores::kFew ? static_cast<double>(random.Below(100))
                                                  : static_cast<double>(random.Next() >> 20) / 1024;
      zset.Set(AsBytes(Name("member:", random.Below(kElements * 10))), score);
    }
    EXPECT_LE(ColdRamShare(zset), 0.015);
    FreeAll(zset);
  }
}

TEST_F(CollectionBoundsTest, RamOfAColdHashOfLargeValues) {
  uint64_t word = 0;
  HashValue hash(env, &word);
  const std::string value(1500, 'v');
  for (uint64_t i = 0; i < 3000; ++i) hash.Set(AsBytes(Name("field:", i)), AsBytes(value));
  EXPECT_LE(ColdRamShare(hash), 0.015);
  Missing missing;
  hash.PlanRange(0, hash.size(), &missing);
  EXPECT_TRUE(missing.empty());
  FreeAll(hash);
}

TEST_F(CollectionBoundsTest, BlockReadsOfOneElementOfAColdHash) {
  uint64_t word = 0;
  HashValue hash(env, &word);
  for (uint64_t i = 0; i < kElements; ++i) {
    hash.Set(AsBytes(Name("field:", i)), AsBytes(Name("value:", i)));
  }
  for (int round = 0; round < 20; ++round) {
    const std::string field = Name("field:", random.Below(kElements * 2));
    EXPECT_EQ(ColdReads([&](Missing* m) { hash.PlanGet(AsBytes(field), m); }), 1U);
    EXPECT_EQ(ColdReads([&](Missing* m) { hash.PlanSet(AsBytes(field), m); }), 1U);
    hash.Set(AsBytes(field), AsBytes("changed"));
    EXPECT_LE(ColdReads([&](Missing* m) { hash.PlanErase(AsBytes(field), m); }), 2U);
  }
  FreeAll(hash);
}

TEST_F(CollectionBoundsTest, BlockReadsOfOneElementOfAColdList) {
  uint64_t word = 0;
  ListValue list(env, &word);
  for (uint64_t i = 0; i < kElements; ++i) list.Insert(i, AsBytes(Name("element:", i)));
  for (int round = 0; round < 20; ++round) {
    const uint64_t at = random.Below(kElements);
    EXPECT_EQ(ColdReads([&](Missing* m) { (void)list.At(at, m); }), 1U);
    EXPECT_EQ(ColdReads([&](Missing* m) { list.PlanInsert(at, m); }), 1U);
    EXPECT_EQ(ColdReads([&](Missing* m) { list.PlanPush(ListValue::End::kBack, m); }), 1U);
    EXPECT_EQ(ColdReads([&](Missing* m) { list.PlanErase(0, 1, m); }), 1U);
  }
  FreeAll(list);
}

TEST_F(CollectionBoundsTest, BlockReadsOfOneElementOfAColdSortedSet) {
  uint64_t word = 0;
  ZSetValue zset(env, &word);
  for (uint64_t i = 0; i < kElements; ++i) {
    zset.Set(AsBytes(Name("member:", i)), static_cast<double>(random.Below(1000)));
  }
  for (int round = 0; round < 20; ++round) {
    const std::string there = Name("member:", random.Below(kElements));
    const std::string fresh = Name("member:", kElements + static_cast<uint64_t>(round));
    const double score = static_cast<double>(random.Below(1000));
    EXPECT_EQ(ColdReads([&](Missing* m) { zset.PlanScore(AsBytes(there), m); }), 1U);
    EXPECT_LE(ColdReads([&](Missing* m) { (void)zset.Rank(AsBytes(there), m); }), 2U);
    EXPECT_LE(ColdReads([&](Missing* m) { zset.PlanSet(AsBytes(fresh), score, m); }), 2U);
    EXPECT_LE(ColdReads([&](Missing* m) { zset.PlanSet(AsBytes(there), score, m); }), 3U);
    zset.Set(AsBytes(there), score);
    const ScoreBound bound{score, {}, ScoreBound::Side::kAfterScore};
    EXPECT_EQ(ColdReads([&](Missing* m) { (void)zset.RankOf(bound, m); }), 1U);
  }
  FreeAll(zset);
}

TEST_F(CollectionBoundsTest, WhatFitsOneLeafIsOneBlockAndNothingElse) {
  uint64_t words[3] = {0, 0, 0};
  HashValue hash(env, &words[0]);
  ListValue list(env, &words[1]);
  ZSetValue zset(env, &words[2]);
  for (uint64_t i = 0; i < 100; ++i) {
    const std::string text = Name("element:", i);
    hash.Set(AsBytes(text), AsBytes("value"));
    list.Push(ListValue::End::kFront, AsBytes(text));
    zset.Set(AsBytes(text), static_cast<double>(i));
  }
  EXPECT_EQ(pool.live_blocks(), 3U);
  EXPECT_EQ(hash.RamBytes() + list.RamBytes() + zset.RamBytes(), 0U);
  // Growing beyond a leaf and shrinking again leads back to one block.
  for (uint64_t i = 100; i < 400; ++i) zset.Set(AsBytes(Name("element:", i)), 1);
  EXPECT_TRUE(zset.has_root());
  zset.EraseRange(0, 390);
  EXPECT_FALSE(zset.has_root());
  EXPECT_EQ(pool.live_blocks(), 3U);
  EXPECT_EQ(zset.size(), 10U);
  for (uint64_t& word : words) {
    Missing missing;
    Collection value(env, CollectionKind::kHash, &word);
    EXPECT_TRUE(value.FreeSome(1, &missing));
  }
  EXPECT_EQ(pool.live_blocks(), 0U);
}

TEST_F(CollectionBoundsTest, CopyAndFreeTouchABoundedNumberOfBlocks) {
  uint64_t word = 0;
  HashValue hash(env, &word);
  for (uint64_t i = 0; i < kElements; ++i) hash.Set(AsBytes(Name("field:", i)), AsBytes("value"));
  const uint64_t blocks = pool.live_blocks();
  uint64_t copy = hash.Clone(Collection::Holder::kKey);
  EXPECT_EQ(pool.live_blocks(), blocks);
  EXPECT_EQ(pool.shared_blocks(), 0U);
  // A change of the copy takes its path and one leaf.
  HashValue(env, &copy).Set(AsBytes(Name("field:", 7)), AsBytes("other"));
  EXPECT_EQ(pool.live_blocks(), blocks + 1);
  EXPECT_LE(pool.shared_blocks(), env.node_children_max);
  pool.ChillAll();
  Missing missing;
  EXPECT_FALSE(hash.FreeSome(100, &missing));
  EXPECT_TRUE(missing.empty());
  while (!hash.FreeSome(100, &missing)) EXPECT_TRUE(missing.empty());
  EXPECT_EQ(pool.live_blocks(), blocks);
  EXPECT_EQ(HashValue(env, &copy).size(), kElements);
  FreeAll(HashValue(env, &copy));
  EXPECT_EQ(pool.reads(), 0U);
}

/// Blocks that a leaf which could not be read leaves behind may still change their temperature.
TEST_F(CollectionBoundsTest, BlocksLeftBehindKeepTheirFamily) {
  uint64_t word = 0;
  HashValue hash(env, &word);
  hash.Set(AsBytes("large"), AsBytes(std::string(5000, 'x')));
  hash.ForEachLeafBlock([&](BlockId id) { pool.Chill(id); });
  Missing missing;
  EXPECT_FALSE(hash.FreeSome(100, &missing));
  EXPECT_TRUE(hash.FreeSome(100, &missing, true));
  EXPECT_EQ(word, 0U);
  EXPECT_EQ(pool.live_blocks(), 1U);
  pool.ChillAll();
  pool.Heat(pool.LiveIds());
  EXPECT_EQ(counters.tiered_multi_block_values, 0U);
}

/// Elements of every size up to one of 100 MB.
TEST_F(CollectionBoundsTest, ElementsUpTo100MBytes) {
  uint64_t word = 0;
  HashValue hash(env, &word);
  has_large = true;
  const std::vector<size_t> sizes = {0, 1, 1024, 1025, 100'000, 1'500'000, 100'000'000};
  for (const size_t size : sizes) {
    hash.Set(AsBytes(std::to_string(size)), AsBytes(std::string(size, 'x')));
  }
  pool.ChillAll();
  for (const size_t size : sizes) {
    const std::string field = std::to_string(size);
    (void)ColdReads([&](Missing* m) { hash.PlanGet(AsBytes(field), m); });
    const auto value = hash.Get(AsBytes(field));
    ASSERT_TRUE(value.has_value());
    EXPECT_EQ(value->size(), size);
    EXPECT_TRUE(ElementText(env, *value) == std::string(size, 'x'));
  }
  pool.ChillAll();
  Missing missing;
  while (!hash.FreeSome(100, &missing)) {
    pool.Heat(missing.cold());
    missing.Clear();
  }
  EXPECT_EQ(pool.live_blocks(), 0U);
  EXPECT_LE(pool.reads(), 600U);
}

}  // namespace
}  // namespace flash::values
