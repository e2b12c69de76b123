// hash_value_test.cc: hashes against std::map, with demotions between and during the operations.
//
// Knows only the public face. Thread: one.
#include "values/hash_value.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/support/fake_block_pool.h"
#include "values/values_test_support.h"

namespace flash::values {
namespace {

using base::AsBytes;
using Model = std::map<std::string, std::string>;

class HashValueTest : public ValuesTest<testing::FakeBlockPool> {
 protected:
  HashValue Hash(uint64_t* word) { return {env, word}; }

  std::optional<std::string> Get(uint64_t* word, const std::string& field) {
    Fetch([&](Missing* m) { Hash(word).PlanGet(AsBytes(field), m); });
    const auto value = Hash(word).Get(AsBytes(field));
    return value ? std::optional(ElementText(env, *value)) : std::nullopt;
  }
  bool Set(uint64_t* word, const std::string& field, const std::string& value) {
    Fetch([&](Missing* m) { Hash(word).PlanSet(AsBytes(field), m); });
    return Hash(word).Set(AsBytes(field), AsBytes(value));
  }
  bool Erase(uint64_t* word, const std::string& field) {
    Fetch([&](Missing* m) { Hash(word).PlanErase(AsBytes(field), m); });
    return Hash(word).Erase(AsBytes(field));
  }
  void ExpectEqual(uint64_t* word, const Model& model) {
    HashValue hash = Hash(word);
    ASSERT_EQ(hash.size(), model.size());
    Fetch([&](Missing* m) {
      hash.PlanRange(0, hash.size(), m);
      if (!m->empty()) return;
      hash.ForRange(0, hash.size(), [&](const Element& field, const Element& value) {
        PlanElement(env, field, m);
        PlanElement(env, value, m);
        return true;
      });
    });
    Model read;
    uint64_t hash_before = 0;
    hash.ForRange(0, hash.size(), [&](const Element& field, const Element& value) {
      EXPECT_LE(hash_before, ElementHash(env, field));
      hash_before = ElementHash(env, field);
      read[ElementText(env, field)] = ElementText(env, value);
      return true;
    });
    ASSERT_EQ(read, model);
  }

  void Step(uint64_t* word, Model* model, uint64_t variety, uint64_t erase_share) {
    const std::string field = RandomText(variety);
    if (random.Below(100) < erase_share) {
      ASSERT_EQ(Erase(word, field), model->erase(field) == 1);
    } else if (random.Chance(1, 4)) {
      const auto found = model->find(field);
      const auto value = Get(word, field);
      ASSERT_EQ(value.has_value(), found != model->end());
      if (value) {
        ASSERT_EQ(*value, found->second);
      }
    } else {
      const std::string value = RandomText(1'000'000);
      ASSERT_EQ(Set(word, field, value), !model->contains(field));
      (*model)[field] = value;
    }
    ASSERT_EQ(Hash(word).size(), model->size());
  }
};

TEST_P(HashValueTest, SeveralFieldsErasedTogetherBesideColdLeaves) {
  uint64_t word = 0;
  Model model;
  for (int round = 0; round < 400; ++round) {
    while (model.size() < 30) {
      const std::string field = std::to_string(random.Below(100));
      model[field] = std::string(env.inline_bytes_max / 2, 'v');
      Set(&word, field, model[field]);
    }
    std::vector<std::string> together;
    for (uint64_t i = 0; i < 6; ++i) together.push_back(std::to_string(random.Below(100)));
    together.push_back(together.front());
    pool.ChillAll();
    Fetch([&](Missing* m) {
      for (const std::string& field : together) Hash(&word).PlanErase(AsBytes(field), m);
    });
    for (const std::string& field : together) {
      ASSERT_EQ(!Hash(&word).empty() && Hash(&word).Erase(AsBytes(field)), model.erase(field) > 0);
    }
  }
  ExpectEqual(&word, model);
  FreeAll(Hash(&word));
}

TEST_P(HashValueTest, FollowsAMapThroughRandomOperationsAndDemotions) {
  uint64_t word = 0;
  Model model;
  for (int phase = 0; phase < 6; ++phase) {
    const uint64_t erase_share = phase % 2 == 0 ? 15 : 60;
    for (int step = 0; step < 1500; ++step) {
      ChillAtRandom();
      Step(&word, &model, 400, erase_share);
      if (HasFatalFailure()) return;
    }
    ExpectEqual(&word, model);
  }
  while (!model.empty()) {
    ChillAtRandom();
    const std::string field = model.begin()->first;
    ASSERT_TRUE(Erase(&word, field));
    model.erase(field);
  }
  EXPECT_EQ(word, 0U);
}

TEST_P(HashValueTest, CopiesDiverge) {
  std::vector<uint64_t> words(1, 0);
  std::vector<Model> models(1);
  for (int step = 0; step < 3000; ++step) {
    ChillAtRandom();
    const auto which = static_cast<size_t>(random.Below(words.size()));
    if (random.Chance(1, 100) && words.size() < 5) {
      words.push_back(Hash(&words[which]).Clone(Collection::Holder::kKey));
      models.push_back(models[which]);
    } else if (random.Chance(1, 200) && words.size() > 1) {
      FreeAll(Hash(&words[which]));
      words.erase(words.begin() + static_cast<ptrdiff_t>(which));
      models.erase(models.begin() + static_cast<ptrdiff_t>(which));
    } else {
      Step(&words[which], &models[which], 200, 30);
    }
    if (HasFatalFailure()) return;
  }
  for (size_t i = 0; i < words.size(); ++i) {
    ExpectEqual(&words[i], models[i]);
    FreeAll(Hash(&words[i]));
  }
}

TEST_P(HashValueTest, AFrozenRootShowsWhatWasThere) {
  uint64_t word = 0;
  Model model;
  for (int i = 0; i < 600; ++i) Step(&word, &model, 500, 0);
  uint64_t frozen = Hash(&word).Clone(Collection::Holder::kReader);
  const Model before = model;
  for (int i = 0; i < 600; ++i) {
    ChillAtRandom();
    Step(&word, &model, 500, 70);
  }
  ExpectEqual(&frozen, before);
  ExpectEqual(&word, model);
  FreeAll(Hash(&word));
  ExpectEqual(&frozen, before);
  FreeAll(Hash(&frozen));
}

TEST_P(HashValueTest, AFrozenRootThatIsAloneCanBeClonedAgain) {
  uint64_t word = 0;
  Model model;
  while (!Hash(&word).has_root() || model.size() < 100) Step(&word, &model, 5000, 0);
  uint64_t frozen = Hash(&word).Clone(Collection::Holder::kReader);
  FreeAll(Hash(&word));
  uint64_t copy = Hash(&frozen).Clone(Collection::Holder::kKey);
  pool.ChillAll();
  EXPECT_EQ(counters.tiered_multi_block_values, 1U);
  FreeAll(Hash(&frozen));
  ExpectEqual(&copy, model);
  for (int i = 0; i < 300; ++i) Step(&copy, &model, 500, 50);
  ExpectEqual(&copy, model);
  FreeAll(Hash(&copy));
  EXPECT_EQ(counters.tiered_multi_block_values, 0U);
}

TEST_P(HashValueTest, BuildsFromPairsHotAndStraightToFlash) {
  for (const bool to_flash : {false, true}) {
    for (const int count : {0, 1, 10, 500}) {
      Model model;
      for (int i = 0; i < count; ++i) model[RandomText(100'000)] = RandomText(100'000);
      std::vector<HashValue::Pair> pairs;
      for (const auto& [field, value] : model) pairs.emplace_back(AsBytes(field), AsBytes(value));
      uint64_t word = 0;
      ASSERT_TRUE(Hash(&word).Build(pairs, to_flash));
      ExpectEqual(&word, model);
      for (int step = 0; step < 100; ++step) Step(&word, &model, 1000, 40);
      ExpectEqual(&word, model);
      FreeAll(Hash(&word));
    }
  }
}

TEST_P(HashValueTest, ColdBlocksAreCountedPerValue) {
  uint64_t word = 0;
  Model model;
  while (!Hash(&word).has_root() || model.size() < 100) Step(&word, &model, 5000, 0);
  EXPECT_EQ(counters.tiered_multi_block_values, 0U);
  pool.ChillAll();
  EXPECT_EQ(counters.tiered_multi_block_values, 1U);
  EXPECT_TRUE(Hash(&word).tiered());
  uint64_t copy = Hash(&word).Clone(Collection::Holder::kKey);
  EXPECT_EQ(counters.tiered_multi_block_values, 2U);
  uint64_t frozen = Hash(&word).Clone(Collection::Holder::kReader);
  EXPECT_EQ(counters.tiered_multi_block_values, 2U);
  FreeAll(Hash(&word));
  FreeAll(Hash(&frozen));
  EXPECT_EQ(counters.tiered_multi_block_values, Hash(&copy).tiered() ? 1U : 0U);
  ExpectEqual(&copy, model);
  pool.Heat(pool.LiveIds());
  EXPECT_EQ(counters.tiered_multi_block_values, 0U);
  FreeAll(Hash(&copy));
}

TEST_P(HashValueTest, TieredCountIsExactForCopiesThatParted) {
  std::vector<uint64_t> words(4, 0);
  std::vector<Model> models(words.size());
  const auto tiered = [&](uint64_t* word) {
    if (!Hash(word).has_root()) return false;
    bool cold = false;
    Missing cold_leaves;
    const auto look = [&](BlockId id) { cold = cold || !pool.IsHot(id); };
    Hash(word).ForEachLeafBlock(look);
    Hash(word).ForEachLargeElementBlock(look, &cold_leaves);
    return cold;
  };
  for (int step = 0; step < 3000; ++step) {
    if (random.Chance(1, 16)) pool.ChillSome(&random, 1, 100);
    if (random.Chance(1, 200)) pool.Heat(pool.LiveIds());
    const size_t i = random.Below(words.size());
    if (random.Chance(1, 100)) {
      FreeAll(Hash(&words[i]));
      models[i].clear();
      const size_t from = random.Below(words.size());
      words[i] = Hash(&words[from]).Clone(Collection::Holder::kKey);
      models[i] = models[from];
    } else {
      Step(&words[i], &models[i], 300, 10);
    }
    uint64_t reader = step % 7 == 0 ? Hash(&words[i]).Clone(Collection::Holder::kReader) : 0;
    uint64_t expected = 0;
    for (uint64_t& word : words) {
      expected += tiered(&word) ? 1 : 0;
      ASSERT_TRUE(!Hash(&word).has_root() || Hash(&word).tiered() == tiered(&word));
    }
    SettleTiered(&pool, &counters);
    ASSERT_EQ(counters.tiered_multi_block_values, expected) << step;
    FreeAll(Hash(&reader));
  }
  for (uint64_t& word : words) FreeAll(Hash(&word));
}

INSTANTIATE_TEST_SUITE_P(Shapes, HashValueTest, ::testing::ValuesIn(kShapes), ShapeName);

}  // namespace
}  // namespace flash::values
