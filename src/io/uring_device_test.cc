// uring_device_test.cc: the real device on a real file, with and without what the kernel may
// refuse. Refusals are made by seccomp filters and limits in forked children. Thread: the test's,
// and one more for Wake.
#include "io/uring_device.h"

#include <gmock/gmock.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <thread>

#include "io/io_test_support.h"
#include "io/read_buffers.h"

namespace flash::io {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kCapacity = 4 * kMiB;

class UringDeviceTest : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    auto file = FlashFile::Open({.path = folder_.path() + "/tier", .capacity_bytes = kCapacity});
    ASSERT_TRUE(file) << file.error().message;
    file_ = std::move(file).Take();
    auto probe = UringDevice::Open(*file_, {});
    if (!probe) GTEST_SKIP() << probe.error().message;
  }
  std::unique_ptr<UringDevice> Open(const UringDevice::Options& options = {}) {
    auto device = UringDevice::Open(*file_, options, notes_);
    EXPECT_TRUE(device) << device.error().message;
    return device ? std::move(device).Take() : nullptr;
  }
  static int32_t Run(Device& device, Op op, uint64_t offset, MutableBytes memory) {
    EXPECT_TRUE(device.Submit({.op = op,
                               .offset = offset,
                               .data = memory.data(),
                               .bytes = static_cast<uint32_t>(memory.size()),
                               .token = 77}));
    Completion done;
    for (int i = 0; i < 100; ++i) {
      if (device.Reap({&done, 1}, 1'000'000) == 1) return done.token == 77 ? done.result : -1;
    }
    return -ETIMEDOUT;
  }
  /// Writes through the device and reads back, into `memory` and through the page cache.
  void ExpectRoundTrip(Device& device, MutableBytes memory) {
    const auto bytes = static_cast<int32_t>(memory.size());
    FillPattern(64 * kKiB, memory);
    EXPECT_EQ(Run(device, Op::kWrite, 64 * kKiB, memory), bytes);
    std::memset(memory.data(), 0, memory.size());
    EXPECT_EQ(Run(device, Op::kRead, 64 * kKiB, memory), bytes);
    EXPECT_TRUE(IsPattern(64 * kKiB, memory));
    std::vector<std::byte> plain(memory.size());
    const auto at = static_cast<off_t>(file_->data_offset() + 64 * kKiB);
    const AlignedMemory aligned = MakeAligned(memory.size());
    EXPECT_EQ(pread(file_->fd(), aligned.get(), memory.size(), at), bytes);
    EXPECT_TRUE(IsPattern(64 * kKiB, {aligned.get(), memory.size()}));
  }
  /// Makes the system calls `numbers` fail with `error` from now on in this process.
  static bool Forbid(std::initializer_list<int> numbers, int error) {
    std::vector<sock_filter> program = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0)};
    for (const int number : numbers) {
      program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(number), 0, 1));
      program.push_back(
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog filter{.len = static_cast<uint16_t>(program.size()), .filter = program.data()};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
  }
  static bool InChild(const std::function<bool()>& body) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      const bool fine = body() && !::testing::Test::HasFailure();
      std::fflush(nullptr);
      _exit(fine ? 0 : 1);
    }
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  bool RefusalSays(int error, const std::string& words) {
    return InChild([&] {
      if (!Forbid({SYS_io_uring_setup}, error)) return false;
      const auto device = UringDevice::Open(*file_, {});
      if (device || device.code() != Code::kUnsupported) return false;
      EXPECT_THAT(device.error().message, HasSubstr(words));
      return true;
    });
  }

  TempFolder folder_;
  std::unique_ptr<FlashFile> file_;
  std::shared_ptr<UringNotes> notes_ = std::make_shared<UringNotes>();
};

TEST_P(UringDeviceTest, ReadsAndWritesWithAndWithoutRegistration) {
  const int choice = GetParam();
  auto device = Open({.entries = 16,
                      .register_file = (choice & 1) != 0,
                      .register_buffers = (choice & 2) != 0,
                      .defer_work = (choice & 4) != 0});
  ReadBuffers buffers({.small_count = 4, .large_count_max = 1});
  device->LendBuffers(buffers.small_memory());
  EXPECT_EQ(device->file_registered(), (choice & 1) != 0);
  EXPECT_EQ(device->buffers_registered(), (choice & 2) != 0);
  std::byte* small = buffers.Take(8192);
  ExpectRoundTrip(*device, {small, 8192});
  std::byte* large = buffers.Take(kMiB);
  ExpectRoundTrip(*device, {large, kMiB});
  EXPECT_EQ(device->inflight(), 0U);
  EXPECT_TRUE(notes_->lines().empty());
}
INSTANTIATE_TEST_SUITE_P(Choices, UringDeviceTest, ::testing::Range(0, 8));

TEST_F(UringDeviceTest, WritesDurablyAndSyncs) {
  const auto device = Open();
  const AlignedMemory memory = MakeAligned(8192);
  FillPattern(8192, {memory.get(), 8192});
  ASSERT_TRUE(device->Submit(
      {.op = Op::kWrite, .offset = 8192, .data = memory.get(), .bytes = 8192, .durable = true}));
  Completion done;
  while (device->Reap({&done, 1}, 1'000'000) == 0) {
  }
  EXPECT_EQ(done.result, 8192);
  EXPECT_EQ(Run(*device, Op::kSync, 0, {}), 0);
  EXPECT_EQ(Run(*device, Op::kRead, 8192, {memory.get(), 8192}), 8192);
  EXPECT_TRUE(IsPattern(8192, {memory.get(), 8192}));
}

TEST_F(UringDeviceTest, EndOfFileIsAShortTransfer) {
  auto device = Open();
  const AlignedMemory memory = MakeAligned(16 * kKiB);
  const uint64_t at = kCapacity - 4096;
  EXPECT_EQ(Run(*device, Op::kRead, at, {memory.get(), 16 * kKiB}), 4096);
  EXPECT_EQ(Run(*device, Op::kRead, kCapacity, {memory.get(), 4096}), 0);
}

TEST_F(UringDeviceTest, HoldsAsManyTransfersAsEntries) {
  auto device = Open({.entries = 4});
  const AlignedMemory memory = MakeAligned(5 * 4096);
  const auto request = [&](uint64_t i) {
    return Request{.offset = i * 4096, .data = memory.get() + i * 4096, .bytes = 4096, .token = i};
  };
  for (uint64_t i = 0; i < 4; ++i) ASSERT_TRUE(device->Submit(request(i)));
  EXPECT_FALSE(device->Submit(request(4)));
  EXPECT_EQ(device->inflight(), 4U);
  Completion done[8];
  size_t count = 0;
  for (int i = 0; i < 100 && count < 4; ++i) count += device->Reap(done, 1'000'000);
  EXPECT_EQ(count, 4U);
  EXPECT_TRUE(device->Submit(request(4)));
}

TEST_F(UringDeviceTest, WakeEndsAWaitEveryTime) {
  auto device = Open();
  Completion done[1];
  for (int i = 0; i < 200; ++i) {
    std::thread waker([&] { device->Wake(); });
    // Far longer than the test may last: only Wake can end it.
    EXPECT_EQ(device->Reap(done, 3'000'000'000), 0U);
    waker.join();
  }
}

TEST_F(UringDeviceTest, AWakeBeforeTheWaitCounts) {
  for (const bool defer_work : {true, false}) {
    auto device = Open({.defer_work = defer_work});
    Completion done[1];
    EXPECT_EQ(device->Reap(done, 0), 0U);
    for (int i = 0; i < 100; ++i) {
      device->Wake();
      EXPECT_EQ(device->Reap(done, 3'000'000'000), 0U);
    }
  }
}

TEST_F(UringDeviceTest, WaitEndsAtItsLimit) {
  auto device = Open();
  Completion done[1];
  EXPECT_EQ(device->Reap(done, 1000), 0U);
}

TEST_F(UringDeviceTest, RefusalsNameCauseAndRemedy) {
  EXPECT_TRUE(RefusalSays(ENOSYS, "use Linux 5.11 or newer"));
  EXPECT_TRUE(RefusalSays(EPERM, "allows io_uring_setup, io_uring_enter and io_uring_register"));
  EXPECT_TRUE(RefusalSays(ENOMEM, "raise it (ulimit -l, LimitMEMLOCK=)"));
  EXPECT_THAT(ExplainUringRefusal(EPERM, 2, 0),
              HasSubstr("kernel.io_uring_disabled=2; set it to 0"));
  EXPECT_THAT(ExplainUringRefusal(ENOMEM, 0, 64 * kKiB), HasSubstr("limit is 64 KiB"));
  EXPECT_THAT(ExplainUringRefusal(EMFILE, 0, 0), HasSubstr("Too many open files"));
}

TEST_F(UringDeviceTest, WithoutRegistrationItWorksAndSaysSo) {
  EXPECT_TRUE(InChild([&] {
    if (!Forbid({SYS_io_uring_register}, EPERM)) return false;
    auto device = Open();
    if (device == nullptr) return false;
    ReadBuffers buffers({.small_count = 4, .large_count_max = 1});
    device->LendBuffers(buffers.small_memory());
    EXPECT_FALSE(device->file_registered());
    EXPECT_FALSE(device->buffers_registered());
    EXPECT_EQ(notes_->lines().size(), 2U);
    ExpectRoundTrip(*device, {buffers.Take(8192), 8192});
    return true;
  }));
}

TEST_F(UringDeviceTest, LowMemlockCostsOnlyTheRegistration) {
  EXPECT_TRUE(InChild([&] {
    const rlimit limit{.rlim_cur = 64 * kKiB, .rlim_max = 64 * kKiB};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0) return false;
    if (geteuid() == 0 && setuid(65534) != 0) return false;
    auto device = Open();
    if (device == nullptr) return false;
    ReadBuffers buffers({.small_count = 64, .large_count_max = 1});
    device->LendBuffers(buffers.small_memory());
    EXPECT_FALSE(device->buffers_registered());
    EXPECT_THAT(::testing::PrintToString(notes_->lines()),
                HasSubstr("read buffers not registered: the locked-memory limit is 64 KiB"));
    ExpectRoundTrip(*device, {buffers.Take(8192), 8192});
    return true;
  }));
}

}  // namespace
}  // namespace flash::io
