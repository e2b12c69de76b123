// uring_device_test.cc: io_uring with and without what the kernel may refuse.
//
// Refusals are made by seccomp filters and limits in forked children (uring_refusal.h). What it has
// in common with other devices is in device_contract_test.cc. Thread: the test's.
#include "io/uring_device.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "io/io_test_support.h"
#include "io/read_buffers.h"
#include "io/uring_refusal.h"

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
    const auto at = static_cast<off_t>(64 * kKiB);
    const AlignedMemory aligned = MakeAligned(memory.size());
    EXPECT_EQ(pread(file_->fd(), aligned.get(), memory.size(), at), bytes);
    EXPECT_TRUE(IsPattern(64 * kKiB, {aligned.get(), memory.size()}));
  }
  bool RefusalSays(std::initializer_list<int> numbers, int error, const std::string& words) {
    return InChild([&] {
      if (!Forbid(numbers, error)) return false;
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

TEST_F(UringDeviceTest, RefusalsNameCauseAndRemedy) {
  EXPECT_TRUE(RefusalSays({SYS_io_uring_setup}, ENOSYS, "use Linux 5.11 or newer"));
  EXPECT_TRUE(RefusalSays({SYS_io_uring_setup}, EPERM,
                          "allows io_uring_setup, io_uring_enter and io_uring_register"));
  EXPECT_TRUE(RefusalSays({SYS_io_uring_setup}, ENOMEM, "raise it (ulimit -l, LimitMEMLOCK=)"));
  // A ring that may be made but not used is no ring.
  EXPECT_TRUE(RefusalSays({SYS_io_uring_enter}, EPERM, "allows io_uring_setup, io_uring_enter"));
  EXPECT_TRUE(RefusalSays({SYS_io_uring_enter}, ENOSYS, "use Linux 5.11 or newer"));
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
