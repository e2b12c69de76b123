// range_reader.cc: see range_reader.h. A token is the number of a batch and of a range in it.
//
// Thread: one.
#include "io/range_reader.h"

#include <algorithm>
#include <array>
#include <utility>

namespace flash::io {
namespace {

constexpr uint64_t kWaitUsMax = 100'000;
constexpr int kRangeBits = 24;
constexpr uint64_t kRangeMask = (uint64_t{1} << kRangeBits) - 1;

}  // namespace

void RangeReader::Start(std::span<const Range> ranges) {
  FLASH_CHECK(ranges.size() <= kRangeMask);
  Batch& batch = batches_.emplace_back();
  batch.left.assign(ranges.begin(), ranges.end());
  batch.pending = ranges.size();
  if (!hung_) Submit();
}

bool RangeReader::SubmitOne(size_t batch, size_t range) {
  const Range& wanted = batches_[batch].left[range];
  return device_->Submit({.op = Op::kRead,
                          .offset = wanted.offset,
                          .data = wanted.into.data(),
                          .bytes = static_cast<uint32_t>(wanted.into.size()),
                          .token = (first_batch_ + batch) << kRangeBits | range});
}

void RangeReader::Submit() {
  while (!again_.empty()) {
    const auto [batch, range] = again_.back();
    if (!SubmitOne(batch - first_batch_, range)) return device_->Flush();
    again_.pop_back();
  }
  for (size_t i = 0; i < batches_.size(); ++i) {
    Batch& batch = batches_[i];
    while (batch.next < batch.left.size()) {
      if (!SubmitOne(i, batch.next)) return device_->Flush();
      ++batch.next;
    }
  }
  device_->Flush();
}

void RangeReader::OnCompletion(const Completion& completion) {
  const uint64_t number = completion.token >> kRangeBits;
  const size_t index = completion.token & kRangeMask;
  Batch& batch = batches_[number - first_batch_];
  Range& range = batch.left[index];
  if (completion.result > 0) {
    const auto read = static_cast<size_t>(completion.result);
    if (read >= range.into.size()) {
      --batch.pending;
      return;
    }
    // What follows a short read must be aligned again.
    const size_t aligned = base::AlignDown(read, device_->alignment());
    if (aligned > 0) {
      range.offset += aligned;
      range.into = range.into.subspan(aligned);
      again_.emplace_back(number, index);
      return;
    }
  }
  batch.failed = true;
  --batch.pending;
}

Result<void> RangeReader::Finish() {
  FLASH_CHECK(!batches_.empty());
  std::array<Completion, 64> completions;
  const uint64_t wait_us = std::min(kWaitUsMax, options_.timeout_us / 10);
  uint64_t since_us = clock_.NowUs();
  while (!hung_ && batches_.front().pending > 0) {
    const size_t count = device_->Reap(completions, wait_us);
    for (size_t i = 0; i < count; ++i) OnCompletion(completions[i]);
    Submit();
    const uint64_t now_us = clock_.NowUs();
    if (count > 0) since_us = now_us;
    hung_ = count == 0 && now_us - since_us >= options_.timeout_us;
  }
  const bool failed = batches_.front().failed;
  if (hung_) return Code::kTimeout;  // Batches stay: their memory is not the caller's yet.
  batches_.pop_front();
  ++first_batch_;
  if (failed) return Code::kIo;
  return {};
}

}  // namespace flash::io
