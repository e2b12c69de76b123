// threaded_backend_test.cc: what only threads can get wrong: wake-ups, the bell, start and stop,
// forks. What every Backend promises is in backend_contract_test.cc. No test measures time: a lost
// wake-up shows as a Wait that runs into a limit far beyond the test's. Thread: the test's as
// owner, and the backend's.
#include "io/threaded_backend.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <set>

#include "io/faulty_device.h"
#include "io/io_test_support.h"
#include "io/memory_device.h"
#include "io/spsc_ring.h"
#include "io/uring_device.h"

namespace flash::io {
namespace {

constexpr uint64_t kFileBytes = 1 * kMiB;
constexpr uint64_t kVeryLongUs = 20'000'000;

class ThreadedBackendTest : public ::testing::Test {
 protected:
  void Open(const ThreadedBackend::Options& options) {
    auto backend = ThreadedBackend::Start(options, &factory_, &clock_);
    ASSERT_TRUE(backend);
    backend_ = std::move(backend).Take();
  }
  bool Readable() {
    pollfd entry{.fd = backend_->event_fd(), .events = POLLIN, .revents = 0};
    return poll(&entry, 1, 0) == 1;
  }
  bool BecomesReadable() {
    pollfd entry{.fd = backend_->event_fd(), .events = POLLIN, .revents = 0};
    return poll(&entry, 1, static_cast<int>(kVeryLongUs / 1000)) == 1;
  }

  base::SystemClock clock_;
  std::shared_ptr<MemoryFile> file_ = std::make_shared<MemoryFile>(kFileBytes);
  std::shared_ptr<FaultInjector> injector_ = std::make_shared<FaultInjector>(FaultPlan{});
  MemoryDeviceFactory memory_{file_, {}};
  FaultyDeviceFactory factory_{&memory_, injector_, nullptr};
  std::unique_ptr<ThreadedBackend> backend_;
};

TEST_F(ThreadedBackendTest, NoWakeUpIsLostInManyShortRounds) {
  Open({.threads = 2, .spread_reads = 1});
  const auto start_us = clock_.NowUs();
  for (uint64_t round = 0; round < 5000; ++round) {
    std::vector<TestTask> tasks;
    for (uint64_t i = 0; i <= round % 3; ++i) tasks.push_back(TestTask::Read(i * 65536, 512));
    if (round % 5 == 0) tasks.push_back(TestTask::Compute());
    for (TestTask& task : tasks) ASSERT_TRUE(backend_->Submit(&task));
    backend_->Kick();
    while (backend_->inflight() > 0) {
      if (backend_->Reap(round % 2 == 0 ? 100 : 1) == 0) backend_->Wait(kVeryLongUs);
      ASSERT_LT(clock_.NowUs() - start_us, kVeryLongUs) << "a wait ended only at its limit";
    }
  }
}

TEST_F(ThreadedBackendTest, ATaskThatComesWhileTheThreadFallsAsleepIsNotLost) {
  // Holds the thread where it has found no task but has not yet said that it sleeps.
  static std::atomic<int> stage;
  stage = 0;
  constexpr int kArmed = 1;
  constexpr int kHeld = 2;
  constexpr int kGoOn = 3;
  Open({.threads = 1, .before_sleep = [] {
          int armed = kArmed;
          if (!stage.compare_exchange_strong(armed, kHeld)) return;
          stage.notify_all();
          stage.wait(kHeld);
        }});
  TestTask first = TestTask::Compute();
  TestTask second = TestTask::Compute();
  stage = kArmed;
  ASSERT_TRUE(backend_->Submit(&first));
  backend_->Kick();
  stage.wait(kArmed);
  ASSERT_TRUE(backend_->Submit(&second));
  backend_->Kick();
  stage = kGoOn;
  stage.notify_all();
  const auto start_us = clock_.NowUs();
  while (backend_->inflight() > 0) {
    if (backend_->Reap(10) == 0) backend_->Wait(kVeryLongUs);
    ASSERT_LT(clock_.NowUs() - start_us, kVeryLongUs) << "the wait ended only at its limit";
  }
  EXPECT_EQ(first.dones + second.dones, 2);
}

TEST_F(ThreadedBackendTest, NoMoreThreadsThanAskedForDoWhatIsNotARead) {
  static std::mutex mutex;
  static std::set<pthread_t> threads;
  const auto threads_of_computes = [this] {
    threads.clear();
    std::vector<TestTask> tasks(64, TestTask::Compute());
    for (TestTask& task : tasks) {
      task.work = [](Task&, MutableBytes) noexcept {
        const std::lock_guard lock(mutex);
        threads.insert(pthread_self());
      };
      EXPECT_TRUE(backend_->Submit(&task));
    }
    EXPECT_TRUE(DriveUntil(*backend_, [&] { return backend_->inflight() == 0; }));
    return threads.size();
  };
  Open({.threads = 4, .background_threads = 1});
  EXPECT_EQ(threads_of_computes(), 1U);
  Open({.threads = 4, .background_threads = 2});
  EXPECT_LE(threads_of_computes(), 2U);
  Open({.threads = 4});
  EXPECT_GT(threads_of_computes(), 2U);
}

TEST_F(ThreadedBackendTest, NoRingOfTheBellIsLostInManyShortRounds) {
  Open({.threads = 2, .spread_reads = 1});
  for (uint64_t round = 0; round < 3000; ++round) {
    std::vector<TestTask> tasks(1 + round % 4, TestTask::Compute());
    for (TestTask& task : tasks) ASSERT_TRUE(backend_->Submit(&task));
    backend_->Kick();
    // As in an event loop: Reap only when the descriptor says so.
    while (backend_->inflight() > 0) {
      ASSERT_TRUE(BecomesReadable());
      backend_->Reap(1 + round % 3);
    }
  }
}

TEST_F(ThreadedBackendTest, TheBellIsQuietWhenNothingIsLeft) {
  Open({.threads = 1});
  std::vector<TestTask> tasks(4, TestTask::Compute());
  for (TestTask& task : tasks) ASSERT_TRUE(backend_->Submit(&task));
  backend_->Kick();
  size_t reaped = 0;
  while (reaped < 3) {
    ASSERT_TRUE(BecomesReadable());
    reaped += backend_->Reap(1);
  }
  ASSERT_TRUE(BecomesReadable()) << "one is left";
  while (backend_->inflight() > 0) backend_->Reap(1);
  // A ring may still be on its way from the thread: at most one Reap takes it back.
  if (Readable()) backend_->Reap(1);
  for (int i = 0; i < 100 && Readable(); ++i) backend_->Reap(1);
  EXPECT_FALSE(Readable());
}

TEST_F(ThreadedBackendTest, AHungDeviceDoesNotHoldTheEnd) {
  injector_->HangAll();
  Open({.threads = 2, .stop_ms_max = 50});
  TestTask task = TestTask::Read(0, 512);
  ASSERT_TRUE(backend_->Submit(&task));
  backend_->Kick();
  while (injector_->count(Fault::kHung) == 0) backend_->Wait(1000);
  backend_.reset();
  EXPECT_EQ(task.dones, 0);
  injector_->Release();  // The thread left behind answers to nobody and ends.
}

TEST_F(ThreadedBackendTest, AFactoryThatFailsFailsTheStart) {
  class Failing final : public DeviceFactory {
   public:
    Result<std::unique_ptr<Device>> Make() override {
      return Error{Code::kUnsupported, "no such device"};
    }
  };
  Failing factory;
  const auto backend = ThreadedBackend::Start({.threads = 3}, &factory, &clock_);
  ASSERT_FALSE(backend);
  EXPECT_EQ(backend.code(), Code::kUnsupported);
  EXPECT_EQ(backend.error().message, "no such device");
}

TEST_F(ThreadedBackendTest, ThreadsHaveNamesAndNoSignals) {
  Open({.threads = 2});
  std::map<std::string, std::string> blocked;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream status(entry.path() / "status");
    std::string name;
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("Name:")) name = line.substr(6);
      if (line.starts_with("SigBlk:")) blocked[name] = line.substr(8);
    }
  }
  for (const char* name : {"flash-io-0", "flash-io-1"}) {
    ASSERT_TRUE(blocked.contains(name)) << name;
    const uint64_t mask = std::stoull(blocked[name], nullptr, 16);
    EXPECT_NE(mask & uint64_t{1} << (SIGTERM - 1), 0U);
    EXPECT_NE(mask & uint64_t{1} << (SIGALRM - 1), 0U);
  }
  sigset_t mine;
  pthread_sigmask(SIG_SETMASK, nullptr, &mine);
  EXPECT_EQ(sigismember(&mine, SIGTERM), 0) << "the owner's own mask is as before";
}

TEST_F(ThreadedBackendTest, AForkedChildMayDropItsCopy) {
  Open({.threads = 2});
  const pid_t child = fork();
  if (child == 0) {
    backend_.reset();
    _exit(0);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  TestTask task = TestTask::Read(0, 512);
  ASSERT_TRUE(backend_->Submit(&task));
  EXPECT_TRUE(DriveUntil(*backend_, [&] { return task.dones == 1; }));
}

TEST_F(ThreadedBackendTest, FewReadsStayOnOneThreadAndManySpread) {
  struct Traced : Task {
    pthread_t thread{};
  };
  Open({.threads = 3, .spread_reads = 4});
  const auto threads_used = [&](uint64_t reads) {
    injector_->HangAll();
    std::vector<Traced> tasks(reads);
    for (Traced& task : tasks) {
      task.kind = Task::Kind::kRead;
      task.bytes = 512;
      task.work = [](Task& base, MutableBytes) noexcept {
        static_cast<Traced&>(base).thread = pthread_self();
      };
      EXPECT_TRUE(backend_->Submit(&task));
    }
    injector_->Release();
    EXPECT_TRUE(DriveUntil(*backend_, [&] { return backend_->inflight() == 0; }));
    std::set<pthread_t> used;
    for (const Traced& task : tasks) used.insert(task.thread);
    return used.size();
  };
  EXPECT_EQ(threads_used(4), 1U);
  EXPECT_EQ(threads_used(30), 3U);
}

TEST_F(ThreadedBackendTest, OverIoUringEveryByteIsRight) {
  const TempFolder folder;
  auto file = FlashFile::Open({.path = folder.path() + "/tier", .capacity_bytes = 8 * kMiB});
  ASSERT_TRUE(file);
  UringDeviceFactory factory(file->get(), {});
  auto backend = ThreadedBackend::Start({.threads = 2, .spread_reads = 4}, &factory, &clock_);
  if (!backend && backend.code() == Code::kUnsupported) GTEST_SKIP() << backend.error().message;
  ASSERT_TRUE(backend);
  const AlignedMemory memory = MakeAligned(8 * kMiB);
  FillPattern(0, {memory.get(), 8 * kMiB});
  std::vector<TestTask> writes;
  for (uint64_t i = 0; i < 8; ++i) {
    writes.push_back(TestTask::Write(memory.get() + i * kMiB, i * kMiB, kMiB));
  }
  ASSERT_TRUE(RunAll(**backend, writes));
  for (const TestTask& write : writes) EXPECT_EQ(write.result, 0);
  const uint32_t unit = (*backend)->alignment();
  base::Random random(3);
  std::vector<TestTask> reads;
  for (int i = 0; i < 1000; ++i) {
    const auto bytes = static_cast<uint32_t>((1 + random.Below(8)) * unit);
    reads.push_back(TestTask::Read(random.Below((8 * kMiB - bytes) / unit) * unit, bytes));
  }
  reads.push_back(TestTask::Read(3 * kMiB, kMiB));
  ASSERT_TRUE(RunAll(**backend, reads));
  for (const TestTask& read : reads) {
    ASSERT_EQ(read.result, 0);
    ASSERT_TRUE(IsPattern(read.offset, read.seen)) << read.offset;
  }
}

TEST(SpscRing, HoldsItsCapacityAndWrapsAround) {
  SpscRing<int> ring(3);
  int value = 0;
  EXPECT_TRUE(ring.empty());
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(ring.Push(round * 4 + i));
    EXPECT_FALSE(ring.Push(-1)) << "rounded up to four";
    for (int i = 0; i < 4; ++i) {
      ASSERT_TRUE(ring.Pop(value));
      EXPECT_EQ(value, round * 4 + i);
    }
    EXPECT_FALSE(ring.Pop(value));
  }
}

}  // namespace
}  // namespace flash::io
