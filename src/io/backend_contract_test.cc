// backend_contract_test.cc: what every Backend promises, run over each of them alike.
// The same faults and checks for InlineBackend (plain and seeded) and for ThreadedBackend with one
// thread and with three, over memory and over a file by each real device, so the simulator's
// backend and the server's cannot drift apart, nor io_uring and the threads that stand in for it.
// Thread: the test's; the threaded ones start theirs.
#include <gmock/gmock.h>

#include <algorithm>
#include <cerrno>
#include <semaphore>

#include "io/faulty_device.h"
#include "io/inline_backend.h"
#include "io/io_test_support.h"
#include "io/threaded_backend.h"
#include "tests/support/test_disk.h"

namespace flash::io {
namespace {

using testing::DiskKind;
using testing::TestDisk;

constexpr uint64_t kFileBytes = 4 * kMiB;
constexpr uint32_t kUnit = 4096;  // Aligned for every device.
constexpr uint32_t kReadsMax = 64;
constexpr uint32_t kBackgroundMax = 16;

template <bool kSeeded>
struct Inline {
  static constexpr uint32_t kThreads = 0;
  static constexpr DiskKind kDisk = DiskKind::kMemory;
  static std::unique_ptr<Backend> Make(DeviceFactory* factory, const base::Clock* clock) {
    InlineBackend::Options options;
    if (kSeeded) options.seed = 42;
    options.reads_max = kReadsMax;
    options.background_max = kBackgroundMax;
    auto device = factory->Make();
    return std::make_unique<InlineBackend>(std::move(device).Take(), clock, options);
  }
};

template <uint32_t kCount, DiskKind kKind = DiskKind::kMemory>
struct Threaded {
  static constexpr uint32_t kThreads = kCount;
  static constexpr DiskKind kDisk = kKind;
  static std::unique_ptr<Backend> Make(DeviceFactory* factory, const base::Clock* clock) {
    ThreadedBackend::Options options;
    options.threads = kCount;
    options.entries = 32;
    options.reads_max = kReadsMax;
    options.background_max = kBackgroundMax;
    options.spread_reads = 4;
    auto backend = ThreadedBackend::Start(options, factory, clock);
    EXPECT_TRUE(backend);
    return std::move(backend).Take();
  }
};

template <typename Kind>
class BackendContract : public ::testing::Test {
 protected:
  void SetUp() override {
    static const std::vector<std::byte> pattern = [] {
      std::vector<std::byte> bytes(kFileBytes);
      FillPattern(0, bytes);
      return bytes;
    }();
    disk_ = TestDisk::Make(Kind::kDisk, kFileBytes);
    if (disk_ == nullptr) GTEST_SKIP() << "no io_uring on this machine";
    ASSERT_EQ(disk_->WriteAt(0, pattern), kFileBytes);
    factory_ = std::make_unique<FaultyDeviceFactory>(disk_->factory(), injector_, &clock_);
    backend_ = Kind::Make(factory_.get(), &clock_);
  }
  bool DriveAll() {
    return DriveUntil(*backend_, [&] { return backend_->inflight() == 0; });
  }
  static void ExpectRead(const TestTask& task) {
    EXPECT_EQ(task.result, 0);
    EXPECT_EQ(task.dones, 1);
    EXPECT_EQ(task.works, 1);
    EXPECT_EQ(task.seen.size(), task.bytes);
    EXPECT_TRUE(IsPattern(task.offset, task.seen)) << "offset " << task.offset;
  }
  /// Submits until kBusy; how many were taken.
  size_t SubmitAll(std::vector<TestTask>& tasks) {
    for (size_t i = 0; i < tasks.size(); ++i) {
      const auto taken = backend_->Submit(&tasks[i]);
      if (taken) continue;
      EXPECT_EQ(taken.code(), Code::kBusy);
      return i;
    }
    return tasks.size();
  }

  std::unique_ptr<TestDisk> disk_;
  std::shared_ptr<FaultInjector> injector_ = std::make_shared<FaultInjector>(FaultPlan{});
  base::SystemClock clock_;
  std::unique_ptr<FaultyDeviceFactory> factory_;
  std::unique_ptr<Backend> backend_;
};

using Kinds = ::testing::Types<Inline<false>, Inline<true>, Threaded<1>, Threaded<3>,
                               Threaded<2, DiskKind::kUring>, Threaded<2, DiskKind::kThreads>>;
TYPED_TEST_SUITE(BackendContract, Kinds);

TYPED_TEST(BackendContract, ReadsWritesAndComputesEndOnceEach) {
  std::vector<TestTask> tasks;
  const AlignedMemory memory = MakeAligned(100 * 4096);
  for (uint64_t i = 0; i < 100; ++i) {
    std::byte* data = memory.get() + i * 4096;
    FillPattern(i * 8192 + 1, {data, 4096});  // Other bytes than those on the disk.
    tasks.push_back(TestTask::Read(i * 8192 + 4096, 4096));
    tasks.push_back(TestTask::Write(data, i * 8192, 4096));
    tasks.push_back(TestTask::Compute());
  }
  ASSERT_TRUE(RunAll(*this->backend_, tasks));
  for (const TestTask& task : tasks) {
    EXPECT_EQ(task.dones, 1);
    EXPECT_EQ(task.works, 1);
    if (task.kind == Task::Kind::kRead) this->ExpectRead(task);
    EXPECT_EQ(task.seen.size(), task.bytes);
    if (task.kind != Task::Kind::kWrite) continue;
    std::vector<std::byte> disk(4096);
    EXPECT_EQ(this->disk_->ReadAt(task.offset, disk), disk.size());
    EXPECT_TRUE(IsPattern(task.offset + 1, disk));
  }
  const Backend::Stats stats = this->backend_->stats();
  EXPECT_EQ(stats.device_reads + stats.coalesced_reads, 100U);
  EXPECT_EQ(stats.device_writes, 100U);
  EXPECT_EQ(stats.device_write_bytes, 100U * 4096);
  EXPECT_GT(stats.buffer_bytes, 0U);
}

TYPED_TEST(BackendContract, WorkOfAWriteIsOnTheDisk) {
  const AlignedMemory memory = MakeAligned(4096);
  TestTask task = TestTask::Write(memory.get(), 8192, 4096);
  task.work = [](Task&, MutableBytes bytes) noexcept {
    std::memset(bytes.data(), 0x77, bytes.size());
  };
  ASSERT_TRUE(this->backend_->Submit(&task));
  ASSERT_TRUE(this->DriveAll());
  std::vector<std::byte> disk(4096);
  EXPECT_EQ(this->disk_->ReadAt(8192, disk), disk.size());
  EXPECT_EQ(disk, std::vector<std::byte>(4096, std::byte{0x77}));
}

TYPED_TEST(BackendContract, TasksWithoutWorkOrDoneAreFine) {
  Task task;
  ASSERT_TRUE(this->backend_->Submit(&task));
  Task read;
  read.kind = Task::Kind::kRead;
  read.bytes = kUnit;
  ASSERT_TRUE(this->backend_->Submit(&read));
  EXPECT_TRUE(this->DriveAll());
  EXPECT_EQ(read.result, 0);
}

TYPED_TEST(BackendContract, DoneMaySubmitAgain) {
  struct Chain : Task {
    Backend* backend = nullptr;
    int left = 500;
  };
  Chain chain;
  chain.backend = this->backend_.get();
  chain.done = [](Task& task) noexcept {
    auto& self = static_cast<Chain&>(task);
    if (--self.left == 0) return;
    self.kind = self.left % 2 == 0 ? Task::Kind::kCompute : Task::Kind::kRead;
    self.bytes = self.left % 2 == 0 ? 0 : kUnit;
    EXPECT_TRUE(self.backend->Submit(&self));
    self.backend->Kick();
  };
  ASSERT_TRUE(this->backend_->Submit(&chain));
  EXPECT_TRUE(this->DriveAll());
  EXPECT_EQ(chain.left, 0);
}

TYPED_TEST(BackendContract, ErrorsShowAndReadsThenDoNoWork) {
  this->injector_->Script({.fault = Fault::kError, .op = Op::kRead});
  this->injector_->Script({.fault = Fault::kNoSpace, .op = Op::kWrite});
  const AlignedMemory memory = MakeAligned(4096);
  TestTask read = TestTask::Read(0, 4096);
  TestTask write = TestTask::Write(memory.get(), 8192, 4096);
  TestTask behind = TestTask::Read(kFileBytes, kUnit);
  for (TestTask* task : {&read, &write, &behind}) ASSERT_TRUE(this->backend_->Submit(task));
  ASSERT_TRUE(this->DriveAll());
  EXPECT_EQ(write.result, -ENOSPC);
  // Either read may come first and meet the scripted error; the other meets its own fate.
  EXPECT_TRUE(read.result == -EIO || behind.result == -EIO);
  EXPECT_TRUE(behind.result == -EIO || behind.result == -ENODATA);
  EXPECT_EQ(read.works, read.result == 0 ? 1 : 0);
  EXPECT_EQ(behind.works, 0);
  EXPECT_EQ(this->backend_->stats().write_errors, 1U);
  EXPECT_GE(this->backend_->stats().read_errors, 1U);
}

TYPED_TEST(BackendContract, ShortSlowAndReorderedTransfersAllEndWhole) {
  FaultPlan plan;
  plan.Rate(Fault::kShort, 300'000).Rate(Fault::kSlow, 200'000).Rate(Fault::kReordered, 200'000);
  auto injector = std::make_shared<FaultInjector>(plan);
  FaultyDeviceFactory factory(this->disk_->factory(), injector, &this->clock_);
  this->backend_ = TypeParam::Make(&factory, &this->clock_);
  std::vector<TestTask> tasks;
  for (uint64_t i = 0; i < 200; ++i) {
    tasks.push_back(TestTask::Read(i * 16384 + i % 4 * kUnit, i % 5 == 0 ? 10 * kUnit : 2 * kUnit));
  }
  ASSERT_TRUE(RunAll(*this->backend_, tasks));
  for (const TestTask& task : tasks) this->ExpectRead(task);
  EXPECT_GT(injector->count(Fault::kShort), 0U);
  EXPECT_GT(injector->count(Fault::kSlow), 0U);
}

TYPED_TEST(BackendContract, AFullQueueIsBusyAndEachKindHasItsShare) {
  constexpr size_t kLanes = std::max(TypeParam::kThreads, 1U);
  this->injector_->HangAll();
  std::vector<TestTask> reads;
  for (uint64_t i = 0; i < 500; ++i) reads.push_back(TestTask::Read(i * 8192, kUnit));
  EXPECT_EQ(this->SubmitAll(reads), kReadsMax * kLanes);
  const AlignedMemory memory = MakeAligned(kUnit);
  std::vector<TestTask> writes(100, TestTask::Write(memory.get(), 0, kUnit));
  EXPECT_EQ(this->SubmitAll(writes), kBackgroundMax * kLanes);
  EXPECT_EQ(this->backend_->inflight(), (kReadsMax + kBackgroundMax) * kLanes);
  this->injector_->Release();
  ASSERT_TRUE(this->DriveAll());
  TestTask again = TestTask::Read(8192, kUnit);  // Not what was written.
  ASSERT_TRUE(this->backend_->Submit(&again));
  ASSERT_TRUE(this->DriveAll());
  this->ExpectRead(again);
}

TYPED_TEST(BackendContract, TooLargeAReadIsInvalid) {
  TestTask task = TestTask::Read(0, ReadBuffers::kLargeBytes + kUnit);
  EXPECT_EQ(this->backend_->Submit(&task).code(), Code::kInvalid);
  EXPECT_EQ(this->backend_->inflight(), 0U);
}

TYPED_TEST(BackendContract, AHungDeviceTimesOutEveryReadAndRecovers) {
  this->backend_->SetTimeoutMs(20);
  this->injector_->HangAll();
  std::vector<TestTask> reads;  // More than there are buffers, so that some never start.
  for (uint64_t i = 0; i < kReadsMax; ++i) reads.push_back(TestTask::Read(i * 32768, kUnit));
  EXPECT_EQ(this->SubmitAll(reads), reads.size());
  ASSERT_TRUE(this->DriveAll());
  for (const TestTask& read : reads) {
    EXPECT_EQ(read.result, -ETIMEDOUT);
    EXPECT_EQ(read.works, 0);
    EXPECT_EQ(read.dones, 1);
  }
  EXPECT_EQ(this->backend_->stats().timeouts, reads.size());
  this->backend_->SetTimeoutMs(60'000);
  this->injector_->Release();
  std::vector<TestTask> after;
  for (uint64_t i = 0; i < 200; ++i) after.push_back(TestTask::Read(i * 16384, kUnit));
  ASSERT_TRUE(RunAll(*this->backend_, after));
  for (const TestTask& read : after) this->ExpectRead(read);
  for (const TestTask& read : reads) EXPECT_EQ(read.dones + read.works, 1);
}

TYPED_TEST(BackendContract, ReadsOfOneBatchShareTransfers) {
  // A task that holds the thread until the whole batch is in its queue.
  struct Gate : Task {
    std::binary_semaphore open{0};
  };
  Gate gate;
  gate.work = [](Task& task, MutableBytes) noexcept { static_cast<Gate&>(task).open.acquire(); };
  const bool gated = TypeParam::kThreads == 1;
  if (gated) {
    ASSERT_TRUE(this->backend_->Submit(&gate));
  }
  this->backend_->Kick();
  std::vector<TestTask> reads;
  for (uint64_t i = 0; i < 16; ++i) reads.push_back(TestTask::Read(65536 + i * kUnit, kUnit));
  EXPECT_EQ(this->SubmitAll(reads), reads.size());
  gate.open.release();
  ASSERT_TRUE(this->DriveAll());
  for (const TestTask& read : reads) this->ExpectRead(read);
  const Backend::Stats stats = this->backend_->stats();
  EXPECT_EQ(stats.device_reads + stats.coalesced_reads, 16U);
  if (gated || TypeParam::kThreads == 0) {
    EXPECT_GT(stats.coalesced_reads, 0U);
  }
}

TYPED_TEST(BackendContract, LeavingWithTasksUnderWayIsClean) {
  std::vector<TestTask> reads;
  for (uint64_t i = 0; i < kReadsMax; ++i) reads.push_back(TestTask::Read(i * 32768, kUnit));
  EXPECT_EQ(this->SubmitAll(reads), reads.size());
  this->backend_->Kick();
  this->backend_.reset();
  for (const TestTask& read : reads) EXPECT_EQ(read.dones, 0);
}

TYPED_TEST(BackendContract, RandomTrafficUnderFaultsLosesNothing) {
  FaultPlan plan;
  for (const Fault fault : {Fault::kError, Fault::kShort, Fault::kSlow, Fault::kReordered}) {
    plan.Rate(fault, 20'000);
  }
  auto injector = std::make_shared<FaultInjector>(plan);
  FaultyDeviceFactory factory(this->disk_->factory(), injector, &this->clock_);
  this->backend_ = TypeParam::Make(&factory, &this->clock_);
  base::Random random(5);
  std::vector<TestTask> tasks;
  for (int i = 0; i < 2000; ++i) {
    const auto bytes = static_cast<uint32_t>((1 + random.Below(20)) * kUnit);
    tasks.push_back(TestTask::Read(random.Below((kFileBytes - bytes) / kUnit) * kUnit, bytes));
  }
  ASSERT_TRUE(RunAll(*this->backend_, tasks));
  size_t failed = 0;
  for (const TestTask& task : tasks) {
    EXPECT_EQ(task.dones, 1);
    if (task.result == 0) {
      this->ExpectRead(task);
    } else {
      EXPECT_EQ(task.result, -EIO);
      EXPECT_EQ(task.works, 0);
      ++failed;
    }
  }
  EXPECT_EQ(this->backend_->stats().read_errors, failed);
}

}  // namespace
}  // namespace flash::io
