// block_pool_fixture.h: a block pool over the fake store and a manual clock, and a few short hands.
//
// Blocks are filled with bytes that follow from a seed, so each read can be verified.
// Thread: one.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/random.h"
#include "blocks/tiered_pool.h"
#include "tests/support/fake_record_store.h"

namespace flash::testing {

class BlockPoolFixture : public ::testing::Test {
 protected:
  using Deliver = blocks::BlockPool::Deliver;
  using State = blocks::BlockState;

  void Open(blocks::BlockPool::Options options) {
    auto opened = blocks::TieredPool::OpenWith(
        options, &backend, &clock,
        [&](const store::RecordStore::Options& store_options,
            store::RecordOwner* owner) -> Result<std::unique_ptr<store::RecordStore>> {
          auto made = std::make_unique<FakeRecordStore>(store_options, owner);
          store = made.get();
          return std::unique_ptr<store::RecordStore>(std::move(made));
        });
    ASSERT_TRUE(opened);
    pool = std::move(*opened);
  }
  void Open(uint64_t cache_bytes = kMiB) {
    blocks::BlockPool::Options options;
    options.cache_bytes = cache_bytes;
    Open(options);
  }

  static std::vector<std::byte> BytesOf(uint64_t seed, uint32_t size) {
    base::Random random(seed);
    std::vector<std::byte> bytes(size);
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.Next());
    return bytes;
  }
  static void Fill(MutableBytes to, uint64_t seed) {
    const auto bytes = BytesOf(seed, static_cast<uint32_t>(to.size()));
    std::copy(bytes.begin(), bytes.end(), to.begin());
  }
  static bool Holds(Bytes bytes, uint64_t seed) {
    const auto wanted = BytesOf(seed, static_cast<uint32_t>(bytes.size()));
    return std::equal(bytes.begin(), bytes.end(), wanted.begin());
  }

  BlockId Create(uint64_t seed, uint32_t size = 1000, blocks::BlockOwner* owner = nullptr) {
    MutableBytes to_fill;
    const BlockId id = pool->Create(size, &to_fill, owner);
    Fill(to_fill, seed);
    return id;
  }
  /// A block that was put and is cold.
  BlockId CreateAndChill(uint64_t seed, uint32_t size = 1000) {
    const BlockId id = Create(seed, size);
    EXPECT_TRUE(pool->Demote(id));
    store->FinishPuts();
    EXPECT_EQ(pool->StateOf(id), State::kCold);
    return id;
  }
  blocks::Fetch FetchOne(BlockId id) {
    return pool->FetchNow(std::vector<BlockId>{id}, blocks::WaitCause::kOther);
  }
  blocks::Fetch Start(
      const std::vector<BlockId>& ids, std::function<void()> on_ready = [] {}) {
    return pool->StartFetch(ids, std::move(on_ready));
  }
  void Drive() { pool->Drive(Deliver::kCallbacks); }

  base::ManualClock clock;
  IdleBackend backend{&clock};
  FakeRecordStore* store = nullptr;  // The pool's.
  std::unique_ptr<blocks::TieredPool> pool;
};

}  // namespace flash::testing
