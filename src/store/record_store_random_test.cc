// record_store_random_test.cc: long random histories against a model, and what compaction writes.
//
// FLASH_STORE_SEEDS=n runs n seeds from FLASH_STORE_FIRST_SEED on; FLASH_WA_MIB=n measures write
// amplification on a file of n MiB. Thread: one. What to expect: docs/adr/0002.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "store/record_format.h"
#include "store/record_store.h"
#include "store/store_test_support.h"

namespace flash::store {
namespace {

/// A history: what happens next is drawn, what must hold is checked all the time.
class History {
 public:
  History(uint64_t seed, const Bench::Options& options) : random_(seed), bench_(options) {
    bench_.owner.keep_in_ram_random = &random_;
  }

  void Run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      Step();
      if (i % 64 == 0) bench_.CheckAccounts();
    }
    End();
  }

 private:
  void Step() {
    const BlockId id = 1 + random_.Below(kBlocks);
    switch (random_.Below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
      case 5:
        (void)bench_.owner.Put(id, MakePayload(random_, RandomSize()));
        break;
      case 6:
        bench_.owner.Forget(id);
        break;
      case 7:
      case 8:
        StartRead(id);
        break;
      case 9:
        ReadAsChild(id);
        break;
      case 10:
        RareEvent();
        break;
      default:
        bench_.backend->Reap(random_.Below(20));
        bench_.store->Tick(random_.Below(500));
        bench_.clock.Advance(random_.Below(2000));
        break;
    }
    while (!reads_.empty() && reads_.front()->ended) {
      EXPECT_TRUE(reads_.front()->right);
      reads_.pop_front();
    }
  }

  [[nodiscard]] size_t RandomSize() {
    const size_t max = random_.Chance(1, 20) ? bench_.store->payload_bytes_max() : 3000;
    return 1 + random_.Below(max);
  }

  void StartRead(BlockId id) {
    const auto block = bench_.owner.blocks.find(id);
    if (block == bench_.owner.blocks.end() || !block->second.stored) return;
    reads_.push_back(std::make_unique<CheckedRead>(bench_.owner, id));
    if (!bench_.store->Read(reads_.back().get())) reads_.pop_back();
  }

  void ReadAsChild(BlockId id) {
    const auto block = bench_.owner.blocks.find(id);
    if (block == bench_.owner.blocks.end() || !block->second.stored) return;
    MemorySource source(bench_.file);
    auto read = bench_.store->ReadInChild(id, block->second.place, source);
    ASSERT_TRUE(read.ok());
    EXPECT_TRUE(CheckedRead::Matches(*read, block->second.payload));
    base::Release(read->memory);
  }

  /// What a child of the fork could read from the file: the records that were durable then.
  void Fork() {
    at_fork_.clear();
    for (const auto& [id, block] : bench_.owner.blocks) {
      if (block.stored && bench_.store->IsDurable(block.place)) at_fork_.emplace_back(id, block);
    }
    bench_.store->Freeze();
    frozen_ = true;
  }
  void EndOfChild() {
    MemorySource source(bench_.file);
    for (const auto& [id, block] : at_fork_) {
      auto read = bench_.store->ReadInChild(id, block.place, source);
      ASSERT_TRUE(read.ok());
      EXPECT_TRUE(CheckedRead::Matches(*read, block.payload));
      base::Release(read->memory);
    }
    at_fork_.clear();
    bench_.store->Thaw();
    frozen_ = false;
  }

  void RareEvent() {
    switch (random_.Below(40)) {
      case 0:
        bench_.store->Flush();
        break;
      case 1:
        bench_.store->RequestCompaction(static_cast<uint32_t>(random_.Below(60)));
        break;
      case 2:
        frozen_ ? EndOfChild() : Fork();
        break;
      case 3:
        bench_.store->SetCompression(random_.Chance(1, 2) ? RecordStore::Compression::kNone
                                                          : RecordStore::Compression::kLz4);
        break;
      default:
        break;
    }
  }

  void End() {
    if (frozen_) EndOfChild();
    ASSERT_TRUE(bench_.Settle());
    EXPECT_GT(bench_.store->stats().compaction_runs, 50u);
    EXPECT_GT(bench_.store->stats().moved_records, 1000u);
    for (const auto& read : reads_) EXPECT_TRUE(read->ended && read->right);
    EXPECT_EQ(bench_.CountWrong(), 0u);
    bench_.CheckAccounts();
    std::vector<BlockId> ids;
    for (const auto& [id, block] : bench_.owner.blocks) ids.push_back(id);
    for (const BlockId id : ids) bench_.owner.Forget(id);
    ASSERT_TRUE(bench_.Settle());
    bench_.store->CheckInvariants();
    EXPECT_EQ(bench_.store->stats().used_bytes, 0u);
    EXPECT_EQ(bench_.store->stats().segments_sealed, 0u);
    EXPECT_EQ(bench_.store->stats().segments_waiting, 0u);
  }

  // About 30 MiB of payload on a 16 MiB file: full now and then.
  static constexpr BlockId kBlocks = 7000;
  base::Random random_;
  Bench bench_;
  std::deque<std::unique_ptr<CheckedRead>> reads_;
  std::vector<std::pair<BlockId, ModelOwner::Block>> at_fork_;
  bool frozen_ = false;
};

TEST(RecordStoreRandom, HistoriesAgreeWithTheModel) {
  for (const uint64_t seed : Seeds(1)) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    base::Random random(seed);
    Bench::Options options;
    options.backend_seed = seed;
    options.segment_bytes = static_cast<uint32_t>(64 * kKiB << random.Below(3));
    options.write_buffers = static_cast<uint32_t>(1 + random.Below(4));
    options.alignment = random.Chance(1, 2) ? 512 : 4096;
    // Copying by tasks often, or hardly ever.
    options.late_copy_bytes_min = random.Chance(2, 3) ? 16 : 4096;
    History(seed, options).Run(25'000);
    if (HasFailure()) break;
  }
}

/// Uniform overwrites of 1 KiB that LZ4 cannot compress, with `live` of the capacity in live
/// records.
double WriteAmplification(uint64_t capacity_bytes, uint32_t segment_bytes, double live,
                          double overwritten) {
  Bench bench({.capacity_bytes = capacity_bytes,
               .segment_bytes = segment_bytes,
               .compression = RecordStore::Compression::kNone,
               .alignment = 4096});
  base::Random random(1);
  Payload payload(1024);
  for (auto& byte : payload) byte = static_cast<std::byte>(random.Next());
  const auto live_bytes = static_cast<uint64_t>(static_cast<double>(capacity_bytes) * live);
  const BlockId blocks = live_bytes / RecordBytes(1024);
  const auto overwrite = [&](uint64_t count, bool in_order) {
    for (uint64_t i = 0; i < count; ++i) {
      const BlockId id = 1 + (in_order ? i : random.Below(blocks));
      EXPECT_TRUE(bench.PutSoon(id, payload));
      if (i % 64 == 0) bench.Turn();
    }
    EXPECT_TRUE(bench.Settle());
  };
  overwrite(blocks, true);
  overwrite(blocks * 3 / 2, false);  // Until victims look as they always will.
  EXPECT_GE(static_cast<double>(bench.store->stats().used_bytes),
            live * 0.999 * static_cast<double>(capacity_bytes));
  const auto before = bench.store->stats();
  overwrite(static_cast<uint64_t>(static_cast<double>(blocks) * overwritten), false);
  const auto after = bench.store->stats();
  return static_cast<double>(after.device_bytes_written - before.device_bytes_written) /
         static_cast<double>(after.put_raw_bytes - before.put_raw_bytes);
}

TEST(RecordStoreRandom, WriteAmplificationAtFourFifthsIsAtMostThree) {
  const uint64_t mib = FromEnvironment("FLASH_WA_MIB", 0);
  // 512 segments either way, as the size is chosen from the capacity.
  const uint64_t capacity_bytes = mib != 0 ? mib * kMiB : 32 * kMiB;
  const uint32_t segment_bytes = mib != 0 ? 0 : 64 * kKiB;
  const double written = WriteAmplification(capacity_bytes, segment_bytes, 0.80, 2.0);
  RecordProperty("device_bytes_per_demoted_byte", std::to_string(written));
  std::printf("device bytes written per byte demoted: %.3f\n", written);
  EXPECT_LE(written, 3.0);
  EXPECT_GE(written, 1.5);  // Less would mean that the test does not fill the file.
}

}  // namespace
}  // namespace flash::store
