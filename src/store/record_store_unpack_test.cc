// record_store_unpack_test.cc: who unpacks what a read found. Large payloads are an I/O thread's
// work, also where the owner read them, as InlineBackend does.
// Thread: one.
#include <gtest/gtest.h>

#include <vector>

#include "store/record_store.h"
#include "store/store_test_support.h"

namespace flash::store {
namespace {

TEST(RecordStore, LargeRecordsInAWriteBufferAreUnpackedByIoThreads) {
  Bench bench({});
  const Payload large(20'000, std::byte{'a'});  // Compresses well.
  const Payload small(10'000, std::byte{'b'});
  base::Random random(1);
  Payload noise(20'000);
  for (auto& byte : noise) byte = static_cast<std::byte>(random.Next());
  ASSERT_TRUE(bench.PutSoon(1, large));
  ASSERT_TRUE(bench.PutSoon(2, small));
  ASSERT_TRUE(bench.PutSoon(3, noise));
  for (int i = 0; i < 1000 && bench.owner.PutsOnTheWay() > 0; ++i) bench.Turn();
  ASSERT_GT(bench.store->stats().buffered_records_bytes, 0u);

  CheckedRead read(bench.owner, 1);
  ASSERT_TRUE(bench.store->Read(&read));
  EXPECT_FALSE(read.ended);
  // The buffer may be written, and its memory used again, before a thread gets to it.
  bench.store->Flush();
  while (!read.ended) bench.Turn();
  EXPECT_TRUE(read.right);

  ASSERT_TRUE(bench.PutSoon(4, small));
  ASSERT_TRUE(bench.PutSoon(5, noise));
  for (int i = 0; i < 1000 && bench.owner.PutsOnTheWay() > 0; ++i) bench.Turn();
  for (const BlockId id : {4, 5}) {
    CheckedRead at_once(bench.owner, id);
    ASSERT_TRUE(bench.store->Read(&at_once));
    EXPECT_TRUE(at_once.right);
  }
  ASSERT_TRUE(bench.Settle());
  bench.CheckAccounts();
}

TEST(RecordStore, WhatTheOwnersOwnReadFindsLargeIsUnpackedByIoThreads) {
  Bench bench({});
  const Payload large(20'000, std::byte{'a'});  // Compresses well, so the read is a small one.
  const Payload small(10'000, std::byte{'b'});
  ASSERT_TRUE(bench.PutSoon(1, large));
  ASSERT_TRUE(bench.PutSoon(2, small));
  bench.store->Flush();
  ASSERT_TRUE(bench.Settle());
  const auto kind_at_the_end = [&bench](BlockId id) {
    CheckedRead read(bench.owner, id);
    EXPECT_TRUE(bench.store->Read(&read));
    EXPECT_EQ(read.kind, io::Task::Kind::kRead) << "it is on flash";
    while (!read.ended) bench.Turn();
    EXPECT_TRUE(read.right);
    return read.kind;
  };
  // InlineBackend reads on the owner's thread.
  EXPECT_EQ(kind_at_the_end(1), io::Task::Kind::kCompute);
  EXPECT_EQ(kind_at_the_end(2), io::Task::Kind::kRead);
  bench.CheckAccounts();
}

TEST(RecordStore, ARefusedUnpackingLeavesTheRequestAsItWas) {
  Bench bench({});
  const Payload large(20'000, std::byte{'a'});
  ASSERT_TRUE(bench.PutSoon(1, large));
  for (int i = 0; i < 1000 && bench.owner.PutsOnTheWay() > 0; ++i) bench.Turn();
  std::vector<io::Task> others(10'000);
  size_t taken = 0;
  while (taken < others.size() && bench.backend->Submit(&others[taken])) ++taken;
  ASSERT_LT(taken, others.size()) << "the queue of computes is bounded";
  CheckedRead read(bench.owner, 1);
  const Result<void> refused = bench.store->Read(&read);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.code(), Code::kBusy);
  // Offered again, when the record is on flash, it must not pass for one that was found there.
  EXPECT_TRUE(read.record.empty());
  bench.store->Flush();
  ASSERT_TRUE(bench.Settle());
  ASSERT_TRUE(bench.store->Read(&read));
  while (!read.ended) bench.Turn();
  EXPECT_TRUE(read.right);
  bench.CheckAccounts();
}

}  // namespace
}  // namespace flash::store
