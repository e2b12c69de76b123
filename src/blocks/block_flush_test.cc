// block_flush_test.cc: a demotion on demand hurries what it is about, and nothing else.
//
// Over the real store and a disk in memory whose writes are counted. Thread: main.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "blocks/tiered_pool.h"
#include "io/inline_backend.h"
#include "io/memory_device.h"

namespace flash::blocks {
namespace {

constexpr uint64_t kCapacityBytes = kGiB;  // Large enough for write buffers of 1 MiB.
constexpr uint32_t kSmallBytes = 200;
constexpr uint64_t kPutsPerTurn = 300;  // More than the slack: some are on their way in every turn.

class BlockFlushTest : public testing::Test {
 protected:
  void SetUp() override {
    auto device = std::make_unique<io::MemoryDevice>(
        std::make_shared<io::MemoryFile>(kCapacityBytes), io::MemoryDevice::Options{});
    backend_ = std::make_unique<io::InlineBackend>(std::move(device), &clock_,
                                                   io::InlineBackend::Options{});
    BlockPool::Options options;
    options.cache_bytes = kMiB;
    options.store.capacity_bytes = kCapacityBytes;
    auto opened = TieredPool::Open(options, backend_.get(), &clock_);
    ASSERT_TRUE(opened);
    pool_ = std::move(*opened);
  }

  BlockId Create() {
    MutableBytes to_fill;
    const BlockId id = pool_->Create(kSmallBytes, &to_fill);
    std::fill(to_fill.begin(), to_fill.end(), static_cast<std::byte>(id));
    return id;
  }
  void Turn() {
    pool_->Drive(BlockPool::Deliver::kCallbacks);
    clock_.Advance(50);
  }
  void CreateInTurns(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) {
      static_cast<void>(Create());
      if (i % kPutsPerTurn == 0) Turn();
    }
  }
  [[nodiscard]] uint64_t Writes() const { return backend_->stats().device_writes; }

  base::ManualClock clock_;
  std::unique_ptr<io::InlineBackend> backend_;
  std::unique_ptr<TieredPool> pool_;
};

TEST_F(BlockFlushTest, UnderALoadOfPutsItSendsOneBufferEarly) {
  CreateInTurns(10'000);  // The cache is full: from now on each turn puts as much as it creates.
  const uint64_t before = Writes();
  CreateInTurns(60'000);
  const uint64_t undisturbed = Writes() - before;

  const BlockId demanded = Create();
  ASSERT_TRUE(pool_->Demote(demanded));
  const uint64_t begun = Writes();
  CreateInTurns(60'000);
  EXPECT_TRUE(pool_->IsOnFlash(demanded));
  EXPECT_LE(Writes() - begun, undisturbed + 3);
}

TEST_F(BlockFlushTest, EachDemandIsMetUnderALoadOfPuts) {
  CreateInTurns(10'000);
  for (int i = 0; i < 50; ++i) {
    const BlockId demanded = Create();
    ASSERT_TRUE(pool_->Demote(demanded));
    CreateInTurns(10 * kPutsPerTurn);
    EXPECT_TRUE(pool_->IsOnFlash(demanded));
  }
}

TEST_F(BlockFlushTest, ADemandInEveryTurnHoldsUpNone) {
  CreateInTurns(10'000);
  const BlockId first = Create();
  ASSERT_TRUE(pool_->Demote(first));
  for (int i = 0; i < 20; ++i) {
    static_cast<void>(pool_->Demote(Create()));
    Turn();
  }
  EXPECT_TRUE(pool_->IsOnFlash(first));
}

}  // namespace
}  // namespace flash::blocks
