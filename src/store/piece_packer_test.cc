// piece_packer_test.cc: what was packed piece by piece is one LZ4 block, as small as one packed at
// once, and unpacks to what it was made of. Thread: one.
//
#include "store/piece_packer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"
#include "store/record_format.h"

namespace flash::store {
namespace {

using Payload = std::vector<std::byte>;

struct Packed {
  Payload bytes;
  int steps = 0;
};

Packed Pack(PiecePacker& packer, const Payload& raw) {
  Packed packed{.bytes = Payload(raw.size())};
  packer.Begin(raw, packed.bytes);
  packed.steps = 1;
  while (!packer.Step()) ++packed.steps;
  packed.bytes.resize(packer.packed_bytes());
  return packed;
}

void ExpectUnpacks(const Payload& packed, const Payload& raw) {
  const RecordHeader header =
      MakeHeader(1, true, static_cast<uint32_t>(raw.size()), static_cast<uint32_t>(packed.size()));
  Payload unpacked(raw.size());
  ASSERT_TRUE(UnpackPayload(header, packed.data(), unpacked.data()));
  ASSERT_TRUE(unpacked == raw);
}

/// Stretches of several kinds, long and short, so that pieces end within each kind.
Payload Mixed(base::Random& random, size_t bytes) {
  Payload payload;
  while (payload.size() < bytes) {
    const size_t stretch = std::min(bytes - payload.size(), 1 + random.Below(90'000));
    const uint64_t kind = random.Below(4);
    for (size_t i = 0; i < stretch; ++i) {
      uint64_t byte = 7;
      if (kind == 0) byte = random.Next();
      if (kind == 1) byte = 'a' + random.Below(3);
      const size_t far = 60'000 + random.Below(4) * 2000;
      if (kind == 2 && payload.size() > far) {
        byte = static_cast<uint64_t>(payload[payload.size() - 60'000]);
      }
      payload.push_back(static_cast<std::byte>(byte));
    }
  }
  return payload;
}

TEST(PiecePackerTest, AnyPayloadUnpacksToItself) {
  base::Random random(20'260'731);
  PiecePacker packer;
  size_t packed_count = 0;
  for (int round = 0; round < 60; ++round) {
    const size_t edge = PiecePacker::kPieceBytes * (1 + random.Below(4));
    const size_t bytes =
        random.Chance(1, 2) ? edge - 16 + random.Below(32) : 1 + random.Below(kPayloadBytesMax);
    const Payload raw = Mixed(random, bytes);
    const Packed packed = Pack(packer, raw);
    if (packed.bytes.empty()) continue;
    ++packed_count;
    ASSERT_LE(packed.bytes.size(), PackedBytesMax(raw.size()));
    ASSERT_NO_FATAL_FAILURE(ExpectUnpacks(packed.bytes, raw)) << "round " << round;
  }
  EXPECT_GT(packed_count, 20u);
}

TEST(PiecePackerTest, EachStepIsOnePiece) {
  PiecePacker packer;
  const Payload raw(5 * PiecePacker::kPieceBytes + 3, std::byte{1});
  const Packed packed = Pack(packer, raw);
  EXPECT_EQ(packed.steps, 6);
  ExpectUnpacks(packed.bytes, raw);
}

TEST(PiecePackerTest, IsAsSmallAsPackedAtOnce) {
  std::string text;
  base::Random random(5);
  while (text.size() < kPayloadBytesMax) {
    text += "{\"id\":" + std::to_string(random.Below(1'000'000)) + ",\"name\":\"user" +
            std::to_string(random.Below(1000)) +
            "\",\"score\":" + std::to_string(random.Below(100'000)) + "},";
  }
  text.resize(kPayloadBytesMax);
  const Bytes bytes = std::as_bytes(std::span(text));
  const Payload raw(bytes.begin(), bytes.end());
  PiecePacker packer;
  const Packed packed = Pack(packer, raw);
  Payload whole(raw.size());
  whole.resize(PackPayload(raw, whole));
  ASSERT_FALSE(whole.empty());
  EXPECT_LE(packed.bytes.size(), whole.size() + whole.size() / 100);
  ExpectUnpacks(packed.bytes, raw);
}

TEST(PiecePackerTest, GivesUpWhereNothingIsSavedAndBeginsAnew) {
  base::Random random(7);
  Payload noise(kPayloadBytesMax);
  for (auto& byte : noise) byte = static_cast<std::byte>(random.Next());
  PiecePacker packer;
  EXPECT_TRUE(Pack(packer, noise).bytes.empty());
  const Payload raw(300'000, std::byte{2});
  ExpectUnpacks(Pack(packer, raw).bytes, raw);
}

}  // namespace
}  // namespace flash::store
