// record_store_test.cc: the whole store over a disk in memory, scenario by scenario. Random
// histories are in record_store_random_test.cc, faults in record_store_fault_test.cc. Thread: one.
//
#include "store/record_store.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <string>

#include "store/store_test_support.h"

namespace flash::store {
namespace {

Payload Text(const std::string& text) {
  const Bytes bytes = base::AsBytes(text);
  return {bytes.begin(), bytes.end()};
}

/// Fills up to `bytes` of live records of `payload_bytes` each, ids from 1.
BlockId Fill(Bench& bench, uint64_t bytes, size_t payload_bytes) {
  base::Random random(1);
  BlockId id = 0;
  while (bench.store->stats().used_bytes + bench.owner.PutsOnTheWay() * payload_bytes < bytes) {
    Payload payload(payload_bytes);
    for (auto& byte : payload) byte = static_cast<std::byte>(random.Next());
    if (!bench.PutSoon(id + 1, payload)) break;
    ++id;
    if (id % 16 == 0) bench.Turn();
  }
  EXPECT_TRUE(bench.Settle());
  return id;
}

/// How many blocks a forked child reads wrongly, while the parent does `meanwhile`; -1: it died.
int CountWrongInChild(Bench& bench, const std::function<void()>& meanwhile) {
  const pid_t child = fork();
  if (child == 0) {
    MemorySource source(bench.file);  // The child's copy of the disk in memory.
    int wrong = 0;
    for (const auto& [id, block] : bench.owner.blocks) {
      auto read = bench.store->ReadInChild(id, block.place, source);
      wrong += read.ok() && CheckedRead::Matches(*read, block.payload) ? 0 : 1;
    }
    _exit(std::min(wrong, 100));
  }
  meanwhile();
  int status = -1;
  if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) return -1;
  return WEXITSTATUS(status);
}

TEST(RecordStore, OpenRefusesBadSizes) {
  Bench bench({});
  RecordStore::Options options;
  const auto open = [&] {
    return RecordStore::Open(options, bench.backend.get(), &bench.clock, &bench.owner).ok();
  };
  options.capacity_bytes = 16 * kMiB - 1;
  EXPECT_FALSE(open());
  options.capacity_bytes = 16 * kMiB;
  EXPECT_TRUE(open());
  options.segment_bytes = 100'000;
  EXPECT_FALSE(open());
  options.segment_bytes = 2 * kMiB;
  EXPECT_FALSE(open());
  options.segment_bytes = 1 * kMiB;
  EXPECT_TRUE(open());
}

TEST(RecordStore, PreparedIsWhatWasWrittenAtLeastOnce) {
  Bench bench({});
  const BlockId count = Fill(bench, 1 * kMiB, 4000);
  EXPECT_LT(bench.store->stats().prepared_bytes, 1 * kMiB) << "some are in write buffers";
  bench.store->Flush();
  ASSERT_TRUE(bench.Settle());
  const auto first = bench.store->stats();
  EXPECT_GT(first.prepared_bytes, 1 * kMiB);
  EXPECT_EQ(first.prepared_bytes, first.device_bytes_written) << "each byte was new";
  for (BlockId id = 1; id <= count; ++id) bench.owner.Forget(id);
  for (int i = 0; i < 40; ++i) {  // More than the file holds: every segment is used again.
    for (const BlockId id : {1, 2}) {
      ASSERT_TRUE(bench.PutSoon(id, Payload(500'000 / 16, static_cast<std::byte>(i))));
      bench.store->Flush();
      ASSERT_TRUE(bench.Settle());
      bench.owner.Forget(id);
    }
  }
  const auto last = bench.store->stats();
  EXPECT_GE(last.prepared_bytes, first.prepared_bytes);
  EXPECT_LE(last.prepared_bytes, last.capacity_bytes);
  bench.CheckAccounts();
}

TEST(RecordStore, WhatEarlierLivesWroteIsPreparedAndCountsOnce) {
  Bench bench({.compression = RecordStore::Compression::kNone});
  // The superblock, a part of the first segment, two whole ones and a part, and the file's end.
  const std::vector<io::FileRange> ranges = {
      {0, 8192}, {2 * 64 * kKiB, 2 * 64 * kKiB + 4096}, {16 * kMiB - 512, 512}};
  bench.store->NoteWritten(ranges);
  const uint64_t before = 4096 + 2 * 64 * kKiB + 4096 + 512;
  EXPECT_EQ(bench.store->stats().prepared_bytes, before);
  ASSERT_TRUE(bench.PutSoon(1, Payload(3000)));  // Into the first segment, where was one written.
  bench.store->Flush();
  ASSERT_TRUE(bench.Settle());
  EXPECT_GT(bench.store->stats().device_bytes_written, 0u);
  EXPECT_EQ(bench.store->stats().prepared_bytes, before);
  bench.CheckAccounts();
}

TEST(RecordStore, APayloadThatIsStillBeingCopiedIsReadWhereItWas) {
  Bench bench({.capacity_bytes = 64 * kMiB, .segment_bytes = 4 * kMiB});
  base::Random random(8);
  Payload noise(100'000);
  for (auto& byte : noise) byte = static_cast<std::byte>(random.Next());
  ASSERT_TRUE(bench.owner.Put(1, noise));
  ASSERT_TRUE(bench.owner.Put(2, Payload(900'000, std::byte{'a'})));
  while (bench.owner.PutsOnTheWay() > 0) bench.Turn();
  ASSERT_EQ(bench.backend->inflight(), 1u) << "the copying";
  bench.store->Flush();
  EXPECT_EQ(bench.backend->inflight(), 1u) << "nothing is written before it";
  EXPECT_EQ(bench.store->stats().device_bytes_written, 0u);
  for (const BlockId id : {1, 2}) {
    EXPECT_FALSE(bench.store->IsDurable(bench.owner.blocks[id].place));
  }
  EXPECT_EQ(CountWrongInChild(bench, [] {}), 0);
  EXPECT_TRUE(bench.ReadNow(1)->right);
  EXPECT_TRUE(bench.ReadNow(2)->right);
  bench.CheckAccounts();
  ASSERT_TRUE(bench.Settle());
  for (const BlockId id : {1, 2}) {
    EXPECT_TRUE(bench.store->IsDurable(bench.owner.blocks[id].place));
    EXPECT_TRUE(bench.ReadNow(id)->right);
  }
  bench.CheckAccounts();
}

TEST(RecordStore, PutRefusesBadPayloads) {
  Bench bench({});
  EXPECT_EQ(bench.store->Put(1, 1, {}).code(), Code::kInvalid);
  EXPECT_EQ(bench.store->Put(0, 1, Text("a")).code(), Code::kInvalid);
  EXPECT_EQ(bench.store->Put(kBlockIdMax + 1, 1, Text("a")).code(), Code::kInvalid);
  const Payload large(bench.store->payload_bytes_max() + 1);
  EXPECT_EQ(bench.store->Put(1, 1, large).code(), Code::kInvalid);
}

TEST(RecordStore, ARecordIsReadableFromTheBufferAndFromFlash) {
  Bench bench({});
  ASSERT_TRUE(bench.PutSoon(7, Text("some bytes, some bytes, some bytes, some bytes, some bytes")));
  EXPECT_FALSE(bench.owner.blocks[7].stored);  // Never from within Put.
  ASSERT_TRUE(bench.Settle());
  ASSERT_TRUE(bench.owner.blocks[7].stored);
  const Place place = bench.owner.blocks[7].place;
  EXPECT_FALSE(bench.store->IsDurable(place));
  EXPECT_TRUE(bench.ReadNow(7)->right);
  EXPECT_EQ(bench.backend->stats().device_reads, 0u);
  bench.store->Flush();
  ASSERT_TRUE(bench.Settle());
  EXPECT_TRUE(bench.store->IsDurable(place));
  EXPECT_TRUE(bench.ReadNow(7)->right);
  EXPECT_EQ(bench.backend->stats().device_reads, 1u);
  bench.CheckAccounts();
}

TEST(RecordStore, FlushReachesRecordsStillInStaging) {
  Bench bench({});
  ASSERT_TRUE(bench.owner.Put(1, Text("x")));
  bench.store->Flush();
  ASSERT_TRUE(bench.Settle());
  EXPECT_TRUE(bench.store->IsDurable(bench.owner.blocks[1].place));
  EXPECT_EQ(bench.store->stats().buffered_records_bytes, 0u);
}

TEST(RecordStore, EverySizeUpToTheLargest) {
  Bench bench({.segment_bytes = 1 * kMiB});
  base::Random random(5);
  const size_t max = bench.store->payload_bytes_max();
  BlockId id = 0;
  for (const size_t size : {size_t{1}, size_t{7}, size_t{8}, size_t{9}, size_t{488}, size_t{4096},
                            size_t{100'000}, max - 1, max}) {
    ASSERT_TRUE(bench.PutSoon(++id, MakePayload(random, size)));
    ASSERT_TRUE(bench.PutSoon(++id, Payload(size, std::byte{'x'})));
  }
  ASSERT_TRUE(bench.Settle());
  EXPECT_EQ(bench.CountWrong(), 0u);
  bench.store->Flush();
  ASSERT_TRUE(bench.Settle());
  EXPECT_EQ(bench.CountWrong(), 0u);
  bench.CheckAccounts();
}

TEST(RecordStore, CompressionSavesAndCanBeSwitchedOff) {
  Bench bench({});
  ASSERT_TRUE(bench.PutSoon(1, Payload(4096, std::byte{'x'})));
  ASSERT_TRUE(bench.Settle());
  EXPECT_LT(bench.store->stats().put_stored_bytes, 200u);
  bench.store->SetCompression(RecordStore::Compression::kNone);
  ASSERT_TRUE(bench.PutSoon(2, Payload(4096, std::byte{'x'})));
  ASSERT_TRUE(bench.Settle());
  EXPECT_GT(bench.store->stats().put_stored_bytes, 4096u);
  EXPECT_EQ(bench.store->stats().put_raw_bytes, 8192u);
  EXPECT_EQ(bench.CountWrong(), 0u);
}

TEST(RecordStore, PackingCostsAsPromised) {
  // Flash bytes per stored byte, before compaction slack: at most 1.4, 1.1, 1.05. The sizes: from,
  // to.
  struct Promise {
    size_t from, to;
    double at_most;
  };
  for (const Promise& promise :
       {Promise{90, 200, 1.4}, Promise{1024, 1024, 1.1}, Promise{4096, 4096, 1.05}}) {
    Bench bench({.segment_bytes = 256 * kKiB,
                 .compression = RecordStore::Compression::kNone,
                 .alignment = 4096});
    base::Random random(2);
    for (BlockId id = 1; id <= 3000; ++id) {
      const size_t size = promise.from + random.Below(promise.to - promise.from + 1);
      ASSERT_TRUE(bench.PutSoon(id, Payload(size)));
    }
    ASSERT_TRUE(bench.Settle());
    bench.store->Flush();
    ASSERT_TRUE(bench.Settle());
    const auto stats = bench.store->stats();
    EXPECT_LE(static_cast<double>(stats.device_bytes_written),
              static_cast<double>(stats.put_raw_bytes) * promise.at_most)
        << promise.from;
  }
}

TEST(RecordStore, AnUnwantedPutLeavesNothingBehind) {
  Bench bench({});
  ASSERT_TRUE(bench.PutSoon(1, Text("one")));
  bench.owner.Forget(1);
  ASSERT_TRUE(bench.PutSoon(2, Text("two")));
  ASSERT_TRUE(bench.Settle());
  EXPECT_EQ(bench.store->stats().puts, 1u);
  EXPECT_EQ(bench.store->stats().buffered_records_bytes, 32u);
  EXPECT_EQ(bench.CountWrong(), 0u);
  bench.CheckAccounts();
}

TEST(RecordStore, OverwritesBeyondTheCapacityAreCompacted) {
  Bench bench({.compression = RecordStore::Compression::kNone});
  base::Random random(3);
  const BlockId blocks = Fill(bench, 12 * kMiB, 1000);
  for (int i = 0; i < 40'000; ++i) {
    ASSERT_TRUE(bench.PutSoon(1 + random.Below(blocks), Payload(1000, std::byte(i))));
    if (i % 16 == 0) bench.Turn();
  }
  ASSERT_TRUE(bench.Settle());
  EXPECT_GT(bench.store->stats().compaction_runs, 0u);
  EXPECT_EQ(bench.CountWrong(), 0u);
  bench.CheckAccounts();
}

TEST(RecordStore, FullMeansNoSpaceUntilSomethingIsFreed) {
  Bench bench({.compression = RecordStore::Compression::kNone});
  const BlockId last = Fill(bench, 64 * kMiB, 1000);
  EXPECT_FALSE(bench.PutSoon(last + 1, Payload(1000, std::byte{1})));
  EXPECT_EQ(bench.owner.last_refusal, Code::kNoSpace);
  EXPECT_FALSE(bench.store->HasRoomFor(1000));
  EXPECT_GT(bench.store->stats().used_bytes, 16 * kMiB * 9 / 10);
  EXPECT_EQ(bench.store->live_bytes(), bench.store->stats().used_bytes);
  // What it said beforehand was right but for the segments that are open.
  EXPECT_LE(bench.store->live_bytes_max(), bench.store->live_bytes());
  EXPECT_GT(bench.store->live_bytes_max(), bench.store->live_bytes() / 100 * 93);
  bench.CheckAccounts();
  EXPECT_EQ(bench.CountWrong(), 0u);

  for (BlockId id = 1; id < last; id += 5) bench.owner.Forget(id);
  EXPECT_TRUE(bench.store->HasRoomFor(1000));
  for (BlockId id = 1; id < last; id += 8) {
    ASSERT_TRUE(bench.PutSoon(id, Payload(1000, std::byte{2}))) << id;
  }
  ASSERT_TRUE(bench.Settle());
  EXPECT_EQ(bench.CountWrong(), 0u);
  bench.CheckAccounts();
}

TEST(RecordStore, ACompactionPassReclaimsEveryDeadByte) {
  Bench bench({});
  const BlockId last = Fill(bench, 6 * kMiB, 1000);
  for (BlockId id = 1; id <= last; id += 3) bench.owner.Forget(id);
  const uint64_t dead = bench.store->stats().dead_bytes;
  EXPECT_GT(dead, 1 * kMiB);
  bench.store->RequestCompaction();
  while (bench.store->passes_done() == 0) bench.Turn();
  EXPECT_EQ(bench.store->stats().dead_bytes, 0u);
  EXPECT_GE(bench.store->stats().compaction_bytes_reclaimed, dead);
  EXPECT_EQ(bench.CountWrong(), 0u);
  bench.CheckAccounts();
}

TEST(RecordStore, ACompactionPassMayLeaveWhatIsMostlyAlive) {
  Bench bench({});
  const BlockId last = Fill(bench, 6 * kMiB, 1000);
  for (BlockId id = 1; id <= last; id += 3) bench.owner.Forget(id);
  bench.store->RequestCompaction(60);
  while (bench.store->passes_done() == 0) bench.Turn();
  EXPECT_EQ(bench.store->stats().compaction_runs, 0u);
}

TEST(RecordStore, AReadSurvivesFreeAndReuse) {
  Bench bench({});
  const BlockId last = Fill(bench, 6 * kMiB, 1000);
  CheckedRead read(bench.owner, 1);
  ASSERT_TRUE(bench.store->IsDurable(read.place));
  ASSERT_TRUE(bench.store->Read(&read));
  for (BlockId id = 1; id <= last; ++id) bench.owner.Forget(id);
  EXPECT_GE(bench.store->stats().segments_waiting, 1u);
  while (!read.ended) bench.Turn();
  EXPECT_TRUE(read.right);
  ASSERT_TRUE(bench.Settle());
  EXPECT_EQ(bench.store->stats().segments_waiting, 0u);
  EXPECT_EQ(bench.store->stats().used_bytes, 0u);
  bench.CheckAccounts();
}

TEST(RecordStore, AWrongPlaceOrIdIsCorruptNeverData) {
  Bench bench({});
  Fill(bench, 1 * kMiB, 1000);
  CheckedRead wrong_id(bench.owner, 1);
  wrong_id.id = 2;
  CheckedRead wrong_place(bench.owner, 1);
  wrong_place.place = bench.owner.blocks[2].place;
  for (CheckedRead* read : {&wrong_id, &wrong_place}) {
    ASSERT_TRUE(bench.store->Read(read));
    while (!read->ended) bench.Turn();
    EXPECT_FALSE(read->right);
    EXPECT_EQ(read->code, Code::kCorrupt);
  }
  EXPECT_EQ(bench.store->stats().checksum_errors, 2u);
}

TEST(RecordStore, ReadsAreBounded) {
  Bench bench({});
  const BlockId last = Fill(bench, 13 * kMiB, 30'000);
  std::vector<std::unique_ptr<CheckedRead>> reads;
  bool busy = false;
  for (int round = 0; round < 3 && !busy; ++round) {
    for (BlockId id = 1; id <= last && !busy; ++id) {
      reads.push_back(std::make_unique<CheckedRead>(bench.owner, id));
      const auto result = bench.store->Read(reads.back().get());
      busy = !result.ok();
      ASSERT_TRUE(!busy || result.code() == Code::kBusy);
    }
  }
  EXPECT_TRUE(busy);
  reads.pop_back();
  ASSERT_TRUE(bench.Settle());
  for (const auto& read : reads) EXPECT_TRUE(read->right);
}

TEST(RecordStore, WhileFrozenNothingOfTheForkMoves) {
  Bench bench({.compression = RecordStore::Compression::kNone});
  base::Random random(4);
  const BlockId last = Fill(bench, 8 * kMiB, 1000);
  bench.store->Flush();
  ASSERT_TRUE(bench.Settle());
  const auto at_fork = bench.owner.blocks;
  bench.store->Freeze();
  EXPECT_GT(bench.store->stats().frozen_bytes, 7 * kMiB);
  for (int i = 0; i < 12'000; ++i) {
    if (!bench.PutSoon(1 + random.Below(last), Payload(1000, std::byte(i)))) break;
    if (i % 16 == 0) bench.Turn();
  }
  ASSERT_TRUE(bench.Settle());
  bench.CheckAccounts();
  // As the child sees the file: every record of the fork is where it was.
  MemorySource source(bench.file);
  for (const auto& [id, block] : at_fork) {
    auto read = bench.store->ReadInChild(id, block.place, source);
    ASSERT_TRUE(read.ok()) << id;
    EXPECT_TRUE(CheckedRead::Matches(*read, block.payload)) << id;
    base::Release(read->memory);
  }
  bench.store->Thaw();
  EXPECT_EQ(bench.store->stats().frozen_bytes, 0u);
  for (BlockId id = 1; id <= last; ++id) {
    ASSERT_TRUE(bench.PutSoon(id, Payload(900, std::byte(id))));
  }
  ASSERT_TRUE(bench.Settle());
  EXPECT_EQ(bench.CountWrong(), 0u);
  bench.CheckAccounts();
}

TEST(RecordStore, AForkedChildReadsBuffersAndFile) {
  Bench bench({});
  const BlockId last = Fill(bench, 2 * kMiB, 700);
  ASSERT_GT(bench.store->stats().buffered_records_bytes, 0u);
  bench.store->Freeze();
  EXPECT_EQ(CountWrongInChild(bench,
                              [&] {
                                for (BlockId id = 1; id <= last; ++id) bench.owner.Forget(id);
                              }),
            0);
  bench.store->Thaw();
  ASSERT_TRUE(bench.Settle());
  bench.CheckAccounts();
}

/// A clock on which every look costs a microsecond: it counts looks.
class CostlyClock final : public base::Clock {
 public:
  [[nodiscard]] uint64_t NowUs() const override { return ++now_us_; }

 private:
  mutable uint64_t now_us_ = 1;
};

TEST(RecordStore, ATickEndsSoonAfterItsBudget) {
  CostlyClock clock;
  ModelOwner owner;
  io::InlineBackend backend(
      std::make_unique<io::MemoryDevice>(std::make_shared<io::MemoryFile>(16 * kMiB),
                                         io::MemoryDevice::Options{}),
      &clock, {});
  RecordStore::Options options;
  options.capacity_bytes = 16 * kMiB;
  options.segment_bytes = 256 * kKiB;
  options.compression = RecordStore::Compression::kNone;
  auto store = std::move(RecordStore::Open(options, &backend, &clock, &owner)).Take();
  owner.store = store.get();
  base::Random random(1);
  uint64_t most_us = 0, worked = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (!owner.Put(1 + random.Below(100'000), Payload(100, std::byte(i)))) backend.Reap(100);
    if (i % 1000 != 0) continue;
    for (int turn = 0; turn < 50; ++turn) {
      backend.Reap(100);
      const uint64_t answered = owner.answered;
      const uint64_t begin = clock.NowUs();
      store->Tick(10);
      most_us = std::max(most_us, clock.NowUs() - begin);
      worked = std::max(worked, owner.answered - answered);
    }
    if (i == 10'000) store->RequestCompaction();
  }
  // A look per 16 records: ten looks are at most 160 records and a few looks beside.
  EXPECT_LE(most_us, 30u);
  EXPECT_GT(worked, 16u);
  EXPECT_LE(worked, 16u * 12u);
  owner.store = nullptr;
}

TEST(RecordStore, DestructionWaitsForWhatIsInFlight) {
  Bench bench({.backend_seed = 9});
  base::Random random(1);
  for (BlockId id = 1; id < 500; ++id) (void)bench.owner.Put(id, MakePayload(random, 3000));
  bench.store->Tick(1000);
  bench.store->Flush();
  bench.store.reset();
  EXPECT_EQ(bench.backend->inflight(), 0u);
}

}  // namespace
}  // namespace flash::store
