// value_chunk_test.cc: values packed and read back; whatever damage, nothing beyond the bytes.
//
// Thread: one.
#include "values/value_chunk.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace flash::values {
namespace {

using base::AsBytes;
using base::AsText;

TEST(ValueChunkTest, ComesBackInOrder) {
  const std::string large(300'000, 'x');
  std::vector<std::byte> bytes;
  PackValue({0, PackedKind::kString, AsBytes("first")}, &bytes);
  PackValue({uint64_t{1} << 40, PackedKind::kZSet, AsBytes(large)}, &bytes);
  PackValue({7, PackedKind::kList, {}}, &bytes);
  PackEnd(&bytes);
  ChunkOfValues chunk(bytes);
  auto value = chunk.Next();
  ASSERT_TRUE(value);
  EXPECT_EQ(value->number, 0u);
  EXPECT_EQ(value->kind, PackedKind::kString);
  EXPECT_EQ(AsText(value->bytes), "first");
  value = chunk.Next();
  ASSERT_TRUE(value);
  EXPECT_EQ(value->number, uint64_t{1} << 40);
  EXPECT_EQ(value->kind, PackedKind::kZSet);
  EXPECT_EQ(AsText(value->bytes), large);
  value = chunk.Next();
  ASSERT_TRUE(value);
  EXPECT_TRUE(value->bytes.empty());
  EXPECT_FALSE(chunk.Next());
  EXPECT_TRUE(chunk.ended());
  EXPECT_FALSE(chunk.damaged());
}

TEST(ValueChunkTest, GoldenBytes) {
  std::vector<std::byte> bytes;
  PackValue({299, PackedKind::kHash, AsBytes("ab")}, &bytes);
  PackEnd(&bytes);
  EXPECT_EQ(AsText(bytes), std::string_view("\xac\x02\x02\x02"
                                            "ab\0",
                                            7));
}

TEST(ValueChunkTest, SaysWhatIsDamaged) {
  for (const std::string_view text :
       {std::string_view("\x01"), std::string_view("\x01\x01"),
        std::string_view("\x01\x05\x01x", 4), std::string_view("\x01\0\x01x", 4),
        std::string_view("\x01\x01\x05x", 4), std::string_view("\0x", 2),
        std::string_view("\x80", 1),
        std::string_view("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10)}) {
    ChunkOfValues chunk(AsBytes(text));
    EXPECT_FALSE(chunk.Next());
    EXPECT_TRUE(chunk.damaged());
    EXPECT_FALSE(chunk.ended());
    EXPECT_FALSE(chunk.Next());
  }
}

TEST(ValueChunkTest, WithoutTheMarkItHasNotEnded) {
  std::vector<std::byte> bytes;
  PackValue({1, PackedKind::kString, AsBytes("x")}, &bytes);
  ChunkOfValues chunk(bytes);
  EXPECT_TRUE(chunk.Next());
  EXPECT_FALSE(chunk.Next());
  EXPECT_FALSE(chunk.ended());
  EXPECT_FALSE(chunk.damaged());
}

TEST(ValueChunkTest, ReadsNothingBeyondDamagedBytes) {
  base::Random random(20);
  for (int round = 0; round < 20'000; ++round) {
    // An allocation of exactly this size: reading past it is an error of the sanitizer.
    std::vector<std::byte> bytes(random.Next() % 40);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.Next() % 8 * 37);
    ChunkOfValues chunk(bytes);
    size_t total = 0;
    while (const auto value = chunk.Next()) {
      for (const std::byte byte : value->bytes) total += static_cast<size_t>(byte) + 1;
      ASSERT_LE(value->bytes.size(), bytes.size());
    }
    ASSERT_LE(total, bytes.size() * 256);
  }
}

}  // namespace
}  // namespace flash::values
