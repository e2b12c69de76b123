// page_source.cc: one read at a time into the window; see page_source.h.
// A read that never came back may still be written to: the window is then left to it.
// Thread: one owner.
#include "log/page_source.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "log/left_behind.h"

namespace flash::log {
namespace {

constexpr size_t kReadBytes = 1 * kMiB;
constexpr uint64_t kAlignment = 4096;

}  // namespace

PageSource::PageSource(std::unique_ptr<io::Device> device, uint64_t file_bytes, uint64_t timeout_us,
                       const base::Clock* clock)
    : device_(std::move(device)),
      file_bytes_(file_bytes),
      timeout_us_(timeout_us),
      clock_(clock),
      window_(static_cast<std::byte*>(std::aligned_alloc(kAlignment, kWindowBytes))) {
  FLASH_CHECK(window_ != nullptr);
}

PageSource::~PageSource() {
  if (device_->inflight() == 0) return;
  LeaveBehind(std::move(window_));
  LeaveBehind(std::move(device_));
}

Result<size_t> PageSource::ReadOnce(uint64_t offset, std::byte* into, size_t bytes) {
  const uint64_t token = ++tokens_;
  if (!device_->Submit({.op = io::Op::kRead,
                        .offset = offset,
                        .data = into,
                        .bytes = static_cast<uint32_t>(bytes),
                        .token = token})) {
    return Error{Code::kIo, "the device takes no read"};
  }
  const uint64_t began = clock_->NowUs();
  for (uint64_t waited = 0; waited < timeout_us_; waited = clock_->NowUs() - began) {
    io::Completion done;
    if (device_->Reap({&done, 1}, timeout_us_ - waited) == 0 || done.token != token) continue;
    if (done.result < 0) return Error{Code::kIo, std::strerror(-done.result)};
    return static_cast<size_t>(done.result);
  }
  return Error{Code::kTimeout, "the device does not answer"};
}

Result<void> PageSource::Fill(uint64_t offset, size_t bytes) {
  if (device_->inflight() > 0) return Error{Code::kTimeout, "the device does not answer"};
  length_ = 0;
  start_ = offset;
  while (length_ < bytes) {
    auto count = ReadOnce(start_ + length_, window_.get() + length_, bytes - length_);
    if (!count) return count.error();
    const size_t whole = base::AlignDown(*count, kAlignment);
    if (whole == 0) return Error{Code::kIo, "the file ends early"};
    length_ += whole;
  }
  return {};
}

Result<Bytes> PageSource::View(uint64_t offset, size_t bytes) {
  FLASH_CHECK(bytes <= kWindowBytes / 2);
  const uint64_t end = base::AlignDown(file_bytes_, kAlignment);
  if (offset >= end) return Bytes{};
  const size_t wanted = std::min<uint64_t>(bytes, end - offset);
  if (offset < start_ || offset + wanted > start_ + length_) {
    const uint64_t start = base::AlignDown(offset, kAlignment);
    const uint64_t need = base::AlignUp(offset + wanted, kAlignment) - start;
    const uint64_t length = std::min(std::max<uint64_t>(need, kReadBytes), end - start);
    if (auto filled = Fill(start, length); !filled) {
      length_ = 0;
      return filled.error();
    }
  }
  return Bytes{window_.get() + (offset - start_), wanted};
}

}  // namespace flash::log
