// erase_steps.h: taking many fields or members out of a value: the steps of a draft.
//
// In the order of their hashes, so that each leaf is come to once. Knows no command's replies.
// Thread: main.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "commands/collection_parts.h"
#include "dispatch/draft_work.h"

namespace flash::commands {

/// `Value`: HashValue or ZSetValue.
template <typename Value>
class EraseSteps final : public dispatch::WriteSteps {
 public:
  /// The elements are the arguments from `first` on; each makes that many leaves the draft's own.
  EraseSteps(const Context& ctx, int first, uint32_t leaves) : leaves_(leaves) {
    for (int i = first; i < ctx.argc(); ++i) {
      elements_.emplace_back(server::TheEnv().HashOf(vk::BytesOf(ctx.Argument(i))),
                             ctx.Argument(i));
    }
    std::sort(elements_.begin(), elements_.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
  }
  [[nodiscard]] size_t count() const override { return elements_.size(); }
  [[nodiscard]] uint64_t BytesOf(size_t /*i*/) const override { return leaves_ * kCopiedLeafBytes; }
  void Plan(uint64_t* word, size_t begin, size_t end, Missing* missing) override {
    if (*word == 0) return;
    Value value(server::TheEnv(), word);
    for (size_t i = begin; i < end; ++i) value.PlanErase(ElementAt(i), missing);
  }
  void Apply(uint64_t* word, size_t begin, size_t end) override {
    Value value(server::TheEnv(), word);
    for (size_t i = begin; i < end && !value.empty(); ++i) {
      removed_ += value.Erase(ElementAt(i)) ? 1 : 0;
    }
  }
  [[nodiscard]] long long removed() const { return removed_; }

 private:
  /// The arguments themselves are kept: the server moves their bytes when the command returns.
  [[nodiscard]] Bytes ElementAt(size_t i) const { return vk::BytesOf(elements_[i].second); }

  uint32_t leaves_;
  std::vector<std::pair<uint64_t, ValkeyModuleString*>> elements_;
  long long removed_ = 0;
};

/// More than a command may pin at once; or it was, and is done.
[[nodiscard]] inline bool IsLargeErase(Context& ctx, Missing* missing) {
  return ctx.DoneWork<dispatch::DraftWork>() != nullptr || dispatch::IsMoreThanPortion(missing);
}

/// Takes out what is more than a portion of leaves. Absent: it is done, as `*work` says.
template <typename Value, typename Key>
std::optional<Outcome> GateErase(Context& ctx, Key& key, int first, uint32_t leaves,
                                 dispatch::DraftWork** work) {
  return ctx.GateDraft(
      *key, [&] { return std::make_unique<EraseSteps<Value>>(ctx, first, leaves); }, work);
}

}  // namespace flash::commands
