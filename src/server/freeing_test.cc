// deferred_free_test.cc: nothing pushed is lost or freed twice, and a drain keeps to its budget.
//
// Runs without a server. Thread: main, and the pushers of one test.
#include "server/freeing.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace flash::server {
namespace {

std::vector<uint64_t> freed_values;

void Record(void* value) { freed_values.push_back(reinterpret_cast<uintptr_t>(value)); }
void* Value(uint64_t number) { return reinterpret_cast<void*>(number); }

void DrainAll() {
  while (DeferredFree::Pending() != 0) DeferredFree::Drain(100);
}

TEST(DeferredFree, FreesInOrderOfPushAndOnce) {
  freed_values.clear();
  for (uint64_t i = 1; i <= 100; ++i) DeferredFree::Push(Record, Value(i));
  EXPECT_EQ(DeferredFree::Pending(), 100u);
  EXPECT_TRUE(freed_values.empty());
  DrainAll();
  ASSERT_EQ(freed_values.size(), 100u);
  for (uint64_t i = 0; i < 100; ++i) EXPECT_EQ(freed_values[i], i + 1);
  EXPECT_EQ(DeferredFree::Drain(1000), 0u);
}

TEST(DeferredFree, SmallestBudgetFreesOneAndLeavesTheRest) {
  freed_values.clear();
  for (uint64_t i = 1; i <= 3; ++i) DeferredFree::Push(Record, Value(i));
  EXPECT_EQ(DeferredFree::Drain(0), 1u);
  EXPECT_EQ(DeferredFree::Pending(), 2u);
  DrainAll();
  EXPECT_EQ(freed_values.size(), 3u);
}

TEST(DeferredFree, ValueTooLargeForOneSliceIsPushedAgain) {
  freed_values.clear();
  DeferredFree::Push(
      [](void* value) {
        Record(value);
        DeferredFree::Push(Record, Value(8));
      },
      Value(7));
  DrainAll();
  EXPECT_EQ(freed_values, (std::vector<uint64_t>{7, 8}));
}

TEST(DeferredFree, PushersOnOtherThreadsLoseNothing) {
  freed_values.clear();
  constexpr uint64_t kEach = 5000;
  std::vector<std::thread> pushers;
  for (uint64_t t = 0; t < 3; ++t) {
    pushers.emplace_back([t] {
      for (uint64_t i = 0; i < kEach; ++i) DeferredFree::Push(Record, Value(t * kEach + i + 1));
    });
  }
  while (freed_values.size() < kEach) {
    DeferredFree::Drain(50);
    std::this_thread::yield();
  }
  for (std::thread& pusher : pushers) pusher.join();
  DrainAll();
  std::vector<bool> seen(3 * kEach + 1);
  for (const uint64_t value : freed_values) {
    EXPECT_FALSE(seen[value]);
    seen[value] = true;
  }
  EXPECT_EQ(freed_values.size(), 3 * kEach);
}

}  // namespace
}  // namespace flash::server
