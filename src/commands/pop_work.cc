// pop_work.cc: see pop_work.h.
//
// Thread: main.
#include "commands/pop_work.h"

#include "values/zset_value.h"

namespace flash::commands {
namespace {

using values::CollectionKind;

/// Elements that leave an end of a sorted set, each of which has an entry somewhere in the index.
class PopSteps final : public dispatch::WriteSteps {
 public:
  explicit PopSteps(const RangeRead::Range& range)
      : count_(range.end - range.begin), lowest_(range.begin == 0) {}
  [[nodiscard]] size_t count() const override { return count_; }
  [[nodiscard]] uint64_t BytesOf(size_t /*i*/) const override { return kCopiedLeafBytes; }
  void Plan(uint64_t* word, size_t begin, size_t end, Missing* missing) override {
    values::ZSetValue set(server::TheEnv(), word);
    const uint64_t from = From(set, end - begin);
    set.PlanEraseRange(from, from + end - begin, missing);
  }
  void Apply(uint64_t* word, size_t begin, size_t end) override {
    values::ZSetValue set(server::TheEnv(), word);
    const uint64_t from = From(set, end - begin);
    set.EraseRange(from, from + end - begin);
  }

 private:
  [[nodiscard]] uint64_t From(const values::ZSetValue& set, uint64_t count) const {
    return lowest_ ? 0 : set.size() - count;
  }
  size_t count_;
  bool lowest_;
};

}  // namespace

PopWork::PopWork(const values::Collection& value, const Wanted& wanted)
    : RangeRead(value, value.kind(), wanted.range, wanted.shape),
      range_(wanted.range),
      takes_all_(range_.end - range_.begin == value.size()),
      replies_(wanted.replies),
      reading_(wanted.replies) {
  if (value.kind() != CollectionKind::kZSet || takes_all_) return;
  draft_ = std::make_unique<dispatch::DraftWork>(value, std::make_unique<PopSteps>(range_));
}

PopWork::Progress PopWork::Step(uint64_t deadline_us, Missing* missing) {
  if (reading_) {
    const Progress progress = RangeRead::Step(deadline_us, missing);
    if (progress != Progress::kDone || refused()) return progress;
    reading_ = false;
  }
  return draft_ == nullptr ? Progress::kDone : draft_->Step(deadline_us, missing);
}

uint64_t PopWork::room_bytes() const {
  return reading_ || draft_ == nullptr ? 0 : draft_->room_bytes();
}

uint64_t PopWork::memory_bytes() const { return reading_ ? ReadWork::memory_bytes() : 0; }

bool PopWork::IsOf(const values::Collection& value) const { return value.IsStill(frozen().word()); }

}  // namespace flash::commands
