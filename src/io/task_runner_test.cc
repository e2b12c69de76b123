// task_runner_test.cc: the loop under every backend, stepped by hand over a device whose faults are
// scripted: coalescing, continuation, bounds, time.
// Thread: the test's.
#include "io/task_runner.h"

#include <cerrno>

#include "io/faulty_device.h"
#include "io/io_test_support.h"
#include "io/memory_device.h"

namespace flash::io {
namespace {

constexpr uint64_t kFileBytes = 8 * kMiB;

class TaskRunnerTest : public ::testing::Test {
 protected:
  void Open(const TaskRunner::Options& options, uint32_t entries = 256) {
    static const std::vector<std::byte> pattern = [] {
      std::vector<std::byte> bytes(kFileBytes);
      FillPattern(0, bytes);
      return bytes;
    }();
    EXPECT_EQ(file_->WriteAt(0, pattern), kFileBytes);
    runner_ = std::make_unique<TaskRunner>(
        std::make_unique<FaultyDevice>(
            std::make_unique<MemoryDevice>(
                file_, MemoryDevice::Options{.entries = entries, .alignment = 512}),
            injector_, &clock_),
        &clock_, options);
  }
  void Add(TestTask& task) {
    task.submitted_us = clock_.NowUs();
    runner_->Add(&task);
  }
  /// Steps once or more; runs `done` of what finished, as a backend would.
  size_t Step(int steps = 1) {
    size_t count = 0;
    for (int i = 0; i < steps; ++i) {
      TaskList finished;
      runner_->Step(0, finished);
      while (Task* task = finished.Pop()) {
        task->done(*task);
        ++count;
      }
    }
    return count;
  }
  Backend::Stats stats() {
    Backend::Stats stats;
    runner_->AddStats(stats);
    return stats;
  }
  static void ExpectRead(const TestTask& task) {
    EXPECT_EQ(task.result, 0);
    EXPECT_EQ(task.dones, 1);
    EXPECT_EQ(task.works, 1);
    EXPECT_EQ(task.seen.size(), task.bytes);
    EXPECT_TRUE(IsPattern(task.offset, task.seen)) << "offset " << task.offset;
  }

  std::shared_ptr<MemoryFile> file_ = std::make_shared<MemoryFile>(kFileBytes);
  std::shared_ptr<FaultInjector> injector_ = std::make_shared<FaultInjector>(FaultPlan{});
  base::ManualClock clock_;
  std::unique_ptr<TaskRunner> runner_;
};

TEST_F(TaskRunnerTest, ReadsThatMeetShareATransfer) {
  Open({});
  std::vector<TestTask> tasks = {
      TestTask::Read(8192, 512),   TestTask::Read(4096, 4096),
      TestTask::Read(4608, 1024),  TestTask::Read(4096, 4096),  // adjoining, whole, inside, twice
      TestTask::Read(65536, 4096),                              // alone
  };
  for (TestTask& task : tasks) Add(task);
  EXPECT_EQ(Step(), 5U);
  for (const TestTask& task : tasks) ExpectRead(task);
  EXPECT_EQ(stats().device_reads, 2U);
  EXPECT_EQ(stats().coalesced_reads, 3U);
  EXPECT_EQ(stats().device_read_bytes, 4096U + 512 + 4096);
}

TEST_F(TaskRunnerTest, AGapOrAFullSlotEndsSharing) {
  Open({});
  std::vector<TestTask> tasks;
  for (uint64_t i = 0; i < 8; ++i) tasks.push_back(TestTask::Read(i * 4096, 4096));  // Two slots.
  tasks.push_back(TestTask::Read(100 * 4096, 512));
  tasks.push_back(TestTask::Read(100 * 4096 + 1024, 512));  // A gap of one sector.
  for (TestTask& task : tasks) Add(task);
  EXPECT_EQ(Step(), tasks.size());
  for (const TestTask& task : tasks) ExpectRead(task);
  EXPECT_EQ(stats().device_reads, 4U);
}

TEST_F(TaskRunnerTest, LargeReadsHaveBuffersOfTheirOwn) {
  Open({.small_buffers = 1, .large_buffers_max = 3, .writes_max = 1});
  std::vector<TestTask> tasks;
  for (uint64_t i = 0; i < 7; ++i) tasks.push_back(TestTask::Read(i * kMiB, 1 * kMiB));
  TestTask most = TestTask::Read(512, ReadBuffers::kLargeBytes);
  Add(most);
  for (TestTask& task : tasks) Add(task);
  EXPECT_EQ(Step(2), 3U) << "bounded";
  EXPECT_EQ(stats().buffer_bytes, 16 * kKiB + 2 * ReadBuffers::kLargeBytes) << "two are kept";
  EXPECT_EQ(Step(4), 5U);
  ExpectRead(most);
  for (const TestTask& task : tasks) ExpectRead(task);
}

TEST_F(TaskRunnerTest, ShortTransfersAreContinued) {
  Open({});
  injector_->Script({.fault = Fault::kShort, .skip = 0, .times = 5});
  TestTask read = TestTask::Read(4096, 64 * kKiB);
  Add(read);
  EXPECT_EQ(Step(10), 1U);
  ExpectRead(read);
  EXPECT_GT(stats().device_reads, 1U);
  const AlignedMemory memory = MakeAligned(64 * kKiB);
  std::memset(memory.get(), 0x11, 64 * kKiB);
  injector_->Script({.fault = Fault::kShort, .skip = 0, .times = 3});
  TestTask write = TestTask::Write(memory.get(), 4096, 64 * kKiB);
  Add(write);
  EXPECT_EQ(Step(10), 1U);
  EXPECT_EQ(write.result, 0);
  std::vector<std::byte> disk(64 * kKiB);
  EXPECT_EQ(file_->ReadAt(4096, disk), disk.size());
  EXPECT_EQ(std::count(disk.begin(), disk.end(), std::byte{0x11}), 64 * kKiB);
}

TEST_F(TaskRunnerTest, TheEndOfTheFileShows) {
  Open({});
  TestTask before = TestTask::Read(kFileBytes - 4096, 4096);
  TestTask across = TestTask::Read(kFileBytes - 4096, 8192);
  TestTask behind = TestTask::Read(kFileBytes, 4096);
  for (TestTask* task : {&before, &across, &behind}) Add(*task);
  EXPECT_EQ(Step(5), 3U);
  ExpectRead(before);
  EXPECT_EQ(across.result, -ENODATA);
  EXPECT_EQ(across.works, 0);
  EXPECT_EQ(behind.result, -ENODATA);
}

TEST_F(TaskRunnerTest, ErrorsReachEveryTaskOfATransfer) {
  Open({});
  injector_->Script({.fault = Fault::kError});
  TestTask first = TestTask::Read(0, 512);
  TestTask second = TestTask::Read(512, 512);
  Add(first);
  Add(second);
  EXPECT_EQ(Step(), 2U);
  EXPECT_EQ(first.result, -EIO);
  EXPECT_EQ(second.result, -EIO);
  EXPECT_EQ(first.works + second.works, 0);
  EXPECT_EQ(stats().read_errors, 2U);
  injector_->Script({.fault = Fault::kNoSpace});
  const AlignedMemory memory = MakeAligned(512);
  TestTask write = TestTask::Write(memory.get(), 0, 512);
  Add(write);
  EXPECT_EQ(Step(), 1U);
  EXPECT_EQ(write.result, -ENOSPC);
  EXPECT_EQ(stats().write_errors, 1U);
}

TEST_F(TaskRunnerTest, AReadThatTimedOutKeepsItsBufferUntilTheDeviceAnswers) {
  Open({.small_buffers = 2, .large_buffers_max = 1, .writes_max = 1});
  runner_->SetTimeoutMs(100);
  injector_->Script({.fault = Fault::kHung, .skip = 0, .times = 2});
  TestTask hung[2] = {TestTask::Read(0, 512), TestTask::Read(64 * kKiB, 512)};
  for (TestTask& task : hung) Add(task);
  EXPECT_EQ(Step(5), 0U);
  clock_.Advance(60'000);
  TestTask queued = TestTask::Read(128 * kKiB, 512);
  Add(queued);
  EXPECT_EQ(Step(5), 0U) << "no buffer for it";
  clock_.Advance(40'000);
  EXPECT_EQ(Step(), 2U);
  for (const TestTask& task : hung) {
    EXPECT_EQ(task.result, -ETIMEDOUT);
    EXPECT_EQ(task.works, 0);
  }
  EXPECT_EQ(Step(5), 0U) << "still no buffer: the device may yet write into both";
  clock_.Advance(60'000);
  EXPECT_EQ(Step(), 1U);
  EXPECT_EQ(queued.result, -ETIMEDOUT) << "queued reads time out too";
  EXPECT_EQ(stats().timeouts, 3U);
  EXPECT_EQ(runner_->transfers(), 2U);

  injector_->Release();
  TestTask after = TestTask::Read(128 * kKiB, 512);
  Add(after);
  EXPECT_EQ(Step(5), 1U);
  ExpectRead(after);
  EXPECT_EQ(hung[0].dones + hung[0].works, 1) << "a late answer changes nothing";
}

TEST_F(TaskRunnerTest, ALoweredLimitHoldsForReadsUnderWay) {
  Open({});
  runner_->SetTimeoutMs(60'000);
  injector_->HangAll();
  TestTask task = TestTask::Read(0, 512);
  Add(task);
  EXPECT_EQ(Step(), 0U);
  clock_.Advance(2'000'000);
  runner_->SetTimeoutMs(1000);
  EXPECT_EQ(Step(), 1U);
  EXPECT_EQ(task.result, -ETIMEDOUT);
  runner_->SetTimeoutMs(0);
  TestTask unlimited = TestTask::Read(0, 512);
  Add(unlimited);
  clock_.Advance(3'600'000'000);
  EXPECT_EQ(Step(3), 0U);
  injector_->Release();
  EXPECT_EQ(Step(3), 1U);
}

TEST_F(TaskRunnerTest, HungWritesDoNotKeepReadsOut) {
  Open({.small_buffers = 4, .large_buffers_max = 1, .writes_max = 2});
  injector_->Script({.fault = Fault::kHung, .op = Op::kWrite, .skip = 0, .times = 100});
  const AlignedMemory memory = MakeAligned(8 * 512);
  std::vector<TestTask> writes;
  for (uint64_t i = 0; i < 8; ++i) {
    writes.push_back(TestTask::Write(memory.get() + i * 512, i * 512, 512));
  }
  for (TestTask& write : writes) Add(write);
  std::vector<TestTask> reads;
  for (uint64_t i = 0; i < 20; ++i) reads.push_back(TestTask::Read(kMiB + i * 64 * kKiB, 512));
  for (TestTask& read : reads) Add(read);
  EXPECT_EQ(Step(10), 20U);
  for (const TestTask& read : reads) ExpectRead(read);
  EXPECT_EQ(runner_->transfers(), 2U) << "no more writes than their share";
}

TEST_F(TaskRunnerTest, ComputesRunInSlicesBetweenReads) {
  Open({.background_slice_tasks = 2});
  std::vector<TestTask> computes(10, TestTask::Compute());
  for (TestTask& compute : computes) Add(compute);
  TestTask read = TestTask::Read(0, 512);
  Add(read);
  EXPECT_EQ(Step(), 3U) << "two computes and the read that was added behind ten of them";
  ExpectRead(read);
  EXPECT_EQ(Step(4), 8U);
  for (const TestTask& compute : computes) {
    EXPECT_EQ(compute.works, 1);
    EXPECT_TRUE(compute.seen.empty());
  }
}

/// Work that takes time, in one or several pieces.
struct TimedTask : TestTask {
  base::ManualClock* clock = nullptr;
  int pieces = 0;
  uint64_t piece_us = 0;

  TimedTask(const TestTask& task, base::ManualClock* ticks, int count, uint64_t each_us)
      : TestTask(task), clock(ticks), pieces(count), piece_us(each_us) {
    work = [](Task& base, MutableBytes) noexcept {
      auto& self = static_cast<TimedTask&>(base);
      self.clock->Advance(self.piece_us);
      self.more = ++self.works < self.pieces;
    };
  }
};

TEST_F(TaskRunnerTest, ReadsHaveTheirTurnBetweenThePiecesOfACompute) {
  Open({});
  TimedTask compute(TestTask::Compute(), &clock_, 5, 10);  // All of them would fit one slice.
  TimedTask next(TestTask::Compute(), &clock_, 1, 10);
  Add(compute);
  Add(next);
  for (int piece = 1; piece <= 4; ++piece) {
    TestTask read = TestTask::Read(0, 512);
    Add(read);
    EXPECT_EQ(Step(), 1U) << "the read";
    ExpectRead(read);
    EXPECT_EQ(compute.works, piece);
  }
  EXPECT_TRUE(runner_->HasBackgroundWork());
  EXPECT_EQ(Step(), 2U) << "its last piece, and the compute behind it";
  EXPECT_EQ(compute.works, 5);
  EXPECT_EQ(compute.dones + next.dones, 2);
}

TEST_F(TaskRunnerTest, AnUrgentComputePassesOneThatHasBegun) {
  Open({});
  std::vector<TestTask*> order;
  TimedTask compute(TestTask::Compute(), &clock_, 3, 100);
  TimedTask urgent(TestTask::Compute(), &clock_, 1, 100);
  urgent.urgent = true;
  compute.order = urgent.order = &order;
  Add(compute);
  EXPECT_EQ(Step(), 0U);
  Add(urgent);
  EXPECT_EQ(Step(), 1U);
  EXPECT_EQ(order, std::vector<TestTask*>{&urgent});
  EXPECT_EQ(Step(2), 1U);
  EXPECT_EQ(compute.works, 3);
}

TEST_F(TaskRunnerTest, ASmallReadWaitsForTheWorkOfOneLargeReadNotOfAll) {
  Open({});
  std::vector<TestTask*> order;
  std::vector<TimedTask> large;
  for (uint64_t i = 0; i < 4; ++i) {
    large.emplace_back(TestTask::Read(i * kMiB, kMiB), &clock_, 1, 400);
    large.back().order = &order;
  }
  for (TimedTask& task : large) Add(task);
  EXPECT_EQ(Step(), 0U) << "their bytes came, no more";
  EXPECT_EQ(runner_->transfers(), 0U);
  EXPECT_TRUE(runner_->HasBackgroundWork());
  TestTask small = TestTask::Read(5 * kMiB, 512);
  small.order = &order;
  Add(small);
  EXPECT_EQ(Step(), 2U);
  ExpectRead(small);
  EXPECT_EQ(order, (std::vector<TestTask*>{large.data(), &small}));
  EXPECT_EQ(Step(3), 3U);
  for (const TestTask& task : large) EXPECT_EQ(task.result + task.works, 1);
}

TEST_F(TaskRunnerTest, WhatCameIsNoLongerLate) {
  Open({.small_buffers = 1, .large_buffers_max = 2, .writes_max = 1});
  runner_->SetTimeoutMs(100);
  TimedTask first(TestTask::Read(0, kMiB), &clock_, 1, 150'000);
  TestTask second = TestTask::Read(kMiB, kMiB);
  Add(first);
  Add(second);
  EXPECT_EQ(Step(4), 2U);
  EXPECT_EQ(first.result, 0);
  ExpectRead(second);
  EXPECT_EQ(stats().timeouts, 0U);
}

TEST_F(TaskRunnerTest, WritesGoOnBesideTheWorkOfLargeReads) {
  Open({.small_buffers = 1, .large_buffers_max = 4, .writes_max = 1});
  std::vector<TimedTask> large;
  for (uint64_t i = 0; i < 4; ++i) {
    large.emplace_back(TestTask::Read(i * kMiB, kMiB), &clock_, 1, 400);
  }
  for (TimedTask& task : large) Add(task);
  EXPECT_EQ(Step(), 0U);
  const AlignedMemory memory = MakeAligned(512);
  TestTask write = TestTask::Write(memory.get(), 0, 512);
  Add(write);
  EXPECT_EQ(Step(), 2U);
  EXPECT_EQ(write.dones, 1);
}

TEST_F(TaskRunnerTest, AbandonedWorkGivesItsBufferBack) {
  Open({.small_buffers = 1, .large_buffers_max = 1, .writes_max = 1});
  TestTask read = TestTask::Read(0, kMiB);
  Add(read);
  EXPECT_EQ(Step(), 0U);
  runner_->Abandon();
  EXPECT_EQ(Step(3), 0U);
  EXPECT_EQ(read.dones + read.works, 0);
  TestTask after = TestTask::Read(kMiB, kMiB);
  Add(after);
  EXPECT_EQ(Step(2), 1U);
  ExpectRead(after);
}

TEST_F(TaskRunnerTest, AFullDeviceIsTriedAgain) {
  Open({}, 2);
  std::vector<TestTask> tasks;
  for (uint64_t i = 0; i < 50; ++i) tasks.push_back(TestTask::Read(i * 64 * kKiB, 512));
  for (TestTask& task : tasks) Add(task);
  EXPECT_EQ(Step(60), 50U);
  for (const TestTask& task : tasks) ExpectRead(task);
}

TEST_F(TaskRunnerTest, AbandonedTasksAreForgottenAndTransfersAwaited) {
  Open({});
  injector_->HangAll();
  TestTask read = TestTask::Read(0, 512);
  Add(read);
  EXPECT_EQ(Step(), 0U);
  runner_->Abandon();
  EXPECT_EQ(runner_->transfers(), 1U);
  injector_->Release();
  EXPECT_EQ(Step(3), 0U);
  EXPECT_EQ(runner_->transfers(), 0U);
  EXPECT_EQ(read.dones + read.works, 0);
}

}  // namespace
}  // namespace flash::io
