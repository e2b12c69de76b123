// block_pool_threads_test.cc: the whole engine below the values with real I/O threads and a real
// clock.
//
// A data set of several times the cache, read and changed at random; what ThreadSanitizer is for:
// puts are compressed and reads verified on other threads while the owner changes the blocks. Over
// memory and over a file by each real device.
// Thread: the test's is the owner; the backend has two more.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/random.h"
#include "blocks/tiered_pool.h"
#include "io/threaded_backend.h"
#include "tests/support/test_disk.h"

namespace flash::blocks {
namespace {

constexpr uint64_t kCapacityBytes = 16 * kMiB;
constexpr uint64_t kCacheBytes = 256 * kKiB;
constexpr uint64_t kBlocks = 2000;

class BlockPoolThreadsTest : public ::testing::TestWithParam<testing::DiskKind> {
 protected:
  struct Known {
    BlockId id = kNoBlock;
    uint64_t seed = 0;
    uint32_t size = 0;
  };

  void SetUp() override {
    disk_ = testing::TestDisk::Make(GetParam(), kCapacityBytes);
    if (disk_ == nullptr) GTEST_SKIP() << "no io_uring on this machine";
    io::ThreadedBackend::Options backend_options;
    backend_options.threads = 2;
    auto backend = io::ThreadedBackend::Start(backend_options, disk_->factory(), &clock_);
    ASSERT_TRUE(backend.ok());
    backend_ = std::move(backend).Take();
    BlockPool::Options options;
    options.cache_bytes = kCacheBytes;
    options.store.capacity_bytes = kCapacityBytes;
    options.store.segment_bytes = 128 * kKiB;
    auto pool = TieredPool::Open(options, backend_.get(), &clock_);
    ASSERT_TRUE(pool.ok());
    pool_ = std::move(pool).Take();
  }

  /// Every word is the seed: cheap to make, and a mixture is seen.
  static void Fill(MutableBytes bytes, uint64_t seed) {
    for (size_t at = 0; at < bytes.size(); at += sizeof(seed)) {
      std::memcpy(bytes.data() + at, &seed, std::min(sizeof(seed), bytes.size() - at));
    }
  }
  static bool Holds(Bytes bytes, const Known& known) {
    std::vector<std::byte> wanted(known.size);
    Fill(wanted, known.seed);
    return std::equal(bytes.begin(), bytes.end(), wanted.begin(), wanted.end());
  }

  void Create(Known* known) {
    known->seed = random_.Next();
    known->size = static_cast<uint32_t>(1 + random_.Below(3000));
    const auto admitted = [&] { return pool_->Admit(known->size + 64).ok(); };
    ASSERT_TRUE(pool_->DriveUntil(WaitCause::kHardMark, admitted, 20'000'000));
    MutableBytes to_fill;
    known->id = pool_->Create(known->size, &to_fill);
    Fill(to_fill, known->seed);
  }

  base::SystemClock clock_;
  std::unique_ptr<testing::TestDisk> disk_;
  base::Random random_{1};
  std::unique_ptr<io::ThreadedBackend> backend_;
  std::unique_ptr<TieredPool> pool_;
};

INSTANTIATE_TEST_SUITE_P(Disks, BlockPoolThreadsTest, ::testing::ValuesIn(testing::kAllDisks),
                         ::testing::PrintToStringParamName());

TEST_P(BlockPoolThreadsTest, ADataSetLargerThanTheCacheStaysExact) {
  std::vector<Known> known(kBlocks);
  for (Known& one : known) Create(&one);
  for (int i = 0; i < 10'000; ++i) {
    Known& one = known[random_.Below(kBlocks)];
    const Fetch fetch = pool_->FetchNow(std::span(&one.id, 1), WaitCause::kOther);
    ASSERT_TRUE(fetch.outcome());
    ASSERT_TRUE(Holds(pool_->Touch(one.id), one));
    if (random_.Chance(1, 4)) {
      one.seed = random_.Next();
      Fill(pool_->Write(one.id), one.seed);
    } else if (random_.Chance(1, 20)) {
      pool_->Free(one.id);
      Create(&one);
    }
    if (i % 1000 == 0) pool_->store().RequestCompaction();
    if (i % 8 == 0) pool_->Drive(BlockPool::Deliver::kCallbacks);
  }
  pool_->store().CheckInvariants();
  EXPECT_GT(pool_->stats().demotions, kBlocks);
}

TEST_P(BlockPoolThreadsTest, ManyParallelFetchesAreAllAnswered) {
  std::vector<Known> known(kBlocks);
  for (Known& one : known) Create(&one);
  std::vector<Fetch> fetches(kBlocks);
  uint64_t right = 0;
  for (uint64_t i = 0; i < kBlocks; ++i) {
    fetches[i] = pool_->StartFetch(std::span(&known[i].id, 1), [&, i] {
      right += fetches[i].outcome() && Holds(pool_->Touch(known[i].id), known[i]) ? 1 : 0;
      fetches[i].Release();
    });
    if (i % 16 == 0) pool_->Drive(BlockPool::Deliver::kCallbacks);
  }
  const uint64_t began_us = clock_.NowUs();
  while (right < kBlocks && clock_.NowUs() - began_us < 60'000'000) {
    pool_->Drive(BlockPool::Deliver::kCallbacks);
    if (!pool_->WantsDrive()) backend_->Wait(1000);
  }
  EXPECT_EQ(right, kBlocks);
  EXPECT_EQ(pool_->stats().pinned_bytes, 0u);
}

}  // namespace
}  // namespace flash::blocks
