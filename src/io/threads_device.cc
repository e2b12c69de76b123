// threads_device.cc: collects transfers for the pool and takes their ends; see threads_device.h.
//
// Thread: as the header says.
#include "io/threads_device.h"

#include <array>
#include <utility>

namespace flash::io {

ThreadsDevice::ThreadsDevice(const Target& file, const Options& options,
                             std::shared_ptr<TransferThreads> threads)
    : options_(options), threads_(std::move(threads)), fd_(file.fd), alignment_(file.alignment) {}

ThreadsDevice::~ThreadsDevice() {
  inflight_ -= queued_.size();
  threads_->Cancel(mailbox_.get());
  // What a thread has begun cannot be called back, and uses memory that goes after the device.
  constexpr uint64_t kWaitUs = 1'000'000;
  std::array<Completion, 16> ended;
  while (inflight_ > 0) inflight_ -= mailbox_->Await(ended, kWaitUs);
}

bool ThreadsDevice::Submit(const Request& request) {
  if (inflight_ >= options_.entries) return false;
  queued_.push_back(
      {.request = request, .fd = fd_, .file_offset = request.offset, .mailbox = mailbox_});
  ++inflight_;
  return true;
}

void ThreadsDevice::Flush() {
  if (queued_.empty()) return;
  threads_->Add(queued_);
  queued_.clear();
}

size_t ThreadsDevice::Reap(std::span<Completion> out, uint64_t wait_us) {
  Flush();
  size_t taken = mailbox_->Take(out);
  if (taken == 0 && wait_us > 0) taken = mailbox_->Await(out, wait_us);
  inflight_ -= taken;
  return taken;
}

bool ThreadsDevice::NotifyBy(int event_fd) {
  FLASH_CHECK(inflight_ == 0);
  return mailbox_->NotifyBy(event_fd);
}

Result<std::unique_ptr<Device>> ThreadsDeviceFactory::Make() {
  return std::unique_ptr<Device>(
      std::make_unique<ThreadsDevice>(file_->target(), options_, threads_));
}

}  // namespace flash::io
