// segment_walk.cc: see segment_walk.h. After a bad record it looks for the next good one at every
// unit; that costs a hash wherever a header happens to be plausible, so the hashing is bounded:
// once the budget is spent only multiples of the alignment, where chunks begin, are tried. Thread:
// any.
#include "store/segment_walk.h"

#include <algorithm>
#include <cstring>

namespace flash::store {
namespace {

/// Bytes that may be hashed in vain, per byte walked.
constexpr uint64_t kResyncBudgetFactor = 4;

class Walker {
 public:
  Walker(const WalkInput& input, MutableBytes to) : input_(input), to_(to) {
    bytes_end_ = std::min(input.offset + input.bytes.size(), input.segment_end);
    resync_budget_ = kResyncBudgetFactor * input.bytes.size();
    synchronised_ = !input.in_the_middle;
  }

  WalkOutput Run() {
    uint64_t at = input_.first_offset;
    while (at < bytes_end_) {
      const Bytes rest = BytesAt(at);
      if (synchronised_ && IsChunkEnd(rest)) {
        at = base::AlignUp(at + 1, input_.alignment);
        continue;
      }
      const auto header = ReadHeader(rest);
      if (CrossesEnd(header, at)) break;  // Whole in the next stretch, if it is a record.
      if (header && Take(*header, at)) {
        at += header->record_bytes();
        continue;
      }
      at = StepOver(at);
    }
    output_.next_offset = at < bytes_end_ ? at : std::min(at, input_.segment_end);
    return output_;
  }

 private:
  [[nodiscard]] Bytes BytesAt(uint64_t at) const {
    return input_.bytes.subspan(at - input_.offset, bytes_end_ - at);
  }

  /// Does the record go on behind these bytes, in a part of the segment that was written?
  [[nodiscard]] bool CrossesEnd(const std::optional<RecordHeader>& header, uint64_t at) const {
    if (at == input_.first_offset || bytes_end_ == input_.segment_end) return false;
    if (bytes_end_ - at < kRecordHeaderBytes) return true;
    if (!header) return false;
    const uint64_t end = at + header->record_bytes();
    return end > bytes_end_ && end <= input_.segment_end;
  }

  [[nodiscard]] bool Take(const RecordHeader& header, uint64_t at) {
    const uint32_t bytes = header.record_bytes();
    const Bytes rest = BytesAt(at);
    if (bytes > rest.size() || !VerifyRecord(rest, at, input_.context)) {
      resync_budget_ -= std::min<uint64_t>(resync_budget_, std::min<size_t>(bytes, rest.size()));
      return false;
    }
    FLASH_CHECK(output_.copied_bytes + bytes <= to_.size());
    std::byte* copy = to_.data() + output_.copied_bytes;
    std::memcpy(copy, rest.data(), bytes);
    base::StoreLe(copy, at);
    output_.copied_bytes += bytes;
    ++output_.records;
    synchronised_ = true;
    return true;
  }

  [[nodiscard]] uint64_t StepOver(uint64_t at) {
    synchronised_ = false;
    const uint64_t step = resync_budget_ > 0 ? kUnitBytes : input_.alignment;
    const uint64_t next = std::min(base::AlignUp(at + 1, step), bytes_end_);
    output_.corrupt_bytes += static_cast<uint32_t>(next - at);
    return next;
  }

  const WalkInput& input_;
  MutableBytes to_;
  uint64_t bytes_end_ = 0;
  uint64_t resync_budget_ = 0;
  bool synchronised_ = true;
  WalkOutput output_;
};

}  // namespace

WalkOutput CollectRecords(const WalkInput& input, MutableBytes to) {
  return Walker(input, to).Run();
}

}  // namespace flash::store
