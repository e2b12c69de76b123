// leaf_test.cc: the bytes of leaves: insertion, erasure, moving, validation, golden bytes.
//
// Knows no tree. Golden bytes: tests/golden/leaf_v1.hex (docs/format/leaf.md).
#include "values/leaf.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/random.h"
#include "tests/support/fake_block_pool.h"
#include "values/element.h"
#include "values/leaf_search.h"

namespace flash::values {
namespace {

using base::AsBytes;
using base::AsText;

/// A leaf in a plain buffer that grows as a block would.
class Leaf {
 public:
  explicit Leaf(LeafKind kind, uint32_t size = kLeafHeaderBytes) : bytes_(size) {
    LeafInit(bytes_, kind);
  }
  [[nodiscard]] LeafView view() const { return LeafView(bytes_); }
  [[nodiscard]] Bytes bytes() const { return bytes_; }
  std::vector<std::byte>& raw() { return bytes_; }

  void SetSize(uint32_t size) {
    const auto before = static_cast<uint32_t>(bytes_.size());
    if (size > before) bytes_.resize(size);
    LeafMoveSlots(bytes_, before, size);
    bytes_.resize(size);
  }
  void Insert(uint32_t i, const EntryDraft& draft) {
    const uint32_t used = view().used() + draft.bytes() + kSlotBytes;
    if (used > bytes_.size()) SetSize(LeafCapacity(used, false));
    draft.WriteTo(LeafInsert(bytes_, i, draft.bytes(), draft.flags()));
  }
  void Replace(uint32_t i, const EntryDraft& draft) {
    const uint32_t used = view().used() + draft.bytes();
    if (used > bytes_.size()) SetSize(LeafCapacity(used, false));
    draft.WriteTo(LeafResizeEntry(bytes_, i, draft.bytes(), draft.flags()));
  }

 private:
  std::vector<std::byte> bytes_;
};

struct LeafTest : ::testing::Test {
  testing::FakeBlockPool pool;
  ValueCounters counters;
  Env env{.store = &pool, .counters = &counters, .hash_seed = 7};

  std::deque<std::string> texts;  // Drafts refer to them.

  ElementDraft Draft(const std::string& text) {
    texts.push_back(text);
    return ElementDraft(env, AsBytes(texts.back()), nullptr);
  }
};

TEST_F(LeafTest, FollowsAVectorThroughRandomChanges) {
  base::Random random(1);
  for (int round = 0; round < 20; ++round) {
    Leaf leaf(LeafKind::kList);
    std::vector<std::string> model;
    for (int step = 0; step < 600; ++step) {
      const uint64_t what = random.Below(10);
      const std::string text(random.Below(40), static_cast<char>('a' + random.Below(26)));
      const auto at = static_cast<uint32_t>(random.Below(model.size() + 1));
      const ElementDraft element = Draft(text);
      if (what < 6 && leaf.view().used() + text.size() + 2 < 8000) {
        leaf.Insert(at, EntryDraft::OfList(element));
        model.insert(model.begin() + at, text);
      } else if (what < 8 && at < model.size()) {
        leaf.Replace(at, EntryDraft::OfList(element));
        model[at] = text;
      } else if (at < model.size()) {
        const auto to =
            static_cast<uint32_t>(at + random.Below(std::min<size_t>(model.size() - at, 9) + 1));
        LeafErase(leaf.raw(), at, to);
        model.erase(model.begin() + at, model.begin() + to);
      }
      if (random.Chance(1, 20))
        leaf.SetSize(leaf.view().used() + static_cast<uint32_t>(random.Below(50)));
      ASSERT_EQ(leaf.view().count(), model.size());
      ASSERT_TRUE(LeafValidate(leaf.bytes(), LeafKind::kList));
    }
    for (uint32_t i = 0; i < model.size(); ++i) {
      ASSERT_EQ(AsText(ParseListEntry(leaf.view().At(i)).bytes), model[i]);
    }
  }
}

TEST_F(LeafTest, AppendRangeCopiesAnyRangeBehindWhatIsThere) {
  Leaf from(LeafKind::kList);
  std::vector<std::string> all;
  for (uint32_t i = 0; i < 50; ++i) {
    all.push_back(std::string(i % 7, 'x') + std::to_string(i));
    from.Insert(i, EntryDraft::OfList(Draft(all.back())));
  }
  for (uint32_t begin = 0; begin < 50; begin += 7) {
    Leaf to(LeafKind::kList, 2048);
    to.Insert(0, EntryDraft::OfList(Draft("first")));
    LeafAppendRange(to.raw(), from.view(), begin, 50);
    LeafAppendRange(to.raw(), from.view(), 3, 5);
    ASSERT_EQ(to.view().count(), 1 + 50 - begin + 2);
    for (uint32_t i = begin; i < 50; ++i) {
      EXPECT_EQ(AsText(to.view().At(1 + i - begin).bytes), all[i]);
    }
    EXPECT_EQ(AsText(to.view().At(to.view().count() - 1).bytes), all[4]);
  }
}

TEST_F(LeafTest, FieldsOfAnyLengthComeBack) {
  for (const size_t length : {0U, 1U, 127U, 128U, 129U, 1000U, 1024U}) {
    Leaf leaf(LeafKind::kHash);
    const std::string field(length, 'f');
    const ElementDraft field_draft = Draft(field);
    const ElementDraft value_draft = Draft("value");
    leaf.Insert(0, EntryDraft::OfHash(field_draft, value_draft));
    const HashEntry entry = ParseHashEntry(leaf.view().At(0));
    EXPECT_EQ(AsText(entry.field.bytes), field);
    EXPECT_EQ(AsText(entry.value.bytes), "value");
    EXPECT_TRUE(LeafValidate(leaf.bytes(), LeafKind::kHash));
  }
}

TEST_F(LeafTest, InterpolationFindsEveryFieldAlsoAmongEqualHashes) {
  for (const uint64_t mask : {~uint64_t{0}, uint64_t{0x7000000000000000}, uint64_t{0}}) {
    env.hash_mask = mask;
    Leaf leaf(LeafKind::kHash);
    std::vector<std::string> fields;
    fields.reserve(150);
    for (int i = 0; i < 150; ++i) fields.push_back("field:" + std::to_string(i * 7919));
    for (const std::string& field : fields) {
      const Element key{AsBytes(field)};
      const Found found = FindField(env, leaf.view(), key, env.HashOf(key.bytes), {}, nullptr);
      ASSERT_FALSE(found.found);
      const ElementDraft draft = Draft(field);
      leaf.Insert(found.position, EntryDraft::OfHash(draft, draft));
    }
    for (const std::string& field : fields) {
      const Element key{AsBytes(field)};
      const Found found = FindField(env, leaf.view(), key, env.HashOf(key.bytes), {}, nullptr);
      ASSERT_TRUE(found.found);
      EXPECT_EQ(AsText(ParseHashEntry(leaf.view().At(found.position)).field.bytes), field);
    }
    for (uint32_t i = 1; i < leaf.view().count(); ++i) {
      EXPECT_LE(EntryHash(env, leaf.view().At(i - 1)), EntryHash(env, leaf.view().At(i)));
    }
  }
}

TEST_F(LeafTest, BoundsFallBetweenScoresAndMembers) {
  Leaf leaf(LeafKind::kScores);
  const std::vector<std::pair<double, std::string>> entries = {
      {-1.0 / 0.0, "x"}, {-2.5, "a"}, {0.0, "a"},      {-0.0, "b"},
      {0.0, "c"},        {3, ""},     {1.0 / 0.0, "z"}};
  for (uint32_t i = 0; i < entries.size(); ++i) {
    const ElementDraft member = Draft(entries[i].second);
    leaf.Insert(i, EntryDraft::OfScore(ScoreDraft(entries[i].first), member));
  }
  using Side = ScoreBound::Side;
  const auto at = [&](double score, const std::string& member, Side side) {
    const Found found = FindBound(env, leaf.view(), {score, {AsBytes(member)}, side}, nullptr);
    return std::make_pair(found.position, found.found);
  };
  EXPECT_EQ(at(0, "", Side::kBeforeScore), std::make_pair(2U, false));
  EXPECT_EQ(at(-0.0, "", Side::kAfterScore), std::make_pair(5U, false));
  EXPECT_EQ(at(0, "b", Side::kBeforeMember), std::make_pair(3U, true));
  EXPECT_EQ(at(0, "b", Side::kAfterMember), std::make_pair(4U, true));
  EXPECT_EQ(at(0, "bb", Side::kAfterMember), std::make_pair(4U, false));
  EXPECT_EQ(at(3, "", Side::kBeforeMember), std::make_pair(5U, true));
  EXPECT_EQ(at(1.0 / 0.0, "", Side::kAfterScore), std::make_pair(7U, false));
  EXPECT_EQ(ScanForMember(env, leaf.view(), {AsBytes("c")}, nullptr).position, 4U);
  EXPECT_FALSE(ScanForMember(env, leaf.view(), {AsBytes("d")}, nullptr).found);
}

TEST_F(LeafTest, LargeElementsCompareByTheirBlocksOnlyWhenThePrefixIsEqual) {
  std::string text(5000, 'p');
  const ElementDraft draft = Draft(text);
  ASSERT_TRUE(draft.large());
  pool.ChillAll();
  Missing missing;
  EXPECT_EQ(CompareElements(env, draft.element(), {AsBytes("q")}, &missing), Order::kLess);
  EXPECT_EQ(CompareElements(env, draft.element(), {AsBytes("ppp")}, &missing), Order::kGreater);
  std::string other = text;
  other.back() = 'q';
  EXPECT_EQ(ElementsEqual(env, draft.element(), {AsBytes(other)}, &missing), Order::kLess);
  EXPECT_TRUE(missing.empty());
  EXPECT_EQ(ElementsEqual(env, draft.element(), {AsBytes(text)}, &missing), Order::kUnknown);
  ASSERT_EQ(missing.cold().size(), 1U);
  pool.Heat(missing.cold());
  EXPECT_EQ(ElementsEqual(env, draft.element(), {AsBytes(text)}, &missing), Order::kEqual);
  EXPECT_EQ(CompareElements(env, draft.element(), {AsBytes(other)}, &missing), Order::kLess);
  EXPECT_EQ(ElementText(env, draft.element()), text);
  ReleaseElement(env, draft.element(), nullptr);
  EXPECT_EQ(pool.live_blocks(), 0U);
}

TEST_F(LeafTest, ElementsLongerThanABlockAreRopes) {
  std::string text(3'000'000, 'r');
  text += "end";
  const ElementDraft draft = Draft(text);
  EXPECT_GT(pool.live_blocks(), 1U);
  std::string other = text;
  other[2'999'999] = 'q';
  EXPECT_EQ(CompareElements(env, draft.element(), {AsBytes(other)}, nullptr), Order::kGreater);
  EXPECT_EQ(ElementText(env, draft.element()), text);
  ShareElement(env, draft.element());
  ReleaseElement(env, draft.element(), nullptr);
  EXPECT_EQ(ElementText(env, draft.element()), text);
  ReleaseElement(env, draft.element(), nullptr);
  EXPECT_EQ(pool.live_blocks(), 0U);
}

TEST_F(LeafTest, ValidateRefusesEveryKindOfDamage) {
  Leaf leaf(LeafKind::kHash, 64);
  const ElementDraft a = Draft("a");
  leaf.Insert(0, EntryDraft::OfHash(a, a));
  leaf.Insert(1, EntryDraft::OfHash(a, a));
  ASSERT_TRUE(LeafValidate(leaf.bytes(), LeafKind::kHash));
  EXPECT_FALSE(LeafValidate(leaf.bytes(), LeafKind::kList));
  const auto damaged = [&](size_t at, uint8_t value) {
    std::vector<std::byte> bytes(leaf.bytes().begin(), leaf.bytes().end());
    bytes[at] = static_cast<std::byte>(value);
    return LeafValidate(bytes, LeafKind::kHash);
  };
  EXPECT_FALSE(damaged(0, 0x21));   // Version.
  EXPECT_FALSE(damaged(1, 1));      // Reserved byte.
  EXPECT_FALSE(damaged(2, 31));     // Count beyond the block.
  EXPECT_FALSE(damaged(4, 9));      // Field beyond its entry.
  EXPECT_FALSE(damaged(62, 57));    // End behind the slots.
  EXPECT_FALSE(damaged(60, 2));     // Ends not ascending.
  EXPECT_FALSE(damaged(61, 0x20));  // Integer score, of a hash.
  EXPECT_FALSE(damaged(61, 0x40));  // Large, but no room for a reference.
  EXPECT_FALSE(LeafValidate(leaf.bytes().first(3), LeafKind::kHash));
}

std::vector<std::byte> Golden() {
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  std::ifstream file(root / "tests/golden/leaf_v1.hex");
  std::vector<std::byte> bytes;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    for (size_t at = 0; at + 1 < line.size(); at += 2) {
      bytes.push_back(static_cast<std::byte>(std::stoul(line.substr(at, 2), nullptr, 16)));
    }
  }
  return bytes;
}

std::string Hex(Bytes bytes) {
  std::string text;
  for (const std::byte b : bytes) {
    const char* digits = "0123456789abcdef";
    text += digits[static_cast<unsigned>(b) >> 4U];
    text += digits[static_cast<unsigned>(b) & 15U];
  }
  return text;
}

/// Three leaves of 96 bytes: each kind, a long field length, a large value (its word made up).
TEST_F(LeafTest, GoldenBytes) {
  std::vector<std::byte> all;
  const auto add = [&all](const Leaf& leaf) {
    all.insert(all.end(), leaf.bytes().begin(), leaf.bytes().end());
  };
  Leaf list(LeafKind::kList, 96);
  std::array<std::byte, kLargeRefBytes> reference{};
  for (size_t i = 0; i < reference.size(); ++i) reference[i] = static_cast<std::byte>(i + 1);
  const ElementDraft elements[] = {Draft("element"), Draft("")};
  list.Insert(0, EntryDraft::OfList(elements[0]));
  list.Insert(1, EntryDraft::OfList(elements[1]));
  list.Insert(2, EntryDraft::OfList(ElementDraft(Element{reference, true})));
  add(list);
  Leaf scores(LeafKind::kScores, 96);
  const ElementDraft members[] = {Draft("alpha"), Draft("beta"), Draft("gamma")};
  scores.Insert(0, EntryDraft::OfScore(ScoreDraft(-1.5), members[0]));
  scores.Insert(1, EntryDraft::OfScore(ScoreDraft(-7), members[1]));
  scores.Insert(2, EntryDraft::OfScore(ScoreDraft(1e300), members[2]));
  add(scores);
  Leaf hash(LeafKind::kHash, 192);
  const ElementDraft fields[] = {Draft(std::string(130, 'f')), Draft("v"), Draft("g"), Draft("")};
  hash.Insert(0, EntryDraft::OfHash(fields[0], fields[1]));
  hash.Insert(1, EntryDraft::OfHash(fields[2], fields[3]));
  add(hash);
  EXPECT_EQ(Hex(all), Hex(Golden()));
  EXPECT_TRUE(LeafValidate(list.bytes(), LeafKind::kList));
  EXPECT_TRUE(LeafValidate(scores.bytes(), LeafKind::kScores));
  EXPECT_TRUE(LeafValidate(hash.bytes(), LeafKind::kHash));
}

}  // namespace
}  // namespace flash::values
