// draft_work.h: a write to much of a collection, or of more than a part of the cache, made step by
// step to a draft of the value: long work (long_work.h).
//
// The draft shares everything with the value until the two differ. Each part of the steps waits for
// room and for what it has to read, so that blocks leave RAM while others are made; when all is
// done the draft takes the value's place, if that is still the same, else it is made anew. What
// fails leaves the value as it was. Knows no command. Thread: main. Decision: docs/adr/0012.
#pragma once

#include <memory>

#include "dispatch/long_work.h"

namespace flash::dispatch {

/// What a command does to its value, one step per element, and what it learns by it.
class WriteSteps {
 public:
  WriteSteps() = default;
  WriteSteps(const WriteSteps&) = delete;
  WriteSteps& operator=(const WriteSteps&) = delete;
  virtual ~WriteSteps() = default;

  [[nodiscard]] virtual size_t count() const = 0;
  /// RAM that step `i` takes, about, leaves that it copies included.
  [[nodiscard]] virtual uint64_t BytesOf(size_t i) const = 0;
  /// Names what the steps [begin, end) need, of the value whose word this is.
  virtual void Plan(uint64_t* word, size_t begin, size_t end, values::Missing* missing) = 0;
  virtual void Apply(uint64_t* word, size_t begin, size_t end) = 0;
};

class DraftWork final : public LongWork {
 public:
  /// `value` may be empty: there is no key.
  DraftWork(const values::Collection& value, std::unique_ptr<WriteSteps> steps);

  [[nodiscard]] Progress Step(uint64_t deadline_us, values::Missing* missing) override;
  [[nodiscard]] uint64_t room_bytes() const override;

  /// Is the value still what the draft was made of?
  [[nodiscard]] bool IsOf(const values::Collection& value) const {
    return value.IsStill(frozen_.word());
  }
  [[nodiscard]] WriteSteps& steps() { return *steps_; }
  /// The word of the draft, which is the caller's; once.
  [[nodiscard]] uint64_t TakeDraft() { return draft_.Take(); }

  /// Are `bytes` more than a command may add at once?
  [[nodiscard]] static bool IsLarge(uint64_t bytes);

 private:
  /// Steps that are done together, from part_end_ on.
  void ChoosePart();
  /// They need more than may be held at once.
  void HalvePart();

  Clone frozen_;  // Keeps the nodes of the value from being changed in place.
  Clone draft_;
  std::unique_ptr<WriteSteps> steps_;
  size_t next_ = 0;
  size_t part_end_ = 0;
  uint64_t part_bytes_ = 0;
};

}  // namespace flash::dispatch
