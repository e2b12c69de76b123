// threads_device_test.cc: what only a pool of threads can get wrong: its bound, who gets a thread,
// drives that hang, ends without transfer, forks, refused threads.
//
// What it has in common with io_uring is in device_contract_test.cc. No test measures time: a
// transfer is held in its thread until the test lets it go. Thread: the test's, and the pool's.
#include "io/threads_device.h"

#include <gmock/gmock.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "io/io_test_support.h"
#include "io/threaded_backend.h"
#include "io/uring_refusal.h"

namespace flash::io {
namespace {

constexpr uint64_t kCapacity = 4 * kMiB;
constexpr uint64_t kVeryLongUs = 3'000'000'000;

/// Holds transfers of a kind before they begin, and counts those that came to it.
class Gate {
 public:
  static void Pass(const Request& request) {
    const uint32_t index = request.op == Op::kRead ? 0 : 1;
    ++come[index];
    come[index].notify_all();
    closed[index].wait(1);
  }
  static void Reset() {
    for (int i = 0; i < 2; ++i) come[i] = closed[i] = 0;
  }
  static void Close(Op op) { closed[op == Op::kRead ? 0 : 1] = 1; }
  static void Open(Op op) {
    auto& one = closed[op == Op::kRead ? 0 : 1];
    one = 0;
    one.notify_all();
  }
  static void Open() {
    Open(Op::kRead);
    Open(Op::kWrite);
  }
  static void Await(Op op, uint32_t count) {
    auto& counter = come[op == Op::kRead ? 0 : 1];
    for (uint32_t now = counter; now < count; now = counter) counter.wait(now);
  }
  inline static std::array<std::atomic<uint32_t>, 2> come;
  inline static std::array<std::atomic<uint32_t>, 2> closed;
};

class ThreadsDeviceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Gate::Reset();
    auto file = FlashFile::Open({.path = folder_.path() + "/tier", .capacity_bytes = kCapacity});
    ASSERT_TRUE(file) << file.error().message;
    file_ = std::move(file).Take();
  }
  void Start(uint32_t threads_max) {
    auto threads =
        TransferThreads::Start({.threads_max = threads_max, .before_transfer = &Gate::Pass});
    ASSERT_TRUE(threads);
    threads_ = std::move(threads).Take();
  }
  std::unique_ptr<ThreadsDevice> Open() {
    return std::make_unique<ThreadsDevice>(file_->target(), ThreadsDevice::Options{}, threads_);
  }
  void Submit(Device& device, Op op, uint64_t first, uint64_t count) {
    for (uint64_t i = first; i < first + count; ++i) {
      ASSERT_TRUE(device.Submit({.op = op,
                                 .offset = i * 4096,
                                 .data = memory_.get() + i * 4096,
                                 .bytes = 4096,
                                 .token = i}));
    }
    device.Flush();
  }
  /// Takes `count` ends; what each token came to.
  static std::map<uint64_t, int32_t> Take(Device& device, size_t count) {
    std::map<uint64_t, int32_t> results;
    std::array<Completion, 8> done;
    while (results.size() < count) {
      const size_t taken = device.Reap(done, kVeryLongUs);
      for (size_t i = 0; i < taken; ++i) results[done[i].token] = done[i].result;
    }
    return results;
  }

  TempFolder folder_;
  std::unique_ptr<FlashFile> file_;
  AlignedMemory memory_ = MakeAligned(64 * 4096);
  std::shared_ptr<TransferThreads> threads_;
};

TEST_F(ThreadsDeviceTest, TheBoundHoldsOverAllDevices) {
  Start(4);
  Gate::Close(Op::kRead);
  std::vector<std::unique_ptr<ThreadsDevice>> devices;
  for (uint64_t i = 0; i < 3; ++i) {
    devices.push_back(Open());
    Submit(*devices[i], Op::kRead, i * 16, 16);
  }
  Gate::Await(Op::kRead, 4);
  EXPECT_EQ(threads_->count(), 4U);
  EXPECT_EQ(Gate::come[0], 4U);
  Gate::Open();
  for (auto& device : devices) Take(*device, 16);
  EXPECT_EQ(threads_->count(), 4U);
  EXPECT_EQ(Gate::come[0], 48U);
}

TEST_F(ThreadsDeviceTest, OneTransferAtATimeNeedsTwoThreads) {
  Start(64);
  auto device = Open();
  for (uint64_t i = 0; i < 300; ++i) {
    Submit(*device, Op::kRead, i % 64, 1);
    Take(*device, 1);
  }
  EXPECT_EQ(threads_->count(), 2U);
}

TEST_F(ThreadsDeviceTest, WritesThatHangLeaveThreadsToReads) {
  Start(4);
  Gate::Close(Op::kWrite);
  auto writer = Open();
  auto reader = Open();
  Submit(*writer, Op::kWrite, 0, 16);
  Gate::Await(Op::kWrite, 1);
  for (int round = 0; round < 5; ++round) {
    Submit(*reader, Op::kRead, 16, 16);
    for (const auto& [token, result] : Take(*reader, 16)) EXPECT_EQ(result, 4096) << token;
  }
  EXPECT_EQ(Gate::come[1], 1U) << "a quarter of the threads";
  Gate::Open();
  for (const auto& [token, result] : Take(*writer, 16)) EXPECT_EQ(result, 4096) << token;
}

TEST_F(ThreadsDeviceTest, AWriteIsNotLastBehindAllReads) {
  Start(1);
  Gate::Close(Op::kRead);
  Gate::Close(Op::kWrite);
  auto reader = Open();
  auto writer = Open();
  Submit(*reader, Op::kRead, 0, 40);
  Gate::Await(Op::kRead, 1);
  Submit(*writer, Op::kWrite, 40, 1);
  Gate::Open(Op::kRead);
  Gate::Await(Op::kWrite, 1);
  EXPECT_EQ(Gate::come[0], 1U) << "it came before those that were queued first";
  Gate::Open();
  EXPECT_EQ(Take(*writer, 1)[40], 4096);
  Take(*reader, 40);
}

TEST_F(ThreadsDeviceTest, AfterRefuseNothingBegins) {
  Start(2);
  Gate::Close(Op::kRead);
  auto device = Open();
  Submit(*device, Op::kRead, 0, 20);
  Gate::Await(Op::kRead, 2);
  threads_->Refuse();
  Submit(*device, Op::kWrite, 20, 5);
  const auto canceled = Take(*device, 23);
  for (const auto& [token, result] : canceled) EXPECT_EQ(result, -ECANCELED) << token;
  Gate::Open();
  for (const auto& [token, result] : Take(*device, 2)) EXPECT_EQ(result, 4096) << token;
  EXPECT_EQ(Gate::come[0], 2U);
  EXPECT_EQ(Gate::come[1], 0U);
}

TEST_F(ThreadsDeviceTest, ADeviceThatGoesTakesItsWaitingTransfersAlong) {
  Start(1);
  Gate::Close(Op::kRead);
  auto other = Open();
  auto device = Open();
  Submit(*other, Op::kRead, 0, 1);
  Gate::Await(Op::kRead, 1);
  Submit(*device, Op::kRead, 1, 20);
  device.reset();  // None of its transfers has begun, so it waits for none.
  Gate::Open();
  EXPECT_EQ(Take(*other, 1)[0], 4096);
  EXPECT_EQ(Gate::come[0], 1U);
}

TEST_F(ThreadsDeviceTest, AHungDriveTimesOutReadsAndRecovers) {
  Start(4);
  {
    auto writer = Open();
    FillPattern(0, {memory_.get(), 64 * 4096});
    Submit(*writer, Op::kWrite, 0, 64);
    Take(*writer, 64);
  }
  const base::SystemClock clock;
  ThreadsDeviceFactory factory(file_.get(), {}, threads_);
  auto backend = ThreadedBackend::Start({.threads = 2}, &factory, &clock);
  ASSERT_TRUE(backend);
  Gate::Close(Op::kRead);
  (*backend)->SetTimeoutMs(20);
  std::vector<TestTask> lost;
  for (uint64_t i = 0; i < 30; ++i) lost.push_back(TestTask::Read(i * 2 * 4096, 4096));
  ASSERT_TRUE(RunAll(**backend, lost));
  for (const TestTask& task : lost) {
    EXPECT_EQ(task.result, -ETIMEDOUT);
    EXPECT_EQ(task.works, 0);
  }
  (*backend)->SetTimeoutMs(0);
  Gate::Open();
  std::vector<TestTask> after;
  for (uint64_t i = 0; i < 64; ++i) after.push_back(TestTask::Read(i * 4096, 4096));
  ASSERT_TRUE(RunAll(**backend, after));
  for (const TestTask& task : after) {
    EXPECT_EQ(task.result, 0);
    EXPECT_TRUE(IsPattern(task.offset, task.seen)) << task.offset;
  }
}

TEST_F(ThreadsDeviceTest, AHungDriveDoesNotHoldTheEnd) {
  Start(2);
  const base::SystemClock clock;
  auto factory =
      std::make_unique<ThreadsDeviceFactory>(file_.get(), ThreadsDevice::Options{}, threads_);
  auto backend = ThreadedBackend::Start({.threads = 1, .stop_ms_max = 50, .owner_reads_max = 0},
                                        factory.get(), &clock);
  ASSERT_TRUE(backend);
  Gate::Close(Op::kRead);
  TestTask task = TestTask::Read(0, 4096);
  ASSERT_TRUE((*backend)->Submit(&task));
  (*backend)->Kick();
  Gate::Await(Op::kRead, 1);
  (*backend).reset();
  EXPECT_EQ(task.dones, 0);
  Gate::Open();  // The thread left behind answers to nobody and ends.
  factory.reset();
  while (threads_.use_count() > 1) std::this_thread::yield();
}

TEST_F(ThreadsDeviceTest, AForkedChildHasThreadsOfItsOwn) {
  if (!ChildrenMayStartThreads()) GTEST_SKIP() << "a child that starts threads, under TSan";
  Start(4);
  auto device = Open();
  FillPattern(0, {memory_.get(), 4096});
  Submit(*device, Op::kWrite, 0, 1);
  Take(*device, 1);
  Gate::Close(Op::kRead);
  Submit(*device, Op::kRead, 1, 8);
  Gate::Await(Op::kRead, 4);  // Forked while threads are in the middle of it.
  EXPECT_TRUE(InChild([&] {
    Gate::Open();
    auto own = TransferThreads::Start({.threads_max = 2});
    if (!own) return false;
    ThreadsDevice mine(file_->target(), {}, *own);
    std::memset(memory_.get(), 0, 4096);
    Submit(mine, Op::kRead, 0, 1);
    EXPECT_EQ(Take(mine, 1)[0], 4096);
    EXPECT_TRUE(IsPattern(0, {memory_.get(), 4096}));
    threads_.reset();  // The copy: its threads are not here, and nobody waits for them.
    return true;
  }));
  Gate::Open();
  for (const auto& [token, result] : Take(*device, 8)) EXPECT_EQ(result, 4096) << token;
}

TEST_F(ThreadsDeviceTest, ThreadsHaveANameAndNoSignals) {
  Start(2);
  auto device = Open();
  Submit(*device, Op::kRead, 0, 8);
  Take(*device, 8);
  size_t found = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream status(entry.path() / "status");
    bool ours = false;
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("Name:")) ours = line.ends_with("flash-transfer");
      if (!ours || !line.starts_with("SigBlk:")) continue;
      ++found;
      const uint64_t mask = std::stoull(line.substr(8), nullptr, 16);
      EXPECT_NE(mask & uint64_t{1} << (SIGTERM - 1), 0U);
      EXPECT_NE(mask & uint64_t{1} << (SIGALRM - 1), 0U);
    }
  }
  EXPECT_GE(found, 1U);
}

TEST_F(ThreadsDeviceTest, DurableWritesAndSyncsAskTheKernelForDurability) {
  if (!ChildrenMayStartThreads()) GTEST_SKIP() << "a child that starts threads, under TSan";
  const auto results = [&](std::initializer_list<int> forbidden, int error) {
    EXPECT_TRUE(Forbid(forbidden, error));
    Start(2);
    auto device = Open();
    Submit(*device, Op::kWrite, 0, 1);
    EXPECT_TRUE(device->Submit({.op = Op::kWrite,
                                .offset = 4096,
                                .data = memory_.get(),
                                .bytes = 4096,
                                .token = 1,
                                .durable = true}));
    EXPECT_TRUE(device->Submit({.op = Op::kSync, .token = 2}));
    return Take(*device, 3);
  };
  using Results = std::map<uint64_t, int32_t>;
  EXPECT_TRUE(InChild([&] {
    EXPECT_EQ(results({SYS_pwritev2}, EIO), (Results{{0, 4096}, {1, -EIO}, {2, 0}}));
    return true;
  }));
  EXPECT_TRUE(InChild([&] {
    EXPECT_EQ(results({SYS_fdatasync}, EIO), (Results{{0, 4096}, {1, 4096}, {2, -EIO}}));
    return true;
  }));
}

/// No more tasks for this process from now on.
bool LimitTasks() {
  const rlimit limit{.rlim_cur = 1, .rlim_max = 1};
  if (setrlimit(RLIMIT_NPROC, &limit) != 0) return false;
  return geteuid() != 0 || setuid(65534) == 0;
}

TEST_F(ThreadsDeviceTest, WithoutThreadsTheStartSaysWhatToDo) {
  if (!ChildrenMayStartThreads()) GTEST_SKIP() << "a child that starts threads, under TSan";
  EXPECT_TRUE(InChild([] {
    if (!LimitTasks()) return false;
    const auto threads = TransferThreads::Start({});
    if (threads) return false;
    EXPECT_EQ(threads.code(), Code::kUnsupported);
    EXPECT_THAT(threads.error().message, ::testing::HasSubstr("raise the limit of processes"));
    return true;
  }));
}

TEST_F(ThreadsDeviceTest, WithFewerThreadsThanTheBoundAllIsDone) {
  if (!ChildrenMayStartThreads()) GTEST_SKIP() << "a child that starts threads, under TSan";
  EXPECT_TRUE(InChild([&] {
    Start(64);
    auto device = Open();
    if (!LimitTasks()) return false;
    Submit(*device, Op::kRead, 0, 64);
    Take(*device, 64);
    EXPECT_LE(threads_->count(), 2U);
    return true;
  }));
}

}  // namespace
}  // namespace flash::io
