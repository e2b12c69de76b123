// block_budget_fixture.h: the block pool's fixture with a small cache, and a writer that waits for
// room.
//
// Over a store whose puts end when the test says so, on a manual clock. Thread: one.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "tests/support/block_pool_fixture.h"

namespace flash::testing {

inline constexpr uint64_t kCache = 1'000'000;
inline constexpr uint64_t kSlack = kCache / 16;
inline constexpr uint64_t kHard = kCache + kCache / 10;

class BlockBudgetFixture : public BlockPoolFixture {
 protected:
  void SetUp() override {
    Open(kCache);
    store->hold_reads = false;
  }
  std::vector<BlockId> CreateMany(uint64_t count, uint32_t size = 1000) {
    std::vector<BlockId> ids;
    for (uint64_t seed = 0; seed < count; ++seed) ids.push_back(Create(seed, size));
    return ids;
  }
  /// Until the demoter has nothing to do that does not wait for the store.
  void Settle() {
    do {
      Drive();
    } while (pool->WantsDrive());
    Drive();  // The ends of the last puts.
  }
  void FillToHardMark() {
    while (pool->Admit(1024)) Create(1);
  }
  /// A wait on the thread for `bytes` ends in kNoSpace; returns how long it lasted.
  uint64_t AwaitNoSpace(uint64_t bytes = 1024) {
    const uint64_t began_us = clock.NowUs();
    const auto room = pool->AwaitRoom(bytes, blocks::WaitCause::kHardMark);
    EXPECT_TRUE(!room && room.code() == Code::kNoSpace);
    return clock.NowUs() - began_us;
  }
  uint64_t Load() { return pool->stats().hot_bytes - pool->stats().pinned_bytes; }
};

class Waiter final : public blocks::RoomWaiter {
 public:
  void OnRoom(Result<blocks::RoomGrant> outcome) override {
    ++answers;
    code = outcome ? std::nullopt : std::optional(outcome.code());
    if (outcome && keeps) grant = std::move(*outcome);
  }
  int answers = 0;
  bool keeps = false;
  blocks::RoomGrant grant;
  std::optional<Code> code;
};

}  // namespace flash::testing
