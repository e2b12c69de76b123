// segment_walk_test.cc: the walk finds every good record of a segment, whatever happened to the
// others. Segments are built by the writer's own functions, then damaged. Thread: one.
//
#include "store/segment_walk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "base/random.h"

namespace flash::store {
namespace {

constexpr uint32_t kAlignment = 512;
constexpr uint64_t kSegmentOffset = 4 * kMiB;
constexpr ChecksumContext kContext = {.hash_seed = 99, .sequence = 3};

/// A segment in memory and what lies where.
struct Segment {
  std::vector<std::byte> bytes;
  std::map<uint64_t, BlockId> records;  // By file offset.
  std::map<uint64_t, uint32_t> lengths;
};

Segment Build(uint64_t seed, size_t chunks, uint32_t payload_max) {
  base::Random random(seed);
  Segment segment;
  BlockId id = 1;
  for (size_t chunk = 0; chunk < chunks; ++chunk) {
    const size_t start = segment.bytes.size();
    for (uint64_t count = 1 + random.Below(20); count > 0; --count) {
      const auto raw = static_cast<uint32_t>(1 + random.Below(payload_max));
      std::vector<std::byte> payload(raw);
      for (auto& byte : payload)
        byte = static_cast<std::byte>(random.Chance(1, 2) ? 0 : random.Next());
      const RecordHeader header = MakeHeader(id, false, raw, raw);
      const size_t at = segment.bytes.size();
      segment.bytes.resize(at + header.record_bytes());
      WriteRecord(header, payload.data(), segment.bytes.data() + at);
      segment.records[kSegmentOffset + at] = id++;
      segment.lengths[kSegmentOffset + at] = header.record_bytes();
    }
    SealRecords(MutableBytes(segment.bytes).subspan(start), kSegmentOffset + start, kContext);
    segment.bytes.resize(base::AlignUp(segment.bytes.size(), kAlignment));
  }
  return segment;
}

struct Walked {
  std::map<uint64_t, BlockId> records;
  uint64_t corrupt_bytes = 0;
};

Walked WalkAll(const Segment& segment, uint32_t stretch) {
  const uint64_t end = kSegmentOffset + segment.bytes.size();
  Walked walked;
  std::vector<std::byte> copies(stretch);
  uint64_t at = kSegmentOffset;
  while (at < end) {
    const uint64_t from = base::AlignDown(at, kAlignment);
    const uint64_t bytes = std::min<uint64_t>(stretch, end - from);
    const WalkInput input = {.bytes = Bytes(segment.bytes).subspan(from - kSegmentOffset, bytes),
                             .offset = from,
                             .first_offset = at,
                             .segment_end = end,
                             .alignment = kAlignment,
                             .context = kContext};
    const WalkOutput output = CollectRecords(input, copies);
    EXPECT_GT(output.next_offset, at);
    if (output.next_offset <= at) break;
    size_t copy = 0;
    for (uint32_t i = 0; i < output.records; ++i) {
      const uint64_t offset = OffsetOfCopy(copies.data() + copy);
      const auto header = ReadHeader(Bytes(copies).subspan(copy));
      EXPECT_TRUE(header);
      walked.records[offset] = header->id();
      copy += header->record_bytes();
    }
    EXPECT_EQ(copy, output.copied_bytes);
    walked.corrupt_bytes += output.corrupt_bytes;
    at = output.next_offset;
  }
  return walked;
}

TEST(SegmentWalk, FindsEveryRecordInOneOrManyStretches) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Segment segment = Build(seed, 8, 900);
    for (const uint32_t stretch : {2048u, 4096u, 65536u}) {
      const Walked walked = WalkAll(segment, stretch);
      EXPECT_EQ(walked.records, segment.records) << seed << " " << stretch;
      EXPECT_EQ(walked.corrupt_bytes, 0u) << seed << " " << stretch;
    }
  }
}

TEST(SegmentWalk, AFlippedRecordCostsOnlyItself) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Segment segment = Build(seed, 6, 900);
    base::Random random(seed);
    auto victim = segment.records.begin();
    std::advance(victim, static_cast<long>(random.Below(segment.records.size())));
    const uint64_t offset = victim->first - kSegmentOffset;
    const uint64_t covered =
        8 + random.Below(8);  // Id, so that the header itself may be implausible.
    segment.bytes[offset + covered] ^= std::byte{0x40};
    segment.records.erase(victim);
    EXPECT_EQ(WalkAll(segment, 4096).records, segment.records) << seed;
  }
}

TEST(SegmentWalk, BehindAHoleItFindsTheNextRecord) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Segment segment = Build(seed, 6, 900);
    base::Random random(seed);
    const uint64_t hole_end =
        kSegmentOffset + (1 + random.Below(segment.bytes.size() / kAlignment - 1)) * kAlignment;
    std::vector<std::byte> copies(segment.bytes.size());
    const WalkOutput output =
        CollectRecords({.bytes = Bytes(segment.bytes).subspan(hole_end - kSegmentOffset),
                        .offset = hole_end,
                        .first_offset = hole_end,
                        .segment_end = kSegmentOffset + segment.bytes.size(),
                        .alignment = kAlignment,
                        .in_the_middle = true,
                        .context = kContext},
                       copies);
    const auto first = segment.records.lower_bound(hole_end);
    EXPECT_EQ(output.records, std::distance(first, segment.records.end())) << seed;
  }
}

TEST(SegmentWalk, ALostSectorCostsTheRecordsInIt) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Segment segment = Build(seed, 6, 900);
    base::Random random(seed);
    const uint64_t sector = random.Below(segment.bytes.size() / kAlignment) * kAlignment;
    const bool zeros = random.Chance(1, 2);
    for (uint64_t i = 0; i < kAlignment; ++i) {
      segment.bytes[sector + i] = static_cast<std::byte>(zeros ? 0 : random.Next());
    }
    std::erase_if(segment.records, [&](const auto& record) {
      const uint64_t begin = record.first - kSegmentOffset;
      return begin < sector + kAlignment && begin + segment.lengths[record.first] > sector;
    });
    const auto found = WalkAll(segment, 4096).records;
    for (const auto& [offset, id] : segment.records) EXPECT_TRUE(found.contains(offset)) << seed;
    // A record of which only the padding was hit may still be found: it is whole.
    for (const auto& [offset, id] : found) EXPECT_TRUE(segment.lengths.contains(offset)) << seed;
  }
}

TEST(SegmentWalk, StaleRecordsOfAnEarlierLifeAreNotFound) {
  const Segment segment = Build(1, 4, 500);
  std::vector<std::byte> copies(segment.bytes.size());
  const WalkInput input = {.bytes = segment.bytes,
                           .offset = kSegmentOffset,
                           .first_offset = kSegmentOffset,
                           .segment_end = kSegmentOffset + segment.bytes.size(),
                           .alignment = kAlignment,
                           .context = {kContext.hash_seed, kContext.sequence + 1}};
  const WalkOutput output = CollectRecords(input, copies);
  EXPECT_EQ(output.records, 0u);
  EXPECT_EQ(output.next_offset, input.segment_end);
}

TEST(SegmentWalk, HeadersThatClaimMuchAreBounded) {
  // Every unit looks like a large record of block 1: a hash per unit would be quadratic.
  std::vector<std::byte> bytes(1 * kMiB);
  for (size_t at = 0; at + 32 <= bytes.size(); at += 32) {
    const RecordHeader header = MakeHeader(1, false, 500'000, 500'000);
    std::memcpy(bytes.data() + at, &header, sizeof(header));
  }
  std::vector<std::byte> copies(bytes.size());
  const WalkInput input = {.bytes = bytes,
                           .offset = 0,
                           .first_offset = 0,
                           .segment_end = bytes.size(),
                           .alignment = kAlignment,
                           .context = kContext};
  const WalkOutput output = CollectRecords(input, copies);
  EXPECT_EQ(output.records, 0u);
  EXPECT_EQ(output.corrupt_bytes, bytes.size());
  EXPECT_EQ(output.next_offset, bytes.size());
}

}  // namespace
}  // namespace flash::store
