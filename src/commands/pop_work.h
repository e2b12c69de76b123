// pop_work.h: taking much off an end of a list or a sorted set: long work (dispatch/long_work.h).
//
// Reads what goes as a long read does, and makes a draft of what stays where that is more than a
// cut of the tree. Knows no command's arguments. Thread: main. Decision: docs/adr/0012.
#pragma once

#include <memory>

#include "commands/read_work.h"
#include "dispatch/draft_work.h"

namespace flash::commands {

class PopWork final : public RangeRead {
 public:
  struct Wanted {
    Range range;  ///< At an end of the value.
    Shape shape{};
    /// Of what was acknowledged elsewhere nobody reads the reply: it is not made, and never
    /// refused.
    bool replies = true;
  };
  PopWork(const values::Collection& value, const Wanted& wanted);

  [[nodiscard]] Progress Step(uint64_t deadline_us, Missing* missing) override;
  [[nodiscard]] uint64_t room_bytes() const override;
  [[nodiscard]] uint64_t memory_bytes() const override;
  [[nodiscard]] bool is_apart() const override { return false; }

  /// Is the value still what was read?
  [[nodiscard]] bool IsOf(const values::Collection& value) const;
  using ReadWork::refused;
  [[nodiscard]] bool takes_all() const { return takes_all_; }
  /// Of a sorted set of which something stays: the word of the draft, which is the caller's.
  [[nodiscard]] uint64_t TakeDraft() { return draft_->TakeDraft(); }

 protected:
  void ReplyAll(Context& ctx) override { replies_ ? RangeRead::ReplyAll(ctx) : ctx.ReplyArray(0); }

 private:
  Range range_;
  bool takes_all_;
  bool replies_;
  bool reading_;
  std::unique_ptr<dispatch::DraftWork> draft_;  // Of a sorted set.
};

/// Pops what is more than a command pins. Absent: `*work` is done, and not refused; change and
/// reply nothing, or everything.
template <typename Key>
std::optional<Outcome> GatePop(Context& ctx, Key& key, const PopWork::Wanted& wanted,
                               PopWork** work) {
  *work = ctx.DoneWork<PopWork>();
  if (*work == nullptr || !(*work)->IsOf(*key)) {
    if (auto closed = ctx.GateWork(std::make_shared<PopWork>(*key, wanted))) return closed;
    *work = ctx.DoneWork<PopWork>();
  }
  if ((*work)->refused()) return (*work)->Reply(ctx);
  return std::nullopt;
}

}  // namespace flash::commands
