// record_format_test.cc: a record survives the way to flash and back, and nothing else passes for
// one. Golden bytes: tests/golden/segment_v1.hex, decoded and, where the bytes are ours alone,
// encoded again. Thread: one.
#include "store/record_format.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/random.h"

namespace flash::store {
namespace {

constexpr ChecksumContext kContext = {.hash_seed = 0x1122334455667788, .sequence = 7};

std::vector<std::byte> Payload(uint64_t seed, size_t bytes) {
  base::Random random(seed);
  std::vector<std::byte> payload(bytes);
  for (auto& byte : payload) byte = static_cast<std::byte>(random.Next());
  return payload;
}

std::vector<std::byte> Sealed(BlockId id, const std::vector<std::byte>& payload, uint64_t offset) {
  const auto size = static_cast<uint32_t>(payload.size());
  const RecordHeader header = MakeHeader(id, false, size, size);
  std::vector<std::byte> record(header.record_bytes());
  WriteRecord(header, payload.data(), record.data());
  SealRecords(record, offset, kContext);
  return record;
}

TEST(RecordFormat, RoundTripOfEverySmallSizeAndTheLargest) {
  std::vector<size_t> sizes;
  for (size_t size = 1; size < 100; ++size) sizes.push_back(size);
  sizes.push_back(kPayloadBytesMax);
  for (const size_t size : sizes) {
    const auto payload = Payload(size, size);
    const auto record = Sealed(kBlockIdMax, payload, 4096);
    EXPECT_EQ(record.size() % kUnitBytes, 0u);
    EXPECT_LE(record.size(), kRecordBytesMax);
    const auto header = VerifyRecord(record, 4096, kContext);
    ASSERT_TRUE(header) << size;
    EXPECT_EQ(header->id(), kBlockIdMax);
    ASSERT_EQ(header->raw_bytes, size);
    std::vector<std::byte> back(size);
    ASSERT_TRUE(UnpackPayload(*header, record.data() + kRecordHeaderBytes, back.data()));
    EXPECT_EQ(back, payload);
  }
}

TEST(RecordFormat, ChecksumDependsOnPlaceSequenceSeedAndId) {
  const auto record = Sealed(5, Payload(1, 300), 8192);
  ASSERT_TRUE(VerifyRecord(record, 8192, kContext));
  EXPECT_FALSE(VerifyRecord(record, 8208, kContext));
  EXPECT_FALSE(VerifyRecord(record, 8192, {kContext.hash_seed, kContext.sequence + 1}));
  EXPECT_FALSE(VerifyRecord(record, 8192, {kContext.hash_seed + 1, kContext.sequence}));
  auto other = record;
  other[8] ^= std::byte{1};
  EXPECT_FALSE(VerifyRecord(other, 8192, kContext));
}

TEST(RecordFormat, EveryFlippedBitOfHeaderAndPayloadIsSeen) {
  const auto payload = Payload(3, 56);
  const auto record = Sealed(9, payload, 0);
  for (size_t bit = 0; bit < (kRecordHeaderBytes + payload.size()) * 8; ++bit) {
    auto flipped = record;
    flipped[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    EXPECT_FALSE(VerifyRecord(flipped, 0, kContext)) << bit;
  }
}

TEST(RecordFormat, ACutRecordIsNone) {
  const auto record = Sealed(9, Payload(3, 100), 0);
  for (size_t size = 0; size < record.size(); ++size) {
    EXPECT_FALSE(VerifyRecord(Bytes(record).first(size), 0, kContext)) << size;
  }
}

TEST(RecordFormat, ImplausibleHeaders) {
  const auto plausible = [](uint64_t id_and_flags, uint32_t raw, uint32_t stored) {
    return IsPlausible({0, id_and_flags, raw, stored});
  };
  const uint64_t packed = RecordHeader::kCompressedFlag | 1;
  EXPECT_TRUE(plausible(1, 10, 10));
  EXPECT_TRUE(plausible(packed, 10, 9));
  EXPECT_FALSE(plausible(0, 10, 10));
  EXPECT_FALSE(plausible(RecordHeader::kCompressedFlag, 10, 9));
  EXPECT_FALSE(plausible(packed << 1, 10, 9));
  EXPECT_FALSE(plausible(1, 0, 0));
  EXPECT_FALSE(plausible(1, 10, 9));
  EXPECT_FALSE(plausible(packed, 10, 10));
  EXPECT_FALSE(plausible(packed, 10, 0));
  EXPECT_FALSE(plausible(1, kPayloadBytesMax + 1, kPayloadBytesMax + 1));
}

TEST(RecordFormat, CompressionIsKeptOnlyIfItSavesAnEighth) {
  std::vector<std::byte> to(64 * kKiB);
  EXPECT_EQ(PackPayload(Payload(1, 4096), to), 0u);
  std::vector<std::byte> text(4096, std::byte{'a'});
  const uint32_t packed = PackPayload(text, to);
  ASSERT_GT(packed, 0u);
  EXPECT_LE(packed, text.size() - text.size() / 8);
  const RecordHeader header = MakeHeader(1, true, 4096, packed);
  std::vector<std::byte> back(4096);
  EXPECT_TRUE(UnpackPayload(header, to.data(), back.data()));
  EXPECT_EQ(back, text);
  EXPECT_FALSE(UnpackPayload(MakeHeader(1, true, 5000, packed), to.data(),
                             std::vector<std::byte>(5000).data()));
  EXPECT_EQ(PackPayload(Bytes(text).first(1), to), 0u);
}

std::vector<std::byte> Golden() {
  const auto root = std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
  std::ifstream file(root / "tests/golden/segment_v1.hex");
  std::vector<std::byte> bytes;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    for (size_t at = 0; at + 1 < line.size(); at += 2) {
      bytes.push_back(static_cast<std::byte>(std::stoul(line.substr(at, 2), nullptr, 16)));
    }
  }
  return bytes;
}

TEST(RecordFormat, GoldenBytes) {
  const auto golden = Golden();
  const std::string plain = "the payload of block 0x123456789";
  const RecordHeader header = MakeHeader(0x123456789, false, 32, 32);
  std::vector<std::byte> record(header.record_bytes());
  WriteRecord(header, base::AsBytes(plain).data(), record.data());
  SealRecords(record, 1048576, kContext);
  ASSERT_GE(golden.size(), record.size());
  EXPECT_TRUE(std::equal(record.begin(), record.end(), golden.begin()));

  const auto second =
      VerifyRecord(Bytes(golden).subspan(record.size()), 1048576 + record.size(), kContext);
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->compressed());
  EXPECT_EQ(second->id(), 2u);
  std::string back(second->raw_bytes, '?');
  ASSERT_TRUE(UnpackPayload(*second, golden.data() + record.size() + kRecordHeaderBytes,
                            reinterpret_cast<std::byte*>(back.data())));
  EXPECT_EQ(back, std::string(100, 'z'));
  EXPECT_TRUE(IsChunkEnd(Bytes(golden).subspan(record.size() + second->record_bytes())));
}

}  // namespace
}  // namespace flash::store
