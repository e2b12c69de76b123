// test_disk.cc: see test_disk.h.
//
// Thread: as the header says.
#include "tests/support/test_disk.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "io/flash_file.h"
#include "io/memory_device.h"
#include "io/threads_device.h"
#include "io/uring_device.h"

namespace flash::testing {
namespace {

constexpr size_t kAlignment = 4096;

class MemoryDisk final : public TestDisk {
 public:
  explicit MemoryDisk(uint64_t bytes) : file_(std::make_shared<io::MemoryFile>(bytes)) {}
  io::DeviceFactory* factory() override { return &factory_; }
  size_t ReadAt(uint64_t offset, MutableBytes into) override { return file_->ReadAt(offset, into); }
  size_t WriteAt(uint64_t offset, Bytes from) override { return file_->WriteAt(offset, from); }

 private:
  std::shared_ptr<io::MemoryFile> file_;
  io::MemoryDeviceFactory factory_{file_, {}};
};

class FileDisk final : public TestDisk {
 public:
  FileDisk() {
    std::string name = ::testing::TempDir() + "flash-disk-XXXXXX";
    FLASH_CHECK(mkdtemp(name.data()) != nullptr);
    folder_ = name;
  }
  ~FileDisk() override {
    factory_.reset();
    file_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  FileDisk(const FileDisk&) = delete;
  FileDisk& operator=(const FileDisk&) = delete;

  /// False: no such device.
  bool Open(DiskKind kind, uint64_t bytes) {
    auto file = io::FlashFile::Open({.path = folder_ + "/tier", .capacity_bytes = bytes});
    FLASH_CHECK(file.ok());
    file_ = std::move(file).Take();
    if (kind == DiskKind::kUring) {
      factory_ = std::make_unique<io::UringDeviceFactory>(file_.get(), io::UringDevice::Options{});
      return factory_->Make().ok();
    }
    auto threads = io::TransferThreads::Start({.threads_max = 8});
    FLASH_CHECK(threads.ok());
    factory_ = std::make_unique<io::ThreadsDeviceFactory>(file_.get(), io::ThreadsDevice::Options{},
                                                          std::move(threads).Take());
    return true;
  }

  io::DeviceFactory* factory() override { return factory_.get(); }
  size_t ReadAt(uint64_t offset, MutableBytes into) override {
    const Pages pages(offset, into.size());
    const ssize_t count = pread(file_->fd(), pages.memory, pages.bytes, At(pages.start));
    if (count <= static_cast<ssize_t>(pages.skip)) return 0;
    const size_t copied = std::min(into.size(), static_cast<size_t>(count) - pages.skip);
    std::memcpy(into.data(), pages.memory + pages.skip, copied);
    return copied;
  }
  size_t WriteAt(uint64_t offset, Bytes from) override {
    if (offset >= file_->capacity_bytes()) return 0;
    const size_t bytes = std::min<uint64_t>(from.size(), file_->capacity_bytes() - offset);
    const Pages pages(offset, bytes);
    // What shares a page with it stays.
    const auto got = pread(file_->fd(), pages.memory, pages.bytes, At(pages.start));
    FLASH_CHECK(got == static_cast<ssize_t>(pages.bytes));
    std::memcpy(pages.memory + pages.skip, from.data(), bytes);
    const auto put = pwrite(file_->fd(), pages.memory, pages.bytes, At(pages.start));
    return put == static_cast<ssize_t>(pages.bytes) ? bytes : 0;
  }

 private:
  /// Whole pages around a range, for a file that may demand them.
  struct Pages {
    Pages(uint64_t offset, size_t length)
        : start(base::AlignDown(offset, kAlignment)),
          skip(offset - start),
          bytes(base::AlignUp(skip + length, kAlignment)),
          memory(static_cast<std::byte*>(std::aligned_alloc(kAlignment, bytes))) {}
    ~Pages() { std::free(memory); }
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;

    uint64_t start;
    size_t skip;
    size_t bytes;
    std::byte* memory;
  };
  [[nodiscard]] off_t At(uint64_t offset) const { return static_cast<off_t>(offset); }

  std::string folder_;
  std::unique_ptr<io::FlashFile> file_;
  std::unique_ptr<io::DeviceFactory> factory_;
};

}  // namespace

void PrintTo(DiskKind kind, std::ostream* out) {
  *out << (kind == DiskKind::kMemory ? "memory" : kind == DiskKind::kUring ? "uring" : "threads");
}

std::unique_ptr<TestDisk> TestDisk::Make(DiskKind kind, uint64_t bytes) {
  if (kind == DiskKind::kMemory) return std::make_unique<MemoryDisk>(bytes);
  auto disk = std::make_unique<FileDisk>();
  if (!disk->Open(kind, bytes)) return nullptr;
  return disk;
}

}  // namespace flash::testing
