// list_removal_test.cc: thinning out drafts against std::vector, and walks over frozen values, with
// everything cold again and again.
//
// Thread: one.
#include "values/list_removal.h"

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

class ListRemovalTest : public ValuesTest<testing::FakeBlockPool> {
 protected:
  ListValue List(uint64_t* word) { return {env, word}; }

  uint64_t Made(const Model& model) {
    uint64_t word = 0;
    for (const std::string& text : model) {
      Fetch([&](Missing* m) { List(&word).PlanPush(ListValue::End::kBack, m); });
      List(&word).Push(ListValue::End::kBack, AsBytes(text));
    }
    return word;
  }

  Model Walked(uint64_t* word, uint64_t begin, uint64_t end, bool reverse) {
    Model read;
    ElementWalk walk(List(word), {.begin = begin,
                                  .end = end,
                                  .reverse = reverse,
                                  .budget_bytes = 4ULL * env.leaf_bytes_max});
    for (; !walk.AtEnd(); walk.Advance()) {
      Fetch([&](Missing* m) {
        if (walk.Ready(m)) PlanElement(env, ParseListEntry(walk.Entry()), m);
      });
      read.push_back(ElementText(env, ParseListEntry(walk.Entry())));
      ChillAtRandom();
    }
    return read;
  }
};

TEST_P(ListRemovalTest, TakesOutWhatAModelDoes) {
  for (int round = 0; round < 60; ++round) {
    Model model;
    const uint64_t variety = random.Chance(1, 3) ? 2 : 20;
    const uint64_t size = 1 + random.Below(300);
    for (uint64_t i = 0; i < size; ++i) model.push_back(RandomText(variety));
    uint64_t word = Made(model);
    uint64_t draft = List(&word).Clone(Collection::Holder::kReader);
    const std::string gone = random.Chance(1, 8) ? "nosuch" : model[random.Below(model.size())];
    const bool forward = random.Chance(1, 2);
    const uint64_t limit = random.Chance(1, 2) ? 0 : 1 + random.Below(5);
    ListRemoval removal(env, &draft, AsBytes(gone),
                        {.from = forward ? ListValue::End::kFront : ListValue::End::kBack,
                         .limit = limit,
                         .budget_bytes = 4ULL * env.leaf_bytes_max});
    while (!removal.done()) {
      Fetch([&](Missing* m) { static_cast<void>(removal.done() || removal.Step(m)); });
      if (!removal.done()) ChillAtRandom();
    }
    Model expected;
    uint64_t removed = 0;
    Model ordered = model;
    if (!forward) std::reverse(ordered.begin(), ordered.end());
    for (const std::string& text : ordered) {
      if (text == gone && (limit == 0 || removed < limit)) {
        ++removed;
      } else {
        expected.push_back(text);
      }
    }
    if (!forward) std::reverse(expected.begin(), expected.end());
    EXPECT_EQ(removal.removed(), removed);
    EXPECT_EQ(List(&draft).size(), expected.size());
    EXPECT_EQ(Walked(&draft, 0, expected.size(), false), expected);
    EXPECT_EQ(Walked(&word, 0, model.size(), true), Model(model.rbegin(), model.rend()));
    if (List(&word).has_root()) {
      EXPECT_EQ(List(&word).IsStill(draft), removed == 0);
    }
    FreeAll(List(&word));
    Missing unused;
    List(&draft).BecomeValue();
    FreeAll(List(&draft));
  }
}

TEST_P(ListRemovalTest, NoticesAnyChangeOfTheOriginal) {
  Model model;
  for (int i = 0; i < 200; ++i) model.push_back(std::to_string(i));
  uint64_t word = Made(model);
  uint64_t frozen = List(&word).Clone(Collection::Holder::kReader);
  EXPECT_TRUE(List(&word).IsStill(frozen));
  Missing cold;
  List(&word).PlanRange(0, model.size(), &cold);
  pool.Heat(cold.ids());
  List(&word).Set(100, AsBytes("100"));  // The same content, but somebody wrote.
  EXPECT_FALSE(List(&word).IsStill(frozen));
  EXPECT_EQ(Walked(&frozen, 0, model.size(), false), model);
  EXPECT_EQ(Walked(&frozen, 50, 60, true), Model(model.rbegin() + 140, model.rbegin() + 150));
  FreeAll(List(&word));
  FreeAll(List(&frozen));
}

INSTANTIATE_TEST_SUITE_P(Shapes, ListRemovalTest, ::testing::ValuesIn(kShapes), ShapeName);

}  // namespace
}  // namespace flash::values
