// zset_join_test.cc: joins of sets of any size against a model, with few blocks hot.
//
// Over the fake pool. Thread: one.
#include "values/zset_join.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support/fake_block_pool.h"
#include "values/values_test_support.h"

namespace flash::values {
namespace {

using base::AsBytes;
using Model = std::map<std::string, double>;
using Joined = std::map<std::string, std::vector<std::optional<double>>>;

class ZSetJoinTest : public ValuesTest<testing::FakeBlockPool> {
 protected:
  uint64_t Make(const Model& model) {
    uint64_t word = 0;
    ZSetValue set(env, &word);
    for (const auto& [member, score] : model) {
      Fetch([&](Missing* missing) { set.PlanSet(AsBytes(member), score, missing); });
      (void)set.Set(AsBytes(member), score);
    }
    return word;
  }

  /// Goes through a join, where nothing stays hot but what it named last.
  Joined GoThrough(ZSetJoin* join) {
    Joined joined;
    uint64_t last_hash = 0;
    for (uint32_t lacking = 0;;) {
      Missing missing;
      const ZSetJoin::At at = join->Look(&missing);
      if (at == ZSetJoin::At::kEnd) return joined;
      if (at == ZSetJoin::At::kMissing) {
        EXPECT_FALSE(missing.empty());
        // All sets at once, and the blocks of large members that are compared.
        if (++lacking > 100) {
          ADD_FAILURE() << "no progress";
          return joined;
        }
        std::vector<BlockId> ids = missing.ids();
        pool.ChillAll();
        pool.Heat(ids);
        continue;
      }
      lacking = 0;
      if (at == ZSetJoin::At::kMember) {
        EXPECT_GE(join->hash(), last_hash);
        last_hash = join->hash();
        Missing text;
        PlanElement(env, join->member(), &text);
        if (!text.empty()) {
          join->Keep(&text);
          pool.Heat(text.cold());
          continue;
        }
        const auto scores = join->scores();
        EXPECT_TRUE(joined
                        .emplace(ElementText(env, join->member()),
                                 std::vector<std::optional<double>>(scores.begin(), scores.end()))
                        .second);
      }
      join->Advance();
    }
  }

  static Joined Expected(const std::vector<Model>& models, ZSetJoin::Of of) {
    Joined all;
    for (size_t i = 0; i < models.size(); ++i) {
      for (const auto& [member, score] : models[i]) {
        auto& scores = all.try_emplace(member, models.size()).first->second;
        scores[i] = score;
      }
    }
    if (of == ZSetJoin::Of::kAny) return all;
    std::erase_if(all, [&](const auto& pair) {
      const auto& scores = pair.second;
      if (!scores[0]) return true;
      return std::any_of(scores.begin() + 1, scores.end(), [&](const auto& score) {
        return score.has_value() == (of == ZSetJoin::Of::kFirstAlone);
      });
    });
    return all;
  }
};

INSTANTIATE_TEST_SUITE_P(Shapes, ZSetJoinTest, ::testing::ValuesIn(kShapes), ShapeName);

TEST_P(ZSetJoinTest, JoinsAreThoseOfTheModel) {
  const std::vector<std::vector<int>> sizes = {
      {300}, {200, 300}, {300, 200}, {0, 50}, {50, 0}, {5, 400, 300}, {400, 5}, {3, 2, 5}, {0}};
  for (const auto& of_sets : sizes) {
    std::vector<Model> models;
    std::vector<uint64_t> words;
    for (const int size : of_sets) {
      Model model;
      for (int i = 0; i < size; ++i) model[RandomText(400)] = static_cast<double>(random.Below(9));
      models.push_back(model);
      words.push_back(Make(model));
    }
    std::vector<uint64_t*> pointers;
    for (uint64_t& word : words) pointers.push_back(&word);
    for (const auto of : {ZSetJoin::Of::kAny, ZSetJoin::Of::kAll, ZSetJoin::Of::kFirstAlone}) {
      for (const uint64_t leaves : {1, 8, 64}) {
        pool.ChillAll();
        ZSetJoin join(env, pointers, {of, leaves * env.leaf_bytes_max});
        const Joined joined = GoThrough(&join);
        Joined expected = Expected(models, of);
        if (of == ZSetJoin::Of::kFirstAlone) {
          ASSERT_EQ(joined.size(), expected.size());
          for (const auto& [member, scores] : expected) {
            ASSERT_TRUE(joined.contains(member));
            EXPECT_EQ(joined.at(member)[0], scores[0]);
          }
        } else {
          EXPECT_EQ(joined, expected);
        }
      }
    }
    for (uint64_t& word : words) FreeAll(ZSetValue(env, &word));
  }
}

}  // namespace
}  // namespace flash::values
