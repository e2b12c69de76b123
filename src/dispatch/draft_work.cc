// draft_work.cc: see draft_work.h.
//
// Thread: main.
#include "dispatch/draft_work.h"

#include <algorithm>
#include <utility>

#include "server/events.h"

namespace flash::dispatch {

bool DraftWork::IsLarge(uint64_t bytes) { return bytes > server::CacheBytesInForce() / 4; }

DraftWork::DraftWork(const values::Collection& value, std::unique_ptr<WriteSteps> steps)
    : frozen_(value, value.kind()), draft_(value, value.kind()), steps_(std::move(steps)) {
  ChoosePart();
}

void DraftWork::ChoosePart() {
  part_bytes_ = 0;
  const uint64_t most = PortionBytes();
  while (part_end_ < steps_->count()) {
    const uint64_t bytes = steps_->BytesOf(part_end_);
    if (part_bytes_ > 0 && part_bytes_ + bytes > most) return;
    part_bytes_ += bytes;
    ++part_end_;
  }
}

void DraftWork::HalvePart() {
  part_end_ = next_ + (part_end_ - next_) / 2;
  part_bytes_ = 0;
  for (size_t i = next_; i < part_end_; ++i) part_bytes_ += steps_->BytesOf(i);
}

/// One element may be larger than the cache: it leaves again as blocks of its own.
uint64_t DraftWork::room_bytes() const {
  return std::min(part_bytes_, server::CacheBytesInForce() / 2);
}

DraftWork::Progress DraftWork::Step(uint64_t /*deadline_us*/, values::Missing* missing) {
  if (next_ == steps_->count()) return Progress::kDone;
  while (true) {
    steps_->Plan(draft_.mutable_word(), next_, part_end_, missing);
    if (part_end_ - next_ == 1 || !IsMoreThanPortion(missing)) break;
    HalvePart();
    missing->Clear();
  }
  if (!missing->empty()) return Progress::kMissing;
  steps_->Apply(draft_.mutable_word(), next_, part_end_);
  next_ = part_end_;
  ChoosePart();
  return next_ == steps_->count() ? Progress::kDone : Progress::kMore;
}

}  // namespace flash::dispatch
