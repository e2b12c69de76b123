// list_value_test.cc: lists against std::vector, with demotions between and during the operations.
//
// Knows only the public face. Thread: one.
#include "values/list_value.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/fake_block_pool.h"
#include "values/values_test_support.h"

namespace flash::values {
namespace {

using base::AsBytes;
using Model = std::vector<std::string>;

class ListValueTest : public ValuesTest<testing::FakeBlockPool> {
 protected:
  ListValue List(uint64_t* word) { return {env, word}; }

  void Insert(uint64_t* word, uint64_t index, const std::string& text) {
    Fetch([&](Missing* m) { List(word).PlanInsert(index, m); });
    List(word).Insert(index, AsBytes(text));
  }
  void Erase(uint64_t* word, uint64_t begin, uint64_t end) {
    Fetch([&](Missing* m) { List(word).PlanErase(begin, end, m); });
    List(word).Erase(begin, end);
  }
  std::string Pop(uint64_t* word, ListValue::End end) {
    ListValue list = List(word);
    std::optional<Element> element;
    Fetch([&](Missing* m) {
      element = list.Peek(end, m);
      if (element) PlanElement(env, *element, m);
    });
    const std::string text = ElementText(env, *element);
    list.Pop();
    return text;
  }
  std::string At(uint64_t* word, uint64_t index) {
    Fetch([&](Missing* m) {
      const auto element = List(word).At(index, m);
      if (element) PlanElement(env, *element, m);
    });
    return ElementText(env, *List(word).At(index));
  }
  Model Read(uint64_t* word, uint64_t begin, uint64_t end) {
    Fetch([&](Missing* m) {
      List(word).PlanRange(begin, end, m);
      if (!m->empty()) return;
      List(word).ForRange(begin, end, [&](const Element& element) {
        PlanElement(env, element, m);
        return true;
      });
    });
    Model read;
    List(word).ForRange(begin, end, [&](const Element& element) {
      read.push_back(ElementText(env, element));
      return true;
    });
    return read;
  }
  void ExpectEqual(uint64_t* word, const Model& model) {
    ASSERT_EQ(List(word).size(), model.size());
    ASSERT_EQ(Read(word, 0, model.size()), model);
  }

  void EraseEqual(uint64_t* word, Model* model, const std::string& text, ListValue::End from,
                  uint64_t limit) {
    std::vector<uint64_t> found;
    Fetch([&](Missing* m) {
      found = List(word).FindAll(AsBytes(text), from, limit, m);
      if (m->empty()) List(word).PlanEraseEach(found, m);
    });
    uint64_t expected = static_cast<uint64_t>(std::count(model->begin(), model->end(), text));
    if (limit != 0) expected = std::min(expected, limit);
    ASSERT_EQ(found.size(), expected);
    for (const uint64_t at : found) ASSERT_EQ((*model)[at], text);
    List(word).EraseEach(found);
    std::sort(found.rbegin(), found.rend());
    for (const uint64_t at : found) model->erase(model->begin() + static_cast<ptrdiff_t>(at));
  }

  void Step(uint64_t* word, Model* model, uint64_t erase_share) {
    const uint64_t size = model->size();
    const auto at = [&](uint64_t index) { return model->begin() + static_cast<ptrdiff_t>(index); };
    if (size > 0 && random.Below(100) < erase_share) {
      const uint64_t kind = random.Below(8);
      if (kind < 6 && random.Chance(1, 2)) {
        const bool front = kind < 3;
        ASSERT_EQ(Pop(word, front ? ListValue::End::kFront : ListValue::End::kBack),
                  front ? model->front() : model->back());
        model->erase(front ? model->begin() : at(size - 1));
        return;
      }
      uint64_t begin = random.Below(size);
      uint64_t end = std::min(size, begin + 1 + random.Below(random.Chance(1, 10) ? 60 : 3));
      if (kind < 3) begin = 0, end = 1;
      if (kind >= 3 && kind < 6) begin = size - 1, end = size;
      Erase(word, begin, end);
      model->erase(at(begin), at(end));
      return;
    }
    const std::string text = RandomText(50);
    const uint64_t index = random.Below(size + 1);
    switch (random.Below(6)) {
      case 0:
        Insert(word, 0, text);
        model->insert(model->begin(), text);
        return;
      case 1:
        Insert(word, size, text);
        model->push_back(text);
        return;
      case 2:
        Insert(word, index, text);
        model->insert(at(index), text);
        return;
      case 3:
        if (index == size) return;
        Fetch([&](Missing* m) { List(word).PlanSet(index, m); });
        List(word).Set(index, AsBytes(text));
        (*model)[index] = text;
        return;
      case 4:
        if (index == size) return;
        ASSERT_EQ(At(word, index), (*model)[index]);
        return;
      default:
        const auto end = static_cast<ptrdiff_t>(std::min<uint64_t>(size, index + 30));
        ASSERT_EQ(Read(word, index, static_cast<uint64_t>(end)),
                  Model(at(index), model->begin() + end));
    }
  }
};

TEST_P(ListValueTest, FollowsAVectorThroughRandomOperationsAndDemotions) {
  uint64_t word = 0;
  Model model;
  for (int phase = 0; phase < 6; ++phase) {
    for (int step = 0; step < 1500; ++step) {
      ChillAtRandom();
      Step(&word, &model, phase % 2 == 0 ? 20 : 55);
      if (random.Chance(1, 60)) {
        const auto from = random.Chance(1, 2) ? ListValue::End::kFront : ListValue::End::kBack;
        EraseEqual(&word, &model, RandomText(50), from, random.Below(3));
      }
      if (HasFatalFailure()) return;
      ASSERT_EQ(List(&word).size(), model.size());
    }
    ExpectEqual(&word, model);
  }
  while (!model.empty()) {
    ChillAtRandom();
    Erase(&word, 0, 1);
    model.erase(model.begin());
  }
  EXPECT_EQ(word, 0U);
}

TEST_P(ListValueTest, CopiesDiverge) {
  std::vector<uint64_t> words(1, 0);
  std::vector<Model> models(1);
  for (int step = 0; step < 3000; ++step) {
    ChillAtRandom();
    const auto which = static_cast<size_t>(random.Below(words.size()));
    if (random.Chance(1, 100) && words.size() < 5) {
      words.push_back(List(&words[which]).Clone(Collection::Holder::kKey));
      models.push_back(models[which]);
    } else if (random.Chance(1, 200) && words.size() > 1) {
      FreeAll(List(&words[which]));
      words.erase(words.begin() + static_cast<ptrdiff_t>(which));
      models.erase(models.begin() + static_cast<ptrdiff_t>(which));
    } else {
      Step(&words[which], &models[which], 35);
    }
    if (HasFatalFailure()) return;
  }
  for (size_t i = 0; i < words.size(); ++i) {
    ExpectEqual(&words[i], models[i]);
    FreeAll(List(&words[i]));
  }
}

TEST_P(ListValueTest, TrimmingReadsAtMostTheTwoLeavesAtTheCuts) {
  uint64_t word = 0;
  Model model;
  for (int i = 0; i < 3000; ++i) model.push_back("element:" + std::to_string(i));
  for (const std::string& text : model) Insert(&word, List(&word).size(), text);
  pool.ChillAll();
  const uint64_t reads = pool.reads();
  Erase(&word, 1234, 3000);
  Erase(&word, 0, 1017);
  EXPECT_LE(pool.reads() - reads, 2U);
  ExpectEqual(&word, Model(model.begin() + 1017, model.begin() + 1234));
  FreeAll(List(&word));
}

TEST_P(ListValueTest, PushesFillTheirLeaves) {
  for (const auto end : {ListValue::End::kFront, ListValue::End::kBack}) {
    uint64_t word = 0;
    uint64_t bytes = 0;
    for (int i = 0; i < 5000; ++i) {
      const std::string text = "element:" + std::to_string(i);
      List(&word).Push(end, AsBytes(text));
      bytes += text.size() + kSlotBytes;
    }
    EXPECT_LE(pool.live_blocks(), bytes / (env.leaf_bytes_max * 85 / 100) + 2);
    FreeAll(List(&word));
  }
}

TEST_P(ListValueTest, BuildsFromElementsHotAndStraightToFlash) {
  for (const bool to_flash : {false, true}) {
    for (const int count : {0, 1, 10, 700}) {
      Model model;
      for (int i = 0; i < count; ++i) model.push_back(RandomText(100'000));
      std::vector<Bytes> elements;
      for (const std::string& text : model) elements.push_back(AsBytes(text));
      uint64_t word = 0;
      List(&word).Build(elements, to_flash);
      ExpectEqual(&word, model);
      for (int step = 0; step < 100; ++step) Step(&word, &model, 40);
      ExpectEqual(&word, model);
      FreeAll(List(&word));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, ListValueTest, ::testing::ValuesIn(kShapes), ShapeName);

TEST_P(ListValueTest, WhatIsCutOffAListThatIsClonedIsNotRead) {
  for (int round = 0; round < 60; ++round) {
    Model model;
    uint64_t word = 0;
    for (int i = 0; i < 600; ++i) {
      model.push_back(RandomText(1'000));
      Insert(&word, static_cast<uint64_t>(i), model.back());
    }
    pool.ChillAll();
    uint64_t begin = random.Below(model.size() + 1);
    uint64_t end = begin + random.Below(model.size() - begin + 1);
    if (round % 3 == 0) begin = 0;
    if (round % 5 == 0) end = model.size();
    uint64_t whole = List(&word).Clone(Collection::Holder::kReader);
    Missing missing;
    List(&word).PlanCut(begin, end, &missing);
    EXPECT_LE(missing.cold().size(), 2U);
    pool.Heat(missing.cold());
    List(&word).Erase(begin, end);
    ExpectEqual(&whole, model);
    FreeAll(List(&whole));
    model.erase(model.begin() + static_cast<ptrdiff_t>(begin),
                model.begin() + static_cast<ptrdiff_t>(end));
    ExpectEqual(&word, model);
    FreeAll(List(&word));
  }
}

}  // namespace
}  // namespace flash::values
