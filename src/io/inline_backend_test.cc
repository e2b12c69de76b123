// inline_backend_test.cc: what InlineBackend adds to the contract: order by seed, time by a clock.
// What every Backend promises is in backend_contract_test.cc.
// Thread: the test's.
#include "io/inline_backend.h"

#include "io/io_test_support.h"
#include "io/memory_device.h"

namespace flash::io {
namespace {

std::unique_ptr<InlineBackend> MakeBackend(const base::Clock* clock,
                                           InlineBackend::Options options = {}) {
  auto file = std::make_shared<MemoryFile>(1 * kMiB);
  return std::make_unique<InlineBackend>(
      std::make_unique<MemoryDevice>(file, MemoryDevice::Options{}), clock, std::move(options));
}

std::vector<size_t> OrderOfDones(std::optional<uint64_t> seed) {
  base::ManualClock clock;
  InlineBackend::Options options;
  options.seed = seed;
  auto backend = MakeBackend(&clock, options);
  std::vector<TestTask> tasks;
  std::vector<TestTask*> order;
  for (uint64_t i = 0; i < 20; ++i) tasks.push_back(TestTask::Read(i * 64 * kKiB % kMiB, 512));
  for (TestTask& task : tasks) {
    task.order = &order;
    EXPECT_TRUE(backend->Submit(&task));
  }
  EXPECT_TRUE(DriveUntil(*backend, [&] { return backend->inflight() == 0; }));
  std::vector<size_t> result;
  for (const TestTask* task : order) result.push_back(static_cast<size_t>(task - tasks.data()));
  return result;
}

TEST(InlineBackend, SameSeedSameOrderOtherSeedOtherOrder) {
  const auto first = OrderOfDones(1);
  EXPECT_EQ(first.size(), 20U);
  EXPECT_EQ(first, OrderOfDones(1));
  EXPECT_NE(first, OrderOfDones(2));
}

TEST(InlineBackend, ReapsAtMostWhatIsAskedFor) {
  base::ManualClock clock;
  auto backend = MakeBackend(&clock);
  std::vector<TestTask> tasks(3, TestTask::Compute());
  for (TestTask& task : tasks) ASSERT_TRUE(backend->Submit(&task));
  EXPECT_EQ(backend->Reap(2), 2U);
  EXPECT_EQ(backend->inflight(), 1U);
  EXPECT_EQ(backend->Reap(2), 1U);
  EXPECT_EQ(backend->Reap(2), 0U);
}

TEST(InlineBackend, IdleHookRunsOnlyWhenNothingCanEnd) {
  base::ManualClock clock;
  int calls = 0;
  InlineBackend::Options options;
  options.on_idle = [&](uint64_t us) {
    ++calls;
    clock.Advance(us);
  };
  auto backend = MakeBackend(&clock, std::move(options));
  TestTask task = TestTask::Read(0, 512);
  ASSERT_TRUE(backend->Submit(&task));
  backend->Wait(1000);
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(backend->Reap(1), 1U);
  const uint64_t before_us = clock.NowUs();
  backend->Wait(1000);
  EXPECT_EQ(calls, 1) << "nothing is in flight, but time passes";
  EXPECT_EQ(clock.NowUs(), before_us + 1000);
}

}  // namespace
}  // namespace flash::io
