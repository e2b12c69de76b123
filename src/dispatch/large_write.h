// large_write.h: a write of one collection that takes more than a part of the cache, made step by
// step to a copy of the value.
//
// The copy shares everything with the value until the two differ. Each part of the steps waits for
// room and for what it has to read, so that blocks leave RAM while others are made; when all is
// done the copy takes the value's place, if that is still the same, else it is made anew. What
// fails leaves the value as it was. Knows no command. Thread: main. Decision: docs/adr/0018.
#pragma once

#include <functional>
#include <memory>

#include "server/background.h"
#include "server/value_env.h"
#include "values/collection.h"

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

class LargeWrite final : public server::BackgroundJob {
 public:
  struct Wanted {
    values::CollectionKind kind{};
    uint64_t word = 0;  ///< The value as it is, 0 for none.
    std::shared_ptr<WriteSteps> steps;
    bool must = false;  ///< Was acknowledged once: goes beyond the bound where there is no room.
  };
  /// `done` runs once, from Step, unless cancelled before.
  LargeWrite(Wanted wanted, std::function<void()> done);
  ~LargeWrite() override;

  [[nodiscard]] Progress Step(uint64_t deadline_us) override;
  /// Everything at once, waiting on this thread.
  void RunNow(blocks::WaitCause cause);
  void Cancel() { cancelled_ = true; }

  /// Of a finished job. Errors: kNoSpace; of reads.
  [[nodiscard]] Result<void> outcome() const { return outcome_; }
  /// Is the value with this word still what the copy was made of?
  [[nodiscard]] bool IsOf(uint64_t word) const;
  [[nodiscard]] WriteSteps& steps() { return *wanted_.steps; }
  /// The word of the copy, which is the caller's; once.
  [[nodiscard]] uint64_t TakeWord();

  /// Are `bytes` more than a command may add at once?
  [[nodiscard]] static bool IsLarge(uint64_t bytes);

 private:
  [[nodiscard]] bool AtEnd() const { return next_ == wanted_.steps->count() || !outcome_; }
  /// Steps that are done together, from next_ on.
  void ChoosePart();
  [[nodiscard]] Result<void> Admit() const;
  void ApplyPart();
  [[nodiscard]] uint64_t Clone(values::Collection::Holder holder);

  Wanted wanted_;
  std::function<void()> done_;
  uint64_t base_ = 0;  // As the value was; keeps its nodes from being changed in place.
  uint64_t word_ = 0;  // The copy.
  size_t next_ = 0;
  size_t part_end_ = 0;
  uint64_t part_bytes_ = 0;
  blocks::Fetch pins_;
  uint64_t stuck_since_us_ = 0;
  Result<void> outcome_;
  bool cancelled_ = false;
};

}  // namespace flash::dispatch
