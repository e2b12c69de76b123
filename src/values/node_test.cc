// node_test.cc: separators of bytes: every mixture of scores and members comes back as it was, and
// the child picked is the one that plain comparison of whole keys picks.
//
// Trees as such: the tests of the values. Thread: one.
#include "values/node.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "base/random.h"

namespace flash::values {
namespace {

std::string Whole(double score, const std::string& member) {
  const ScoreKey key(score, base::AsBytes(member));
  std::string text;
  for (int shift = 56; shift >= 0; shift -= 8) {
    text.push_back(static_cast<char>(key.head() >> shift & 0xff));
  }
  return text + member;
}

class NodeTest : public ::testing::Test {
 protected:
  double RandomScore(uint64_t kind) {
    switch (kind % 5) {
      case 0:
        return 1;
      case 1:
        return static_cast<double>(random.Below(4)) - 2;
      case 2:
        return static_cast<double>(random.Below(1000));
      case 3:
        return static_cast<double>(random.Next()) / 1e15;
      default:
        return random.Chance(1, 4) ? -std::numeric_limits<double>::infinity()
                                   : static_cast<double>(random.Below(3)) / 7;
    }
  }
  std::string RandomMember(uint64_t kind) {
    std::string number = std::to_string(random.Below(200));
    switch (kind % 5) {
      case 0:
        return "member:" + number;
      case 1:
        return number;
      case 2:
        return std::string(random.Below(4), '\xff') + std::string(random.Below(4), '\0');
      case 3:
        return std::string(30, 'p') + number + std::string(20, 's');
      default:
        return random.Chance(1, 3) ? "" : "m" + number;
    }
  }
  /// The shortest separators would be prefixes; any prefix is one.
  std::string RandomSeparator(uint64_t kind) {
    std::string whole = Whole(RandomScore(kind), RandomMember(kind / 5));
    if (random.Chance(1, 2)) whole.resize(1 + random.Below(whole.size()));
    return whole;
  }

  base::Random random{77};
};

TEST_F(NodeTest, PicksTheChildThatWholeKeysPick) {
  for (uint64_t round = 0; round < 400; ++round) {
    std::vector<std::string> sorted;
    Node* node = NewNode(Separators::kBytes, 0, 40);
    InsertChild(node, 0, LeafRef(1, 1, false).word(), 1, 0, {});
    const uint64_t count = 1 + random.Below(30);
    while (sorted.size() < count) {
      const std::string text = RandomSeparator(round);
      const auto at = std::lower_bound(sorted.begin(), sorted.end(), text);
      if (at != sorted.end() && *at == text) {
        if (random.Chance(1, 20)) break;
        continue;
      }
      const auto child = static_cast<uint32_t>(at - sorted.begin()) + 1;
      sorted.insert(at, text);
      InsertChild(node, child, LeafRef(2, 1, false).word(), 1, child, {0, text});
    }
    for (uint32_t i = 0; i < sorted.size(); ++i) {
      ASSERT_EQ(SeparatorAt(node, i + 1).bytes, sorted[i]);
    }
    for (int probe = 0; probe < 100; ++probe) {
      const double score = RandomScore(round);
      const std::string member = RandomMember(random.Chance(1, 4) ? probe : round / 5);
      const auto expected =
          std::upper_bound(sorted.begin(), sorted.end(), Whole(score, member)) - sorted.begin();
      const ScoreKey key(score, base::AsBytes(member));
      ASSERT_EQ(PickByBytes(node, key), static_cast<uint32_t>(expected)) << round;
    }
    if (node->count > 2) {
      Separator between;
      const uint32_t cut = 1 + static_cast<uint32_t>(random.Below(node->count - 1U));
      Node* right = SplitNode(node, cut, &between);
      ASSERT_EQ(between.bytes, sorted[cut - 1]);
      RemoveChild(right, 0);
      for (uint32_t i = 1; i < node->count; ++i) {
        ASSERT_EQ(SeparatorAt(node, i).bytes, sorted[i - 1]);
      }
      for (uint32_t i = 1; i < right->count; ++i) {
        ASSERT_EQ(SeparatorAt(right, i).bytes, sorted[cut + i]);
      }
      DeleteNode(right);
    }
    DeleteNode(node);
  }
}

TEST_F(NodeTest, ManyMembersOfFewScoresNeedNoAllocations) {
  Node* node = NewNode(Separators::kBytes, 0, 128);
  InsertChild(node, 0, LeafRef(1, 1, false).word(), 1, 0, {});
  std::vector<std::string> sorted;
  sorted.reserve(100);
  for (int score = 500; score < 510; ++score) {
    for (int i = 0; i < 10; ++i) {
      sorted.push_back(Whole(score, "member:000" + std::to_string(score + i)));
    }
  }
  for (const std::string& text : sorted) {
    InsertChild(node, node->count, LeafRef(2, 1, false).word(), 1, node->count, {0, text});
  }
  EXPECT_FALSE(node->has_long);
  DeleteNode(node);
}

}  // namespace
}  // namespace flash::values
