// zset_value_test.cc: sorted sets against std::map and std::set, with demotions between and during
// the operations.
//
// Knows only the public face. Thread: one.
#include "values/zset_value.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/support/fake_block_pool.h"
#include "values/values_test_support.h"

namespace flash::values {
namespace {

using base::AsBytes;
using Scored = std::pair<double, std::string>;
using Side = ScoreBound::Side;

struct Model {
  std::map<std::string, double> scores;
  std::set<Scored> order;

  void Set(const std::string& member, double score) {
    Erase(member);
    scores[member] = score;
    order.insert({score, member});
  }
  bool Erase(const std::string& member) {
    const auto found = scores.find(member);
    if (found == scores.end()) return false;
    order.erase({found->second, member});
    scores.erase(found);
    return true;
  }
  [[nodiscard]] uint64_t Rank(const Scored& element) const {
    return static_cast<uint64_t>(std::distance(order.begin(), order.lower_bound(element)));
  }
};

class ZSetValueTest : public ValuesTest<testing::FakeBlockPool> {
 protected:
  ZSetValue ZSet(uint64_t* word) { return {env, word}; }

  double RandomScore() {
    switch (random.Below(12)) {
      case 0:
        return -std::numeric_limits<double>::infinity();
      case 1:
        return std::numeric_limits<double>::infinity();
      case 2:
        return random.Chance(1, 2) ? 0.0 : -0.0;
      case 3:
        return -static_cast<double>(random.Below(1000)) / 7;
      default:
        return static_cast<double>(random.Below(20));
    }
  }
  bool Set(uint64_t* word, const std::string& member, double score) {
    ZSetValue zset = ZSet(word);
    Fetch([&](Missing* m) { zset.PlanSet(AsBytes(member), score, m); });
    // Half of them go on where the plan ended, as handlers do.
    goes_on = !goes_on;
    return goes_on ? zset.Set(AsBytes(member), score) : ZSet(word).Set(AsBytes(member), score);
  }
  bool Erase(uint64_t* word, const std::string& member) {
    Fetch([&](Missing* m) { ZSet(word).PlanErase(AsBytes(member), m); });
    return ZSet(word).Erase(AsBytes(member));
  }
  uint64_t RankOf(uint64_t* word, double score, const std::string& member, Side side) {
    const ScoreBound bound{score, {AsBytes(member)}, side};
    Fetch([&](Missing* m) { (void)ZSet(word).RankOf(bound, m); });
    return *ZSet(word).RankOf(bound, nullptr);
  }
  std::vector<Scored> Read(uint64_t* word, uint64_t begin, uint64_t end, bool reverse) {
    Fetch([&](Missing* m) {
      ZSet(word).PlanRange(begin, end, m);
      if (!m->empty()) return;
      ZSet(word).ForRange(begin, end, [&](double, const Element& member) {
        PlanElement(env, member, m);
        return true;
      });
    });
    std::vector<Scored> read;
    const auto visit = [&](double score, const Element& member) {
      read.emplace_back(score, ElementText(env, member));
      return true;
    };
    ZSetValue zset = ZSet(word);
    reverse ? zset.ForRangeReverse(begin, end, visit) : zset.ForRange(begin, end, visit);
    return read;
  }
  std::map<std::string, double> ScanAll(uint64_t* word, uint64_t step) {
    std::map<std::string, double> read;
    uint64_t cursor = 0;
    do {
      Fetch([&](Missing* m) {
        ZSet(word).PlanScan(cursor, step, m);
        if (!m->empty()) return;
        (void)ZSet(word).Scan(cursor, step,
                              [&](double, const Element& member) { PlanElement(env, member, m); });
      });
      cursor = ZSet(word).Scan(cursor, step, [&](double score, const Element& member) {
        read[ElementText(env, member)] = score;
      });
    } while (cursor != 0);
    return read;
  }
  void ExpectEqual(uint64_t* word, const Model& model) {
    const uint64_t size = model.order.size();
    ASSERT_EQ(ZSet(word).size(), size);
    const std::vector<Scored> all(model.order.begin(), model.order.end());
    ASSERT_EQ(Read(word, 0, size, false), all);
    ASSERT_EQ(Read(word, 0, size, true), std::vector<Scored>(all.rbegin(), all.rend()));
    ASSERT_EQ(ScanAll(word, 1 + random.Below(20)), model.scores);
  }

  void Query(uint64_t* word, const Model& model, const std::string& member) {
    const auto found = model.scores.find(member);
    Fetch([&](Missing* m) { ZSet(word).PlanScore(AsBytes(member), m); });
    const auto score = ZSet(word).Score(AsBytes(member));
    ASSERT_EQ(score.has_value(), found != model.scores.end());
    Fetch([&](Missing* m) { (void)ZSet(word).Rank(AsBytes(member), m); });
    const auto rank = ZSet(word).Rank(AsBytes(member));
    ASSERT_EQ(rank.has_value(), score.has_value());
    if (score) {
      ASSERT_EQ(*score, found->second);
      ASSERT_EQ(*rank, model.Rank({*score, member}));
    }
    const double bound = RandomScore();
    ASSERT_EQ(RankOf(word, bound, "", Side::kBeforeScore), model.Rank({bound, ""}));
    ASSERT_EQ(RankOf(word, bound, member, Side::kBeforeMember), model.Rank({bound, member}));
    ASSERT_EQ(RankOf(word, bound, member, Side::kAfterMember),
              model.Rank({bound, member}) + (model.order.contains({bound, member}) ? 1 : 0));
    const auto behind = std::find_if(model.order.begin(), model.order.end(),
                                     [&](const Scored& s) { return s.first > bound; });
    ASSERT_EQ(RankOf(word, bound, "", Side::kAfterScore),
              static_cast<uint64_t>(std::distance(model.order.begin(), behind)));
  }

  void PopOne(uint64_t* word, Model* model) {
    if (model->order.empty()) return;
    const bool lowest = random.Chance(1, 2);
    const Scored expected = lowest ? *model->order.begin() : *model->order.rbegin();
    pool.ChillAll();
    ZSetValue zset = ZSet(word);
    const auto end = lowest ? ZSetValue::End::kLowest : ZSetValue::End::kHighest;
    Fetch([&](Missing* m) { zset.PlanPop(end, m); });
    const ZSetValue::Scored found = zset.Peeked();
    ASSERT_EQ(Scored(found.score, ElementText(env, found.member)), expected);
    zset.Pop();
    ASSERT_TRUE(model->Erase(expected.second));
  }

  void Pop(uint64_t* word, Model* model) {
    const uint64_t size = model->order.size();
    const uint64_t count = std::min<uint64_t>(size, 1 + random.Below(5));
    const bool lowest = random.Chance(1, 2);
    const uint64_t begin = lowest ? 0 : size - count;
    const std::vector<Scored> popped = Read(word, begin, begin + count, false);
    pool.ChillAll();
    Fetch([&](Missing* m) { ZSet(word).PlanEraseRange(begin, begin + count, m); });
    ZSet(word).EraseRange(begin, begin + count);
    for (const auto& [score, member] : popped) ASSERT_TRUE(model->Erase(member));
  }

  void Step(uint64_t* word, Model* model, uint64_t variety, uint64_t erase_share) {
    const std::string member = RandomText(variety);
    if (random.Below(100) < erase_share) {
      if (random.Chance(1, 5)) {
        return random.Chance(1, 2) ? PopOne(word, model) : Pop(word, model);
      }
      ASSERT_EQ(Erase(word, member), model->Erase(member));
    } else if (random.Chance(1, 5)) {
      Query(word, *model, member);
    } else {
      const double score = RandomScore();
      ASSERT_EQ(Set(word, member, score), !model->scores.contains(member));
      model->Set(member, score);
    }
    ASSERT_EQ(ZSet(word).size(), model->order.size());
  }

  bool goes_on = false;
};

TEST_P(ZSetValueTest, MovesTheOnlyMemberOfALeafBesideColdOnes) {
  uint64_t word = 0;
  Model model;
  for (int i = 0; i < 150; ++i) {
    const std::string member =
        std::to_string(1000 + i) + std::string(env.inline_bytes_max / 3, 'x');
    Set(&word, member, i);
    model.Set(member, i);
    pool.ChillAll();
    Set(&word, member, i + 0.5);
    model.Set(member, i + 0.5);
    pool.ChillAll();
  }
  ExpectEqual(&word, model);
  FreeAll(ZSet(&word));
}

TEST_P(ZSetValueTest, SeveralMembersSetAndErasedTogetherBesideColdLeaves) {
  uint64_t word = 0;
  Model model;
  const auto member_of = [&](uint64_t i) {
    return std::to_string(1000 + i) + std::string(env.inline_bytes_max / 3, 'x');
  };
  for (int round = 0; round < 1500; ++round) {
    std::vector<Scored> together;
    const double near = static_cast<double>(random.Below(60));
    for (uint64_t i = 0; i <= random.Below(6); ++i) {
      const double score = near + static_cast<double>(random.Below(8)) / 4;
      together.emplace_back(score, member_of(static_cast<uint64_t>(near) + random.Below(5)));
    }
    pool.ChillAll();
    ZSetValue zset = ZSet(&word);
    if (random.Chance(2, 3)) {
      Fetch([&](Missing* m) {
        zset = ZSet(&word);
        zset.ExpectSeveral();
        for (const auto& [score, member] : together) zset.PlanSet(AsBytes(member), score, m);
        zset.PlanHeirs(m);
      });
      for (const auto& [score, member] : together) {
        (void)zset.Set(AsBytes(member), score);
        model.Set(member, score);
      }
    } else {
      Fetch([&](Missing* m) {
        for (const auto& [score, member] : together) zset.PlanErase(AsBytes(member), m);
      });
      for (const auto& [score, member] : together) {
        ASSERT_EQ(!zset.empty() && zset.Erase(AsBytes(member)), model.Erase(member));
      }
    }
  }
  ExpectEqual(&word, model);
  FreeAll(ZSet(&word));
}

TEST_P(ZSetValueTest, AScoreThatNoLongerFitsALoneLeafLeavesEveryMemberCounted) {
  uint64_t word = 0;
  Model model;
  for (int i = 0; ZSet(&word).empty() || !ZSet(&word).has_root(); ++i) {
    const std::string member = std::to_string(10'000 + i);
    Set(&word, member, 1);
    model.Set(member, 1);
    uint64_t copy = ZSet(&word).Clone(Collection::Holder::kKey);
    Model expected = model;
    Set(&copy, "10000", 1.5);  // Takes four bytes more than a whole number.
    expected.Set("10000", 1.5);
    ExpectEqual(&copy, expected);
    FreeAll(ZSet(&copy));
    if (HasFailure()) break;
  }
  FreeAll(ZSet(&word));
}

/// What is compared among large members with equal scores depends on what a leaf holds, and that
/// changes with each member that is set or erased. Nothing is hot but what was planned.
TEST_P(ZSetValueTest, ColdLargeMembersWithEqualScoresSetAndErasedOneOrSeveralAtATime) {
  env.hash_mask = ~uint64_t{0};  // Whole 64-bit hashes do not collide.
  uint64_t word = 0;
  Model model;
  const std::string prefix(env.inline_bytes_max + 100, 'p');
  for (int round = 0; round < 1200; ++round) {
    std::vector<Scored> together;
    const uint64_t count = 1 + random.Below(random.Chance(1, 2) ? 1 : 6);
    for (uint64_t i = 0; i < count; ++i) {
      const std::string number = std::to_string(100 + random.Below(80));
      // A short one now and then, which is compared with the large ones all the same.
      const std::string head = random.Chance(1, 8) ? std::string(40, 'p') : prefix;
      together.emplace_back(static_cast<double>(random.Below(3)) / 2, head + number);
    }
    pool.ChillAll();
    ZSetValue zset = ZSet(&word);
    const bool erase = random.Chance(round % 400 < 200 ? 1U : 2U, 4);
    Fetch([&](Missing* m) {
      zset = ZSet(&word);
      if (count > 1 && !erase) zset.ExpectSeveral();
      for (const auto& [score, member] : together) {
        erase ? zset.PlanErase(AsBytes(member), m) : zset.PlanSet(AsBytes(member), score, m);
      }
      if (count > 1 && !erase) zset.PlanHeirs(m);
    });
    for (const auto& [score, member] : together) {
      if (erase) {
        ASSERT_EQ(!zset.empty() && zset.Erase(AsBytes(member)), model.Erase(member));
      } else {
        (void)zset.Set(AsBytes(member), score);
        model.Set(member, score);
      }
    }
    if (round % 50 == 0) ExpectEqual(&word, model);
    if (HasFailure()) break;
  }
  ExpectEqual(&word, model);
  FreeAll(ZSet(&word));
}

TEST_P(ZSetValueTest, FollowsASetThroughRandomOperationsAndDemotions) {
  uint64_t word = 0;
  Model model;
  for (int phase = 0; phase < 6; ++phase) {
    for (int step = 0; step < 1200; ++step) {
      ChillAtRandom();
      Step(&word, &model, 400, phase % 2 == 0 ? 15 : 60);
      if (HasFatalFailure()) return;
    }
    ExpectEqual(&word, model);
    if (HasFatalFailure()) return;
  }
  while (!model.scores.empty()) {
    ChillAtRandom();
    const std::string member = model.scores.begin()->first;
    ASSERT_TRUE(Erase(&word, member));
    model.Erase(member);
  }
  EXPECT_EQ(word, 0U);
}

TEST_P(ZSetValueTest, CopiesDiverge) {
  std::vector<uint64_t> words(1, 0);
  std::vector<Model> models(1);
  for (int step = 0; step < 2500; ++step) {
    ChillAtRandom();
    const auto which = static_cast<size_t>(random.Below(words.size()));
    if (random.Chance(1, 100) && words.size() < 5) {
      words.push_back(ZSet(&words[which]).Clone(Collection::Holder::kKey));
      models.push_back(models[which]);
    } else if (random.Chance(1, 200) && words.size() > 1) {
      FreeAll(ZSet(&words[which]));
      words.erase(words.begin() + static_cast<ptrdiff_t>(which));
      models.erase(models.begin() + static_cast<ptrdiff_t>(which));
    } else {
      Step(&words[which], &models[which], 200, 30);
    }
    if (HasFatalFailure()) return;
  }
  for (size_t i = 0; i < words.size(); ++i) {
    ExpectEqual(&words[i], models[i]);
    FreeAll(ZSet(&words[i]));
  }
}

/// Members that differ only far behind every prefix that a leaf or an encoded separator keeps.
TEST_P(ZSetValueTest, EqualScoresAndLongCommonPrefixes) {
  uint64_t word = 0;
  Model model;
  const std::string prefix(env.inline_bytes_max + 100, 'p');
  for (int step = 0; step < 600; ++step) {
    ChillAtRandom();
    std::string member = "p" + std::to_string(random.Below(300));
    if (random.Chance(1, 2)) member.insert(0, prefix, random.Below(60), std::string::npos);
    if (random.Chance(1, 4)) {
      ASSERT_EQ(Erase(&word, member), model.Erase(member));
    } else {
      ASSERT_EQ(Set(&word, member, 1), !model.scores.contains(member));
      model.Set(member, 1);
    }
  }
  ExpectEqual(&word, model);
  FreeAll(ZSet(&word));
}

TEST_P(ZSetValueTest, ScanShowsWhatWasThereAllTheTime) {
  uint64_t word = 0;
  Model model;
  for (int i = 0; i < 800; ++i) {
    const std::string member = "stays" + std::to_string(i);
    (void)Set(&word, member, RandomScore());
  }
  std::set<std::string> seen;
  uint64_t cursor = 0;
  do {
    Fetch([&](Missing* m) { ZSet(&word).PlanScan(cursor, 10, m); });
    cursor = ZSet(&word).Scan(
        cursor, 10, [&](double, const Element& member) { seen.insert(ElementText(env, member)); });
    for (int i = 0; i < 20; ++i) {
      const std::string other = "comes" + std::to_string(random.Below(500));
      random.Chance(1, 2) ? (void)Set(&word, other, RandomScore()) : (void)Erase(&word, other);
      (void)Set(&word, "stays" + std::to_string(random.Below(800)), RandomScore());
    }
  } while (cursor != 0);
  for (int i = 0; i < 800; ++i) EXPECT_TRUE(seen.contains("stays" + std::to_string(i)));
  FreeAll(ZSet(&word));
}

TEST_P(ZSetValueTest, RanksByMemberWhereTheyRiseWithTheScores) {
  uint64_t word = 0;
  std::vector<std::string> members;
  for (int i = 0; i < 700; ++i) {
    members.push_back(RandomText(10'000) + std::to_string(i));
  }
  std::sort(members.begin(), members.end());
  for (size_t i = 0; i < members.size(); ++i) {
    (void)Set(&word, members[i], static_cast<double>(i / 3));
  }
  const auto rank_of = [&](const std::string& text, bool after) {
    const Element element{AsBytes(text)};
    const uint32_t rounds =
        Fetch([&](Missing* m) { (void)ZSet(&word).RankByMember(element, after, m); });
    EXPECT_LE(rounds, 6U) << "reads one after the other";
    return *ZSet(&word).RankByMember(element, after, nullptr);
  };
  for (int step = 0; step < 300; ++step) {
    if (step % 3 == 0) ChillAtRandom();
    std::string text = members[random.Below(members.size())];
    if (random.Chance(1, 2)) text.resize(random.Below(text.size() + 1));
    if (random.Chance(1, 3)) text.push_back(static_cast<char>(random.Below(256)));
    if (text.size() > env.inline_bytes_max) continue;  // The caller's are never stored.
    const auto begin = members.begin();
    ASSERT_EQ(rank_of(text, false), std::lower_bound(begin, members.end(), text) - members.begin());
    ASSERT_EQ(rank_of(text, true), std::upper_bound(begin, members.end(), text) - members.begin());
  }
  FreeAll(ZSet(&word));
}

TEST_P(ZSetValueTest, ScanEndsAndShowsAllWhileTheSetGrowsAndShrinks) {
  constexpr uint64_t kCursorEnd = uint64_t{1} << 48;
  constexpr int kStays = 30;
  uint64_t steps_max = 0;
  for (int run = 0; run < 20; ++run) {
    uint64_t word = 0;
    for (int i = 0; i < kStays; ++i) (void)Set(&word, "stays" + std::to_string(i), RandomScore());
    int others = 0;  // "other0" up to this one are there.
    int target = 0;
    const auto move_on = [&](int changes) {
      for (; changes > 0 && others < target; --changes) {
        (void)Set(&word, "other" + std::to_string(others++), RandomScore());
      }
      for (; changes > 0 && others > target; --changes) {
        (void)Erase(&word, "other" + std::to_string(--others));
      }
      // A lone leaf at times.
      if (others == target && changes > 0) target = static_cast<int>(random.Below(1500));
      if (others == target && random.Chance(1, 2)) target = 0;
    };
    target = 1000;
    move_on(1000);
    std::set<std::string> seen;
    uint64_t cursor = 0;
    uint64_t steps = 0;
    do {
      ASSERT_LT(++steps, 5000U);
      if (random.Chance(1, 3)) ChillAtRandom();
      const uint64_t count = 1 + random.Below(12);
      Fetch([&](Missing* m) { ZSet(&word).PlanScan(cursor, count, m); });
      const uint64_t next = ZSet(&word).Scan(cursor, count, [&](double, const Element& member) {
        seen.insert(ElementText(env, member));
      });
      ASSERT_LT(next, kCursorEnd);
      ASSERT_TRUE(next == 0 || next > cursor);
      cursor = next;
      move_on(static_cast<int>(random.Below(60)));
    } while (cursor != 0);
    for (int i = 0; i < kStays; ++i) EXPECT_TRUE(seen.contains("stays" + std::to_string(i)));
    steps_max = std::max(steps_max, steps);
    FreeAll(ZSet(&word));
  }
  EXPECT_GT(steps_max, 20U);
}

TEST_P(ZSetValueTest, BuildsFromPairsHotAndStraightToFlash) {
  for (const bool to_flash : {false, true}) {
    for (const int count : {0, 1, 10, 500}) {
      Model model;
      for (int i = 0; i < count; ++i) model.Set(RandomText(100'000), RandomScore());
      std::vector<ZSetValue::Pair> pairs;
      for (const auto& [member, score] : model.scores) pairs.emplace_back(score, AsBytes(member));
      uint64_t word = 0;
      ASSERT_TRUE(ZSet(&word).Build(pairs, to_flash));
      ExpectEqual(&word, model);
      for (int step = 0; step < 100; ++step) Step(&word, &model, 1000, 40);
      ExpectEqual(&word, model);
      FreeAll(ZSet(&word));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, ZSetValueTest, ::testing::ValuesIn(kShapes), ShapeName);

}  // namespace
}  // namespace flash::values
