// bulk_read_test.cc: many records at once: each visited once, with its own bytes or its own error.
//
// Thread: one.
#include "store/bulk_read.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "store/store_test_support.h"
#include "tests/support/memory_map.h"

namespace flash::store {
namespace {

/// Counts reads, and fails those that touch a range.
class WatchedSource final : public SnapshotSource {
 public:
  explicit WatchedSource(std::shared_ptr<io::MemoryFile> file) : file_(std::move(file)) {}
  [[nodiscard]] Result<void> ReadAt(uint64_t offset, MutableBytes into) override {
    ++reads;
    bytes += into.size();
    in_huge_pages += testing::FactsOf(into.data()).Has("hg") ? 1 : 0;
    if (hangs) return Code::kTimeout;
    if (offset < fail_to && offset + into.size() > fail_from) return Code::kIo;
    if (file_->ReadAt(offset, into) != into.size()) return Code::kIo;
    return {};
  }
  uint64_t reads = 0;
  uint64_t bytes = 0;
  uint64_t in_huge_pages = 0;
  uint64_t fail_from = 0, fail_to = 0;
  bool hangs = false;

 private:
  std::shared_ptr<io::MemoryFile> file_;
};

class BulkReadTest : public ::testing::Test {
 protected:
  void Fill(size_t count, size_t bytes_max) {
    for (BlockId id = 1; id <= count; ++id) {
      const size_t bytes = 1 + random_.Below(random_.Chance(1, 10) ? bytes_max : 1500);
      ASSERT_TRUE(bench_.PutSoon(id, MakePayload(random_, bytes)));
    }
    ASSERT_TRUE(bench_.Settle());
  }
  std::vector<RecordRef> Stored() const {
    std::vector<RecordRef> records;
    for (const auto& [id, block] : bench_.owner.blocks) {
      if (block.stored) records.push_back({id, block.place});
    }
    return records;
  }
  /// Reads them; the code of each error by id. Bytes are compared.
  std::map<BlockId, Code> Read(const std::vector<RecordRef>& records) {
    std::map<BlockId, Code> errors;
    std::vector<uint32_t> visits(records.size());
    bench_.store->ReadManyInChild(records, source_, [&](size_t index, Result<Bytes> bytes) {
      ++visits[index];
      const BlockId id = records[index].id;
      if (!bytes) {
        errors[id] = bytes.code();
        return;
      }
      const Payload& expected = bench_.owner.blocks[id].payload;
      EXPECT_TRUE(std::equal(bytes->begin(), bytes->end(), expected.begin(), expected.end())) << id;
    });
    EXPECT_EQ(std::count(visits.begin(), visits.end(), 1u), static_cast<ptrdiff_t>(records.size()));
    return errors;
  }

  base::Random random_{11};
  Bench bench_{{.capacity_bytes = 64 * kMiB, .segment_bytes = 256 * 1024}};
  WatchedSource source_{bench_.file};
};

TEST_F(BulkReadTest, NeighboursComeTogether) {
  Fill(8000, 60'000);
  EXPECT_GT(bench_.store->stats().buffered_records_bytes, 0u);  // Some are not on flash yet.
  std::vector<RecordRef> records = Stored();
  for (size_t i = records.size(); i > 1; --i) {
    std::swap(records[i - 1], records[random_.Below(i)]);
  }
  EXPECT_TRUE(Read(records).empty());
  EXPECT_LT(source_.reads, records.size() / 50);
  EXPECT_LT(source_.bytes, 3 * bench_.store->stats().used_bytes / 2);
  const uint64_t least = testing::HaveHugePages() ? source_.reads / 2 : 0;
  EXPECT_GE(source_.in_huge_pages, least);
}

TEST_F(BulkReadTest, AFewFarApartAreReadAlone) {
  Fill(8000, 60'000);
  bench_.store->Flush();
  ASSERT_TRUE(bench_.Settle());
  const std::vector<RecordRef> all = Stored();
  std::vector<RecordRef> records;
  for (size_t i = 0; i < all.size(); i += 800) records.push_back(all[i]);
  EXPECT_TRUE(Read(records).empty());
  EXPECT_EQ(source_.reads, records.size());
  EXPECT_TRUE(Read({}).empty());
}

TEST_F(BulkReadTest, WhatCannotBeReadFailsAlone) {
  Fill(4000, 20'000);
  bench_.store->Flush();
  ASSERT_TRUE(bench_.Settle());
  const RecordRef victim = Stored()[2000];
  source_.fail_from = victim.place.offset();
  source_.fail_to = source_.fail_from + victim.place.bytes();
  const auto errors = Read(Stored());
  ASSERT_TRUE(errors.contains(victim.id));
  EXPECT_LE(errors.size(), 8u);  // And whoever shares its sectors.
  for (const auto& [id, code] : errors) EXPECT_EQ(code, Code::kIo);
}

TEST_F(BulkReadTest, AFlippedBitIsThatRecordsError) {
  Fill(4000, 20'000);
  bench_.store->Flush();
  ASSERT_TRUE(bench_.Settle());
  const RecordRef victim = Stored()[1234];
  std::byte byte{};
  const uint64_t at = victim.place.offset() + kRecordHeaderBytes;
  ASSERT_EQ(bench_.file->ReadAt(at, {&byte, 1}), 1u);
  byte ^= std::byte{4};
  ASSERT_EQ(bench_.file->WriteAt(at, {&byte, 1}), 1u);
  const auto errors = Read(Stored());
  EXPECT_EQ(errors, (std::map<BlockId, Code>{{victim.id, Code::kCorrupt}}));
}

TEST_F(BulkReadTest, ADeviceThatHangsFailsAll) {
  Fill(4000, 20'000);
  bench_.store->Flush();
  ASSERT_TRUE(bench_.Settle());
  source_.hangs = true;
  const auto errors = Read(Stored());
  EXPECT_EQ(errors.size(), Stored().size());
  for (const auto& [id, code] : errors) ASSERT_EQ(code, Code::kTimeout);
}

}  // namespace
}  // namespace flash::store
