// block_fetch_test.cc: fetches, shared reads, pins and their budget, errors, and waiting.
//
// Over a store whose reads end when the test says so. Thread: main.
#include <gtest/gtest.h>

#include "blocks/block_pool.h"
#include "tests/support/block_pool_fixture.h"

namespace flash::blocks {
namespace {

class BlockFetchTest : public testing::BlockPoolFixture {
 protected:
  void SetUp() override {
    Open();
    store->hold_puts = true;
    store->hold_reads = true;
  }
};

TEST_F(BlockFetchTest, OneReadPerBlockWhoeverAsks) {
  const BlockId id = CreateAndChill(1);
  int ran = 0;
  Fetch first = Start({id}, [&] { ++ran; });
  Fetch second = Start({id}, [&] { ++ran; });
  EXPECT_EQ(store->reads_started, 1u);
  EXPECT_FALSE(first.ready());
  store->hold_reads = false;
  Drive();
  EXPECT_EQ(ran, 2);
  EXPECT_TRUE(first.ready() && second.ready());
  EXPECT_EQ(pool->stats().misses, 2u);
  EXPECT_EQ(pool->stats().pinned_bytes, 1024u);
  first.Release();
  EXPECT_EQ(pool->stats().pinned_bytes, 1024u);
  second.Release();
  EXPECT_EQ(pool->stats().pinned_bytes, 0u);
}

TEST_F(BlockFetchTest, CallbacksRunOnlyFromTheOutermostDrive) {
  const BlockId id = CreateAndChill(1);
  bool ran = false;
  const Fetch fetch = Start({id}, [&] { ran = true; });
  store->FinishReads();
  EXPECT_TRUE(fetch.ready());
  EXPECT_FALSE(ran);
  pool->Drive(Deliver::kQueueOnly);
  EXPECT_FALSE(ran);
  EXPECT_TRUE(pool->WantsDrive());
  Drive();
  EXPECT_TRUE(ran);
  EXPECT_FALSE(pool->WantsDrive());
}

TEST_F(BlockFetchTest, FetchOfHotBlocksIsReadyButNeverCallsBackFromStart) {
  const BlockId id = Create(1);
  bool ran = false;
  const Fetch fetch = Start({id}, [&] { ran = true; });
  EXPECT_TRUE(fetch.ready());
  EXPECT_FALSE(ran);
  Drive();
  EXPECT_TRUE(ran);
}

TEST_F(BlockFetchTest, ReadAnsweredFromWithinTheCall) {
  const BlockId a = CreateAndChill(1);
  const BlockId b = CreateAndChill(2);
  store->answer_reads_at_once = true;
  bool ran = false;
  const Fetch fetch = Start({a, b}, [&] { ran = true; });
  EXPECT_TRUE(fetch.ready());
  EXPECT_FALSE(ran);
  EXPECT_TRUE(Holds(pool->Read(b), 2));
}

TEST_F(BlockFetchTest, FreeDuringFetch) {
  const BlockId a = CreateAndChill(1);
  const BlockId b = CreateAndChill(2);
  bool ran = false;
  Fetch fetch = Start({a, b}, [&] { ran = true; });
  pool->Free(a);
  EXPECT_EQ(pool->StateOf(a), State::kFree);
  EXPECT_EQ(store->records(), 1u);
  const BlockId c = Create(3);
  EXPECT_NE(c, a);  // The read and the fetch still know the id.
  store->FinishReads();
  EXPECT_EQ(pool->StateOf(a), State::kFree);
  EXPECT_EQ(pool->stats().dropped_reads, 1u);
  Drive();
  EXPECT_TRUE(ran);
  EXPECT_TRUE(fetch.outcome());
  fetch.Release();
  EXPECT_EQ(Create(4), a);
}

TEST_F(BlockFetchTest, FreeOfTheOnlyMissingBlockMakesTheFetchReady) {
  const BlockId id = CreateAndChill(1);
  const Fetch fetch = Start({id});
  pool->Free(id);
  EXPECT_TRUE(fetch.ready());
  EXPECT_TRUE(fetch.outcome());
  store->FinishReads();
}

TEST_F(BlockFetchTest, FreeOfAPinnedBlock) {
  const BlockId id = Create(1);
  Fetch fetch = Start({id});
  pool->Free(id);
  EXPECT_EQ(pool->stats().hot_bytes, 0u);
  EXPECT_EQ(pool->stats().pinned_bytes, 0u);
  EXPECT_NE(Create(2), id);
  fetch.Release();
  EXPECT_EQ(Create(3), id);
}

TEST_F(BlockFetchTest, ReleaseBeforeTheReadArrives) {
  const BlockId id = CreateAndChill(1);
  bool ran = false;
  Fetch fetch = Start({id}, [&] { ran = true; });
  fetch.Release();
  store->FinishReads();
  Drive();
  EXPECT_FALSE(ran);
  EXPECT_EQ(pool->StateOf(id), State::kHotClean);  // The read was paid for.
  EXPECT_EQ(pool->stats().pinned_bytes, 0u);
}

TEST_F(BlockFetchTest, ReleaseWhenReadyButNotDelivered) {
  const BlockId id = CreateAndChill(1);
  bool ran = false;
  Fetch fetch = Start({id}, [&] { ran = true; });
  store->FinishReads();
  fetch.Release();
  Drive();
  EXPECT_FALSE(ran);
}

TEST_F(BlockFetchTest, ReleaseAndRestartWithinTheCallback) {
  const BlockId a = CreateAndChill(1);
  const BlockId b = CreateAndChill(2);
  Fetch fetch;
  int ran = 0;
  fetch = Start({a}, [&] {
    ++ran;
    fetch = Start({b}, [&] {
      ++ran;
      fetch.Release();
      pool->Free(b);
      pool->Drive(Deliver::kCallbacks);  // Nested: queues only.
    });
  });
  store->hold_reads = false;
  Drive();
  EXPECT_EQ(ran, 1);
  Drive();
  EXPECT_EQ(ran, 2);
  EXPECT_EQ(pool->StateOf(b), State::kFree);
}

TEST_F(BlockFetchTest, DemotingBlockThatGetsPinnedStaysAndIsClean) {
  const BlockId id = Create(1);
  ASSERT_TRUE(pool->Demote(id));
  Fetch fetch = Start({id});
  store->FinishPuts();
  EXPECT_EQ(pool->StateOf(id), State::kHotClean);
  EXPECT_TRUE(Holds(pool->Read(id), 1));
  EXPECT_EQ(pool->Demote(id).code(), Code::kBusy);
  fetch.Release();
  EXPECT_TRUE(*pool->Demote(id));
  EXPECT_EQ(pool->StateOf(id), State::kCold);
}

TEST_F(BlockFetchTest, ErrorReachesAllWaitersAndALaterFetchTriesAgain) {
  const BlockId id = CreateAndChill(1);
  Fetch first = Start({id});
  Fetch second = Start({id});
  store->fail_reads = Code::kCorrupt;
  store->FinishReads();
  ASSERT_TRUE(first.ready() && second.ready());
  EXPECT_EQ(first.outcome().code(), Code::kCorrupt);
  EXPECT_EQ(second.outcome().code(), Code::kCorrupt);
  EXPECT_EQ(pool->StateOf(id), State::kCold);
  EXPECT_EQ(pool->stats().fetch_errors, 1u);
  store->fail_reads.reset();
  store->hold_reads = false;
  const Fetch third = FetchOne(id);
  EXPECT_TRUE(third.outcome());
  EXPECT_TRUE(Holds(pool->Read(id), 1));
}

TEST_F(BlockFetchTest, BusyStoreIsAskedAgain) {
  const BlockId a = CreateAndChill(1);
  const BlockId b = CreateAndChill(2);
  store->refuse_reads = Code::kBusy;
  const Fetch fetch = Start({a, b});
  Drive();
  EXPECT_EQ(store->reads_started, 0u);
  store->refuse_reads.reset();
  Drive();
  EXPECT_EQ(store->reads_started, 2u);
  store->FinishReads();
  EXPECT_TRUE(fetch.ready());
}

TEST_F(BlockFetchTest, FreeWhileTheStoreIsBusy) {
  const BlockId id = CreateAndChill(1);
  store->refuse_reads = Code::kBusy;
  Fetch fetch = Start({id});
  pool->Free(id);
  EXPECT_TRUE(fetch.ready());
  fetch.Release();
  store->refuse_reads.reset();
  Drive();
  EXPECT_EQ(store->reads_started, 0u);
  EXPECT_EQ(Create(2), id);
}

TEST_F(BlockFetchTest, PinsAreGrantedWholeAndInOrder) {
  Open(uint64_t{100'000});  // Pin budget 50,000.
  std::vector<BlockId> ids;
  for (uint64_t seed = 0; seed < 6; ++seed) ids.push_back(CreateAndChill(seed, 16'000));
  store->hold_reads = true;
  Fetch two = Start({ids[0], ids[1]});
  Fetch also_two = Start({ids[2], ids[3]});  // Does not fit beside it.
  Fetch one = Start({ids[4]});               // Would fit, but has to wait its turn.
  EXPECT_EQ(store->reads_started, 2u);
  store->FinishReads();
  EXPECT_TRUE(two.ready());
  Drive();
  EXPECT_EQ(store->reads_started, 2u);
  two.Release();
  EXPECT_TRUE(pool->WantsDrive());
  Drive();
  EXPECT_EQ(store->reads_started, 5u);
  store->FinishReads();
  EXPECT_TRUE(also_two.ready() && one.ready());
}

TEST_F(BlockFetchTest, SetLargerThanTheBudgetRunsAlone) {
  Open(uint64_t{100'000});
  std::vector<BlockId> ids;
  for (uint64_t seed = 0; seed < 5; ++seed) ids.push_back(CreateAndChill(seed, 16'000));
  store->hold_reads = true;
  Fetch one = Start({ids[0]});
  Fetch all = Start(ids);
  Fetch later = Start({ids[1]});
  store->FinishReads();
  Drive();
  EXPECT_FALSE(all.ready());
  one.Release();
  Drive();
  store->FinishReads();
  EXPECT_TRUE(all.ready());
  EXPECT_FALSE(later.ready());
  all.Release();
  Drive();
  store->FinishReads();
  EXPECT_TRUE(later.ready());
}

TEST_F(BlockFetchTest, WithdrawnFetchDoesNotHoldUpTheLine) {
  Open(uint64_t{100'000});
  std::vector<BlockId> ids;
  for (uint64_t seed = 0; seed < 4; ++seed) ids.push_back(CreateAndChill(seed, 16'000));
  store->hold_reads = true;
  const Fetch two = Start({ids[0], ids[1]});
  Fetch also_two = Start({ids[2], ids[3]});
  const Fetch one = Start({ids[3]});
  also_two.Release();
  Drive();
  store->FinishReads();
  EXPECT_TRUE(one.ready());
}

/// What makes the first in line fit while nothing that is pinned is let go.
enum class Relief : uint8_t { kOneOfItsBlocksEnds, kTheCacheGrows };
class FirstInLine : public BlockFetchTest, public ::testing::WithParamInterface<Relief> {};
INSTANTIATE_TEST_SUITE_P(Reliefs, FirstInLine,
                         ::testing::Values(Relief::kOneOfItsBlocksEnds, Relief::kTheCacheGrows));

TEST_P(FirstInLine, IsLookedAtAgain) {
  Open(uint64_t{100'000});  // Pin budget 50,000.
  std::vector<BlockId> ids;
  for (uint64_t seed = 0; seed < 4; ++seed) ids.push_back(CreateAndChill(seed, 16'000));
  const Fetch pinned = Start({ids[0], ids[1]});
  const Fetch waiting = Start({ids[2], ids[3]});
  Drive();
  EXPECT_FALSE(waiting.ready());
  if (GetParam() == Relief::kOneOfItsBlocksEnds) pool->Free(ids[3]);
  if (GetParam() == Relief::kTheCacheGrows) pool->SetCacheBytes(200'000);
  Drive();
  Drive();
  EXPECT_TRUE(waiting.ready());
}

TEST_F(BlockFetchTest, FetchNowGoesAheadOfTheLine) {
  Open(uint64_t{100'000});
  std::vector<BlockId> ids;
  for (uint64_t seed = 0; seed < 6; ++seed) ids.push_back(CreateAndChill(seed, 16'000));
  const Fetch pinned = Start({ids[0], ids[1]});
  const Fetch waiting = Start({ids[2], ids[3]});
  const Fetch now = pool->FetchNow(std::vector<BlockId>{ids[4], ids[5]}, WaitCause::kScript);
  EXPECT_TRUE(now.ready());
  EXPECT_FALSE(waiting.ready());
  EXPECT_TRUE(Holds(pool->Read(ids[5]), 5));
  EXPECT_EQ(pool->stats().waits[static_cast<size_t>(WaitCause::kScript)], 1u);
}

TEST_F(BlockFetchTest, FetchAheadBeginsAtOnceBesideTheBudget) {
  Open(uint64_t{100'000});  // Pin budget 50,000.
  std::vector<BlockId> ids;
  for (uint64_t seed = 0; seed < 5; ++seed) ids.push_back(CreateAndChill(seed, 16'000));
  store->hold_reads = true;
  const Fetch pins = Start({ids[0], ids[1], ids[2]});
  const Fetch waits = Start({ids[3]});
  EXPECT_EQ(store->reads_started, 3u);
  Fetch ahead = pool->StartFetchAhead(std::vector<BlockId>{ids[4]});
  EXPECT_EQ(store->reads_started, 4u);
  store->FinishReads();
  EXPECT_TRUE(pins.ready() && ahead.ready() && ahead.whole());
  EXPECT_FALSE(waits.ready());
  EXPECT_TRUE(pool->IsPinned(ids[4]));
  ahead.Release();
  EXPECT_FALSE(pool->IsPinned(ids[4]));
}

TEST_F(BlockFetchTest, WaitsAreCountedByCauseWithTheirTime) {
  const BlockId id = CreateAndChill(1);
  backend.on_wait = [&] {
    if (backend.waits == 3) store->hold_reads = false;
  };
  const Fetch fetch = pool->FetchNow(std::vector<BlockId>{id}, WaitCause::kMulti);
  EXPECT_TRUE(fetch.ready());
  const auto cause = static_cast<size_t>(WaitCause::kMulti);
  EXPECT_EQ(pool->stats().waits[cause], 1u);
  EXPECT_EQ(pool->stats().wait_us[cause], 3000u);
  EXPECT_GE(pool->stats().read_us[0], 3000u);
  const Fetch hot = pool->FetchNow(std::vector<BlockId>{id}, WaitCause::kMulti);
  EXPECT_EQ(pool->stats().waits[cause], 1u);  // It did not wait.
}

TEST_F(BlockFetchTest, DriveUntilGivesUp) {
  EXPECT_FALSE(pool->DriveUntil(
      WaitCause::kOther, [] { return false; }, 5000));
  EXPECT_EQ(pool->stats().wait_us[static_cast<size_t>(WaitCause::kOther)], 5000u);
}

TEST_F(BlockFetchTest, TouchAfterAMissIsNoHit) {
  const BlockId id = CreateAndChill(1);
  store->hold_reads = false;
  {
    const Fetch fetch = FetchOne(id);
    EXPECT_TRUE(Holds(pool->Touch(id), 1));
    EXPECT_EQ(pool->stats().hits, 0u);
    EXPECT_TRUE(Holds(pool->Touch(id), 1));
    EXPECT_EQ(pool->stats().hits, 1u);
  }
  EXPECT_TRUE(Holds(pool->Touch(id), 1));
  EXPECT_EQ(pool->stats().hits, 2u);
  EXPECT_EQ(pool->stats().misses, 1u);
}

TEST_F(BlockFetchTest, ReadDetachedPromotesNothing) {
  const BlockId cold = CreateAndChill(1);
  const BlockId hot = Create(2);
  int right = 0;
  const auto expect = [&](uint64_t seed) {
    return [&right, seed](Result<std::span<const std::byte>> bytes) {
      right += bytes && Holds(*bytes, seed) ? 1 : 0;
    };
  };
  ASSERT_TRUE(pool->ReadDetached(cold, expect(1)));
  ASSERT_TRUE(pool->ReadDetached(hot, expect(2)));
  store->FinishReads();
  EXPECT_EQ(right, 0);
  Drive();
  EXPECT_EQ(right, 2);
  EXPECT_EQ(pool->StateOf(cold), State::kCold);
}

TEST_F(BlockFetchTest, ReadDetachedOfAFreedBlockIsGone) {
  const BlockId id = CreateAndChill(1);
  Code code = Code::kIo;
  ASSERT_TRUE(pool->ReadDetached(
      id, [&](Result<std::span<const std::byte>> bytes) { code = bytes.code(); }));
  store->FinishReads();
  pool->Free(id);
  EXPECT_NE(Create(2), id);
  Drive();
  EXPECT_EQ(code, Code::kGone);
  EXPECT_EQ(pool->ReadDetached(id, [](auto) {}).code(), Code::kGone);
  EXPECT_EQ(Create(3), id);
}

TEST_F(BlockFetchTest, CopyNowGoesPastTheCache) {
  const BlockId cold = CreateAndChill(1);
  const BlockId hot = Create(2);
  backend.on_wait = [&] {
    if (backend.waits == 2) store->refuse_reads.reset();
    if (backend.waits == 4) store->FinishReads();
  };
  store->refuse_reads = Code::kBusy;
  std::vector<std::byte> bytes;
  ASSERT_TRUE(pool->CopyNow(cold, WaitCause::kDump, &bytes));
  EXPECT_TRUE(Holds(bytes, 1));
  EXPECT_EQ(pool->StateOf(cold), State::kCold);
  ASSERT_TRUE(pool->CopyNow(hot, WaitCause::kDump, &bytes));
  EXPECT_TRUE(Holds(bytes, 2));
  EXPECT_EQ(pool->stats().waits[static_cast<size_t>(WaitCause::kDump)], 1u);
  store->fail_reads = Code::kTimeout;
  store->hold_reads = false;
  EXPECT_EQ(pool->CopyNow(cold, WaitCause::kDump, &bytes).code(), Code::kTimeout);
}

TEST_F(BlockFetchTest, CopyNowOfManyReadsThemTogetherPastTheCache) {
  const BlockId first = CreateAndChill(1);
  const BlockId hot = Create(2);
  const BlockId last = CreateAndChill(3);
  std::vector<std::vector<std::byte>> bytes(3, std::vector<std::byte>(1000));
  const std::vector<BlockCopy> copies = {{first, bytes[0]}, {hot, bytes[1]}, {last, bytes[2]}};
  backend.on_wait = [&] { store->FinishReads(); };
  ASSERT_TRUE(pool->CopyNow(copies, WaitCause::kMulti));
  EXPECT_EQ(backend.waits, 1);
  EXPECT_TRUE(Holds(bytes[0], 1) && Holds(bytes[1], 2) && Holds(bytes[2], 3));
  EXPECT_EQ(pool->StateOf(first), State::kCold);
  EXPECT_EQ(pool->stats().waits[static_cast<size_t>(WaitCause::kMulti)], 1u);

  // The others have ended, too, before their memory may go.
  pool->Free(first);
  EXPECT_EQ(pool->CopyNow(copies, WaitCause::kMulti).code(), Code::kGone);
  EXPECT_EQ(backend.waits, 2);
  EXPECT_TRUE(Holds(bytes[2], 3));
}

TEST_F(BlockFetchTest, PoolMayEndBeforeItsFetches) {
  const BlockId a = CreateAndChill(1);
  const BlockId b = Create(2);
  Fetch reading = Start({a});
  Fetch ready = Start({b});
  backend.on_wait = [&] { store->hold_reads = false; };
  pool.reset();
  reading.Release();
  ready.Release();
}

}  // namespace
}  // namespace flash::blocks
