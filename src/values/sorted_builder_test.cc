// sorted_builder_test.cc: values built in less memory than they take, in any order, and given up
// at any point.
//
// Over the fake pool, whose blocks are cold as soon as they are placed. Thread: one.
#include "values/sorted_builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>

#include "tests/support/fake_block_pool.h"
#include "values/hash_value.h"
#include "values/list_value.h"
#include "values/value_builders.h"
#include "values/values_test_support.h"
#include "values/zset_value.h"

namespace flash::values {
namespace {

using base::AsBytes;

/// Everything goes to flash; from the block numbered `fails_at` on there is no room.
class TightPlacer final : public BlockPlacer {
 public:
  TightPlacer(const LeafStore& store, uint64_t memory_bytes_max, uint64_t fails_at)
      : store_(store), memory_bytes_max_(memory_bytes_max), fails_at_(fails_at) {}
  [[nodiscard]] Result<BlockId> Place(Bytes payload, Family* family) override {
    if (placed_ >= fails_at_) return Code::kNoSpace;
    ++placed_;
    return store_.CreateCold(payload, family);
  }
  [[nodiscard]] Result<void> AwaitRoom(uint64_t /*bytes*/) override {
    return placed_ >= fails_at_ ? Result<void>(Code::kNoSpace) : Result<void>();
  }
  [[nodiscard]] uint64_t memory_bytes_max() const override { return memory_bytes_max_; }
  void Hold(uint64_t bytes, uint64_t /*pinned_bytes*/) override {
    held_ = bytes;
    held_most_ = std::max(held_most_, bytes);
  }
  [[nodiscard]] blocks::WaitCause cause() const override { return blocks::WaitCause::kLoading; }
  [[nodiscard]] uint64_t placed() const { return placed_; }
  [[nodiscard]] uint64_t held() const { return held_; }
  [[nodiscard]] uint64_t held_most() const { return held_most_; }

 private:
  const LeafStore& store_;
  uint64_t memory_bytes_max_;
  uint64_t fails_at_;
  uint64_t placed_ = 0;
  uint64_t held_ = 0;
  uint64_t held_most_ = 0;
};

constexpr uint64_t kNever = ~uint64_t{0};

class SortedBuilderTest : public ValuesTest<testing::FakeBlockPool> {
 protected:
  using Model = std::map<std::string, std::string>;

  Model RandomModel(int count) {
    Model model;
    for (int i = 0; i < count; ++i) model[RandomText(100'000)] = RandomText(100'000);
    return model;
  }
  std::vector<std::pair<std::string, std::string>> Shuffled(const Model& model) {
    std::vector<std::pair<std::string, std::string>> pairs(model.begin(), model.end());
    for (size_t i = pairs.size(); i > 1; --i) std::swap(pairs[i - 1], pairs[random.Below(i)]);
    return pairs;
  }
  Result<uint64_t> BuildHash(std::span<const std::pair<std::string, std::string>> pairs,
                             TightPlacer* placer) {
    HashBuilder builder(env, placer);
    Result<void> outcome;
    for (const auto& [field, value] : pairs) {
      if (outcome) outcome = builder.Add(AsBytes(field), AsBytes(value));
    }
    return Settle(&builder, outcome);
  }
  template <typename Builder>
  Result<uint64_t> Settle(Builder* builder, Result<void> outcome) {
    Result<uint64_t> word = outcome ? builder->Finish() : Result<uint64_t>(outcome.error());
    if (!word) FreeAbandoned(env, builder->kind(), builder->Abandon());
    return word;
  }
  void ExpectHash(uint64_t word, const Model& model) {
    HashValue hash(env, &word);
    EXPECT_EQ(hash.size(), model.size());
    for (const auto& [field, value] : model) {
      Fetch([&](Missing* missing) { hash.PlanGet(AsBytes(field), missing); });
      const auto found = hash.Get(AsBytes(field));
      ASSERT_TRUE(found);
      EXPECT_EQ(ElementText(env, *found), value);
    }
    FreeAll(HashValue(env, &word));
  }
};

INSTANTIATE_TEST_SUITE_P(Shapes, SortedBuilderTest, ::testing::ValuesIn(kShapes), ShapeName);

TEST_P(SortedBuilderTest, MergesManyRunsIntoOneTree) {
  for (const uint64_t memory : {uint64_t{1}, uint64_t{3'000}, uint64_t{40'000}, kNever}) {
    const Model model = RandomModel(600);
    TightPlacer placer(env.store, memory, kNever);
    const Result<uint64_t> word = BuildHash(Shuffled(model), &placer);
    ASSERT_TRUE(word);
    EXPECT_EQ(placer.held(), 0U);
    ExpectHash(*word, model);
  }
}

TEST_P(SortedBuilderTest, WhatComesInOrderIsPlacedOnce) {
  // More hash bits than there are fields, so that few are equal.
  Model model;
  for (int i = 0; i < 2'000; ++i) model["field:" + std::to_string(i)] = "value";
  std::vector<std::pair<std::string, std::string>> pairs(model.begin(), model.end());
  TightPlacer in_any(env.store, 2'000, kNever);
  const Result<uint64_t> once = BuildHash(pairs, &in_any);
  ASSERT_TRUE(once);
  std::stable_sort(pairs.begin(), pairs.end(), [&](const auto& a, const auto& b) {
    return env.HashOf(AsBytes(a.first)) < env.HashOf(AsBytes(b.first));
  });
  TightPlacer in_order(env.store, 2'000, kNever);
  const Result<uint64_t> word = BuildHash(pairs, &in_order);
  ASSERT_TRUE(word);
  EXPECT_LT(in_order.placed() * 3, in_any.placed() * 2);
  ExpectHash(*once, model);
  ExpectHash(*word, model);
}

TEST_P(SortedBuilderTest, HoldsNoMoreThanItMay) {
  Model model;
  for (int i = 0; i < 3'000; ++i) model["f" + std::to_string(i)] = std::string(20, 'v');
  TightPlacer placer(env.store, 8'000, kNever);
  const Result<uint64_t> word = BuildHash(Shuffled(model), &placer);
  ASSERT_TRUE(word);
  EXPECT_GT(placer.held_most(), 2'000U);
  EXPECT_LT(placer.held_most(), 3 * 8'000U);  // Buffers grow by doubling.
  ExpectHash(*word, model);
}

TEST_P(SortedBuilderTest, AFieldThatComesTwiceIsFound) {
  for (const uint64_t memory : {uint64_t{3'000}, kNever}) {
    auto pairs = Shuffled(RandomModel(300));
    pairs.push_back(pairs[random.Below(pairs.size())]);
    TightPlacer placer(env.store, memory, kNever);
    EXPECT_EQ(BuildHash(pairs, &placer).code(), Code::kInvalid);
    EXPECT_EQ(pool.live_blocks(), 0U);
  }
}

TEST_P(SortedBuilderTest, LeavesNothingBehindWhereverItFails) {
  const auto pairs = Shuffled(RandomModel(250));
  TightPlacer whole(env.store, 2'500, kNever);
  uint64_t word = *BuildHash(pairs, &whole);
  FreeAll(HashValue(env, &word));
  for (uint64_t at = 0; at < whole.placed(); at += 1 + random.Below(4)) {
    TightPlacer placer(env.store, 2'500, at);
    EXPECT_EQ(BuildHash(pairs, &placer).code(), Code::kNoSpace) << at;
    EXPECT_EQ(pool.live_blocks(), 0U) << at;
    EXPECT_EQ(placer.held(), 0U);
  }
}

TEST_P(SortedBuilderTest, SortedSetsLikewise) {
  std::map<std::pair<double, std::string>, bool> model;
  std::map<std::string, double> scores;
  for (int i = 0; i < 400; ++i) {
    const std::string member = RandomText(100'000);
    if (!scores.emplace(member, static_cast<double>(random.Below(50))).second) continue;
    model[{scores[member], member}] = true;
  }
  const auto build = [&](TightPlacer* placer) {
    ZSetBuilder builder(env, placer);
    Result<void> outcome;
    for (const auto& [pair, unused] : model) {
      if (outcome) outcome = builder.Add(pair.first, AsBytes(pair.second));
    }
    return Settle(&builder, outcome);
  };
  TightPlacer whole(env.store, 2'500, kNever);
  Result<uint64_t> word = build(&whole);
  ASSERT_TRUE(word);
  ZSetValue zset(env, &*word);
  uint64_t rank = 0;
  for (const auto& [pair, unused] : model) {
    Fetch([&](Missing* missing) { (void)zset.Rank(AsBytes(pair.second), missing); });
    EXPECT_EQ(zset.Rank(AsBytes(pair.second)), rank++);
  }
  FreeAll(ZSetValue(env, &*word));
  for (uint64_t at = 0; at < whole.placed(); at += 1 + random.Below(4)) {
    TightPlacer placer(env.store, 2'500, at);
    EXPECT_EQ(build(&placer).code(), Code::kNoSpace) << at;
    EXPECT_EQ(pool.live_blocks(), 0U) << at;
  }
}

TEST_P(SortedBuilderTest, SortedSetsFromMembersInAnyOrderInParts) {
  // Infinities, both zeros, many equal scores.
  constexpr double kOdd[] = {-std::numeric_limits<double>::infinity(), -1.5, -0.0, 0.0, 1,
                             std::numeric_limits<double>::infinity()};
  std::map<std::string, double> scores;
  for (int i = 0; i < 500; ++i) scores[RandomText(100'000)] = kOdd[random.Below(std::size(kOdd))];
  std::vector<std::pair<double, std::string>> order;
  for (const auto& [member, score] : scores) order.emplace_back(score, member);
  std::sort(order.begin(), order.end());
  const auto build = [&](TightPlacer* of_scores, TightPlacer* of_members) {
    UnorderedZSetBuilder builder(env, {of_scores, of_members});
    Result<void> outcome;
    std::vector<std::pair<double, std::string>> pairs = order;
    base::Random same_each_time(7);
    for (size_t i = pairs.size(); i > 1; --i) {
      std::swap(pairs[i - 1], pairs[same_each_time.Below(i)]);
    }
    for (const auto& [score, member] : pairs) {
      if (outcome) outcome = builder.Add(score, AsBytes(member));
    }
    bool ended = false;
    while (outcome && !ended) {
      Missing missing;
      const Result<bool> some = builder.FinishSome(1 + random.Below(60), &missing);
      if (!some) {
        outcome = some.error();
      } else {
        ended = *some;
      }
      EXPECT_TRUE(!ended || missing.empty());
      pool.Heat(missing.cold());
      if (random.Chance(1, 3)) pool.ChillSome(&random, 1, 2);
    }
    return Settle(&builder, outcome);
  };
  for (const uint64_t memory : {uint64_t{1'000}, uint64_t{9'000}, kNever}) {
    TightPlacer of_scores(env.store, memory, kNever);
    TightPlacer of_members(env.store, memory, kNever);
    Result<uint64_t> word = build(&of_scores, &of_members);
    ASSERT_TRUE(word);
    EXPECT_EQ(of_scores.held() + of_members.held(), 0U);
    ZSetValue zset(env, &*word);
    ASSERT_EQ(zset.size(), order.size());
    uint64_t rank = 0;
    for (const auto& [score, member] : order) {
      Fetch([&](Missing* missing) { (void)zset.Rank(AsBytes(member), missing); });
      EXPECT_EQ(zset.Rank(AsBytes(member)), rank++);
      EXPECT_EQ(zset.Score(AsBytes(member)), score);
    }
    FreeAll(ZSetValue(env, &*word));
    for (uint64_t at = 0; at < of_scores.placed(); at += 1 + random.Below(6)) {
      TightPlacer failing(env.store, memory, at);
      TightPlacer whole(env.store, memory, kNever);
      EXPECT_EQ(build(&failing, &whole).code(), Code::kNoSpace) << at;
      EXPECT_EQ(pool.live_blocks(), 0U) << at;
      EXPECT_EQ(failing.held() + whole.held(), 0U);
    }
  }
}

TEST_P(SortedBuilderTest, MembersOutOfPlaceAreRefused) {
  for (const bool twice : {false, true}) {
    TightPlacer placer(env.store, 2'500, kNever);
    ZSetBuilder builder(env, &placer);
    Result<void> outcome;
    for (int i = 0; i < 900 && outcome; ++i) {
      // The same member with another score, or a score that falls.
      const std::string member = "m" + std::to_string(twice && i == 800 ? 5 : i);
      outcome = builder.Add(!twice && i == 800 ? 3 : i, AsBytes(member));
    }
    EXPECT_EQ(Settle(&builder, outcome).code(), Code::kInvalid);
    EXPECT_EQ(pool.live_blocks(), 0U);
  }
}

TEST_P(SortedBuilderTest, ListsLikewise) {
  std::vector<std::string> elements;
  for (int i = 0; i < 300; ++i) elements.push_back(RandomText(1'000));
  const auto build = [&](TightPlacer* placer) {
    ListBuilder builder(env, placer);
    Result<void> outcome;
    for (const std::string& element : elements) {
      if (outcome) outcome = builder.Add(AsBytes(element));
    }
    return Settle(&builder, outcome);
  };
  TightPlacer whole(env.store, 1, kNever);
  Result<uint64_t> word = build(&whole);
  ASSERT_TRUE(word);
  ListValue list(env, &*word);
  for (uint64_t i = 0; i < elements.size(); ++i) {
    Fetch([&](Missing* missing) {
      const auto element = list.At(i, missing);
      if (element) PlanElement(env, *element, missing);
    });
    EXPECT_EQ(ElementText(env, *list.At(i)), elements[i]);
  }
  FreeAll(ListValue(env, &*word));
  for (uint64_t at = 0; at < whole.placed(); at += 7) {
    TightPlacer placer(env.store, 1, at);
    EXPECT_EQ(build(&placer).code(), Code::kNoSpace) << at;
    EXPECT_EQ(pool.live_blocks(), 0U) << at;
  }
}

}  // namespace
}  // namespace flash::values
