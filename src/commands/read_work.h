// read_work.h: replies of any size, read from a frozen value portion by portion: long work.
//
// The reply is that of the moment at which the value was frozen. It grows in a log, and is refused
// as soon as it is known to be larger than a reply may be (flash.max-reply-bytes). Know no
// command's arguments. Thread: main. Decision: docs/adr/0012.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "commands/collection_parts.h"
#include "dispatch/long_work.h"
#include "dispatch/reply_log.h"
#include "values/element_walk.h"

namespace flash::commands {

class ReadWork : public dispatch::LongWork {
 public:
  ReadWork(const values::Collection& value, values::CollectionKind kind);

  /// Of a work that is done: the reply, or that it is too large.
  Outcome Reply(Context& ctx);

  [[nodiscard]] bool is_apart() const override { return true; }
  [[nodiscard]] uint64_t memory_bytes() const override;
  [[nodiscard]] Copies TakeCopies() override;

 protected:
  /// Replies all that was read, and gives it up.
  virtual void ReplyAll(Context& ctx) = 0;

  /// At the beginning of each step.
  void BeginStep() { step_begin_bytes_ = built_bytes_; }
  /// The step has taken its time, or all the memory that it was given.
  [[nodiscard]] bool StepIsOver(uint64_t deadline_us);
  /// May elements of so many bytes be added now? If not, the step ends: refused(), or kMore.
  [[nodiscard]] bool Admits(uint64_t bytes);
  /// Is a reply of at least so many bytes allowed? If not: refused() from now on.
  [[nodiscard]] bool Allows(uint64_t bytes);
  [[nodiscard]] bool refused() const { return refused_bytes_ != 0; }

  /// Adds an admitted element; what of it lies in blocks of its own is copied after this step.
  dispatch::ReplyLog::Place Add(dispatch::ReplyLog* log, const Element& element);
  void NoteAdded(uint64_t bytes) { built_bytes_ += bytes; }
  [[nodiscard]] bool copies_due() const { return copied_bytes_due_ >= copies_bytes_max_; }
  [[nodiscard]] bool copies_pending() const { return next_copy_ < copies_.size(); }
  /// A step that has come to the end.
  [[nodiscard]] Progress End() {
    return Allows(built_bytes_) && copies_pending() ? Progress::kCopies : Progress::kDone;
  }
  /// A step that cannot go on for now.
  [[nodiscard]] Progress Pause() const { return refused() ? Progress::kDone : Progress::kMore; }

  [[nodiscard]] dispatch::Clone& frozen() { return frozen_; }
  [[nodiscard]] const dispatch::Clone& frozen() const { return frozen_; }

 private:
  dispatch::Clone frozen_;
  const uint64_t copies_bytes_max_;
  std::vector<dispatch::BlockCopy> copies_;
  size_t next_copy_ = 0;
  uint64_t copied_bytes_due_ = 0;
  uint64_t built_bytes_ = 0;
  uint64_t step_begin_bytes_ = 0;
  uint64_t wanted_bytes_ = 0;  // For one large element, which waits for memory.
  uint64_t refused_bytes_ = 0;
  uint64_t allowed_bytes_ = 0;
  uint32_t looks_ = 0;
};

/// The elements of ranks [begin, end).
class RangeRead : public ReadWork {
 public:
  enum class Shape : uint8_t {
    kElements,  ///< Of a list; members of a sorted set.
    kPairs,     ///< Fields and values: a map.
    kScored,    ///< Members with scores: flat, in RESP3 in pairs.
  };
  struct Range {
    uint64_t begin = 0;
    uint64_t end = 0;
    bool reverse = false;
  };
  RangeRead(const values::Collection& value, values::CollectionKind kind, const Range& range,
            Shape shape);

  [[nodiscard]] Progress Step(uint64_t deadline_us, Missing* missing) override;

 protected:
  void ReplyAll(Context& ctx) override;

 private:
  /// Adds up what the reply takes at least; false: not done yet.
  [[nodiscard]] bool Measure(uint64_t deadline_us);
  [[nodiscard]] uint64_t LeastBytesOf(values::LeafRef leaf) const;
  /// False: not admitted.
  [[nodiscard]] bool AddEntry(const values::EntryView& entry);

  values::Collection value_;
  Shape shape_;
  uint64_t count_;
  dispatch::ReplyLog log_;
  values::ElementWalk walk_;
  // Of Measure.
  bool measured_ = false;
  values::Path measured_path_;
  uint64_t measured_left_;
  uint64_t least_bytes_ = 0;
};

/// One large element of a value.
class ElementRead final : public ReadWork {
 public:
  ElementRead(const values::Collection& value, values::CollectionKind kind, const Element& element)
      : ReadWork(value, kind), stored_(base::AsText(element.bytes)) {}

  [[nodiscard]] Progress Step(uint64_t deadline_us, Missing* missing) override;

 protected:
  void ReplyAll(Context& ctx) override { log_.ReplyTo(ctx); }

 private:
  std::string stored_;  // The leaf's bytes about it.
  bool added_ = false;
  dispatch::ReplyLog log_;
};

/// The gate in front of a long read, and its reply.
[[nodiscard]] Outcome ReadLong(Context& ctx, std::shared_ptr<ReadWork> work);

/// Names what reading the elements [begin, end) needs, as PlanRead does. True: that is more than a
/// command pins, or its reply may be more than is allowed; RangeRead does it.
[[nodiscard]] bool IsLongRead(const values::Collection& value, uint64_t begin, uint64_t end,
                              Missing* missing);

/// Names the blocks of an element. True: they are too many, or too large; ElementRead does it.
[[nodiscard]] bool IsLongElement(const Element& element, Missing* missing);

/// Is what a command has named more than it pins, or may a reply of up to so many bytes, large
/// elements aside, be too large?
[[nodiscard]] bool IsTooMuch(Missing* missing, uint64_t reply_bytes_max);

/// Most bytes of a reply of so many elements that lie in leaves.
[[nodiscard]] inline uint64_t ReplyBytesMaxOf(uint64_t elements) {
  constexpr uint64_t kOverhead = 16;
  return elements * (server::TheEnv().inline_bytes_max + kOverhead);
}

}  // namespace flash::commands
