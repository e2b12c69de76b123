// memory_device.cc: pages under a mutex, transfers done at Flush; see memory_device.h.
// A waiting Reap sleeps on an eventfd, the same way a real device does, so that the threads above
// it behave alike in tests. Thread: as the header says.
#include "io/memory_device.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "io/wait.h"

namespace flash::io {

size_t MemoryFile::ReadAt(uint64_t offset, MutableBytes into) const {
  const std::lock_guard lock(mutex_);
  if (offset >= bytes_) return 0;
  const size_t total = std::min<uint64_t>(into.size(), bytes_ - offset);
  for (size_t done = 0; done < total;) {
    const uint64_t at = offset + done;
    const uint64_t within = at % kPageBytes;
    const size_t piece = std::min<uint64_t>(total - done, kPageBytes - within);
    const auto page = pages_.find(at / kPageBytes);
    if (page == pages_.end()) {
      std::memset(into.data() + done, 0, piece);
    } else {
      std::memcpy(into.data() + done, page->second->data() + within, piece);
    }
    done += piece;
  }
  return total;
}

std::byte* MemoryFile::At(uint64_t offset) {
  std::unique_ptr<Page>& page = pages_[offset / kPageBytes];
  if (page == nullptr) page = std::make_unique<Page>();
  return page->data() + offset % kPageBytes;
}

size_t MemoryFile::WriteAt(uint64_t offset, Bytes from, bool durable) {
  const std::lock_guard lock(mutex_);
  if (offset >= bytes_) return 0;
  const size_t total = std::min<uint64_t>(from.size(), bytes_ - offset);
  if (cached_) RememberSectors(offset, total, durable);
  for (size_t done = 0; done < total;) {
    const uint64_t at = offset + done;
    const size_t piece = std::min<uint64_t>(total - done, kPageBytes - at % kPageBytes);
    std::memcpy(At(at), from.data() + done, piece);
    done += piece;
  }
  return total;
}

void MemoryFile::RememberSectors(uint64_t offset, uint64_t bytes, bool durable) {
  const uint64_t end = base::AlignUp(offset + bytes, kSectorBytes);
  for (uint64_t at = base::AlignDown(offset, kSectorBytes); at < end; at += kSectorBytes) {
    if (durable) {
      older_.erase(at / kSectorBytes);
      continue;
    }
    Sector now;
    std::memcpy(now.data(), At(at), kSectorBytes);
    older_[at / kSectorBytes].push_back(now);
  }
}

void MemoryFile::KeepCache() {
  const std::lock_guard lock(mutex_);
  cached_ = true;
}

void MemoryFile::Sync() {
  const std::lock_guard lock(mutex_);
  older_.clear();
}

size_t MemoryFile::unsynced_sectors() const {
  const std::lock_guard lock(mutex_);
  return older_.size();
}

void MemoryFile::LosePowerAfter(uint64_t count) {
  const std::lock_guard lock(mutex_);
  power_ends_ = true;
  power_left_ = count;
}

bool MemoryFile::power_lost() const {
  const std::lock_guard lock(mutex_);
  return power_ends_ && power_left_ == 0;
}

uint64_t MemoryFile::power_left() const {
  const std::lock_guard lock(mutex_);
  return power_left_;
}

MemoryFile::Power MemoryFile::SpendPower() {
  const std::lock_guard lock(mutex_);
  if (!power_ends_) return Power::kOn;
  if (power_left_ == 0) return Power::kLost;
  return --power_left_ == 0 ? Power::kGoing : Power::kOn;
}

void MemoryFile::CutPower(base::Random& random) {
  const std::lock_guard lock(mutex_);
  for (auto& [sector, contents] : older_) {
    const uint64_t kept = random.Below(contents.size() + 1);
    if (kept == contents.size()) continue;  // The newest, which is there.
    std::memcpy(At(sector * kSectorBytes), contents[kept].data(), kSectorBytes);
  }
  older_.clear();
  power_ends_ = false;
}

void MemoryFile::Resize(uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (bytes < bytes_) {
    std::erase_if(pages_, [&](const auto& entry) { return entry.first * kPageBytes >= bytes; });
    const auto last = pages_.find(bytes / kPageBytes);
    if (last != pages_.end()) {
      const uint64_t kept = bytes % kPageBytes;
      std::memset(last->second->data() + kept, 0, kPageBytes - kept);
    }
  }
  bytes_ = bytes;
}

uint64_t MemoryFile::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

MemoryDevice::MemoryDevice(std::shared_ptr<MemoryFile> file, const Options& options)
    : file_(std::move(file)), options_(options), wake_fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  FLASH_CHECK(wake_fd_ >= 0);
}

MemoryDevice::~MemoryDevice() { close(wake_fd_); }

bool MemoryDevice::Submit(const Request& request) {
  FLASH_CHECK(request.offset % options_.alignment == 0);
  FLASH_CHECK(request.bytes % options_.alignment == 0);
  FLASH_CHECK(reinterpret_cast<uintptr_t>(request.data) % options_.alignment == 0);
  if (inflight() >= options_.entries) return false;
  queued_.push_back(request);
  return true;
}

void MemoryDevice::Flush() {
  for (const Request& request : queued_) {
    finished_.push_back({.token = request.token, .result = Transfer(request)});
  }
  queued_.clear();
}

int32_t MemoryDevice::Transfer(const Request& request) {
  if (request.op == Op::kRead) {
    if (file_->power_lost()) return -EIO;
    return static_cast<int32_t>(file_->ReadAt(request.offset, {request.data, request.bytes}));
  }
  const MemoryFile::Power power = file_->SpendPower();
  if (power == MemoryFile::Power::kLost) return -EIO;
  const bool durable = power == MemoryFile::Power::kOn;
  if (request.op == Op::kSync) {
    if (durable) file_->Sync();
    return durable ? 0 : -EIO;
  }
  const size_t written =
      file_->WriteAt(request.offset, {request.data, request.bytes}, request.durable && durable);
  if (!durable) return -EIO;  // Begun when the power went: some of its sectors may be there.
  return written == 0 && request.bytes > 0 ? -ENOSPC : static_cast<int32_t>(written);
}

size_t MemoryDevice::Reap(std::span<Completion> out, uint64_t wait_us) {
  Flush();
  if (finished_.empty() && wait_us > 0 && WaitReadable(wake_fd_, wait_us)) DrainEventFd(wake_fd_);
  const size_t count = std::min(out.size(), finished_.size());
  std::copy_n(finished_.begin(), count, out.begin());
  finished_.erase(finished_.begin(), finished_.begin() + static_cast<ptrdiff_t>(count));
  return count;
}

void MemoryDevice::Wake() { SignalEventFd(wake_fd_); }

Result<std::unique_ptr<Device>> MemoryDeviceFactory::Make() {
  return std::unique_ptr<Device>(std::make_unique<MemoryDevice>(file_, options_));
}

}  // namespace flash::io
