// record_store_fault_test.cc: the store on a disk that fails, forgets and lies. Wrong data: never.
// Accounts: exact. What the device refused to write is not lost. FLASH_STORE_SEEDS=n runs n seeds.
// Thread: one.
//
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "store/record_store.h"
#include "store/store_test_support.h"

namespace flash::store {
namespace {

using io::Fault;
using io::Op;

/// Enough puts of 1,000 bytes to close `chunks` write buffers of 32 KiB.
void PutChunks(Bench& bench, int chunks, BlockId first = 1) {
  base::Random random(first);
  for (BlockId id = first; id < first + static_cast<BlockId>(chunks) * 32; ++id) {
    Payload payload(1000);
    for (auto& byte : payload) byte = static_cast<std::byte>(random.Next());
    ASSERT_TRUE(bench.PutSoon(id, payload));
  }
}

TEST(RecordStoreFault, AFailedWriteGoesElsewhereAndNothingIsLost) {
  for (const Fault fault : {Fault::kError, Fault::kNoSpace}) {
    Bench bench({});
    bench.injector->Script({.fault = fault, .op = Op::kWrite, .times = 1});
    PutChunks(bench, 8);
    bench.store->Flush();
    ASSERT_TRUE(bench.Settle());
    for (int i = 0; i < 10'000 && bench.store->stats().buffered_records_bytes > 0; ++i) {
      bench.Turn();
    }
    EXPECT_EQ(bench.store->stats().buffered_records_bytes, 0u);
    EXPECT_EQ(bench.store->stats().write_errors, 1u);
    EXPECT_FALSE(bench.store->stats().writes_failing);
    EXPECT_EQ(bench.CountWrong(), 0u);
    EXPECT_GT(bench.backend->stats().device_reads, 0u);
    bench.CheckAccounts();
  }
}

TEST(RecordStoreFault, WhileEveryWriteFailsPutsWaitAndReadsGoOn) {
  Bench bench({});
  bench.injector->Script({.fault = Fault::kNoSpace, .op = Op::kWrite, .times = ~uint64_t{0}});
  BlockId id = 0;
  int refused = 0;
  for (int i = 0; i < 3000; ++i) {
    if (bench.owner.Put(id + 1, Payload(1000, static_cast<std::byte>(i)))) {
      ++id;
    } else {
      EXPECT_EQ(bench.owner.last_refusal, Code::kBusy);
      ++refused;
    }
    bench.store->SetCompression(RecordStore::Compression::kNone);
    bench.Turn();
  }
  EXPECT_GT(refused, 1000);
  EXPECT_TRUE(bench.store->stats().writes_failing);
  EXPECT_EQ(bench.owner.puts_failed, 0u);
  EXPECT_EQ(bench.CountWrong(), 0u);
  bench.CheckAccounts();
  // 30 s of a dead device: a few probes, and no segment is given up for it.
  const uint64_t errors = bench.store->stats().write_errors;
  for (int i = 0; i < 300; ++i) {
    bench.clock.Advance(100'000);
    bench.Turn();
  }
  EXPECT_LE(bench.store->stats().write_errors, errors + 12);
  EXPECT_EQ(bench.store->stats().segments_bad, 0u);
}

TEST(RecordStoreFault, WritesGoOnWhenTheDeviceComesBack) {
  Bench bench({});
  bench.injector->Script({.fault = Fault::kError, .op = Op::kWrite, .times = 30});
  PutChunks(bench, 30);
  bench.store->Flush();
  const auto unwritten = [&bench] {
    return bench.owner.PutsOnTheWay() + bench.store->stats().buffered_records_bytes;
  };
  for (int i = 0; i < 1000 && unwritten() > 0; ++i) {
    bench.clock.Advance(1'000'000);
    bench.Turn();
  }
  EXPECT_EQ(bench.store->stats().buffered_records_bytes, 0u);
  EXPECT_GE(bench.store->stats().write_errors, 30u);
  EXPECT_EQ(bench.owner.PutsOnTheWay(), 0u);
  EXPECT_EQ(bench.CountWrong(), 0u);
  bench.CheckAccounts();
}

TEST(RecordStoreFault, ABadRangeOfTheDiskIsGivenUp) {
  Bench bench({});
  // Segment 3 never takes a write; the rest of the disk is well.
  bench.injector->Script({.fault = Fault::kError,
                          .op = Op::kWrite,
                          .offset_from = 3 * 64 * kKiB,
                          .offset_to = 4 * 64 * kKiB,
                          .times = ~uint64_t{0}});
  for (int round = 0; round < 12 && bench.store->stats().segments_bad == 0; ++round) {
    PutChunks(bench, 300);
    for (int i = 0; i < 20; ++i) {
      bench.clock.Advance(1'000'000);
      bench.Turn();
    }
  }
  EXPECT_EQ(bench.store->stats().segments_bad, 1u);
  EXPECT_GE(bench.store->stats().write_errors, 3u);
  EXPECT_EQ(bench.CountWrong(), 0u);
  bench.CheckAccounts();
}

TEST(RecordStoreFault, AHungWriteKeepsItsBufferOnly) {
  Bench bench({});
  bench.injector->Script({.fault = Fault::kHung, .op = Op::kWrite, .times = 1});
  PutChunks(bench, 40);
  for (int i = 0; i < 100; ++i) bench.Turn();
  EXPECT_EQ(bench.owner.PutsOnTheWay(), 0u);  // The other buffers go round.
  const uint64_t buffered = bench.store->stats().buffered_records_bytes;
  EXPECT_GT(buffered, 0u);
  EXPECT_LE(buffered, 2 * 32 * kKiB);
  bench.CheckAccounts();
  EXPECT_EQ(bench.CountWrong(), 0u);
  bench.injector->Release();
  ASSERT_TRUE(bench.Settle());
  bench.CheckAccounts();
}

TEST(RecordStoreFault, ALostWriteIsCorruptAndQuarantined) {
  Bench bench({});
  bench.injector->Script({.fault = Fault::kLost, .op = Op::kWrite, .skip = 2, .times = 1});
  PutChunks(bench, 20);
  bench.store->Flush();
  ASSERT_TRUE(bench.Settle());
  const size_t wrong = bench.CountWrong();
  EXPECT_GT(wrong, 20u);
  EXPECT_LT(wrong, 40u);
  EXPECT_EQ(bench.store->stats().checksum_errors, wrong);
  // Kill a neighbour record of each, so that a pass looks at every segment.
  for (BlockId id = 1; id <= 600; id += 20) bench.owner.Forget(id);
  bench.store->RequestCompaction();
  while (bench.store->passes_done() == 0) bench.Turn();
  EXPECT_EQ(bench.store->stats().segments_quarantined, 1u);
  EXPECT_EQ(bench.store->stats().segments_bad, 1u);
  bench.CheckAccounts();
  std::vector<BlockId> ids;
  for (const auto& [id, block] : bench.owner.blocks) ids.push_back(id);
  for (const BlockId id : ids) bench.owner.Forget(id);
  ASSERT_TRUE(bench.Settle());
  EXPECT_EQ(bench.store->stats().segments_bad, 0u);
  bench.CheckAccounts();
}

/// Segments full of records of which some are dead, so that a pass looks at each segment.
void FillForPass(Bench& bench) {
  PutChunks(bench, 20);
  bench.store->Flush();
  ASSERT_TRUE(bench.Settle());
  for (BlockId id = 1; id <= 600; id += 20) bench.owner.Forget(id);
}

void ReadsFail(Bench& bench, uint64_t offset, uint64_t bytes) {
  bench.injector->Script({.fault = Fault::kError,
                          .op = Op::kRead,
                          .offset_from = offset,
                          .offset_to = offset + bytes,
                          .times = ~uint64_t{0}});
}

void RunPass(Bench& bench) {
  const uint64_t done = bench.store->passes_done();
  bench.store->RequestCompaction();
  for (int i = 0; i < 1000 && bench.store->passes_done() == done; ++i) {
    bench.clock.Advance(100'000);
    bench.Turn();
  }
  EXPECT_EQ(bench.store->passes_done(), done + 1);
}

TEST(RecordStoreFault, AVictimThatCannotBeReadWaitsThenIsQuarantined) {
  Bench bench({});
  FillForPass(bench);
  ReadsFail(bench, 64 * kKiB, 64 * kKiB);
  RunPass(bench);
  EXPECT_GE(bench.store->stats().compaction_read_errors, 3u);
  EXPECT_EQ(bench.store->stats().segments_bad, 1u);
  bench.CheckAccounts();
}

/// Segments of several pieces, records of `bytes`, every third of which is dead.
class RecordStoreLongVictim : public testing::TestWithParam<uint32_t> {
 protected:
  void SetUp() override {
    base::Random random(3);
    const BlockId count = 12 * kMiB / GetParam();
    for (BlockId id = 1; id <= count; ++id) {
      Payload payload(GetParam());
      for (auto& byte : payload) byte = static_cast<std::byte>(random.Next());
      ASSERT_TRUE(bench_.PutSoon(id, payload));
    }
    bench_.store->Flush();
    ASSERT_TRUE(bench_.Settle());
    for (BlockId id = 1; id <= count; id += 3) bench_.owner.Forget(id);
  }
  /// Asks for a pass whose reads all hang; how many there are.
  size_t HangReads() {
    bench_.injector->HangAll();
    bench_.store->RequestCompaction();
    for (int i = 0; i < 20; ++i) bench_.Turn();
    return bench_.backend->inflight();
  }
  void EndPass() {
    for (int i = 0; i < 5000 && bench_.store->passes_done() == 0; ++i) {
      bench_.clock.Advance(100'000);
      bench_.Turn();
    }
    ASSERT_EQ(bench_.store->passes_done(), 1u);
    ASSERT_TRUE(bench_.Settle());
    bench_.CheckAccounts();
  }

  static constexpr uint32_t kSegmentBytes = 4 * kMiB;
  Bench bench_{{.capacity_bytes = 64 * kMiB, .segment_bytes = kSegmentBytes}};
};

TEST_P(RecordStoreLongVictim, TwoReadsAreInFlightAndEveryRecordSurvives) {
  EXPECT_EQ(HangReads(), 2u);
  bench_.injector->Release();
  const auto before = bench_.backend->stats().device_read_bytes;
  EndPass();
  EXPECT_GT(bench_.store->stats().moved_records, 0u);
  EXPECT_GE(bench_.store->stats().segments_free, 8u);
  EXPECT_EQ(bench_.store->stats().segments_quarantined, 0u);
  // What was read twice: where pieces overlap, and a wrong guess for each victim.
  const uint64_t read_bytes = bench_.backend->stats().device_read_bytes - before;
  EXPECT_LE(read_bytes, bench_.store->stats().compaction_runs * (kSegmentBytes + 5 * kMiB / 4));
  EXPECT_EQ(bench_.CountWrong(), 0u);
}

TEST_P(RecordStoreLongVictim, APageUnreadableInTheSecondReadCostsOnlyItsRecords) {
  ReadsFail(bench_, kSegmentBytes + 3 * kMiB / 2, 512);
  bench_.store->RequestCompaction();
  EndPass();
  EXPECT_EQ(bench_.store->stats().unreadable_pages, 1u);
  const size_t wrong = bench_.CountWrong();
  EXPECT_LE(wrong, 2u) << "the page may lie in dead records as well";
  EXPECT_EQ(bench_.store->stats().segments_bad, wrong > 0 ? 1u : 0u);
}

TEST_P(RecordStoreLongVictim, ReadsOfAVictimThatWasLetGoAreOfNoUse) {
  ASSERT_EQ(HangReads(), 2u);
  bench_.store->Freeze();
  bench_.injector->Release();
  for (int i = 0; i < 20; ++i) bench_.Turn();
  EXPECT_EQ(bench_.backend->inflight(), 0u);
  EXPECT_EQ(bench_.store->stats().moved_records, 0u);
  bench_.store->Thaw();
  EndPass();
  bench_.store->RequestCompaction();
  while (bench_.store->passes_done() < 2) bench_.Turn();
  EXPECT_EQ(bench_.CountWrong(), 0u);
}

TEST_P(RecordStoreLongVictim, AStoreMayGoWhileReadsHang) {
  ASSERT_EQ(HangReads(), 2u);
  bench_.store.reset();
  bench_.injector->Release();
  bench_.backend->Reap(100);
}

INSTANTIATE_TEST_SUITE_P(Records, RecordStoreLongVictim,
                         testing::Values(1000u, 30'000u, 200'000u, 1'000'000u));

TEST(RecordStoreFault, AnUnreadablePageCostsOnlyTheRecordsInIt) {
  for (const uint64_t page : {0, 17, 64, 127}) {
    SCOPED_TRACE(page);
    Bench bench({});
    FillForPass(bench);
    ReadsFail(bench, 2 * 64 * kKiB + page * 512, 512);
    RunPass(bench);
    EXPECT_EQ(bench.store->stats().unreadable_pages, 1u);
    EXPECT_EQ(bench.store->stats().segments_bad, 1u);
    std::vector<BlockId> there;
    for (const auto& [id, block] : bench.owner.blocks) {
      if (block.place.offset() / (64 * kKiB) == 2) there.push_back(id);
    }
    EXPECT_GE(there.size(), 1u);
    EXPECT_LE(there.size(), 2u);
    EXPECT_EQ(bench.CountWrong(), there.size());

    // Tried again after an hour, not before.
    const uint64_t errors = bench.store->stats().compaction_read_errors;
    bench.owner.Forget(2);
    RunPass(bench);
    EXPECT_EQ(bench.store->stats().compaction_read_errors, errors);
    bench.clock.Advance(3'600'000'000);
    RunPass(bench);
    EXPECT_GT(bench.store->stats().compaction_read_errors, errors);
    EXPECT_EQ(bench.store->stats().segments_bad, 1u);

    for (const BlockId id : there) bench.owner.Forget(id);
    ASSERT_TRUE(bench.Settle());
    EXPECT_EQ(bench.store->stats().segments_bad, 0u);
    EXPECT_EQ(bench.CountWrong(), 0u);
    bench.CheckAccounts();
  }
}

TEST(RecordStoreFault, ASegmentFullOfUnreadablePagesIsGivenUp) {
  Bench bench({});
  FillForPass(bench);
  for (uint64_t page = 0; page < 128; page += 2) ReadsFail(bench, 64 * kKiB + page * 512, 512);
  RunPass(bench);
  EXPECT_EQ(bench.store->stats().unreadable_pages, 17u);
  EXPECT_EQ(bench.store->stats().segments_bad, 1u);
  bench.CheckAccounts();
}

TEST(RecordStoreFault, AReadWithoutAnswerTimesOut) {
  Bench bench({});
  PutChunks(bench, 2);
  bench.store->Flush();
  ASSERT_TRUE(bench.Settle());
  bench.backend->SetTimeoutMs(1000);
  bench.injector->Script({.fault = Fault::kHung, .op = Op::kRead, .times = 1});
  const auto read = bench.ReadNow(1);
  EXPECT_FALSE(read->right);
  EXPECT_EQ(read->code, Code::kTimeout);
  EXPECT_EQ(bench.store->stats().read_timeouts, 1u);
  bench.injector->Release();
  ASSERT_TRUE(bench.Settle());
  EXPECT_EQ(bench.CountWrong(), 0u);
}

/// Everything at once. A read may fail; it must never bring other bytes than those put.
class FaultyHistory {
 public:
  FaultyHistory(uint64_t seed, const Bench::Options& options) : random_(seed), bench_(options) {
    bench_.backend->SetTimeoutMs(2000);
  }

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      Step();
      if (i % 64 == 0) bench_.CheckAccounts();
    }
    bench_.injector->SetEnabled(false);
    bench_.injector->Release();
    if (frozen_) bench_.store->Thaw();
    for (int i = 0; i < 200; ++i) {
      bench_.clock.Advance(1'000'000);
      bench_.Turn();
    }
    ASSERT_TRUE(bench_.Settle());
    EXPECT_EQ(bench_.owner.PutsOnTheWay(), 0u);
    JudgeReads();
    EXPECT_TRUE(reads_.empty());
    bench_.CheckAccounts();
    Drain();
  }

  [[nodiscard]] uint64_t failed_reads() const { return failed_reads_; }
  [[nodiscard]] uint64_t good_reads() const { return good_reads_; }
  [[nodiscard]] Bench& bench() { return bench_; }

 private:
  void Step() {
    const BlockId id = 1 + random_.Below(6000);
    const uint64_t choice = random_.Below(16);
    if (choice < 6) {
      const size_t max = random_.Chance(1, 20) ? bench_.store->payload_bytes_max() : 3000;
      (void)bench_.owner.Put(id, MakePayload(random_, 1 + random_.Below(max)));
    } else if (choice == 6) {
      bench_.owner.Forget(id);
    } else if (choice < 9) {
      StartRead(id);
    } else if (choice == 9) {
      RareEvent();
    } else {
      bench_.backend->Reap(random_.Below(20));
      bench_.store->Tick(random_.Below(500));
      bench_.clock.Advance(random_.Below(20'000));
    }
    JudgeReads();
  }

  void StartRead(BlockId id) {
    const auto block = bench_.owner.blocks.find(id);
    if (block == bench_.owner.blocks.end() || !block->second.stored) return;
    reads_.push_back(std::make_unique<CheckedRead>(bench_.owner, id));
    if (!bench_.store->Read(reads_.back().get())) reads_.pop_back();
  }

  void JudgeReads() {
    while (!reads_.empty() && reads_.front()->ended) {
      const CheckedRead& read = *reads_.front();
      // Code::kInvalid: it did not fail, so the bytes must be right.
      EXPECT_TRUE(read.right || read.code != Code::kInvalid);
      ++(read.right ? good_reads_ : failed_reads_);
      reads_.pop_front();
    }
  }

  void RareEvent() {
    const uint64_t choice = random_.Below(60);
    if (choice == 0) bench_.store->Flush();
    if (choice == 1) bench_.store->RequestCompaction();
    if (choice == 2) {
      frozen_ ? bench_.store->Thaw() : bench_.store->Freeze();
      frozen_ = !frozen_;
    }
    if (choice < 6) bench_.injector->Release();
  }

  void Drain() {
    std::vector<BlockId> ids;
    for (const auto& [id, block] : bench_.owner.blocks) ids.push_back(id);
    for (const BlockId id : ids) bench_.owner.Forget(id);
    ASSERT_TRUE(bench_.Settle());
    bench_.store->CheckInvariants();
    EXPECT_EQ(bench_.store->stats().used_bytes, 0u);
    EXPECT_EQ(bench_.store->stats().segments_waiting, 0u);
    EXPECT_EQ(bench_.store->stats().segments_sealed, 0u);
  }

  base::Random random_;
  Bench bench_;
  std::deque<std::unique_ptr<CheckedRead>> reads_;
  bool frozen_ = false;
  uint64_t good_reads_ = 0, failed_reads_ = 0;
};

TEST(RecordStoreFault, HistoriesOnALyingDiskNeverBringWrongBytes) {
  for (const uint64_t seed : Seeds(1)) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    base::Random random(seed);
    Bench::Options options;
    options.backend_seed = seed;
    options.segment_bytes = static_cast<uint32_t>(64 * kKiB << random.Below(3));
    options.alignment = random.Chance(1, 2) ? 512 : 4096;
    options.faults.seed = seed;
    options.faults.file_bytes = options.capacity_bytes;
    const auto rate = [&](Fault fault, uint32_t per_million) {
      options.faults.Rate(fault, static_cast<uint32_t>(random.Below(per_million)));
    };
    rate(Fault::kError, 20'000);
    rate(Fault::kNoSpace, 10'000);
    rate(Fault::kShort, 20'000);
    rate(Fault::kTorn, 20'000);
    rate(Fault::kLost, 20'000);
    rate(Fault::kMisdirected, 20'000);
    rate(Fault::kFlip, 20'000);
    rate(Fault::kSlow, 20'000);
    rate(Fault::kReordered, 20'000);
    rate(Fault::kHung, 2'000);
    FaultyHistory history(seed, options);
    history.Run(25'000);
    EXPECT_GT(history.good_reads(), 100u);
    EXPECT_GT(history.failed_reads(), 0u);
    EXPECT_GT(history.bench().store->stats().compaction_runs, 10u);
    if (HasFailure()) break;
  }
}

}  // namespace
}  // namespace flash::store
