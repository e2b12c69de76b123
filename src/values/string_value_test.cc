// string_value_test.cc: forms of strings, their sharing and ending, over a pool with a fake store.
//
// Thread: one.
#include "values/string_value.h"

#include <gtest/gtest.h>

#include "tests/support/block_pool_fixture.h"

namespace flash::values {
namespace {

using Form = StringValue::Form;
using Use = Strings::Use;

class StringValueTest : public testing::BlockPoolFixture {
 protected:
  void SetUp() override {
    Open(64 * kMiB);
    strings = std::make_unique<Strings>(pool.get(), &counters);
  }

  [[nodiscard]] std::vector<std::byte> Content(StringValue value) const {
    std::vector<std::byte> bytes(value.bytes());
    strings->CopyTo(value, bytes, Use::kPeek);
    return bytes;
  }
  void End(StringValue value) {
    Rope* rest = strings->Free(value);
    while (rest != nullptr) rest = strings->FreeRest(rest, 3);
  }
  [[nodiscard]] uint64_t LiveBlocks() {
    const auto& blocks = pool->stats().blocks;
    return blocks[1] + blocks[2] + blocks[3] + blocks[4];
  }
  void Chill(StringValue value) {
    for (uint32_t i = 0; i < strings->BlockCount(value); ++i) {
      static_cast<void>(pool->Demote(strings->BlockAt(value, i)));
    }
    store->FinishPuts();
  }

  ValueCounters counters;
  std::unique_ptr<Strings> strings;
};

TEST_F(StringValueTest, EveryLengthAroundTheBoundsOfTheFormsComesBack) {
  const uint32_t block_max = pool->block_bytes_max();
  const uint32_t piece = strings->rope_piece_bytes();
  const std::vector<uint64_t> lengths = {0,
                                         1,
                                         6,
                                         7,
                                         8,
                                         9,
                                         62,
                                         63,
                                         64,
                                         65,
                                         1000,
                                         piece - 1,
                                         piece,
                                         piece + 1,
                                         block_max - 1,
                                         block_max,
                                         block_max + 1,
                                         5 * uint64_t{piece},
                                         5 * uint64_t{piece} + 1};
  for (const uint64_t length : lengths) {
    SCOPED_TRACE(length);
    const auto bytes = BytesOf(length, static_cast<uint32_t>(length));
    const StringValue value = strings->Create(bytes);
    EXPECT_NE(value.bits(), 0U);
    EXPECT_EQ(value.bytes(), length);
    EXPECT_EQ(Content(value), bytes);
    EXPECT_TRUE(strings->Equals(value, bytes, Use::kPeek));
    const Form expected = length <= 7           ? Form::kInline
                          : length < 64         ? Form::kTiny
                          : length <= block_max ? Form::kBlock
                                                : Form::kRope;
    EXPECT_EQ(value.form(), expected);
    EXPECT_EQ(StringValue::FromPointer(value.pointer()), value);
    End(value);
  }
  EXPECT_EQ(LiveBlocks(), 0U);
  EXPECT_EQ(counters.resident_tiny_bytes, 0U);
  EXPECT_EQ(counters.resident_tiny_values, 0U);
}

TEST_F(StringValueTest, BytesOfAnyValueSurviveInlineAndTiny) {
  for (const size_t length : {7U, 63U}) {
    for (const int fill : {0x00, 0x07, 0xff}) {
      const std::vector<std::byte> bytes(length, static_cast<std::byte>(fill));
      const StringValue value = strings->Create(bytes);
      EXPECT_EQ(Content(value), bytes);
      End(value);
    }
  }
}

TEST_F(StringValueTest, EqualsSeesOneChangedByteAnywhere) {
  for (const uint32_t length : {5U, 40U, 5000U, pool->block_bytes_max() + 70000}) {
    auto bytes = BytesOf(1, length);
    const StringValue value = strings->Create(bytes);
    for (const uint32_t at : {0U, length / 2, length - 1}) {
      bytes[at] ^= std::byte{1};
      EXPECT_FALSE(strings->Equals(value, bytes, Use::kPeek)) << length << " at " << at;
      bytes[at] ^= std::byte{1};
    }
    EXPECT_FALSE(strings->Equals(value, Bytes(bytes).first(length - 1), Use::kPeek));
    End(value);
  }
}

TEST_F(StringValueTest, TinyValuesAreCountedWhileTheyLive) {
  const StringValue in_word = strings->Create(BytesOf(1, 5));
  const StringValue tiny = strings->Create(BytesOf(2, 40));
  EXPECT_EQ(counters.resident_tiny_values, 2U);
  EXPECT_GE(counters.resident_tiny_bytes, 40U);
  EXPECT_EQ(strings->RamBytes(in_word), 0U);
  EXPECT_EQ(strings->RamBytes(tiny), counters.resident_tiny_bytes);
  EXPECT_EQ(Strings::HotBytesOf(40), 0U);
  EXPECT_EQ(LiveBlocks(), 0U);
  End(in_word);
  End(tiny);
  EXPECT_EQ(counters.resident_tiny_values, 0U);
  EXPECT_EQ(counters.resident_tiny_bytes, 0U);
}

TEST_F(StringValueTest, ShareOutlivesTheOriginalInEveryForm) {
  for (const uint32_t length : {0U, 5U, 40U, 5000U, pool->block_bytes_max() + 70000}) {
    SCOPED_TRACE(length);
    const auto bytes = BytesOf(3, length);
    const StringValue value = strings->Create(bytes);
    const uint64_t blocks = LiveBlocks();
    const StringValue copy = strings->Share(value);
    EXPECT_EQ(LiveBlocks(), blocks);
    End(value);
    EXPECT_EQ(Content(copy), bytes);
    End(copy);
    EXPECT_EQ(LiveBlocks(), 0U);
  }
}

TEST_F(StringValueTest, ColdBlocksAreMissingAndCountTheValueOnce) {
  const StringValue value = strings->Create(BytesOf(4, pool->block_bytes_max() + 1));
  std::vector<BlockId> missing;
  strings->AppendMissing(value, &missing);
  EXPECT_TRUE(missing.empty());
  EXPECT_TRUE(strings->IsHot(value));
  const uint64_t hot_ram = strings->RamBytes(value);
  EXPECT_GT(hot_ram, value.bytes());

  Chill(value);
  EXPECT_FALSE(strings->IsHot(value));
  EXPECT_EQ(strings->ColdBlocks(value), strings->BlockCount(value));
  strings->AppendMissing(value, &missing);
  EXPECT_EQ(missing.size(), strings->BlockCount(value));
  EXPECT_EQ(counters.tiered_multi_block_values, 1U);
  EXPECT_LT(strings->RamBytes(value), 200U);

  const StringValue copy = strings->Share(value);
  EXPECT_EQ(counters.tiered_multi_block_values, 2U);
  End(copy);
  EXPECT_EQ(counters.tiered_multi_block_values, 1U);
  End(value);
  EXPECT_EQ(counters.tiered_multi_block_values, 0U);
}

TEST_F(StringValueTest, FetchedValueIsHotAgainAndNoLongerTiered) {
  const auto bytes = BytesOf(5, pool->block_bytes_max() + 1);
  const StringValue value = strings->Create(bytes);
  Chill(value);
  std::vector<BlockId> missing;
  strings->AppendMissing(value, &missing);
  auto pins = pool->FetchNow(missing, blocks::WaitCause::kOther);
  ASSERT_TRUE(pins.outcome());
  EXPECT_TRUE(strings->IsHot(value));
  EXPECT_EQ(counters.tiered_multi_block_values, 0U);
  EXPECT_EQ(Content(value), bytes);
  pins.Release();
  End(value);
}

TEST_F(StringValueTest, OnlyAHotValueOfOneHolderAndTheSameLengthIsOverwritten) {
  for (const uint32_t length : {40U, 5000U}) {
    SCOPED_TRACE(length);
    const StringValue value = strings->Create(BytesOf(1, length));
    EXPECT_FALSE(strings->TryOverwrite(value, BytesOf(2, length - 1)));
    EXPECT_FALSE(strings->TryOverwrite(value, BytesOf(2, length + 1)));
    EXPECT_EQ(Content(value), BytesOf(1, length));
    EXPECT_TRUE(strings->TryOverwrite(value, BytesOf(2, length)));
    EXPECT_EQ(Content(value), BytesOf(2, length));
    const StringValue copy = strings->Share(value);
    const bool own_bytes = copy.form() == Form::kTiny;
    EXPECT_EQ(strings->TryOverwrite(value, BytesOf(3, length)), own_bytes);
    EXPECT_EQ(Content(copy), BytesOf(2, length));
    End(copy);
    EXPECT_TRUE(strings->TryOverwrite(value, BytesOf(4, length)));
    Chill(value);
    EXPECT_EQ(strings->TryOverwrite(value, BytesOf(5, length)), own_bytes);
    End(value);
  }
  const StringValue rope = strings->Create(BytesOf(1, pool->block_bytes_max() + 1));
  EXPECT_FALSE(strings->TryOverwrite(rope, BytesOf(2, pool->block_bytes_max() + 1)));
  End(rope);
  const StringValue in_word = strings->Create(BytesOf(1, 5));
  EXPECT_FALSE(strings->TryOverwrite(in_word, BytesOf(2, 5)));
  End(in_word);
}

TEST_F(StringValueTest, AnOverwrittenCleanBlockIsNotReadBackFromItsOldRecord) {
  const StringValue value = strings->Create(BytesOf(1, 5000));
  Chill(value);
  const std::vector<BlockId> ids = {strings->BlockAt(value, 0)};
  auto pins = pool->FetchNow(ids, blocks::WaitCause::kOther);
  EXPECT_TRUE(strings->TryOverwrite(value, BytesOf(2, 5000)));
  pins.Release();
  Chill(value);
  pins = pool->FetchNow(ids, blocks::WaitCause::kOther);
  EXPECT_EQ(Content(value), BytesOf(2, 5000));
  pins.Release();
  End(value);
}

TEST_F(StringValueTest, LargeRopeEndsInSlices) {
  const StringValue value = strings->Create(BytesOf(6, 20 * strings->rope_piece_bytes()));
  EXPECT_EQ(LiveBlocks(), 20U);
  Rope* rest = strings->Free(value);
  ASSERT_NE(rest, nullptr);
  EXPECT_EQ(LiveBlocks(), 16U);
  rest = strings->FreeRest(rest, 10);
  ASSERT_NE(rest, nullptr);
  EXPECT_EQ(LiveBlocks(), 6U);
  EXPECT_EQ(strings->FreeRest(rest, 10), nullptr);
  EXPECT_EQ(LiveBlocks(), 0U);
}

TEST_F(StringValueTest, BuilderMixesHotAndColdPieces) {
  const auto bytes = BytesOf(7, 5 * strings->rope_piece_bytes() + 77);
  StringBuilder builder(strings.get(), bytes.size());
  for (bool cold = false; builder.next_bytes() != 0; cold = !cold) {
    const Bytes piece = Bytes(bytes).subspan(builder.done_bytes(), builder.next_bytes());
    if (cold) {
      ASSERT_TRUE(builder.AppendCold(piece));
    } else {
      builder.AppendHot(piece);
    }
  }
  const StringValue value = builder.Finish();
  store->FinishPuts();
  EXPECT_EQ(value.bytes(), bytes.size());
  EXPECT_EQ(strings->ColdBlocks(value), 3U);
  std::vector<BlockId> ids;
  strings->AppendBlocks(value, &ids);
  auto pins = pool->FetchNow(ids, blocks::WaitCause::kOther);
  EXPECT_EQ(Content(value), bytes);
  pins.Release();
  End(value);
  EXPECT_EQ(LiveBlocks(), 0U);
}

TEST_F(StringValueTest, AnAbandonedBuilderLeavesNothing) {
  const auto bytes = BytesOf(8, 20 * strings->rope_piece_bytes());
  {
    StringBuilder builder(strings.get(), bytes.size());
    for (int i = 0; i < 7; ++i) {
      builder.AppendHot(Bytes(bytes).subspan(builder.done_bytes(), builder.next_bytes()));
    }
    EXPECT_EQ(LiveBlocks(), 7U);
  }
  EXPECT_EQ(LiveBlocks(), 0U);
  StringBuilder untouched(strings.get(), 1000);
  StringBuilder empty(strings.get(), 0);
  const StringValue nothing = empty.Finish();
  EXPECT_EQ(nothing.bytes(), 0U);
  End(nothing);
}

}  // namespace
}  // namespace flash::values
